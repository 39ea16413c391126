"""The command ``queryscope growth``: how endpoints and lines of recorded traffic grow.

The JSON document, version 1:

``schema``, ``schema_version``
    ``"queryscope.growth"`` and 1. New names may appear within a version.
``endpoints``
    Each with ``name``, ``kind``, ``traces``, ``law`` and ``lines``: those that grow fastest first,
    each with ``place``, ``what``, ``law`` (``1``, ``n``, ``n*m`` or ``unknown``), ``confidence``,
    ``evidence``, ``traces``, ``points`` (pairs of rows and statements), ``rows_of`` (the line
    whose rows are the size, null where none goes along) and ``at_10000``, the statements for
    10,000 rows, null where that cannot be told.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from queryscope.cli.recorded import add_newest, newest, place_of, where, write_text
from queryscope.detectors.traffic import endpoint_name
from queryscope.growth.observed import law_of, observed
from queryscope.report.text import counted, visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from queryscope.detectors.registry import Judged
    from queryscope.growth.law import Law
    from queryscope.growth.observed import Observed
    from queryscope.trace.events import Trace

SCHEMA = "queryscope.growth"
SCHEMA_VERSION = 1
AT = 10_000
"""Rows that the number of statements is foretold for."""
POINTS = 3
"""Sizes that the table shows of a line."""
_WHAT = 2


class Endpoint(NamedTuple):
    """An endpoint with its lines."""

    name: str
    kind: str
    traces: int
    lines: tuple[Observed, ...]

    @property
    def law(self) -> Law:
        """The law of the line that grows fastest."""
        return law_of(self.lines)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``growth``."""
    add_newest(parser)
    parser.add_argument(
        "--all", action="store_true", help="show constant lines, too (JSON has them always)"
    )
    parser.add_argument(
        "--format", choices=("terminal", "json"), default="terminal", help="the form"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="where to write JSON; - is the standard output (default)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the laws."""
    endpoints = endpoints_of(newest(options))
    if options.format == "json":
        write_text(json.dumps(document(endpoints), indent=1), options.output)
    else:
        _print(endpoints, whole=options.all)
    return 0


def endpoints_of(recorded: Iterable[Judged]) -> list[Endpoint]:
    """Return the endpoints of Traces, in alphabetical order."""
    traces: dict[tuple[str, str], list[Trace]] = defaultdict(list)
    for trace, _ in recorded:
        traces[endpoint_name(trace), trace.kind].append(trace)
    return [
        Endpoint(name, kind, len(found), observed(found))
        for (name, kind), found in sorted(traces.items())
    ]


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the JSON document of endpoints."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "endpoints": [
            {
                "name": visible(item.name),
                "kind": item.kind,
                "traces": item.traces,
                "law": item.law,
                "lines": [_line(line) for line in item.lines],
            }
            for item in endpoints
        ],
    }


def _line(item: Observed) -> dict[str, Any]:
    size = item.size.line
    return {
        "place": place_of(item.line.place),
        "what": visible(item.line.what),
        "law": item.law,
        "confidence": item.confidence,
        "evidence": visible(item.evidence),
        "traces": item.traces,
        "points": [[round(point.size), round(point.times)] for point in item.points],
        "rows_of": None
        if size is None
        else {"place": place_of(size.place), "what": visible(size.what)},
        "at_10000": item.at(AT),
    }


def _print(endpoints: Sequence[Endpoint], *, whole: bool) -> None:
    from rich.text import Text

    from queryscope.cli.tables import a_table, print_table

    for number, endpoint in enumerate(endpoints):
        law = "nothing tells how it grows" if endpoint.law == "unknown" else f"O({endpoint.law})"
        if number:
            print()
        print(f"{visible(endpoint.name)}  {counted(endpoint.traces, 'Trace')}: {law}")
        shown = [line for line in endpoint.lines if whole or _is_news(line)]
        if not shown:
            continue
        table = a_table()
        table.add_column("law", no_wrap=True)
        table.add_column("line", no_wrap=True)
        table.add_column("what", no_wrap=True, overflow="ellipsis")
        table.add_column("rows: statements", no_wrap=True)
        table.add_column(f"at {AT:,}", justify="right", no_wrap=True)
        table.add_column("confidence, evidence", no_wrap=True, overflow="ellipsis")
        for line in shown:
            at = line.at(AT)
            table.add_row(
                Text("unknown" if line.law == "unknown" else f"O({line.law})"),
                Text(where(line.line.place)),
                Text(visible(line.line.what)),
                Text(_points(line)),
                Text("" if at is None else f"{at:,}"),
                Text(visible(f"{line.confidence}: {line.evidence}")),
            )
        print_table(table, gives_way=_WHAT, widest=max(len(line.line.what) for line in shown))


def _is_news(line: Observed) -> bool:
    """Tell whether a line is worth a look: it grows, or may grow, being sent several times."""
    if line.law == "unknown":
        return any(point.times > 1 for point in line.points)
    return line.law != "1"


def _points(line: Observed) -> str:
    """Return a few of the sizes with their statements, from the smallest to the largest."""
    if line.size.line is None:
        times = sorted({round(point.times) for point in line.points})
        return f"?: {times[0]}" if len(times) == 1 else f"?: {times[0]} to {times[-1]}"
    points = sorted({(round(point.size), round(point.times)) for point in line.points})
    if len(points) > POINTS:
        points = [points[0], points[len(points) // 2], points[-1]]
    return ", ".join(f"{size:,}: {times:,}" for size, times in points)
