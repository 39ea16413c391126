"""Recorded traffic, ranked: which endpoints and which lines waste most, and what they are told."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queryscope.detectors.finding import SEVERITIES
from queryscope.detectors.registry import judge_traffic
from queryscope.detectors.traffic import Traffic, endpoint_name
from queryscope.waste import NOTHING, Account, counts, total_of, waste_of, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Judged
    from queryscope.growth.lines import Line

_Key = tuple[str, str]


@dataclass(slots=True)
class LineScan:
    """One line of the user's over all Traces of an endpoint.

    Attributes:
        line: Place, kind of statement, tables.
        traces: Traces in which it sent any.
        account: What it cost and what would be left.
        codes: Codes of the findings about it, with the number of Traces that have them.
        finding: The costliest of them, as the one to read.
    """

    line: Line
    traces: int = 0
    account: Account = NOTHING
    codes: Counter[str] = field(default_factory=Counter)
    finding: Finding | None = None


@dataclass(slots=True)
class Recurring:
    """A finding that several Traces of an endpoint have: one place, one subject.

    Attributes:
        finding: The costliest of them.
        traces: Traces that have it.
        cost_ns: Time in its statements and of its connections over all Traces, in nanoseconds.
    """

    finding: Finding
    traces: int = 0
    cost_ns: int = 0


@dataclass(slots=True)
class EndpointScan:
    """All Traces of one endpoint.

    Attributes:
        name: Method and route, command, test or task.
        kind: What its Traces are.
        traces: How many there are.
        duration_ns: Their wall time.
        account: What their statements cost and what would be left.
        codes: Codes of the open findings, with the number of Traces that have them.
        lines: Its lines, those that waste most first.
        findings: The open findings about its Traces, those of one fingerprint and line together,
            the gravest and costliest first.
    """

    name: str
    kind: str
    traces: int = 0
    duration_ns: int = 0
    account: Account = NOTHING
    codes: Counter[str] = field(default_factory=Counter)
    lines: tuple[LineScan, ...] = ()
    findings: tuple[Recurring, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What recorded traffic comes to.

    Attributes:
        traces: Number of outermost Traces.
        total: The account of all of them; its ratio is the waste of the whole recording.
        endpoints: Those that waste most first: time first, then statements, then time spent.
        findings: What only several Traces together show. The ratio does not count them: a cache
            is another kind of mend than a better statement.
    """

    traces: int
    total: Account
    endpoints: tuple[EndpointScan, ...]
    findings: tuple[Finding, ...]


def scan_of(
    recorded: Sequence[Judged],
    *,
    chosen: Mapping[str, float] | None = None,
    on_failure: Callable[[str, Exception], None] | None = None,
) -> Scan:
    """Return what recorded Traces come to.

    Args:
        recorded: Traces with the findings about each; nested ones count with their outermost.
        chosen: Thresholds that differ from the defaults, by name.
        on_failure: Told (code, error) when a detector over several Traces raised.
    """
    endpoints: dict[_Key, EndpointScan] = {}
    lines: dict[_Key, dict[Line, LineScan]] = defaultdict(dict)
    findings: dict[_Key, dict[object, Recurring]] = defaultdict(dict)
    for judged in recorded:
        key: _Key = (judged.trace.kind, endpoint_name(judged.trace))
        endpoint = endpoints.setdefault(key, EndpointScan(key[1], key[0]))
        _add(endpoint, lines[key], judged)
        _gather(findings[key], judged.findings)
    for key, endpoint in endpoints.items():
        endpoint.findings = tuple(
            sorted(
                findings[key].values(),
                key=lambda item: (-SEVERITIES.index(item.finding.severity), -item.cost_ns),
            )
        )
        endpoint.lines = tuple(sorted(lines[key].values(), key=lambda item: weight(item.account)))
    ordered = sorted(endpoints.values(), key=lambda item: weight(item.account))
    traffic = Traffic.of([judged.trace for judged in recorded], chosen)
    return Scan(
        traces=len(recorded),
        total=total_of(item.account for item in ordered),
        endpoints=tuple(ordered),
        findings=judge_traffic(traffic, on_failure=on_failure),
    )


def _add(endpoint: EndpointScan, lines: dict[Line, LineScan], judged: Judged) -> None:
    trace, findings = judged
    waste = waste_of(trace, findings)
    endpoint.traces += 1
    endpoint.duration_ns += trace.duration_ns
    endpoint.account = endpoint.account.plus(waste.total)
    endpoint.codes.update({finding.code for finding in findings if finding.known is None})
    costliest: dict[tuple[str, int], Finding] = {}
    for finding in sorted(findings, key=lambda item: item.cost.duration_ns):
        if counts(finding):
            costliest.update(((finding.trace_id, n), finding) for n in finding.queries)
    for line, account in waste.lines.items():
        found = lines.setdefault(line, LineScan(line))
        found.traces += 1
        found.account = found.account.plus(account)
        found.codes.update(waste.codes[line])
        about = costliest.get(waste.samples[line])
        if about is not None and (
            found.finding is None or about.cost.duration_ns > found.finding.cost.duration_ns
        ):
            found.finding = about


def _gather(recurring: dict[object, Recurring], findings: Sequence[Finding]) -> None:
    """Add the open findings of one Trace to those of its endpoint."""
    here: set[object] = set()
    for finding in findings:
        if finding.known is not None:
            continue
        key = finding.fingerprint, finding.origin.first
        cost_ns = finding.cost.duration_ns + finding.cost.connection_ns
        found = recurring.setdefault(key, Recurring(finding))
        found.traces += key not in here
        here.add(key)
        found.cost_ns += cost_ns
        before = found.finding.cost
        if cost_ns > before.duration_ns + before.connection_ns:
            found.finding = finding
