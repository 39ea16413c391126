"""Tiny builders of facts, Traces and findings, for the tests of what reads finished Traces.

Every argument has a default, so that a test names only what it is about:

    a_trace(a_query(rows=3), a_query("SELECT 1"), name="GET /books/")
    a_trace(*some(12, parameters=lambda n: (n,), load=a_load("publisher")))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.trace.connections import Checkout, Engine, Session, Transaction
from queryscope.trace.events import (
    ExternalCall,
    Frame,
    Load,
    LogCall,
    Origin,
    Query,
    Read,
    Stage,
    TemplateNode,
    Trace,
)
from queryscope.trace.parameters import parameters_key
from queryscope.trace.sent import in_order, window_of

MS = 1_000_000
"""One millisecond in nanoseconds."""
BOOK_BY_KEY = 'SELECT "library_book"."id" FROM "library_book" WHERE "library_book"."id" = %s'
THREAD = 1001
_KEY = b"tests"
_numbers: dict[str, int] = {}


def a_frame(
    line: int = 41,
    *,
    file: str = "/srv/app/library/views.py",
    function: str = "book_list",
    module: str = "library.views",
    end_line: int | None = None,
    column: int = 8,
    end_column: int = 40,
) -> Frame:
    """Return a position in the user's Python source."""
    return Frame(file, line, end_line or line, column, end_column, function, module)


def a_node(
    line: int = 3,
    *,
    template: str = "library/book_list.html",
    file: str | None = "/srv/app/library/templates/library/book_list.html",
    source: str = "book.publisher.name",
    engine: str = "django",
) -> TemplateNode:
    """Return a position in a template."""
    return TemplateNode(template, file, line, source, engine)


def an_origin(*steps: int | Frame | TemplateNode) -> Origin:
    """Return an origin, the innermost step first; a number is a line of ``a_frame``."""
    return Origin(tuple(a_frame(s) if isinstance(s, int) else s for s in steps or (41,)))


def a_load(
    attribute: str = "publisher",
    *,
    relation: str = "forward",
    owner: str = "library.Book",
    parent: int | None = 0,
    parents: int = 1,
    parent_query: int | None = None,
    narrowed: bool = False,
    batched: bool = False,
) -> Load:
    """Return what an ORM load filled: by default one book's publisher."""
    return Load(relation, owner, attribute, parent, parents, parent_query, narrowed, batched)


def a_query(
    statement: str = BOOK_BY_KEY,
    *,
    number: int = 0,
    start_ns: int = 0,
    duration_ns: int = MS,
    vendor: str = "sqlite",
    database: str = "default",
    parameters: Any = (1,),
    keep: bool = False,
    many: int = 0,
    rows: int | None = 1,
    error: str | None = None,
    connection: int = 1,
    checkout: int | None = None,
    session: int | None = None,
    transaction: int | None = None,
    stage: int = -1,
    thread: int = THREAD,
    origin: Origin | int | None = None,
    operation: str = "",
    model: str = "",
    load: Load | None = None,
    created: Frame | None = None,
) -> Query:
    """Return one statement; its values are in ``Query.parameters`` only with ``keep``.

    ``origin`` may be a line number. ``a_trace`` sets the number, and the start where it is 0.
    """
    if origin is None or isinstance(origin, int):
        origin = an_origin(41 if origin is None else origin)
    sent = None if many else in_order(statement, parameters)
    window = window_of(statement, sent)
    return Query(
        number=number,
        start_ns=start_ns,
        duration_ns=duration_ns,
        statement=statement,
        vendor=vendor,
        database=database,
        parameters_key=parameters_key(parameters, _KEY),
        parameters=parameters if keep else None,
        many=many,
        rows=rows,
        error=error,
        connection=connection,
        checkout=checkout,
        session=session,
        transaction=transaction,
        stage=stage,
        thread=thread,
        origin=origin,
        operation=operation,
        model=model,
        load=load,
        created=created,
        values=None if sent is None else tuple(map(_number, sent)),
        limit=window.limit,
        offset=window.offset,
    )


def _number(value: Any) -> int:
    return _numbers.setdefault(repr(value), len(_numbers))


def some(
    times: int, statement: str | Callable[[int], str] = BOOK_BY_KEY, **facts: Any
) -> list[Query]:
    """Return ``times`` queries; a fact that is callable is called with 0, 1, 2 ..."""
    return [
        a_query(
            statement(n) if callable(statement) else statement,
            **{name: fact(n) if callable(fact) else fact for name, fact in facts.items()},
        )
        for n in range(times)
    ]


def a_session(
    number: int = 0,
    *,
    opened_ns: int = 0,
    first_used_ns: int | None = None,
    closed_ns: int | None = 10 * MS,
    opener: Origin | int | None = None,
    thread: int = THREAD,
    threads: tuple[int, ...] = (),
    framework: str = "sqlalchemy",
    databases: tuple[str, ...] = ("default",),
) -> Session:
    """Return a session that was opened, used and closed."""
    if opener is None or isinstance(opener, int):
        opener = an_origin(20 if opener is None else opener)
    first = opened_ns if first_used_ns is None else first_used_ns
    return Session(
        number, opened_ns, first, closed_ns, opener, thread, threads or (thread,), framework,
        databases,
    )  # fmt: skip


def a_checkout(
    number: int = 0,
    *,
    pool: str = "default",
    pool_number: int = 1,
    size: int | None = 5,
    max_overflow: int = 0,
    connection: int | None = 1,
    asked_ns: int = 0,
    waited_ns: int = 0,
    connect_ns: int = 0,
    got_ns: int | None = -1,
    returned_ns: int | None = 10 * MS,
    error: str | None = None,
    overflow: bool = False,
    opener: Origin | int | None = None,
    thread: int = THREAD,
    session: int | None = None,
    held_before: int = 0,
    holders: tuple[str, ...] = (),
    busy_ns: int = MS,
) -> Checkout:
    """Return a connection out of a pool of 5; ``got_ns`` -1 is as soon as the wait ended."""
    if opener is None or isinstance(opener, int):
        opener = an_origin(20 if opener is None else opener)
    if got_ns == -1:
        got_ns = asked_ns + waited_ns + connect_ns
    return Checkout(
        number, pool, pool_number, size, max_overflow, connection, asked_ns, waited_ns, connect_ns,
        got_ns, returned_ns, error, overflow, opener, thread, session, held_before, holders,
        busy_ns,
    )  # fmt: skip


def a_transaction(
    number: int = 0,
    *,
    connection: int = 1,
    database: str = "default",
    started_ns: int = 0,
    ended_ns: int | None = 10 * MS,
    outcome: str = "commit",
    savepoints: int = 0,
    opener: Origin | int | None = None,
    thread: int = THREAD,
    ending_ns: int = 0,
) -> Transaction:
    """Return a transaction that was committed."""
    if opener is None or isinstance(opener, int):
        opener = an_origin(20 if opener is None else opener)
    return Transaction(
        number, connection, database, started_ns, ended_ns, outcome, savepoints, opener, thread,
        ending_ns,
    )  # fmt: skip


def an_engine(
    number: int = 0,
    *,
    name: str = "shop",
    made_ns: int = 0,
    before: int = 0,
    pool_number: int = 1,
    pooled: bool = True,
    opener: Origin | int | None = None,
    thread: int = THREAD,
) -> Engine:
    """Return an engine that was made, the first of its line."""
    if opener is None or isinstance(opener, int):
        opener = an_origin(20 if opener is None else opener)
    return Engine(number, name, made_ns, before, pool_number, pooled, opener, thread)


def a_stage(
    name: str = "view",
    *,
    number: int = 0,
    kind: str = "named",
    parent: int = -1,
    start_ns: int = 0,
    duration_ns: int = 10 * MS,
    thread: int = THREAD,
    queries: int = 0,
    database_ns: int = 0,
    pool_wait_ns: int = 0,
    own_ns: int | None = None,
) -> Stage:
    """Return a part of a Trace; what is not database or waiting is its own time."""
    own = duration_ns - database_ns - pool_wait_ns if own_ns is None else own_ns
    return Stage(
        number, name, kind, parent, start_ns, duration_ns, thread, queries, database_ns,
        pool_wait_ns, own,
    )  # fmt: skip


def a_log_call(
    number: int = 0,
    *,
    logger: str = "library.views",
    level: int = 20,
    count: int = 1,
    first_ns: int = 0,
    last_ns: int = MS,
    duration_ns: int = MS,
    ways: int = 1,
    is_own: bool = True,
    origin: Origin | int | None = None,
) -> LogCall:
    """Return a line that logs, called once."""
    if origin is None or isinstance(origin, int):
        origin = an_origin(41 if origin is None else origin)
    return LogCall(
        number, logger, level, count, first_ns, last_ns, duration_ns, ways, is_own, origin
    )


def an_external_call(
    number: int = 0,
    *,
    start_ns: int = 0,
    duration_ns: int = 10 * MS,
    host: str = "api.example.com",
    error: str | None = None,
    stage: int = -1,
    thread: int = THREAD,
    origin: Origin | int | None = None,
) -> ExternalCall:
    """Return an outgoing request that was answered."""
    if origin is None or isinstance(origin, int):
        origin = an_origin(41 if origin is None else origin)
    return ExternalCall(number, start_ns, duration_ns, host, error, stage, thread, origin)


def a_read(
    query: int = 0,
    *,
    model: str = "library.Book",
    path: str = "",
    rows: int = 20,
    columns: tuple[str, ...] = ("id", "title", "body"),
    sizes: tuple[int, ...] = (8, 20, 8_000),
    keys: tuple[str, ...] = ("id",),
    read: tuple[str, ...] = ("id", "title"),
    opaque: bool = False,
    known: bool = True,
    alive: bool = False,
    read_rows: tuple[int, ...] | Mapping[str, int] = (),
    distinct: int | None = None,
    before: int | None = None,
) -> Read:
    """Return what was read of a statement's rows: by default not the long column.

    ``read_rows`` may tell the number of rows by name, and names what was read then.
    """
    if isinstance(read_rows, Mapping):
        read = tuple(read_rows)
        read_rows = tuple(read_rows[name] for name in sorted(read_rows))
    return Read(
        query, model, path, rows, columns, sizes, keys, tuple(sorted(read)), opaque, known, alive,
        read_rows, distinct, before,
    )  # fmt: skip


def a_trace(
    *queries: Query,
    id: str = "k3f",  # noqa: A002 - the field's name
    kind: str = "request",
    name: str = "GET /books/",
    duration_ns: int | None = None,
    started_at_ns: int = 1_700_000_000_000_000_000,
    sessions: tuple[Session, ...] | list[Session] = (),
    checkouts: tuple[Checkout, ...] | list[Checkout] = (),
    transactions: tuple[Transaction, ...] | list[Transaction] = (),
    stages: tuple[Stage, ...] | list[Stage] = (),
    log_calls: tuple[LogCall, ...] | list[LogCall] = (),
    external_calls: tuple[ExternalCall, ...] | list[ExternalCall] = (),
    mode: str = "development",
    recording: str = "full",
    **facts: Any,
) -> Trace:
    """Return a Trace whose facts are numbered in the order given.

    Queries that start at 0 follow one another, half a millisecond apart. Without
    ``duration_ns`` the Trace ends one millisecond after its last fact.
    """
    placed: list[Query] = []
    free_ns = MS // 2
    for number, query in enumerate(queries):
        start_ns = query.start_ns or free_ns
        placed.append(query._replace(number=number, start_ns=start_ns))
        free_ns = max(free_ns, start_ns + query.duration_ns + MS // 2)
    if duration_ns is None:
        ends = [free_ns]
        ends += [item.closed_ns or 0 for item in sessions]
        ends += [item.returned_ns or 0 for item in checkouts]
        ends += [item.ended_ns or 0 for item in transactions]
        ends += [item.start_ns + item.duration_ns for item in stages]
        ends += [item.end_ns for item in external_calls]
        duration_ns = max(ends) + MS
    return Trace(
        id=id,
        kind=kind,
        name=name,
        started_at_ns=started_at_ns,
        duration_ns=duration_ns,
        mode=mode,
        recording=recording,
        queries=tuple(placed),
        sessions=tuple(item._replace(number=n) for n, item in enumerate(sessions)),
        checkouts=tuple(item._replace(number=n) for n, item in enumerate(checkouts)),
        transactions=tuple(item._replace(number=n) for n, item in enumerate(transactions)),
        stages=tuple(item._replace(number=n) for n, item in enumerate(stages)),
        log_calls=tuple(item._replace(number=n) for n, item in enumerate(log_calls)),
        external_calls=tuple(item._replace(number=n) for n, item in enumerate(external_calls)),
        **facts,
    )


def a_finding(
    code: str = "QS101",
    *,
    name: str = "n-plus-one",
    severity: str = "warning",
    confidence: str = "high",
    message: str = "library.Book.publisher is loaded once per book, 12 times.",
    count: int = 12,
    cost: Cost | None = None,
    mend: Mend | None = None,
    origin: Origin | int | None = None,
    trace_id: str = "k3f",
    **facts: Any,
) -> Finding:
    """Return a verdict: by default an N+1 over the books' publishers."""
    if origin is None or isinstance(origin, int):
        origin = an_origin(41 if origin is None else origin)
    return Finding(
        code=code,
        name=name,
        severity=severity,
        confidence=confidence,
        message=message,
        count=count,
        cost=cost or Cost(statements=count, avoidable=count, rows=count, duration_ns=count * MS),
        mend=mend,
        origin=origin,
        trace_id=trace_id,
        **facts,
    )
