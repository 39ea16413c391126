"""The command ``queryscope scan``: recorded traffic, its endpoints and lines ranked by waste.

The JSON document, version 1; every time is in milliseconds, ratios are from 0.0 to 1.0:

``schema``, ``schema_version``
    ``"queryscope.scan"`` and 1. New names may appear within a version.
``traces``, ``spent``, ``left``, ``waste``
    Number of Traces, what they cost, what would be left, and the ratio.
``endpoints``
    Those that waste most first, each with ``name``, ``kind``, ``traces``, ``duration_ms``,
    ``codes`` (with the number of Traces that have each), ``spent``, ``left``, ``waste``,
    ``lines``, of the same form with ``place`` and ``what`` and ``finding``, the costliest; and
    ``findings``, the open ones, with ``traces`` that have each and ``cost_ms`` in all of them.
``findings``
    What only several Traces together show, and with ``--plans`` what plans and schemas show.
``plans``
    Only with ``--plans``: statements ``explained``, those ``refused`` with the reason of each, and
    how many are ``left_off``.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryscope.cli.counts import count_from_one
from queryscope.cli.databases import add_database, databases_of
from queryscope.cli.models import add_models, models_of
from queryscope.cli.recorded import add_newest, newest, place_of, where, write_text
from queryscope.detectors.planned import Planned
from queryscope.detectors.registry import Judged, in_force, judge_plans
from queryscope.detectors.traffic import mode_of
from queryscope.plans.study import study
from queryscope.policy.decisions import load
from queryscope.report.collected import headline, remedy
from queryscope.report.text import counted, duration, milliseconds, share, visible
from queryscope.scan import scan_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.plans.study import Study
    from queryscope.scan import EndpointScan, LineScan, Scan
    from queryscope.trace.events import Trace
    from queryscope.waste import Account, Amounts

SCHEMA = "queryscope.scan"
SCHEMA_VERSION = 1
LINES = 15
"""Lines shown unless another number is given."""
_ENDPOINT = 5
_PLACE = 6
"""Index of the column that gives way: of the endpoints, of the lines."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``scan``."""
    add_newest(parser)
    parser.add_argument(
        "--lines",
        type=count_from_one,
        default=LINES,
        metavar="N",
        help=f"show at most so many lines (default: {LINES}; JSON has all)",
    )
    parser.add_argument(
        "--plans",
        action="store_true",
        help="ask the database for the plan of each statement, try missing indexes on copies of "
        "the tables, and judge both",
    )
    add_database(parser)
    add_models(parser)
    parser.add_argument(
        "--format", choices=("terminal", "json"), default="terminal", help="the form"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="where to write JSON; - is the standard output (default)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the ranking."""
    policy = load(Path.cwd())
    failed: list[str] = []

    def on_failure(code: str, error: Exception) -> None:
        failed.append(f"{code}: {type(error).__name__}: {error}")

    recorded = [Judged(item.trace, policy.apply(item.findings)) for item in newest(options)]
    scan = scan_of(recorded, on_failure=on_failure)
    found, studied = scan.findings, None
    if options.plans:
        studied = _studied([item.trace for item in recorded], options)
        found += judge_plans(Planned(studied), on_failure=on_failure)
    findings = [item for item in policy.apply(found) if item.known is None]
    if options.format == "json":
        written = document(scan, findings)
        if studied is not None:
            written["plans"] = _plans(studied)
        write_text(json.dumps(written, indent=1), options.output)
    else:
        _print(scan, findings, options.lines)
        if studied is not None:
            _print_plans(studied)
    for text in failed:
        print(f"queryscope: a detector failed, {visible(text)}", file=sys.stderr)
    return 0


def _studied(traces: Sequence[Trace], options: argparse.Namespace) -> Study:
    """Return what databases say of the recorded statements."""
    least_rows = in_force("plan_min_rows", {}, mode_of(traces))
    return study(traces, databases_of(options), least_rows=least_rows, models=models_of(options))


# -- JSON ----------------------------------------------------------------------------------


def document(scan: Scan, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the document of a scan; its findings are those that are open."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "traces": scan.traces,
        **_account(scan.total),
        "endpoints": [_endpoint(item) for item in scan.endpoints],
        "findings": [finding_part(item) for item in findings],
    }


def _account(account: Account) -> dict[str, Any]:
    return {
        "spent": _amounts(account.spent),
        "left": _amounts(account.left),
        "waste": round(account.ratio, 4),
    }


def _amounts(amounts: Amounts) -> dict[str, Any]:
    return {
        "statements": round(amounts.statements, 2),
        "rows": round(amounts.rows),
        "columns": amounts.columns,
        "bytes": amounts.size_bytes,
        "duration_ms": milliseconds(amounts.duration_ns),
        "connection_ms": milliseconds(amounts.connection_ns),
    }


def _endpoint(item: EndpointScan) -> dict[str, Any]:
    return {
        "name": visible(item.name),
        "kind": item.kind,
        "traces": item.traces,
        "duration_ms": milliseconds(item.duration_ns),
        "codes": dict(item.codes.most_common()),
        **_account(item.account),
        "lines": [_line(line) for line in item.lines],
        "findings": [
            {
                **finding_part(one.finding),
                "traces": one.traces,
                "cost_ms": milliseconds(one.cost_ns),
            }
            for one in item.findings
        ],
    }


def _line(item: LineScan) -> dict[str, Any]:
    return {
        "place": place_of(item.line.place),
        "what": visible(item.line.what),
        "traces": item.traces,
        "codes": dict(item.codes.most_common()),
        **_account(item.account),
        "finding": None if item.finding is None else finding_part(item.finding),
    }


def finding_part(finding: Finding) -> dict[str, Any]:
    """Return a finding as the documents of commands have it."""
    mend = finding.mend
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "message": visible(finding.message, limit=2_000),
        "count": finding.count,
        "place": place_of(finding.origin.first),
        "mend": None
        if mend is None
        else {"place": place_of(mend.at), "write": mend.write, "how": visible(mend.how)},
        "trace": finding.trace_id,
        "fingerprint": finding.fingerprint,
    }


def _plans(studied: Study) -> dict[str, Any]:
    refused = Counter(item.refusal for item in studied.statements if item.plan is None)
    return {
        "explained": sum(item.plan is not None for item in studied.statements),
        "refused": {visible(reason, limit=1_000): count for reason, count in refused.items()},
        "left_off": studied.left_off,
    }


# -- terminal ------------------------------------------------------------------------------


def _print(scan: Scan, findings: Sequence[Finding], most: int) -> None:
    total = scan.total
    print(
        f"{counted(scan.traces, 'Trace')}, {counted(round(total.spent.statements), 'statement')}: "
        f"{share(total.ratio, 1)} waste, {counted(round(total.wasted.statements), 'statement')} "
        f"and {duration(total.wasted.duration_ns)} to spare"
    )
    _print_endpoints(scan.endpoints)
    lines = [(endpoint, line) for endpoint in scan.endpoints for line in endpoint.lines]
    lines = [pair for pair in lines if pair[1].codes or pair[1].account.wasted.statements]
    lines.sort(key=lambda pair: -pair[1].account.wasted.duration_ns)
    if lines:
        _print_lines(lines[:most])
        if len(lines) > most:
            print(f"… {counted(len(lines) - most, 'more line')}: --lines {len(lines)}")
    _print_rest(scan.endpoints, most)
    if findings:
        print("\nover all Traces")
        for item in findings:
            sure = ", low confidence" if item.confidence == "low" else ""
            print(f"{item.code} {item.name}{sure}  {where(item.origin.first)}")
            print(f"    {headline(item)}")
            print(f"    {remedy(item)}")


def _print_plans(studied: Study) -> None:
    part = _plans(studied)
    print(f"\n{counted(part['explained'], 'statement')} explained")
    for reason, count in part["refused"].items():
        print(f"{counted(count, 'statement')} without a plan: {reason}")
    if studied.left_off:
        print(f"{counted(studied.left_off, 'more statement')} not looked at")


def _print_endpoints(endpoints: Sequence[EndpointScan]) -> None:
    from rich.text import Text

    from queryscope.cli.tables import a_table, print_table

    table = a_table()
    for name in ("wasted", "waste", "Traces", "statements", "rows"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("endpoint", no_wrap=True, overflow="ellipsis")
    table.add_column("codes", no_wrap=True, overflow="ellipsis")
    for item in endpoints:
        table.add_row(
            *_numbers(item.account, item.traces), Text(visible(item.name)), Text(_codes(item.codes))
        )
    print()
    widest = max((len(visible(item.name)) for item in endpoints), default=0)
    print_table(table, gives_way=_ENDPOINT, widest=widest)


def _print_lines(lines: Sequence[tuple[EndpointScan, LineScan]]) -> None:
    from rich.text import Text

    from queryscope.cli.tables import a_table, print_table

    table = a_table()
    for name in ("wasted", "waste", "Traces", "statements", "rows"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("line", no_wrap=True)
    table.add_column("what", no_wrap=True, overflow="ellipsis")
    table.add_column("codes", no_wrap=True)
    table.add_column("endpoint", no_wrap=True, overflow="ellipsis")
    for endpoint, item in lines:
        table.add_row(
            *_numbers(item.account, item.traces),
            Text(where(item.line.place)),
            Text(visible(item.line.what)),
            Text(_codes(item.codes)),
            Text(visible(endpoint.name)),
        )
    print()
    widest = max(len(visible(item.line.what)) for _, item in lines)
    print_table(table, gives_way=_PLACE, widest=widest)


def _print_rest(endpoints: Sequence[EndpointScan], most: int) -> None:
    """Print the findings that no line of statements has: sessions, connections, logs."""
    from rich.text import Text

    from queryscope.cli.tables import STYLES, a_table, print_table

    rest = [
        (endpoint, one)
        for endpoint in endpoints
        for one in endpoint.findings
        if not one.finding.queries
    ]
    rest.sort(key=lambda pair: -pair[1].cost_ns)
    if not rest:
        return
    table = a_table()
    for name in ("time", "Traces"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("line", no_wrap=True)
    table.add_column("finding", no_wrap=True)
    table.add_column("endpoint", no_wrap=True, overflow="ellipsis")
    for endpoint, one in rest[:most]:
        finding = one.finding
        table.add_row(
            duration(one.cost_ns),
            f"{one.traces:,}",
            Text(where(finding.origin.first)),
            Text(f"{finding.code} {finding.name}", style=STYLES[finding.severity]),
            Text(visible(endpoint.name)),
        )
    print()
    print_table(table, gives_way=4, widest=max(len(visible(item.name)) for item, _ in rest))
    if len(rest) > most:
        print(f"… {counted(len(rest) - most, 'more finding')}: --lines {len(rest)}")


def _numbers(account: Account, traces: int) -> tuple[str, ...]:
    return (
        duration(account.wasted.duration_ns),
        share(account.ratio, 1),
        f"{traces:,}",
        f"{round(account.spent.statements):,}",
        f"{round(account.spent.rows):,}",
    )


def _codes(codes: dict[str, int]) -> str:
    return " ".join(sorted(codes))
