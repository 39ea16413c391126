"""The JSON documents, as types: what ``report.json`` writes, and what its schema is made from.

Every time is in milliseconds, moments from the start of the Trace. New names may appear within a
version; a name that goes or changes its meaning raises it.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

SCHEMA_VERSION = 1
FINDINGS_VERSION = 1


class Step(TypedDict):
    """A position in the user's source or in a template.

    Attributes:
        kind: ``python`` or ``template``.
        where: Short file and line.
        file: The file in full, ``""`` if there is none.
        line: The line, from 1.
        function: The function; of Python alone.
        tag: The tag's text; of templates alone.
        source: The line's text, ``""`` if it could not be read.
    """

    kind: str
    where: str
    file: str
    line: int
    function: NotRequired[str]
    tag: NotRequired[str]
    source: str


class FindingCost(TypedDict):
    """What the finding's statements or connections cost in its Trace.

    Attributes:
        statements: Statements sent.
        avoidable: Statements that a mend would save.
        rows: Rows fetched.
        duration_ms: Time in the statements.
        connection_ms: Connection-time: summed over the connections concerned.
    """

    statements: int
    avoidable: int
    rows: int
    duration_ms: float
    connection_ms: float


class MendText(TypedDict):
    """What to edit.

    Attributes:
        at: The position to edit, null where it is not known.
        write: The text to write.
        how: What to do with it.
    """

    at: Step | None
    write: str
    how: str


class KnownBy(TypedDict):
    """Why nobody has to act on a finding.

    Attributes:
        by: ``baseline``, ``comment`` (an inline ignore) or ``path`` (settings of its path).
        place: Where that stands.
        reason: What was written there.
        owner: Who answers for it.
        expires: The last day on which it holds, ``""`` for no end.
    """

    by: str
    place: str
    reason: str
    owner: str
    expires: str


class FoundOnce(TypedDict):
    """What a detector says.

    Attributes:
        code: Catalogue code, such as ``QS101``.
        name: Catalogue name, such as ``n-plus-one``.
        severity: How grave it is.
        confidence: How sure it is.
        message: One sentence: what happens, how often.
        subject: The relation, shape or resource it is about.
        count: How often.
        cost: What it cost.
        origin: Where it ran, the innermost step first.
        mend: What to edit, null where nothing is proposed.
        evidence: Names to values that carry the verdict, as texts.
        queries: Numbers of the Trace's ``queries`` that it explains.
        trace: The id of the Trace it is about.
        fingerprint: Equal for the same finding in every run.
        known: Why nobody has to act on it, null for one that is open.
    """

    code: str
    name: str
    severity: Literal["info", "warning", "critical"]
    confidence: Literal["low", "medium", "high"]
    message: str
    subject: str
    count: int
    cost: FindingCost
    origin: list[Step]
    mend: MendText | None
    evidence: dict[str, str]
    queries: list[int]
    trace: str
    fingerprint: str
    known: KnownBy | None


class GroupPart(TypedDict):
    """Statements of one shape from one place.

    Attributes:
        sql: The statement; its shape where values are not kept.
        is_shape: Whether ``sql`` is the shape.
        kind: ``read``, ``write`` or ``other``.
        label: What the ORM did.
        database: Django alias or engine name.
        vendor: The database.
        count: Statements.
        total_ms: Time in them.
        longest_ms: Time in the longest.
        rows: Rows fetched, or written.
        rows_unknown: Statements whose rows are unknown.
        parameter_sets: Different sets of parameters.
        in_list: Length of the longest IN list.
        errors: Statements that raised.
        codes: Codes of the findings that explain some of them.
        origin: Where they were asked for, the innermost step first.
        created: Where the queryset was made, null where that is not known.
    """

    sql: str
    is_shape: bool
    kind: str
    label: str
    database: str
    vendor: str
    count: int
    total_ms: float
    longest_ms: float
    rows: int
    rows_unknown: int
    parameter_sets: int
    in_list: int
    errors: int
    codes: list[str]
    origin: list[Step]
    created: Step | None


class Statement(TypedDict):
    """One statement, in order of completion.

    Attributes:
        number: Its position, from 0.
        group: Index into ``groups``, null for one of a group beyond the cap.
        start_ms: When it was sent.
        duration_ms: Until the driver returned.
        rows: Rows fetched, null if unknown.
        parameter_set: Equal for equal parameters within the group.
        parameters: The values, null where they are not kept.
        many: Size of the ``executemany`` batch, 0 for a plain execute.
        thread: A number for the thread.
        connection: A number for the connection.
        session: Index into ``sessions``.
        transaction: Index into ``transactions``.
        stage: Index into ``stages``.
        error: What it raised.
    """

    number: int
    group: int | None
    start_ms: float
    duration_ms: float
    rows: int | None
    parameter_set: int | None
    parameters: str | None
    many: int
    thread: int
    connection: int
    session: int | None
    transaction: int | None
    stage: int | None
    error: str | None


class StageRow(TypedDict):
    """A named part of the Trace; ``depth`` is 0 for the outermost."""

    name: str
    kind: str
    depth: int
    thread: int
    start_ms: float
    duration_ms: float
    database_ms: float
    pool_wait_ms: float
    own_ms: float
    queries: int


class SessionRow(TypedDict):
    """An ORM session that used a connection."""

    number: int
    framework: str
    databases: str
    opener: Step | None
    opened_ms: float
    used_ms: float
    closed: bool
    queries: int
    database_ms: float
    threads: list[int]


class CheckoutRow(TypedDict):
    """A connection out of its pool."""

    number: int
    pool: str
    capacity: str
    connection: int | None
    session: int | None
    thread: int
    asked_ms: float
    waited_ms: float
    connect_ms: float
    held_ms: float
    busy_ms: float
    idle_ms: float
    held_before: int
    overflow: bool
    state: str
    opener: Step | None
    holders: list[str]


class TransactionRow(TypedDict):
    """A transaction with the number of its savepoints."""

    number: int
    database: str
    connection: int
    start_ms: float
    duration_ms: float
    ended: bool
    outcome: str
    savepoints: int
    queries: int
    opener: Step | None


class Times(TypedDict):
    """The parts of ``duration_ms``, which they add up to, nested Traces included."""

    database_ms: float
    pool_wait_ms: float
    connect_ms: float
    own_ms: float


class WastePart(TypedDict):
    """What mends would spare of the statements, nested Traces included.

    Attributes:
        ratio: Statements to spare over statements sent, from 0.0 to 1.0.
        statements: Statements to spare.
        rows: Rows that would not be read again.
        duration_ms: Time in the statements to spare.
        connection_ms: Time for which connections are held idle or waited for without need.
        columns: Columns that came and nobody read; null where reading was not tracked.
        bytes: About how many bytes their values took; null where reading was not tracked.
    """

    ratio: float
    statements: int
    rows: int
    duration_ms: float
    connection_ms: float
    columns: int | None
    bytes: int | None


class TotalNumbers(TypedDict):
    """Numbers of the Trace, nested ones included."""

    statements: int
    rows: int
    sessions: int
    connections_held: int
    transactions: int


class TracePart(TypedDict):
    """The record of one unit of work.

    Attributes:
        id: Its id.
        kind: ``request``, ``test``, ``task``, ``script`` or ``block``.
        name: Route, test id, command or label.
        started: The moment, in the local time of whoever wrote the report.
        duration_ms: Wall time.
        mode: ``development``, ``tests`` or ``production``.
        recording: ``light`` or ``full``.
        attributes: Method, path, route, status and such.
        error: The exception that left it.
        w3c_trace_id: Of the distributed trace.
        time: Where the time went.
        totals: Its numbers.
        waste: What mends would spare of its statements.
        groups: Statements by shape and origin, the dearest first.
        groups_left: Groups beyond the cap.
        queries: Every statement kept.
        stages: Its parts.
        sessions: Sessions that used a connection.
        checkouts: Connections out of their pools.
        transactions: Its transactions.
        nested: The same again for each nested Trace.
        nested_left: Nested Traces beyond the cap.
    """

    id: str
    kind: str
    name: str
    started: str
    duration_ms: float
    mode: str
    recording: str
    attributes: dict[str, str]
    error: str | None
    w3c_trace_id: str | None
    time: Times
    totals: TotalNumbers
    waste: WastePart
    groups: list[GroupPart]
    groups_left: int
    queries: list[Statement]
    stages: list[StageRow]
    sessions: list[SessionRow]
    checkouts: list[CheckoutRow]
    transactions: list[TransactionRow]
    nested: list[TracePart]
    nested_left: int


class NoteText(TypedDict):
    """Something that is missing or went wrong while recording and judging."""

    text: str
    details: list[str]


class ReportDocument(TypedDict):
    """What ``queryscope report --format json`` writes: the report of one Trace.

    Attributes:
        schema: ``queryscope.report``.
        schema_version: 1.
        trace: The Trace.
        findings: Those of the Trace and of nested ones: open ones first, the gravest and
            costliest first, those of one severity and code together.
        findings_left: Findings beyond the cap.
        notes: What is missing or went wrong.
    """

    schema: Literal["queryscope.report"]
    schema_version: int
    trace: TracePart
    findings: list[FoundOnce]
    findings_left: int
    notes: list[NoteText]


class Found(FoundOnce):
    """A finding of several Traces: the costliest, and how many there are.

    Attributes:
        traces: Traces that have it.
        expired: The day on which its entry in the baseline expired, ``""`` if it has none.
    """

    traces: int
    expired: str


class Stale(TypedDict):
    """An inline ignore that no finding matched, or a wrong one.

    Attributes:
        file: Its file.
        line: Its line.
        codes: The codes that it names and that nothing matched.
        reason: What stands behind them.
        recorded: Whether any of the Traces came through its file; otherwise it may be needed.
    """

    file: str
    line: int
    codes: list[str]
    reason: str
    recorded: bool


class FindingsDocument(TypedDict):
    """What ``queryscope check --format json`` writes: the findings of several Traces.

    Attributes:
        schema: ``queryscope.findings``.
        schema_version: 1.
        traces: Traces that were looked at.
        level: The mildest severity that fails the check.
        failed: Open findings of that level or graver.
        findings: Each once, open ones first, the gravest and costliest first.
        stale: Inline ignores without a match; empty unless they were asked for.
    """

    schema: Literal["queryscope.findings"]
    schema_version: int
    traces: int
    level: Literal["info", "warning", "critical"]
    failed: int
    findings: list[Found]
    stale: list[Stale]
