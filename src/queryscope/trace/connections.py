"""What a Trace holds of connections: sessions, checkouts, transactions, engines.

Times are nanoseconds from the Trace's start, as in ``events``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from queryscope.trace.events import Origin


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
    """A transaction with the number of its savepoints; ``ended_ns`` None while open.

    ``ending_ns`` is how long its commit or rollback took, until ``ended_ns``; 0 if unknown.
    """

    number: int
    connection: int
    database: str
    started_ns: int
    ended_ns: int | None
    outcome: str
    savepoints: int
    opener: Origin
    thread: int
    ending_ns: int = 0


class Engine(NamedTuple):
    """An engine that was made while the Trace ran.

    Attributes:
        number: Position in the Trace, from 0.
        name: Its name, or its database and host; no credentials.
        made_ns: When it was ready.
        before: Engines for the same URL that the same line had made in this process before, while
            something was recorded.
        pool_number: Process-wide number of its pool.
        pooled: The pool keeps connections; False for one like NullPool.
        opener: Where it was made.
        thread: The thread's ident.
    """

    number: int
    name: str
    made_ns: int
    before: int
    pool_number: int
    pooled: bool
    opener: Origin
    thread: int
