"""What a failed budget says: got and allowed, the causes by cost, and where to look."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.precedence import N_PLUS_ONE
from queryscope.policy.comments import covering
from queryscope.pytest_plugin.usage import (
    At,
    Usage,
    duplicates,
    statements,
    used_checkouts,
    used_sessions,
)
from queryscope.report.sql import head
from queryscope.report.text import counted, share, visible
from queryscope.trace.events import Frame, Query, TemplateNode, Trace
from queryscope.waste import counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from queryscope.detectors.finding import Finding, Severity
    from queryscope.policy.decisions import Policy
    from queryscope.pytest_plugin.limits import Limits
    from queryscope.trace.events import Origin
    from queryscope.trace.recorder import Recorder

MAX_FINDINGS = 8
"""Findings named in one message; the report has them all."""
MAX_OTHERS = 5
"""Lines of each other sort."""
MAX_SHAPE_CHARS = 110
"""A statement's shape is cut here: the message stands in a terminal."""
MAX_WHERE_CHARS = 90

_STATEMENT_BUDGETS = frozenset({"queries", "n_plus_one", "duplicates", "rows", "time_ms", "waste"})
_CONNECTION_BUDGETS = frozenset({"sessions", "connections_held", "time_ms"})
_LINE_BUDGETS = frozenset({"queries", "rows", "time_ms"})


class Cause(NamedTuple):
    """One line of the causes, and the lines that explain it."""

    label: str
    times: int
    where: str
    cost: str
    details: tuple[str, ...] = ()


def first_line(usage: Usage, exceeded: Limits) -> str:
    """Return every exceeded budget with what was used, what is allowed, and the difference."""
    return "; ".join(
        _exceeded(name, getattr(usage, name), allowed) for name, allowed in exceeded.items()
    )


def _exceeded(name: str, got: float, allowed: float) -> str:
    if name == "time_ms":
        # Two digits are enough for a time, but a difference must never read as none.
        over = got - allowed
        digits = 1 if over >= 0.1 else 3  # noqa: PLR2004 - the least that one digit shows
        return f"{got:,.{digits}f} ms, budget {allowed:,g} ms ({over:,.{digits}f} over)"
    if name == "waste":
        return (
            f"{share(got, 1)} of the statements wasted, budget {share(allowed, 1)} "
            f"({share(got - allowed, 1)} over)"
        )
    number = int(got)
    what = {
        "queries": counted(number, "query"),
        "sessions": counted(number, "session"),
        "connections_held": f"{counted(number, 'connection')} held at once",
        "n_plus_one": counted(number, "N+1 finding"),
        "duplicates": counted(number, "duplicate"),
        "rows": counted(number, "row"),
    }[name]
    return f"{what}, budget {int(allowed):,} ({number - int(allowed):,} over)"


def causes(
    recorder: Recorder, trace: Trace, findings: Sequence[Finding], exceeded: Limits, base: Path
) -> list[str]:
    """Return the lines that say what the exceeded budgets went to.

    Args:
        recorder: The block's closed Recorder.
        trace: Its Trace.
        findings: Those of the Trace and of every Trace in it.
        exceeded: The budgets that were exceeded.
        base: Folder that files are shown relative to.
    """
    names = set(exceeded)
    every = {at.key: at for at in statements(trace)}
    shown = relevant(findings, names)
    explained = {(item.trace_id, number) for item in shown for number in item.queries}
    found = _limited(
        [_finding(item, every, base) for item in shown],
        MAX_FINDINGS,
        lambda rest: f"{counted(len(rest), 'more finding')} in the report",
    )
    if "duplicates" in names:
        groups = [
            [at for at in group[1:] if at.key not in explained] for group in duplicates(trace)
        ]
        found += _duplicates(groups, base)
        explained.update(at.key for group in groups for at in group)
    if names & _LINE_BUDGETS:
        rest = [at for key, at in every.items() if key not in explained and at.query.counts]
        found += _others(rest, base, with_rows="rows" in names)
    if "sessions" in names:
        found += _sessions(recorder, trace, base)
    if "connections_held" in names:
        found += _connections(recorder, trace, base)
    if "time_ms" in names:
        found.append(_time(trace))
    dropped = sum(part.dropped.get("queries", 0) for part in trace.subtree())
    lines = _aligned(found)
    if dropped:
        lines.append(f"  counted only, over the cap of a Trace: {counted(dropped, 'statement')}")
    return lines


def strict_line(failing: Sequence[Finding], level: Severity) -> str:
    """Return how many findings fail a strict test."""
    return f"{counted(len(failing), 'open finding')} of level {level} or graver"


def strict_causes(
    trace: Trace, failing: Sequence[Finding], policy: Policy, base: Path
) -> list[str]:
    """Return the lines that say what fails a strict test: where it ran, and what to write.

    Args:
        trace: The test's Trace.
        failing: The findings, the gravest first.
        policy: What was known until its entry in the baseline expired is said so.
        base: Folder that files are shown relative to.
    """
    every = {at.key: at for at in statements(trace)}
    causes = []
    for item in failing:
        cause = _finding(item, every, base)
        entry = policy.expired(item)
        wrong = [comment.error for comment in covering(item) if comment.error]
        remarks = [f"known in the baseline until {entry.expires}"] if entry is not None else []
        causes.append(cause._replace(details=(*cause.details, *remarks, *wrong)))
    rest = "more finding"
    return _aligned(
        _limited(causes, MAX_FINDINGS, lambda left: f"{counted(len(left), rest)} in the report")
    )


def relevant(findings: Iterable[Finding], names: set[str]) -> list[Finding]:
    """Return the findings that the exceeded budgets are about, the costliest first."""
    if names == {"waste"}:
        chosen = [item for item in findings if item.cost.avoidable and counts(item)]
    elif names == {"n_plus_one"}:
        chosen = [item for item in findings if item.code in N_PLUS_ONE and item.known is None]
    else:
        chosen = [
            item
            for item in findings
            if (item.queries and names & _STATEMENT_BUDGETS)
            or ((item.sessions or item.checkouts) and names & _CONNECTION_BUDGETS)
        ]
    return sorted(chosen, key=lambda f: -(f.cost.duration_ns + f.cost.connection_ns))


def _finding(item: Finding, every: dict[tuple[str, int], At], base: Path) -> Cause:
    details: list[str] = []
    at = next((every[item.trace_id, n] for n in item.queries if (item.trace_id, n) in every), None)
    if at is not None:
        details.append(shape_line(at.query))
    if item.mend is not None or at is None:
        details.append(remedy_of(item, base))
    cost = item.cost.duration_ns or item.cost.connection_ns
    return Cause(
        f"{item.code} {item.name}", item.count, where(item.origin, base), _ms(cost), tuple(details)
    )


def remedy_of(item: Finding, base: Path) -> str:
    """Return what to write and where; what is the matter, where nothing is to be written."""
    mend = item.mend
    if mend is None:
        return visible(item.message)
    remedy = f"try: {visible(mend.write)}" if mend.write else visible(mend.how)
    if mend.at is not None and mend.at != item.origin.first:
        remedy += f"  at {place(mend.at, base)}"
    return remedy


def _duplicates(groups: list[list[At]], base: Path) -> list[Cause]:
    """Return the statements beyond the first of each, by line and shape."""
    by_line: dict[tuple[str, str], list[Query]] = {}
    for group in groups:
        for at in group:
            key = where(at.query.origin, base), shape_line(at.query)
            by_line.setdefault(key, []).append(at.query)
    lines = sorted(by_line.items(), key=lambda item: -_sum_ns(item[1]))
    return _limited(
        [
            Cause("duplicate", len(queries), line, _ms(_sum_ns(queries)), (shape,))
            for (line, shape), queries in lines
        ],
        MAX_OTHERS,
        lambda rest: counted(sum(c.times for c in rest), "more duplicate"),
    )


def _others(rest: list[At], base: Path, *, with_rows: bool) -> list[Cause]:
    """Return the statements that no finding speaks of, by the line that sent them."""
    by_line: dict[str, list[Query]] = {}
    for at in rest:
        by_line.setdefault(where(at.query.origin, base), []).append(at.query)
    found: list[tuple[int, Cause]] = []
    for line, queries in by_line.items():
        duration_ns = _sum_ns(queries)
        rows = sum(query.rows or 0 for query in queries if not query.shape.is_write)
        shapes = list(dict.fromkeys(shape_line(query) for query in queries))
        details = [shapes[0]]
        if len(shapes) > 1:
            details.append(f"… and {counted(len(shapes) - 1, 'other shape')}")
        cost = _ms(duration_ns)
        if with_rows:
            cost += f"  {counted(rows, 'row')}"
        cause = Cause("other", len(queries), line, cost, tuple(details))
        found.append((rows if with_rows else duration_ns, cause))
    found.sort(key=lambda pair: -pair[0])
    return _limited(
        [cause for _, cause in found],
        MAX_OTHERS,
        lambda rest: (
            f"{counted(sum(c.times for c in rest), 'more statement')} "
            f"at {counted(len(rest), 'line')}"
        ),
    )


def _sessions(recorder: Recorder, trace: Trace, base: Path) -> list[Cause]:
    """Return where the sessions were opened, with the time that they were in use."""
    by_line: dict[str, list[int]] = {}
    for session in used_sessions(recorder, trace):
        until_ns = trace.duration_ns if session.closed_ns is None else session.closed_ns
        used_ns = max(until_ns - session.first_used_ns, 0)
        by_line.setdefault(where(session.opener, base), []).append(used_ns)
    return _opened("session", by_line)


def _connections(recorder: Recorder, trace: Trace, base: Path) -> list[Cause]:
    """Return where connections were taken out of pools, with the time that they were out."""
    by_line: dict[str, list[int]] = {}
    for checkout, out_ns in used_checkouts(recorder, trace):
        by_line.setdefault(where(checkout.opener, base), []).append(out_ns)
    return _opened("connection", by_line)


def _opened(label: str, by_line: dict[str, list[int]]) -> list[Cause]:
    lines = sorted(by_line.items(), key=lambda item: (-len(item[1]), -sum(item[1])))
    return _limited(
        [Cause(label, len(times), line, _ms(sum(times))) for line, times in lines],
        MAX_OTHERS,
        lambda rest: counted(sum(c.times for c in rest), f"more {label}"),
    )


def _limited(found: list[Cause], limit: int, more: Callable[[list[Cause]], str]) -> list[Cause]:
    if len(found) <= limit:
        return found
    return [*found[:limit], Cause("", 0, f"… {more(found[limit:])}", "")]


def _aligned(found: list[Cause]) -> list[str]:
    """Return the causes in columns."""
    columns = [cause for cause in found if cause.label]
    label = max((len(cause.label) for cause in columns), default=0)
    count = max((len(f"{cause.times:,}") for cause in columns), default=0)
    place_width = max((len(cause.where) for cause in columns), default=0)
    ms = max((len(cause.cost.partition("  ")[0]) for cause in columns), default=0)
    lines = []
    for cause in found:
        if not cause.label:
            lines.append(f"  {cause.where}")
            continue
        time, _, rows = cause.cost.partition("  ")
        lines.append(
            f"  {cause.label:<{label}}  {cause.times:>{count},}x  {cause.where:<{place_width}}  "
            f"{time:>{ms}}{'  ' + rows if rows else ''}"
        )
        lines += [f"        {detail}" for detail in cause.details]
    return lines


def _time(trace: Trace) -> Cause:
    """Return how the time is shared out, as a line without columns."""
    parts = list(trace.subtree())
    database_ns = sum(part.database_ns for part in parts)
    wait_ns = sum(part.pool_wait_ns for part in parts)
    rest_ns = max(trace.duration_ns - database_ns - wait_ns, 0)
    text = f"{_ms(database_ns)} in statements, {_ms(rest_ns)} elsewhere"
    if wait_ns:
        text = f"{_ms(wait_ns)} waiting for connections, {text}"
    return Cause("", 0, text, "")


def _sum_ns(queries: Iterable[Query]) -> int:
    return sum(query.duration_ns for query in queries)


def shape_line(query: Query) -> str:
    """Return the shape of a statement on one line of a terminal."""
    text = head(query.shape.text)
    return text if len(text) <= MAX_SHAPE_CHARS else text[: MAX_SHAPE_CHARS - 1] + "…"


def _ms(duration_ns: int) -> str:
    return f"{duration_ns / 1e6:,.1f} ms"


def where(origin: Origin, base: Path) -> str:
    """Return the user's innermost line or tag."""
    step = origin.first
    if step is None:
        return "no line of yours"
    inside = (
        step.scope.replace(".<locals>", "") if isinstance(step, Frame) else f"{{{step.source}}}"
    )
    return f"{place(step, base)} in {visible(inside, limit=MAX_WHERE_CHARS)}"


def place(step: Frame | TemplateNode, base: Path) -> str:
    """Return file and line, the file relative to ``base`` if it lies below."""
    if isinstance(step, TemplateNode):
        return f"{visible(step.template)}:{step.line}"
    file = step.file
    if file.startswith(f"{base}{os.sep}"):
        file = file[len(str(base)) + 1 :]
    return f"{visible(file)}:{step.line}"
