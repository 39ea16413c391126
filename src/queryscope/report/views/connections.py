"""Sessions, checkouts and transactions as the rows of their tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from queryscope.report.text import visible
from queryscope.trace.pool import held_interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from queryscope.report.source import StepView
    from queryscope.report.views.reading import Reading
    from queryscope.trace.connections import Checkout

MAX_ROWS = 200
"""Rows of each table."""
MAX_HOLDERS = 20


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


def sessions_of(reading: Reading) -> tuple[SessionView, ...]:
    """Return the first sessions of a Trace."""
    count: dict[int, int] = {}
    spent: dict[int, int] = {}
    for query in reading.trace.queries:
        if query.session is not None:
            count[query.session] = count.get(query.session, 0) + 1
            spent[query.session] = spent.get(query.session, 0) + query.duration_ns
    codes = _codes((item.code, item.sessions) for item in reading.findings)
    return tuple(
        SessionView(
            number=item.number,
            framework=visible(item.framework, limit=30),
            databases=visible(", ".join(item.databases), limit=120),
            opener=reading.material.opener(item.opener),
            opened_ns=item.opened_ns,
            used_ns=reading.end_ns(item.closed_ns) - item.first_used_ns,
            closed=item.closed_ns is not None,
            queries=count.get(item.number, 0),
            database_ns=spent.get(item.number, 0),
            threads=tuple(reading.thread(ident) for ident in item.threads),
            codes=codes.get(item.number, ()),
        )
        for item in reading.trace.sessions[:MAX_ROWS]
    )


def checkouts_of(reading: Reading) -> tuple[CheckoutView, ...]:
    """Return the first checkouts of a Trace."""
    codes = _codes((item.code, item.checkouts) for item in reading.findings)
    return tuple(
        _checkout(reading, item, codes.get(item.number, ()))
        for item in reading.trace.checkouts[:MAX_ROWS]
    )


def _checkout(reading: Reading, item: Checkout, codes: tuple[str, ...]) -> CheckoutView:
    start_ns, end_ns = held_interval(item, reading.trace) or (0, 0)
    held_ns = end_ns - start_ns
    if item.error:
        state = reading.material.error(item.error)
    elif item.got_ns is None:
        state = "none got"
    else:
        state = "returned" if item.returned_ns is not None else "not returned"
    return CheckoutView(
        number=item.number,
        pool=visible(item.pool, limit=80),
        capacity=_capacity(item),
        connection=None if item.connection is None else reading.connections[item.connection],
        session=item.session,
        thread=reading.thread(item.thread),
        asked_ns=item.asked_ns,
        waited_ns=item.waited_ns,
        connect_ns=item.connect_ns,
        held_ns=held_ns,
        busy_ns=item.busy_ns,
        idle_ns=max(held_ns - item.busy_ns, 0),
        held_before=item.held_before,
        overflow=item.overflow,
        state=state,
        ok=state == "returned",
        opener=reading.material.opener(item.opener),
        holders=tuple(visible(holder) for holder in item.holders[:MAX_HOLDERS]),
        codes=codes,
    )


def _capacity(item: Checkout) -> str:
    """Return the connections of a checkout's pool: those that it keeps and those beyond."""
    if not item.size:  # SQLAlchemy takes 0 for a pool without a bound, as ``pool.capacity`` says
        return "no bound"
    overflow = "∞" if item.max_overflow < 0 else str(item.max_overflow)
    return f"{item.size} + {overflow}"


def transactions_of(reading: Reading) -> tuple[TransactionView, ...]:
    """Return the first transactions of a Trace."""
    count: dict[int, int] = {}
    for query in reading.trace.queries:
        if query.transaction is not None:
            count[query.transaction] = count.get(query.transaction, 0) + 1
    return tuple(
        TransactionView(
            number=item.number,
            database=visible(item.database, limit=60),
            connection=reading.connections[item.connection],
            thread=reading.thread(item.thread),
            started_ns=item.started_ns,
            duration_ns=max(reading.end_ns(item.ended_ns) - item.started_ns, 0),
            ended=item.ended_ns is not None,
            outcome=visible(item.outcome, limit=40),
            savepoints=item.savepoints,
            queries=count.get(item.number, 0),
            opener=reading.material.opener(item.opener),
        )
        for item in reading.trace.transactions[:MAX_ROWS]
    )


def _codes(found: Iterable[tuple[str, tuple[int, ...]]]) -> dict[int, tuple[str, ...]]:
    """Return the codes of the findings about each number."""
    codes: dict[int, dict[str, None]] = {}
    for code, numbers in found:
        for number in numbers:
            codes.setdefault(number, {})[visible(code, limit=20)] = None
    return {number: tuple(names) for number, names in codes.items()}
