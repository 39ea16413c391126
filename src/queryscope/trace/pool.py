"""Arithmetic of pools: what was held when, what that admits, and when requests deadlock."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from queryscope.trace.connections import Checkout, Transaction
    from queryscope.trace.events import Query, Trace


LOAD_NS_PER_ROW = 20_000
"""Making objects of fetched rows is no idling: 4-7 us a row of ten columns were measured with
SQLAlchemy 2.0 on CPython 3.11; the rest is for slower machines and wider rows."""


class Pool(NamedTuple):
    """A pool as one Trace met it.

    Attributes:
        number: Process-wide number of the pool.
        name: Engine or alias.
        capacity: Connections it can have out at once; None without a bound.
        checkouts: The Trace's checkouts from it, those that failed included.
        most: The checkouts of the moment when the Trace claimed the most connections at once,
            in the order in which they were asked for; the last may have been waited for in vain.
    """

    number: int
    name: str
    capacity: int | None
    checkouts: tuple[Checkout, ...]
    most: tuple[Checkout, ...]


class Gap(NamedTuple):
    """A time in which a connection was taken and its holder executed nothing.

    ``before`` and ``after`` are the statements around it on the connection itself, None at the
    beginning and the end.
    """

    start_ns: int
    end_ns: int
    before: Query | None
    after: Query | None

    @property
    def duration_ns(self) -> int:
        """How long it lasted."""
        return self.end_ns - self.start_ns

    @property
    def idle_ns(self) -> int:
        """How long it lasted less the time for making objects of the rows fetched before it."""
        before = self.before
        rows = 0 if before is None or before.shape.is_write else before.rows or 0
        return max(self.duration_ns - rows * LOAD_NS_PER_ROW, 0)


def capacity(checkout: Checkout) -> int | None:
    """Return how many connections the checkout's pool can have out at once, None if unbounded.

    SQLAlchemy takes ``pool_size=0`` for a pool without a bound, whatever its overflow.
    """
    if not checkout.size or checkout.max_overflow < 0:
        return None
    return checkout.size + checkout.max_overflow


def deadlock_from(capacity: int | None, held: int) -> int | None:
    """Return from how many concurrent requests on a pool can deadlock, None for never.

    Each request holds up to ``held`` connections at once and gives none back before it has the
    last. When all but the last of each are out and none is left, every request waits for
    another: ``T * (C - 1) >= S``. With fewer requests one of them always gets its last one.

    Args:
        capacity: S, the connections that the pool can have out; None without a bound.
        held: C, the connections that one request holds at once.

    Example:
        >>> deadlock_from(5, 2), deadlock_from(5, 3), deadlock_from(5, 1), deadlock_from(None, 3)
        (5, 3, None, None)
    """
    if capacity is None or held <= 1:
        return None
    return max(1, -(-capacity // (held - 1)))


def safe_capacity(requests: int, held: int) -> int:
    """Return the smallest capacity with which ``requests`` at once cannot deadlock."""
    return requests * (max(held, 1) - 1) + 1


def held_interval(checkout: Checkout, trace: Trace) -> tuple[int, int] | None:
    """Return (from, until) in nanoseconds, None for a checkout that got no connection."""
    if checkout.got_ns is None:
        return None
    returned = trace.duration_ns if checkout.returned_ns is None else checkout.returned_ns
    return checkout.got_ns, max(returned, checkout.got_ns)


def held_ns(checkouts: Iterable[Checkout], trace: Trace) -> int:
    """Return the connection-time of checkouts: their holding times summed up."""
    found = (held_interval(checkout, trace) for checkout in checkouts)
    return sum(end - start for start, end in filter(None, found))


def pools(trace: Trace) -> tuple[Pool, ...]:
    """Return the pools that a Trace took connections from, in the order of their first use."""
    by_pool: dict[int, list[Checkout]] = {}
    for checkout in trace.checkouts:
        by_pool.setdefault(checkout.pool_number, []).append(checkout)
    return tuple(
        Pool(number, found[0].pool, capacity(found[0]), tuple(found), _most(found, trace))
        for number, found in by_pool.items()
    )


def most_held(trace: Trace) -> int:
    """Return the most connections that a Trace, nested ones included, held of one pool at once.

    Nested Traces have clocks of their own; they are laid over one another by the time of day at
    which each began. A connection that two of them know is one connection.
    """
    moments: dict[int, list[tuple[int, int, int]]] = {}
    for item in trace.subtree():
        offset = item.started_at_ns - trace.started_at_ns
        for checkout in item.checkouts:
            interval = held_interval(checkout, item)
            if interval is not None and interval[0] < interval[1]:
                found = moments.setdefault(checkout.pool_number, [])
                connection = checkout.connection or 0
                found.append((interval[0] + offset, 1, connection))
                found.append((interval[1] + offset, -1, connection))
    most = 0
    for found in moments.values():
        held: Counter[int] = Counter()
        for _, change, connection in sorted(found):  # at one moment what came back goes first
            held[connection] += change
            if not held[connection]:
                del held[connection]
            most = max(most, len(held))
    return most


def admitted_per_second(pool: Pool, trace: Trace) -> float | None:
    """Return how many requests like this one a pool admits a second, at most; None: no bound.

    Little's law: the connections in use are the arrivals a second times the connection-time of
    each, and they cannot exceed the capacity.
    """
    seconds = held_ns(pool.checkouts, trace) / 1e9
    if pool.capacity is None or not seconds:
        return None
    return pool.capacity / seconds


class SentStatements:
    """The statements of a Trace and its nested ones by connection and by thread."""

    def __init__(self, trace: Trace, at_least_ns: int = 1) -> None:
        """Sort the statements; their moments are those of the outer Trace.

        Args:
            trace: The Trace.
            at_least_ns: The shortest gap that is asked for.
        """
        self._at_least_ns = at_least_ns
        self._of_connection: dict[int, list[tuple[int, Query]]] = {}
        of_thread: dict[int, list[tuple[int, int]]] = {}
        for item in trace.subtree():
            offset = item.started_at_ns - trace.started_at_ns
            for query in item.queries:
                moment = query.start_ns + offset
                self._of_connection.setdefault(query.connection, []).append((moment, query))
                busy = of_thread.setdefault(query.thread, [])
                busy.append((moment, moment + query.duration_ns))
        for found in self._of_connection.values():
            found.sort(key=_moment)
        self._pauses = {
            thread: _between(sorted(busy), -_EVER_NS, _EVER_NS, at_least_ns)
            for thread, busy in of_thread.items()
        }

    def gaps(self, connection: int | None, thread: int, start_ns: int, end_ns: int) -> list[Gap]:
        """Return the gaps from start to end in which the holder of a connection sent nothing.

        Statements of nested Traces count: a block inside the request uses its connection, too.
        So do statements that the thread sent on another connection meanwhile: that is a nested
        checkout, and no time in which the program did something else than asking.
        """
        own = self._of_connection.get(connection or 0, [])
        found = []
        for begin, end in self._pauses.get(thread, [(-_EVER_NS, _EVER_NS)]):
            first, last = max(begin, start_ns), min(end, end_ns)
            if last - first < self._at_least_ns:
                continue
            # Another thread may have used the connection in the meantime.
            begun = max(bisect_left(own, first, key=_moment) - 1, 0)
            sent = own[begun : bisect_left(own, last, key=_moment)]
            busy = [(moment, moment + query.duration_ns) for moment, query in sent]
            for free_from, free_until in _between(busy, first, last, self._at_least_ns):
                index = bisect_left(own, free_until, key=_moment)
                before = own[index - 1][1] if index else None
                after = own[index] if index < len(own) else None
                found.append(
                    Gap(
                        free_from,
                        free_until,
                        before if before and own[index - 1][0] >= start_ns else None,
                        after[1] if after and after[0] < end_ns else None,
                    )
                )
        return found


_EVER_NS = 1 << 62


def _moment(sent: tuple[int, Query]) -> int:
    return sent[0]


def _between(
    busy: list[tuple[int, int]], start_ns: int, end_ns: int, at_least_ns: int
) -> list[tuple[int, int]]:
    """Return the times from start to end, long enough, that sorted busy times leave free."""
    found = []
    free_from = start_ns
    for begin, end in (*busy, (end_ns, end_ns)):
        if min(begin, end_ns) - free_from >= at_least_ns:
            found.append((free_from, min(begin, end_ns)))
        free_from = max(free_from, end)
    return found


def transactions_without_pool(trace: Trace) -> list[Transaction]:
    """Return the transactions on connections that no pool handed out to this Trace."""
    pooled = {checkout.connection for checkout in trace.checkouts}
    return [item for item in trace.transactions if item.connection not in pooled]


def locked_intervals(trace: Trace) -> dict[int, tuple[int, int]]:
    """Return from when to when each transaction held row locks, by its number.

    Locks are taken by the first write, or the first ``SELECT ... FOR UPDATE``, and are given back
    when the transaction ends; one that is open at the end of the Trace holds them until then. The
    commit itself, which may wait for the disk, is not part of the time.
    """
    found: dict[int, tuple[int, int]] = {}
    for query in trace.queries:
        number = query.transaction
        if number is None or number in found or query.error is not None:
            continue
        shape = query.shape
        if shape.locks or shape.kind in ("insert", "update", "delete"):
            transaction = trace.transactions[number]
            ended = transaction.ended_ns
            end_ns = trace.duration_ns if ended is None else ended - transaction.ending_ns
            found[number] = query.end_ns, max(end_ns, query.end_ns)
    return found


def gaps_outside(gaps: Iterable[Gap], taken: Iterable[tuple[int, int]]) -> list[Gap]:
    """Return what is left of gaps when some times are taken out of them."""
    left = list(gaps)
    for start_ns, end_ns in taken:
        cut: list[Gap] = []
        for gap in left:
            if gap.end_ns <= start_ns or end_ns <= gap.start_ns:
                cut.append(gap)
                continue
            if gap.start_ns < start_ns:
                cut.append(gap._replace(end_ns=start_ns))
            if end_ns < gap.end_ns:
                cut.append(gap._replace(start_ns=end_ns))
        left = cut
    return left


def held_together(checkouts: Iterable[Checkout], trace: Trace) -> frozenset[int]:
    """Return the numbers of the checkouts that were out while another of their pool was."""
    by_pool: dict[int, list[tuple[int, int, int]]] = {}
    for checkout in checkouts:
        interval = held_interval(checkout, trace)
        if interval is not None and interval[0] < interval[1]:
            by_pool.setdefault(checkout.pool_number, []).append((*interval, checkout.number))
    together: set[int] = set()
    for found in by_pool.values():
        last_end, last = -1, -1
        for start, end, number in sorted(found):
            if start < last_end:
                together |= {last, number}
            if end > last_end:
                last_end, last = end, number
    return frozenset(together)


def _most(checkouts: list[Checkout], trace: Trace) -> tuple[Checkout, ...]:
    """Return the checkouts of the moment when the most connections were claimed.

    Held are connections from when they were handed out. One that was asked for in vain counts
    while its thread waited holding others: it would have been held with them.
    """
    moments: list[tuple[int, int, int]] = []
    for index, checkout in enumerate(checkouts):
        interval = held_interval(checkout, trace)
        if interval is None and _asked_while_holding(checkout, checkouts, trace):
            interval = checkout.asked_ns, checkout.asked_ns + checkout.waited_ns
        if interval is not None and interval[0] < interval[1]:
            moments += ((interval[0], 1, index), (interval[1], 0, index))
    now: dict[int, None] = {}
    most: tuple[int, ...] = ()
    for _, begins, index in sorted(moments):
        if not begins:
            now.pop(index, None)
            continue
        now[index] = None
        if len(now) > len(most):
            most = tuple(now)
    return tuple(sorted((checkouts[n] for n in most), key=lambda item: item.asked_ns))


def _asked_while_holding(asked: Checkout, checkouts: list[Checkout], trace: Trace) -> bool:
    for other in checkouts:
        interval = held_interval(other, trace)
        if (
            interval is not None
            and other.thread == asked.thread
            and interval[0] <= asked.asked_ns < interval[1]
        ):
            return True
    return False
