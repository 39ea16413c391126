"""What a report shows of a Trace and its findings, as frozen values without any markup.

Every text that was recorded has passed ``visible`` here, so that each writer (HTML, terminal,
JSON) may print it as it is.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.finding import SEVERITIES, Cost, Finding
from queryscope.report import sql
from queryscope.report.page import PageView, page_view
from queryscope.report.source import Sources, StepView
from queryscope.report.text import counted, duration, error_text, share, values, visible
from queryscope.report.timeline import (
    UNITS,
    Timeline,
    connections_of,
    merged,
    threads_of,
    timeline_of,
)
from queryscope.trace.events import Checkout, Frame, Origin, Query, TemplateNode, Trace
from queryscope.trace.pool import most_held

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from queryscope.report.sql import SqlPart
    from queryscope.trace.shape import Shape

MAX_GROUPS = 300
"""Groups of statements shown of one Trace, the dearest first; the rest is one sum."""
MAX_LAID_OUT_CHARS = 50_000
"""Characters of SQL laid out by the formatter in one report, at 4-40 us each; further statements
are shown as they are."""
MAX_SQL_CHARS = 400_000
"""Characters of SQL in one report; further statements are cut to ``CUT_SQL_CHARS``."""
CUT_SQL_CHARS = 400
MAX_STEPS = 12
"""Steps of one origin that are shown."""
MAX_FIRST = 3
"""Single executions of a group that the page shows without a script."""
MAX_VALUE_TEXTS = 6_000
"""Distinct parameters written out in one report."""
MAX_TABLE_ROWS = 200
"""Rows of the tables of stages, sessions, checkouts and transactions."""
MAX_FINDINGS = 200
MAX_NESTED = 40
"""Nested Traces shown in full."""
MAX_EVIDENCE = 40
_PARALLEL = 1.02
"""Sums beyond the covered time by more than this ran in parallel."""


class Segment(NamedTuple):
    """A part of the wall time: ``database``, ``wait``, ``connect`` or ``own``."""

    kind: str
    label: str
    duration_ns: int
    percent: str
    start: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Where the wall time went; the segments add up to it.

    A moment in which any thread's statement runs is database time; else, one in which any waits
    for a connection is pool wait; else, one in which any opens a connection is connecting; the
    rest is the application's own.
    """

    wall_ns: int
    segments: tuple[Segment, ...]
    note: str


class Figure(NamedTuple):
    """One number of the headline, with its name and what else is to say of it."""

    key: str
    value: str
    label: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MendView:
    """What to write, where, and why there."""

    write: str
    how: str
    at: StepView | None


class Mention(NamedTuple):
    """A group of statements that a finding explains, and how many of them."""

    anchor: str
    times: int
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """One finding, ready to be shown."""

    anchor: str
    code: str
    name: str
    severity: str
    confidence: str
    message: str
    subject: str
    count: int
    cost: Cost
    steps: tuple[StepView, ...]
    steps_left: int
    mend: MendView | None
    evidence: tuple[tuple[str, str], ...]
    queries: tuple[int, ...]
    mentions: tuple[Mention, ...]
    page: PageView | None
    page_anchor: str
    trace_id: str
    nested_name: str
    fingerprint: str


class Execution(NamedTuple):
    """One statement of a group. ``values`` is None where they were not kept."""

    number: int
    start_ns: int
    duration_ns: int
    rows: int | None
    parameter_set: int
    values: str | None
    thread: int
    connection: int
    session: int | None
    transaction: int | None
    stage: str
    many: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The statements of one shape from one origin."""

    anchor: str
    number: int
    head: str
    kind: str
    text: tuple[SqlPart, ...]
    text_left: int
    text_is_shape: bool
    label: str
    database: str
    vendor: str
    in_list: int
    count: int
    first_start_ns: int
    total_ns: int
    longest_ns: int
    rows: int
    rows_unknown: int
    parameter_sets: int
    errors: int
    steps: tuple[StepView, ...]
    steps_left: int
    created: StepView | None
    codes: tuple[str, ...]
    first: tuple[Execution, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What was left out of a list: how many, and how long they took where that is known."""

    count: int = 0
    queries: int = 0
    total_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """One stage; ``depth`` is how many stages it is in."""

    name: str
    kind: str
    depth: int
    thread: int
    start_ns: int
    duration_ns: int
    database_ns: int
    pool_wait_ns: int
    own_ns: int
    queries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """One session with what ran in it."""

    number: int
    framework: str
    databases: str
    opener: StepView | None
    opened_ns: int
    used_ns: int
    closed: bool
    queries: int
    database_ns: int
    threads: tuple[int, ...]
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutView:
    """One checkout of a connection; ``state`` is ``returned``, ``not returned`` or an error."""

    number: int
    pool: str
    capacity: str
    connection: int | None
    session: int | None
    thread: int
    asked_ns: int
    waited_ns: int
    connect_ns: int
    held_ns: int
    busy_ns: int
    idle_ns: int
    held_before: int
    overflow: bool
    state: str
    ok: bool
    opener: StepView | None
    holders: tuple[str, ...]
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionView:
    """One transaction; ``ended`` is False where it was open at the end."""

    number: int
    database: str
    connection: int
    thread: int
    started_ns: int
    duration_ns: int
    ended: bool
    outcome: str
    savepoints: int
    queries: int
    opener: StepView | None


class Note(NamedTuple):
    """A sentence of the footer, ``tone`` ``plain`` or ``warn``, with details."""

    tone: str
    text: str
    details: tuple[str, ...] = ()


Column = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Executions:
    """Every statement as columns, one entry each, in the order of ``Trace.queries``.

    Times are microseconds. -1 stands for none; ``rows`` counts from -1 for unknown. ``values``
    holds the text of ``(group, parameter set)`` where parameters were kept.
    """

    group: Column = ()
    start_us: Column = ()
    duration_us: Column = ()
    rows: Column = ()
    parameter_set: Column = ()
    thread: Column = ()
    connection: Column = ()
    session: Column = ()
    transaction: Column = ()
    stage: Column = ()
    many: Column = ()
    error: Column = ()
    kinds: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    values: tuple[tuple[tuple[int, str], ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One Trace as the reports show it; ``findings`` of the root hold those of nested ones."""

    key: str
    id: str
    kind: str
    name: str
    status: str
    attributes: tuple[tuple[str, str], ...]
    started: str
    duration_ns: int
    mode: str
    recording: str
    w3c_trace_id: str
    error: str
    values_kept: bool
    summary: str
    split: Split
    figures: tuple[Figure, ...]
    findings: tuple[FindingView, ...]
    findings_left: int
    timeline: Timeline
    groups: tuple[Group, ...]
    groups_rest: Rest
    statements: int
    stages: tuple[StageView, ...]
    stages_left: int
    sessions: tuple[SessionView, ...]
    sessions_left: int
    checkouts: tuple[CheckoutView, ...]
    checkouts_left: int
    transactions: tuple[TransactionView, ...]
    transactions_left: int
    executions: Executions
    nested: tuple[Report, ...]
    nested_left: int
    notes: tuple[Note, ...]


def report_of(
    trace: Trace,
    findings: Sequence[Finding],
    *,
    failed_detectors: Iterable[str | tuple[str, object]] = (),
) -> Report:
    """Return the view of a Trace.

    Args:
        trace: A finished Trace.
        findings: What the detectors say of it and of the Traces nested in it.
        failed_detectors: Codes of detectors that raised, alone or with the error.
    """
    return _Builder(trace, findings).report(trace, failed_detectors)


class Weight(NamedTuple):
    """How findings are ordered: the gravest first, then the costliest."""

    severity: int
    cost_ns: int
    statements: int
    code: str


def weight(finding: Finding) -> Weight:
    """Return the key that sorts findings for every report."""
    cost = finding.cost
    return Weight(
        -SEVERITIES.index(finding.severity),
        -(cost.duration_ns + cost.connection_ns),
        -cost.statements,
        finding.code,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """One line of the viewer's list."""

    id: str
    kind: str
    method: str
    route: str
    status: str
    started: str
    duration_ns: int
    database_ns: int
    statements: int
    sessions: int
    findings: int
    worst: str
    codes: tuple[str, ...]
    error: str


def list_entry(trace: Trace, findings: Sequence[Finding]) -> ListEntry:
    """Return the line of one Trace; its numbers include the Traces nested in it."""
    everything = list(trace.subtree())
    method, route = _method_and_route(trace)
    ordered = sorted(findings, key=weight)
    return ListEntry(
        id=visible(trace.id, limit=64),
        kind=trace.kind,
        method=method,
        route=route,
        status=visible(trace.attributes.get("status", ""), limit=16),
        started=_moment(trace.started_at_ns),
        duration_ns=trace.duration_ns,
        database_ns=sum(item.database_ns for item in everything),
        statements=sum(item.statements for item in everything),
        sessions=sum(len(item.sessions) for item in everything),
        findings=len(ordered),
        worst=ordered[0].severity if ordered else "",
        codes=tuple(dict.fromkeys(visible(finding.code, limit=20) for finding in ordered)),
        error=_error(trace),
    )


def title_of(trace: Trace) -> str:
    """Return how a Trace is called on one line."""
    return visible(trace.name) or trace.kind


_METHOD = re.compile(r"[A-Z]{3,10} ")


def _method_and_route(trace: Trace) -> tuple[str, str]:
    method = visible(trace.attributes.get("method", ""), limit=16)
    name = title_of(trace)
    if not method and trace.kind == "request":
        method = name.partition(" ")[0] if _METHOD.match(name) else ""
    if method and name.startswith(method + " "):
        return method, name[len(method) + 1 :]
    return method, name


def _error(trace: Trace) -> str:
    return error_text(trace.error, with_values=_keeps_values(trace)) if trace.error else ""


def _keeps_values(trace: Trace) -> bool:
    return any(q.parameters is not None for item in trace.subtree() for q in item.queries)


def _moment(unix_ns: int) -> str:
    try:
        return datetime.fromtimestamp(unix_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return ""


def _split(root: Trace) -> Split:
    """Return where the wall time of a Trace went, its nested ones included."""
    statements: list[tuple[int, int]] = []
    waits: list[tuple[int, int]] = []
    connects: list[tuple[int, int]] = []
    wall = root.duration_ns
    in_statements = waited = dropped = 0
    for trace in root.subtree():
        shift = trace.started_at_ns - root.started_at_ns
        for query in trace.queries:
            in_statements += query.duration_ns
            statements.append((query.start_ns + shift, query.end_ns + shift))
        for checkout in trace.checkouts:
            asked = checkout.asked_ns + shift
            waited += checkout.waited_ns
            if checkout.waited_ns:
                waits.append((asked, asked + checkout.waited_ns))
            if checkout.connect_ns:
                begin = asked + checkout.waited_ns
                connects.append((begin, begin + checkout.connect_ns))
        dropped += trace.dropped.get("query_ns", 0)
    running = merged(statements)
    database = _covered(running, wall)
    waiting = _covered(merged(running + waits), wall) - database if waits else 0
    connecting = 0
    if connects:
        connecting = _covered(merged(running + waits + connects), wall) - database - waiting
    # Statements over the cap have no place in time; they are counted one after another.
    database += min(dropped, max(wall - database - waiting - connecting, 0))
    own = max(wall - database - waiting - connecting, 0)
    segments = []
    start = 0.0
    for kind, label, ns in (
        ("database", "database", database),
        ("wait", "pool wait", waiting),
        ("connect", "connecting", connecting),
        ("own", "own code", own),
    ):
        if kind == "connect" and not ns:
            continue
        width = UNITS * ns / wall if wall else 0.0
        segments.append(Segment(kind, label, ns, share(ns, wall), round(start, 1), round(width, 1)))
        start += width
    notes = []
    # In parallel the sums exceed what the clock on the wall shows.
    total = in_statements + dropped
    if total > database * _PARALLEL:
        notes.append(f"{duration(total)} in statements")
    if waited > waiting * _PARALLEL:
        notes.append(f"{duration(waited)} in pool wait")
    note = f"summed over threads and tasks: {', '.join(notes)}" if notes else ""
    return Split(wall_ns=wall, segments=tuple(segments), note=note)


def _covered(spans: list[tuple[int, int]], wall: int) -> int:
    """Return how much of the wall time spans cover that do not overlap."""
    return sum(max(min(end, wall) - max(start, 0), 0) for start, end in spans)


class _Accumulated:
    """A group of statements while it grows."""

    __slots__ = ("numbers", "origin", "queries", "sets", "shape", "total_ns")

    def __init__(self, shape: Shape, origin: Origin) -> None:
        self.shape = shape
        self.origin = origin
        self.queries: list[Query] = []
        self.sets: dict[str, int] = {}
        self.total_ns = 0


class _Builder:
    """Builds the Report of one Trace and of those nested in it, within common limits."""

    def __init__(self, root: Trace, findings: Sequence[Finding]) -> None:
        self.root = root
        self.findings = sorted(findings, key=weight)
        self.sources = Sources()
        self.values_kept = _keeps_values(root)
        self.shapes: dict[tuple[str, str], Shape] = {}
        self.laid_out_left = MAX_LAID_OUT_CHARS
        self.sql_left = MAX_SQL_CHARS
        self.values_left = MAX_VALUE_TEXTS
        self.nested_left = MAX_NESTED
        self.pages: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.groups: dict[str, tuple[Group, ...]] = {}
        self.group_of: dict[str, Column] = {}
        self.names: dict[str, str] = {}
        self.threads: dict[str, dict[int, int]] = {}
        self.connections: dict[str, dict[int, int]] = {}

    def report(self, trace: Trace, failed: Iterable[str | tuple[str, object]] = ()) -> Report:
        key = f"t{len(self.keys)}"
        self.keys[trace.id] = key
        self.names[trace.id] = title_of(trace) if trace is not self.root else ""
        is_root = trace is self.root
        codes = self._codes_by_query(trace)
        groups, rest, executions = self._groups(trace, key, codes)
        self.groups[trace.id] = groups
        self.group_of[trace.id] = executions.group
        nested = []
        for child in trace.children:
            if self.nested_left <= 0:
                break
            self.nested_left -= 1
            nested.append(self.report(child))
        about = self.findings
        if not is_root:
            ids = {item.id for item in trace.subtree()}
            about = [finding for finding in self.findings if finding.trace_id in ids]
        shown = about[:MAX_FINDINGS] if is_root else []
        split = _split(trace)
        return Report(
            key=key,
            id=visible(trace.id, limit=64),
            kind=trace.kind,
            name=title_of(trace),
            status=visible(trace.attributes.get("status", ""), limit=16),
            attributes=tuple(
                (visible(name, limit=60), visible(value))
                for name, value in trace.attributes.items()
                if name != "status"
            ),
            started=_moment(trace.started_at_ns),
            duration_ns=trace.duration_ns,
            mode=visible(trace.mode, limit=20),
            recording=visible(trace.recording, limit=20),
            w3c_trace_id=visible(trace.w3c_trace_id, limit=64),
            error=error_text(trace.error, with_values=self.values_kept) if trace.error else "",
            values_kept=self.values_kept,
            summary=_summary(split, about),
            split=split,
            figures=self._figures(trace, about),
            findings=tuple(self._finding(n, finding) for n, finding in enumerate(shown)),
            findings_left=len(about) - len(shown) if is_root else 0,
            timeline=self._timeline(trace),
            groups=groups,
            groups_rest=rest,
            statements=self._statements(trace),
            stages=_stages(trace, self._threads(trace)),
            stages_left=max(len(trace.stages) - MAX_TABLE_ROWS, 0),
            sessions=self._sessions(trace),
            sessions_left=max(len(trace.sessions) - MAX_TABLE_ROWS, 0),
            checkouts=self._checkouts(trace),
            checkouts_left=max(len(trace.checkouts) - MAX_TABLE_ROWS, 0),
            transactions=self._transactions(trace),
            transactions_left=max(len(trace.transactions) - MAX_TABLE_ROWS, 0),
            executions=executions,
            nested=tuple(nested),
            nested_left=len(trace.children) - len(nested),
            notes=_notes(trace, failed) if is_root else (),
        )

    # -- statements -------------------------------------------------------------------------

    def _shape(self, query: Query) -> Shape:
        key = (query.statement, query.vendor)
        shape = self.shapes.get(key)
        if shape is None:
            shape = self.shapes[key] = query.shape
        return shape

    def _connections(self, trace: Trace) -> dict[int, int]:
        found = self.connections.get(trace.id)
        if found is None:
            found = self.connections[trace.id] = connections_of(trace)
        return found

    def _threads(self, trace: Trace) -> dict[int, int]:
        found = self.threads.get(trace.id)
        if found is None:
            found = self.threads[trace.id] = threads_of(trace)
        return found

    def _statements(self, trace: Trace) -> int:
        """Return ``Trace.statements``, each distinct text looked at once."""
        uncounted = ("transaction", "savepoint", "catalogue")
        kept = sum(self._shape(query).kind not in uncounted for query in trace.queries)
        return kept + trace.dropped.get("queries", 0)

    def _codes_by_query(self, trace: Trace) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for finding in self.findings:
            if finding.trace_id in (trace.id, ""):
                for number in finding.queries:
                    found.setdefault(number, []).append(visible(finding.code, limit=20))
        return found

    def _groups(
        self, trace: Trace, key: str, codes: Mapping[int, Sequence[str]]
    ) -> tuple[tuple[Group, ...], Rest, Executions]:
        """Return the statements by shape and origin, the dearest first, and each of them."""
        origins: dict[int, int] = {}
        equal: dict[Origin, int] = {}
        found: dict[tuple[str, str, int], _Accumulated] = {}
        of_query: list[_Accumulated] = []
        sets: list[int] = []
        for query in trace.queries:
            origin = query.origin
            # Hashing a chain costs microseconds, and statements of one site share it.
            place = origins.get(id(origin))
            if place is None:
                place = origins[id(origin)] = equal.setdefault(origin, len(equal))
            shape = self._shape(query)
            group = found.get((shape.text, query.database, place))
            if group is None:
                group = found[shape.text, query.database, place] = _Accumulated(shape, origin)
            group.queries.append(query)
            group.total_ns += query.duration_ns
            of_query.append(group)
            if query.parameters_key:
                sets.append(group.sets.setdefault(query.parameters_key, len(group.sets)))
            else:
                sets.append(-1)
        ordered = sorted(found.values(), key=lambda g: (-g.total_ns, g.queries[0].number))
        kept, left = ordered[:MAX_GROUPS], ordered[MAX_GROUPS:]
        numbers = {id(group): n for n, group in enumerate(kept)}
        threads = self._threads(trace)
        connections = self._connections(trace)
        texts = [self._value_texts(group) for group in kept]
        errors: dict[str, int] = {}
        stages = tuple(visible(stage.name, limit=80) for stage in trace.stages)
        columns = Executions(
            group=tuple(numbers.get(id(group), -1) for group in of_query),
            start_us=tuple(query.start_ns // 1_000 for query in trace.queries),
            duration_us=tuple(-(-query.duration_ns // 1_000) for query in trace.queries),
            rows=tuple(-1 if q.rows is None else q.rows for q in trace.queries),
            parameter_set=tuple(sets),
            thread=tuple(threads[query.thread] for query in trace.queries),
            connection=tuple(connections[query.connection] for query in trace.queries),
            session=_or_none(query.session for query in trace.queries),
            transaction=_or_none(query.transaction for query in trace.queries),
            stage=tuple(q.stage if q.stage < len(stages) else -1 for q in trace.queries),
            many=tuple(query.many for query in trace.queries),
            error=tuple(
                -1 if query.error is None else errors.setdefault(query.error, len(errors))
                for query in trace.queries
            ),
            kinds=tuple(_kind(group.shape) for group in kept),
            heads=tuple(sql.head(group.shape.text) for group in kept),
            stages=stages,
            errors=tuple(error_text(text, with_values=self.values_kept) for text in errors),
            values=tuple(tuple(text.items()) for text in texts),
        )
        groups = tuple(
            self._group(key, n, group, codes, columns, texts[n]) for n, group in enumerate(kept)
        )
        rest = Rest(
            count=len(left),
            queries=sum(len(group.queries) for group in left),
            total_ns=sum(group.total_ns for group in left),
        )
        return groups, rest, columns

    def _value_texts(self, group: _Accumulated) -> dict[int, str]:
        """Return the kept parameters of a group by the number of their set."""
        found: dict[int, str] = {}
        if not self.values_kept:
            return found
        for query in group.queries:
            if query.parameters is None or not query.parameters_key:
                continue
            number = group.sets[query.parameters_key]
            if number not in found and self.values_left > 0:
                self.values_left -= 1
                found[number] = values(query.parameters)
        return found

    def _group(
        self,
        key: str,
        number: int,
        group: _Accumulated,
        codes: Mapping[int, Sequence[str]],
        columns: Executions,
        texts: Mapping[int, str],
    ) -> Group:
        queries = group.queries
        longest = max(queries, key=lambda query: query.duration_ns)
        # Values that stand in the text itself are values, too: the shape has none.
        statement = longest.statement if self.values_kept else group.shape.text
        text, left = self._sql(statement)
        rows = [query.rows for query in queries if query.rows is not None]
        created = next((query.created for query in queries if query.created), None)
        steps, steps_left = self._steps(group.origin)
        return Group(
            anchor=f"{key}-g{number}",
            number=number,
            head=columns.heads[number],
            kind=_kind(group.shape),
            text=sql.parts(text),
            text_left=left,
            text_is_shape=not self.values_kept,
            label=_label(longest),
            database=visible(longest.database, limit=60),
            vendor=visible(longest.vendor, limit=30),
            in_list=group.shape.in_list,
            count=len(queries),
            first_start_ns=queries[0].start_ns,
            total_ns=group.total_ns,
            longest_ns=longest.duration_ns,
            rows=sum(rows),
            rows_unknown=len(queries) - len(rows),
            parameter_sets=len(group.sets),
            errors=sum(query.error is not None for query in queries),
            steps=steps,
            steps_left=steps_left,
            created=self.sources.step(created) if created else None,
            codes=tuple(
                dict.fromkeys(code for query in queries for code in codes.get(query.number, ()))
            ),
            first=tuple(_execution(query.number, columns, texts) for query in queries[:MAX_FIRST]),
        )

    def _sql(self, statement: str) -> tuple[str, int]:
        """Return a statement as it is shown, and the number of characters cut off."""
        limit = sql.MAX_FORMATTED_CHARS if self.sql_left > 0 else CUT_SQL_CHARS
        left = max(len(statement) - limit, 0)
        if left:
            text = sql.cut(statement, limit)
        elif self.laid_out_left >= len(statement):
            self.laid_out_left -= len(statement)
            text = sql.laid_out(statement)
        else:
            text = sql.cut(statement, limit)
        self.sql_left -= len(text)
        return text, left

    def _steps(self, origin: Origin) -> tuple[tuple[StepView, ...], int]:
        shown = origin.steps[:MAX_STEPS]
        return tuple(self.sources.step(step) for step in shown), len(origin.steps) - len(shown)

    def _opener(self, origin: Origin) -> StepView | None:
        first = origin.first
        return self.sources.step(first, excerpt=False) if first is not None else None

    # -- findings ---------------------------------------------------------------------------

    def _finding(self, number: int, finding: Finding) -> FindingView:
        anchor = f"f{number}"
        page_anchor = self.pages.setdefault(finding.code, f"{anchor}-page")
        trace_id = finding.trace_id or self.root.id
        steps, steps_left = self._steps(finding.origin)
        mend = None
        if finding.mend is not None:
            at = finding.mend.at
            mend = MendView(
                write=visible_block(finding.mend.write),
                how=visible(finding.mend.how, limit=1_000),
                at=self.sources.step(at) if isinstance(at, (Frame, TemplateNode)) else None,
            )
        return FindingView(
            anchor=anchor,
            code=visible(finding.code, limit=20),
            name=visible(finding.name, limit=60),
            severity=finding.severity,
            confidence=finding.confidence,
            message=visible(finding.message, limit=2_000),
            subject=visible(finding.subject, limit=200),
            count=finding.count,
            cost=finding.cost,
            steps=steps,
            steps_left=steps_left,
            mend=mend,
            evidence=tuple(
                (visible(name.replace("_", " "), limit=80), _evidence(value))
                for name, value in list(finding.evidence.items())[:MAX_EVIDENCE]
            ),
            queries=finding.queries,
            mentions=self._mentions(trace_id, finding.queries),
            page=page_view(finding.code) if page_anchor == f"{anchor}-page" else None,
            page_anchor=page_anchor,
            trace_id=visible(trace_id, limit=64),
            nested_name=self.names.get(trace_id, ""),
            fingerprint=finding.fingerprint,
        )

    def _mentions(self, trace_id: str, queries: Sequence[int]) -> tuple[Mention, ...]:
        groups = self.groups.get(trace_id, ())
        group_of = self.group_of.get(trace_id, ())
        counts: dict[int, int] = {}
        for number in queries:
            if 0 <= number < len(group_of) and group_of[number] >= 0:
                counts[group_of[number]] = counts.get(group_of[number], 0) + 1
        ordered = sorted(counts.items(), key=lambda item: -item[1])[:8]
        return tuple(Mention(groups[n].anchor, count, groups[n].head) for n, count in ordered)

    # -- the rest ---------------------------------------------------------------------------

    def _figures(self, trace: Trace, findings: Sequence[Finding]) -> tuple[Figure, ...]:
        everything = list(trace.subtree())
        inner = everything[1:]
        statements = sum(self._statements(item) for item in everything)
        nested = sum(self._statements(item) for item in inner)
        kept = sum(len(item.queries) for item in everything)
        over = sum(item.dropped.get("queries", 0) for item in everything)
        others = kept + over - statements
        notes = []
        if nested:
            notes.append(f"{nested:,} in nested Traces")
        if others:
            notes.append(f"and {others:,} of transactions or catalogue")
        rows = sum(
            query.rows or 0
            for item in everything
            for query in item.queries
            if not self._shape(query).is_write
        )
        sessions = sum(len(item.sessions) for item in everything)
        checkouts = sum(len(item.checkouts) for item in everything)
        transactions = sum(len(item.transactions) for item in everything)
        worst = dict.fromkeys(SEVERITIES, 0)
        for finding in findings:
            worst[finding.severity] += 1
        graver = [f"{worst[s]} {s}" for s in reversed(SEVERITIES) if worst[s]]
        if checkouts:
            held = most_held(trace)
            connections = Figure(
                "connections",
                f"{held:,}",
                "connections at once",
                f"held at most, {counted(checkouts, 'checkout')}",
            )
        else:
            used = len({query.connection for item in everything for query in item.queries})
            connections = Figure("connections", f"{used:,}", _noun(used, "connection"), "no pool")
        return (
            Figure("wall", duration(trace.duration_ns), "wall time"),
            Figure(
                "statements", f"{statements:,}", _noun(statements, "statement"), ", ".join(notes)
            ),
            Figure("rows", f"{rows:,}", _noun(rows, "row") + " read"),
            Figure("sessions", f"{sessions:,}", _noun(sessions, "session")),
            connections,
            Figure("transactions", f"{transactions:,}", _noun(transactions, "transaction")),
            Figure(
                "findings", f"{len(findings):,}", _noun(len(findings), "finding"), ", ".join(graver)
            ),
        )

    def _timeline(self, trace: Trace) -> Timeline:
        def kind_of(query: Query) -> str:
            return "error" if query.error is not None else _kind(self._shape(query))

        heads: dict[int, str] = {}

        def text(query: Query) -> str:
            shape = self._shape(query)
            head = heads.get(id(shape))
            if head is None:
                head = heads[id(shape)] = sql.head(shape.text)[:90]
            return f"#{query.number}  {duration(query.duration_ns)}  {head}"

        return timeline_of(trace, kind_of, text)

    def _sessions(self, trace: Trace) -> tuple[SessionView, ...]:
        count: dict[int, int] = {}
        spent: dict[int, int] = {}
        for query in trace.queries:
            if query.session is not None:
                count[query.session] = count.get(query.session, 0) + 1
                spent[query.session] = spent.get(query.session, 0) + query.duration_ns
        threads = self._threads(trace)
        return tuple(
            SessionView(
                number=item.number,
                framework=visible(item.framework, limit=30),
                databases=visible(", ".join(item.databases), limit=120),
                opener=self._opener(item.opener),
                opened_ns=item.opened_ns,
                used_ns=_end(item.closed_ns, trace) - item.first_used_ns,
                closed=item.closed_ns is not None,
                queries=count.get(item.number, 0),
                database_ns=spent.get(item.number, 0),
                threads=tuple(threads.setdefault(ident, len(threads)) for ident in item.threads),
                codes=self._codes_about(trace, "sessions", item.number),
            )
            for item in trace.sessions[:MAX_TABLE_ROWS]
        )

    def _codes_about(self, trace: Trace, what: str, number: int) -> tuple[str, ...]:
        return tuple(
            dict.fromkeys(
                visible(finding.code, limit=20)
                for finding in self.findings
                if finding.trace_id in (trace.id, "") and number in getattr(finding, what)
            )
        )

    def _checkouts(self, trace: Trace) -> tuple[CheckoutView, ...]:
        threads = self._threads(trace)
        names = self._connections(trace)
        return tuple(
            self._checkout(trace, item, threads, names) for item in trace.checkouts[:MAX_TABLE_ROWS]
        )

    def _checkout(
        self, trace: Trace, item: Checkout, threads: dict[int, int], names: dict[int, int]
    ) -> CheckoutView:
        held = 0 if item.got_ns is None else max(_end(item.returned_ns, trace) - item.got_ns, 0)
        if item.error:
            state = error_text(item.error, with_values=self.values_kept)
        elif item.got_ns is None:
            state = "none got"
        else:
            state = "returned" if item.returned_ns is not None else "not returned"
        return CheckoutView(
            number=item.number,
            pool=visible(item.pool, limit=80),
            capacity=_capacity(item),
            connection=None if item.connection is None else names[item.connection],
            session=item.session,
            thread=threads.setdefault(item.thread, len(threads)),
            asked_ns=item.asked_ns,
            waited_ns=item.waited_ns,
            connect_ns=item.connect_ns,
            held_ns=held,
            busy_ns=item.busy_ns,
            idle_ns=max(held - item.busy_ns, 0),
            held_before=item.held_before,
            overflow=item.overflow,
            state=state,
            ok=state == "returned",
            opener=self._opener(item.opener),
            holders=tuple(visible(holder) for holder in item.holders[:20]),
            codes=self._codes_about(trace, "checkouts", item.number),
        )

    def _transactions(self, trace: Trace) -> tuple[TransactionView, ...]:
        count: dict[int, int] = {}
        for query in trace.queries:
            if query.transaction is not None:
                count[query.transaction] = count.get(query.transaction, 0) + 1
        threads = self._threads(trace)
        names = self._connections(trace)
        return tuple(
            TransactionView(
                number=item.number,
                database=visible(item.database, limit=60),
                connection=names[item.connection],
                thread=threads.setdefault(item.thread, len(threads)),
                started_ns=item.started_ns,
                duration_ns=max(_end(item.ended_ns, trace) - item.started_ns, 0),
                ended=item.ended_ns is not None,
                outcome=visible(item.outcome, limit=40),
                savepoints=item.savepoints,
                queries=count.get(item.number, 0),
                opener=self._opener(item.opener),
            )
            for item in trace.transactions[:MAX_TABLE_ROWS]
        )


def visible_block(text: str) -> str:
    """Return what is to be written into source: with its line ends, nothing hidden."""
    return sql.cut(text, 4_000)


def _summary(split: Split, findings: Sequence[Finding]) -> str:
    """Return the one sentence that says where to look first."""
    largest = max(split.segments, key=lambda segment: segment.duration_ns)
    place = {
        "database": "in the database",
        "wait": "waiting for connections",
        "connect": "opening connections",
        "own": "in the application's own code",
    }[largest.kind]
    time = f"Most of the time is spent {place} ({largest.percent})."
    if split.wall_ns <= 0:
        time = ""
    if not findings:
        return f"{time} Nothing was found to mend.".strip()
    code, name = visible(findings[0].code, limit=20), visible(findings[0].name, limit=60)
    return f"{time} Look first at {code} {name}.".strip()


def _execution(number: int, columns: Executions, texts: Mapping[int, str]) -> Execution:
    stage = columns.stage[number]
    error = columns.error[number]
    chosen = columns.parameter_set[number]
    return Execution(
        number=number,
        start_ns=columns.start_us[number] * 1_000,
        duration_ns=columns.duration_us[number] * 1_000,
        rows=None if columns.rows[number] < 0 else columns.rows[number],
        parameter_set=chosen,
        values=texts.get(chosen),
        thread=columns.thread[number],
        connection=columns.connection[number],
        session=None if columns.session[number] < 0 else columns.session[number],
        transaction=None if columns.transaction[number] < 0 else columns.transaction[number],
        stage=columns.stages[stage] if stage >= 0 else "",
        many=columns.many[number],
        error=columns.errors[error] if error >= 0 else "",
    )


def _or_none(items: Iterable[int | None]) -> Column:
    return tuple(-1 if item is None else item for item in items)


def _end(moment_ns: int | None, trace: Trace) -> int:
    return trace.duration_ns if moment_ns is None else moment_ns


def _kind(shape: Shape) -> str:
    """Return the class of a statement's mark: ``read``, ``write`` or ``other``."""
    if shape.kind in ("transaction", "savepoint", "catalogue"):
        return "other"
    return "write" if shape.is_write else "read"


def _label(query: Query) -> str:
    """Return what the ORM did: ``lazy Book.publisher``, ``get Publisher``."""
    verb = query.operation.replace("_", " ")
    load = query.load
    if load is not None:
        owner = load.owner.rpartition(".")[2]
        many = f" for {counted(load.parents, 'parent')}" if load.batched else ""
        return visible(f"{verb or 'load'} {owner}.{load.attribute}{many}", limit=160)
    model = query.model.rpartition(".")[2]
    return visible(f"{verb} {model}".strip(), limit=160)


def _capacity(item: Checkout) -> str:
    if item.size is None:
        return "no bound"
    overflow = "∞" if item.max_overflow < 0 else str(item.max_overflow)
    return f"{item.size} + {overflow}"


def _evidence(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return visible(str(value), limit=600)


def _noun(number: int, noun: str) -> str:
    return counted(number, noun).partition(" ")[2]


def _stages(trace: Trace, threads: Mapping[int, int]) -> tuple[StageView, ...]:
    depths: dict[int, int] = {}
    found = []
    for stage in trace.stages:
        depths[stage.number] = depth = depths.get(stage.parent, -1) + 1
        found.append(
            StageView(
                name=visible(stage.name),
                kind=visible(stage.kind, limit=30),
                depth=min(depth, 8),
                thread=threads[stage.thread],
                start_ns=stage.start_ns,
                duration_ns=stage.duration_ns,
                database_ns=stage.database_ns,
                pool_wait_ns=stage.pool_wait_ns,
                own_ns=stage.own_ns,
                queries=stage.queries,
            )
        )
    return tuple(found[:MAX_TABLE_ROWS])


def _notes(trace: Trace, failed: Iterable[str | tuple[str, object]]) -> tuple[Note, ...]:
    """Return what a reader must know to trust the page: what is missing, and why."""
    notes: list[Note] = []
    dropped: dict[str, int] = {}
    orphans = unlabelled = 0
    failures: dict[tuple[str, str], int] = {}
    for item in trace.subtree():
        orphans += item.orphans
        unlabelled += item.unlabelled
        for name, number in item.dropped.items():
            dropped[name] = dropped.get(name, 0) + number
        for failure in item.failures:  # process-wide counts: the latest is the highest
            place = (failure.place, failure.error)
            failures[place] = max(failures.get(place, 0), failure.count)
    for name, number in dropped.items():
        if name == "query_ns":
            continue
        text = f"{number:,} {visible(name, limit=60).replace('_', ' ')} dropped: over the cap."
        if name == "queries":
            spent = duration(dropped.get("query_ns", 0))
            text = f"{counted(number, 'statement')} not kept ({spent}): over the cap max_queries."
        elif name == "statement_tails":
            text = f"{counted(number, 'statement')} cut at max_statement_chars."
        notes.append(Note("warn", text))
    if orphans:
        notes.append(
            Note("warn", f"{counted(orphans, 'fact')} arrived after the end and not counted.")
        )
    if failures:
        total = sum(failures.values())
        details = tuple(
            visible(f"{place}: {error}") + (f" ({number:,} times)" if number > 1 else "")
            for (place, error), number in failures.items()
        )
        notes.append(Note("warn", f"{counted(total, 'hook failure')} in this process.", details))
    broken = [item if isinstance(item, str) else f"{item[0]}: {item[1]}" for item in failed]
    if broken:
        names = tuple(visible(name) for name in broken)
        notes.append(Note("warn", f"{counted(len(names), 'detector')} failed.", names))
    if unlabelled:
        notes.append(
            Note(
                "warn",
                f"{counted(unlabelled, 'statement')} came from an ORM frame of unknown shape: "
                "label unknown.",
            )
        )
    kept = "with values of parameters" if _keeps_values(trace) else "without values of parameters"
    mode = f"{visible(trace.recording, limit=20)} recording, {visible(trace.mode, limit=20)} mode"
    notes.append(Note("plain", f"{mode}, {kept}. Times of statements end when the driver returns."))
    notes.append(
        Note("plain", f"Written by queryscope {_version()} on Python {platform.python_version()}.")
    )
    return tuple(notes)


def _version() -> str:
    try:
        return metadata.version("queryscope")
    except metadata.PackageNotFoundError:
        return "from its source tree"
