"""The facts of a Trace as frozen, typed values. Times are nanoseconds from the Trace's start."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.trace.shape import SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.trace.connections import Checkout, Engine, Session, Transaction
    from queryscope.trace.guard import Failure
    from queryscope.trace.shape import Shape

SCHEMA_VERSION = 2
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


_UNNAMED = re.compile(r"(?:\.<locals>)?\.<(?!locals)\w+>")
_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>"})


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

    @property
    def scope(self) -> str:
        """The function without its comprehensions and lambdas, on every version of Python alike."""
        name = _UNNAMED.sub("", self.function)
        return "<module>" if name in _COMPREHENSIONS else name


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
        values: A number for each parameter in the order of the text, equal for equal values
            within the Trace; None where they are too many or cannot be told apart.
        limit: Rows asked for by a LIMIT at the end, None without one or where it is not known.
        offset: Rows passed over by an OFFSET at the end, None likewise.
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
    values: tuple[int, ...] | None = None
    limit: int | None = None
    offset: int | None = None

    @property
    def end_ns(self) -> int:
        """When the driver returned."""
        return self.start_ns + self.duration_ns

    @property
    def shape(self) -> Shape:
        """The statement with values and list lengths folded away."""
        return SHAPES[self.statement, self.vendor]

    @property
    def counts(self) -> bool:
        """Whether budgets count it: not transaction, savepoint and catalogue statements."""
        return self.shape.kind not in ("transaction", "savepoint", "catalogue")


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


class LogCall(NamedTuple):
    """One line that logs, with all its calls; only full recording has it. No text of a message.

    Attributes:
        number: Position in the Trace, from 0, in order of the first call.
        logger: The logger's name.
        level: The level's number: 10 is DEBUG, 20 INFO, 30 WARNING.
        count: Calls that the logger's level let pass.
        first_ns: When the first of them was handled.
        last_ns: When the last of them was.
        duration_ns: Time in filters and handlers, all calls together.
        ways: Different chains of callers that were looked at, 1 where all came the same way.
        is_own: The line is the user's, not a library's.
        origin: Where it was called, by the way that came most often.
    """

    number: int
    logger: str
    level: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody wants here
    first_ns: int
    last_ns: int
    duration_ns: int
    ways: int
    is_own: bool
    origin: Origin


class ExternalCall(NamedTuple):
    """An HTTP request that was sent; only full recording has it.

    Attributes:
        number: Position in the Trace, from 0, in order of completion.
        start_ns: When it was sent.
        duration_ns: Until the head of the response was there.
        host: The host asked, lower case: no credentials, port, path or query.
        error: The class of the error it ended with; never its text, which may hold a URL.
        stage: Index into ``Trace.stages``, -1 outside every stage.
        thread: The thread's ident.
        origin: Where it was asked for.
    """

    number: int
    start_ns: int
    duration_ns: int
    host: str
    error: str | None
    stage: int
    thread: int
    origin: Origin

    @property
    def end_ns(self) -> int:
        """When the head of the response was there."""
        return self.start_ns + self.duration_ns


class Read(NamedTuple):
    """What was read of the rows of one class that one statement loaded, in full recording.

    Attributes:
        query: ``Query.number`` of the statement.
        model: The class.
        path: The relations from the statement's own class to this one, joined by dots, when the
            rows came along by a join; ``""`` for that class itself.
        rows: Instances made.
        columns: Columns that came and whose reading is seen.
        sizes: About how many bytes a value of each takes, from the first rows.
        keys: Those columns that the ORM reads for itself: primary and foreign keys.
        read: Columns and relations that were read, by attribute name; ``*`` for rows that were
            written, deleted or put into a relation.
        opaque: More came along than these columns, and whether it was read is not seen.
        known: False when the values were handed out past the attributes (``vars()``, a pickle):
            what was read is unknown.
        alive: Instances were still there when the Trace was frozen, and may be read later.
        read_rows: About how many rows each of ``read`` was read on, from rows looked at one by
            one; empty where none was.
        distinct: Different instances among them, where rows came by a join; None: not counted.
        before: ``Query.number`` of the statement that had loaded the same rows before, where this
            one was sent to refresh them and nothing was set on them in between; else None.
    """

    query: int
    model: str
    path: str
    rows: int
    columns: tuple[str, ...]
    sizes: tuple[int, ...]
    keys: tuple[str, ...]
    read: tuple[str, ...]
    opaque: bool
    known: bool
    alive: bool
    read_rows: tuple[int, ...] = ()
    distinct: int | None = None
    before: int | None = None


class Answer(NamedTuple):
    """What a ``GET`` request was answered with, in full recording; nothing can be read back.

    Attributes:
        asked: Equal for the same path and query within a project.
        said: Equal for the same body and content type.
        size_bytes: Length of the body.
        cache: The header ``Cache-Control``, or ``Expires``; ``""`` for neither.
        vary: The header ``Vary``.
        sets_cookie: It came with a cookie.
        credentials: The request had a cookie or an authorization.
    """

    asked: str
    said: str
    size_bytes: int
    cache: str
    vary: str
    sets_cookie: bool
    credentials: bool


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
        reads: What was read of their rows, where it was tracked.
        unchanged: UPDATEs by which an ORM wrote a row back with the values it had been loaded
            with: ``Query.number`` of each, and of the statement that loaded the row. Not all of
            them: some rows of each statement are looked at.
        answer: What a successful ``GET`` was answered with, where it is known.
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
    engines: tuple[Engine, ...] = ()
    stages: tuple[Stage, ...] = ()
    reads: tuple[Read, ...] = ()
    unchanged: tuple[tuple[int, int], ...] = ()
    answer: Answer | None = None
    log_calls: tuple[LogCall, ...] = ()
    external_calls: tuple[ExternalCall, ...] = ()
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
    def sessions_at_work(self) -> tuple[Session, ...]:
        """The sessions, without those that did nothing but ask the server about itself.

        Django does so on a connection that it opens and closes for it alone, before it writes the
        first ``annotate()`` of a thread for MariaDB (``temporary_connection``).
        """
        if not self.sessions:
            return ()
        asks: dict[int | None, bool] = {}
        for query in self.queries:
            if asks.get(query.session, True):  # shapes are read no further than that
                asks[query.session] = query.shape.kind == "catalogue"
        return tuple(item for item in self.sessions if not asks.get(item.number, False))

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
