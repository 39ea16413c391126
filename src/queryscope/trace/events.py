"""The facts of a Trace as frozen, typed values. Times are nanoseconds from the Trace's start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.trace.shape import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.trace.guard import Failure
    from queryscope.trace.shape import Shape

SCHEMA_VERSION = 1
"""Version of what the codec writes; raised whenever a reader would misread older bytes."""

TraceKind = Literal["request", "test", "task", "script", "block"]
Relation = Literal[
    "forward",
    "one_to_one",
    "reverse_one_to_one",
    "reverse",
    "many_to_many",
    "generic",
    "generic_reverse",
    "column",
    "expired",
]


class Frame(NamedTuple):
    """A position in the user's Python source.

    ``line``/``column`` to ``end_line``/``end_column`` span the running expression; columns are
    UTF-8 bytes from 0. On Python 3.11 and 3.12 the span of an iterated queryset is the whole
    ``for`` statement.
    """

    file: str
    line: int
    end_line: int
    column: int
    end_column: int
    function: str
    module: str


class TemplateNode(NamedTuple):
    """A position in a template: its name, file if it has one, line, and the tag's own text."""

    template: str
    file: str | None
    line: int
    source: str
    engine: str


class Origin(NamedTuple):
    """Where a fact came from: user frames and template nodes, the innermost first."""

    steps: tuple[Frame | TemplateNode, ...]

    @property
    def first(self) -> Frame | TemplateNode | None:
        """The innermost step: the line or the tag that asked."""
        return self.steps[0] if self.steps else None

    @property
    def frame(self) -> Frame | None:
        """The innermost Python frame of the user's."""
        return next((step for step in self.steps if isinstance(step, Frame)), None)

    @property
    def node(self) -> TemplateNode | None:
        """The innermost template node."""
        return next((step for step in self.steps if isinstance(step, TemplateNode)), None)


NOWHERE = Origin(())


class Load(NamedTuple):
    """What an ORM load filled: a relation or column of a class.

    Attributes:
        relation: The kind of relation; ``column`` is a deferred, ``expired`` an expired column.
        owner: The class that has the attribute, such as ``library.Book``.
        attribute: The attribute's name.
        parent: A number for the one parent row, equal within the Trace; None for a batch.
        parents: Parent rows served: 1 for a lazy load, the number of instances for a batch.
        parent_query: ``Query.number`` of the statement that loaded the parent, if known.
        narrowed: The relation's rows were filtered, ordered, sliced or aggregated by the asker.
        batched: One statement for the children of many parents: prefetch, select-in, peers.
    """

    relation: Relation
    owner: str
    attribute: str
    parent: int | None
    parents: int
    parent_query: int | None
    narrowed: bool
    batched: bool


class Query(NamedTuple):
    """One statement sent to a database.

    Attributes:
        number: Position in the Trace, from 0.
        start_ns: When it was sent.
        duration_ns: Until the driver returned; fetching rows is not part of it.
        statement: The text as sent, cut at ``max_statement_chars``.
        vendor: ``sqlite``, ``postgresql``, ``mysql`` or another driver's name.
        database: Django alias or engine name.
        parameters_key: Equal for equal parameters within a project; no value can be read back.
        parameters: The values, where the settings keep them, else None.
        many: Size of the ``executemany`` batch, 0 for a plain execute, -1 for an unknown size.
        rows: Rows fetched; for a write the driver's row count; None if unknown.
        error: Class and text of the error it raised.
        connection: A number for the connection object, process-wide.
        checkout: Index into ``Trace.checkouts``, None without a pool.
        session: Index into ``Trace.sessions``.
        transaction: Index into ``Trace.transactions``.
        stage: Index into ``Trace.stages``, -1 outside every stage.
        thread: The thread's ident.
        origin: Where it was asked for.
        operation: The ORM's verb (``get``, ``count``, ``iterate``, ``lazy``, ``prefetch``,
            ``save`` ...), ``orm`` for one we have no name for, ``core``, ``raw``, ``cursor`` for
            a statement without the ORM; ``""`` if its frame has an unknown shape.
        model: The class whose rows it loads or writes, ``""`` if unknown.
        load: The relation or column it fills.
        created: Where the queryset was created, in full recording.
    """

    number: int
    start_ns: int
    duration_ns: int
    statement: str
    vendor: str
    database: str
    parameters_key: str
    parameters: tuple[object, ...] | None
    many: int
    rows: int | None
    error: str | None
    connection: int
    checkout: int | None
    session: int | None
    transaction: int | None
    stage: int
    thread: int
    origin: Origin
    operation: str
    model: str
    load: Load | None
    created: Frame | None

    @property
    def end_ns(self) -> int:
        """When the driver returned."""
        return self.start_ns + self.duration_ns

    @property
    def shape(self) -> Shape:
        """The statement with values and list lengths folded away."""
        return shape_of(self.statement, self.vendor)

    @property
    def counts(self) -> bool:
        """Whether budgets count it: not transaction, savepoint and catalogue statements."""
        return self.shape.kind not in ("transaction", "savepoint", "catalogue")


class Session(NamedTuple):
    """An ORM session that used a connection; on Django one connection object in use.

    ``opened_ns`` may be negative when it was opened before the Trace began; ``closed_ns`` is
    None when it was still open at the end. ``framework`` is ``sqlalchemy`` or ``django``.
    """

    number: int
    opened_ns: int
    first_used_ns: int
    closed_ns: int | None
    opener: Origin
    thread: int
    threads: tuple[int, ...]
    framework: str
    databases: tuple[str, ...]


class Checkout(NamedTuple):
    """A connection out of its pool.

    Attributes:
        pool: Name of the pool: engine or alias, without credentials.
        pool_number: Process-wide number of the pool.
        size: ``pool_size``; None for a pool without a bound, such as NullPool.
        max_overflow: Connections allowed beyond ``size``; -1 without bound.
        connection: Process-wide number of the connection, None when none was got.
        asked_ns: When the connection was asked for.
        waited_ns: Time waiting for another holder to return one.
        connect_ns: Time spent opening a new connection.
        got_ns: When it was handed out; None for a time-out.
        returned_ns: When it went back; None when still out at the end.
        error: The error of a failed checkout.
        overflow: It was handed out beyond ``size``.
        opener: Where it was asked for.
        thread: Thread that asked.
        session: Index into ``Trace.sessions`` if an ORM session asked.
        held_before: Connections of this pool that this Trace held already.
        holders: While waiting: who held the pool's connections, one line each.
        busy_ns: Time in statements while it was out, of this Trace.
    """

    number: int
    pool: str
    pool_number: int
    size: int | None
    max_overflow: int
    connection: int | None
    asked_ns: int
    waited_ns: int
    connect_ns: int
    got_ns: int | None
    returned_ns: int | None
    error: str | None
    overflow: bool
    opener: Origin
    thread: int
    session: int | None
    held_before: int
    holders: tuple[str, ...]
    busy_ns: int


class Transaction(NamedTuple):
    """A transaction with the number of its savepoints; ``ended_ns`` None while open."""

    number: int
    connection: int
    database: str
    started_ns: int
    ended_ns: int | None
    outcome: str
    savepoints: int
    opener: Origin
    thread: int


class Stage(NamedTuple):
    """A named part of the Trace; ``kind`` is ``named`` for the user's own, else automatic.

    ``database_ns`` and ``pool_wait_ns`` are of statements and checkouts directly in it;
    ``own_ns`` is its wall time less those and less its inner stages.
    """

    number: int
    name: str
    kind: str
    parent: int
    start_ns: int
    duration_ns: int
    thread: int
    queries: int
    database_ns: int
    pool_wait_ns: int
    own_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The finished record of one unit of work.

    Attributes:
        id: Ours; short, URL-safe.
        kind: What the unit was.
        name: Route, test id, command or label.
        started_at_ns: Unix time, in nanoseconds.
        duration_ns: Wall time.
        attributes: Method, path, route, status and such, as strings.
        queries: Every statement kept, in order of completion.
        error: Class and text of the exception that left the unit.
        orphans: Facts that arrived after the end.
        dropped: What the caps dropped, by name: ``queries``, ``query_ns`` and others.
        unlabelled: Statements whose ORM frame had an unknown shape.
        failures: Errors of our own hooks while it ran, process-wide.
        children: Traces nested in this one.
    """

    id: str
    kind: TraceKind
    name: str
    started_at_ns: int
    duration_ns: int
    mode: str = "production"
    recording: str = "light"
    w3c_trace_id: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    queries: tuple[Query, ...] = ()
    sessions: tuple[Session, ...] = ()
    checkouts: tuple[Checkout, ...] = ()
    transactions: tuple[Transaction, ...] = ()
    stages: tuple[Stage, ...] = ()
    orphans: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    unlabelled: int = 0
    failures: tuple[Failure, ...] = ()
    process: int = 0
    children: tuple[Trace, ...] = ()

    def subtree(self) -> Iterator[Trace]:
        """Yield this Trace and every Trace nested in it, outermost first."""
        yield self
        for child in self.children:
            yield from child.subtree()

    @property
    def statements(self) -> int:
        """Statements sent, without transaction, savepoint and catalogue statements."""
        return sum(query.counts for query in self.queries) + self.dropped.get("queries", 0)

    @property
    def database_ns(self) -> int:
        """Time in statements, those over the cap included."""
        return sum(query.duration_ns for query in self.queries) + self.dropped.get("query_ns", 0)

    @property
    def pool_wait_ns(self) -> int:
        """Time waiting for connections."""
        return sum(checkout.waited_ns for checkout in self.checkouts)

    @property
    def rows(self) -> int:
        """Rows fetched by the statements kept."""
        return sum(query.rows or 0 for query in self.queries if not query.shape.is_write)
