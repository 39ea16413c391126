"""How recorded requests used each pool: what they held, when, and what they did meanwhile.

Times are those of the request's own clock: what it waited for connections is taken out, since that
depends on the others, and a simulation puts in what would be waited instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.trace.pool import capacity, held_interval, pools

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from queryscope.trace.connections import Checkout
    from queryscope.trace.events import Query, Trace

Span = tuple[int, int]
"""From and until, in nanoseconds of a request's own clock."""


class Hold(NamedTuple):
    """One connection, held by a request.

    Attributes:
        start_ns: When it was taken; connecting is part of the hold, waiting is not.
        end_ns: When it went back.
        busy: When statements ran on it, merged and in order.
        writes: It sent a statement that writes or locks.
        longest_ns: Its longest statement.
    """

    start_ns: int
    end_ns: int
    busy: tuple[Span, ...] = ()
    writes: bool = False
    longest_ns: int = 0

    @property
    def duration_ns(self) -> int:
        """How long it was held."""
        return self.end_ns - self.start_ns


class Visit(NamedTuple):
    """What one request held of one pool, in the order in which it was taken."""

    holds: tuple[Hold, ...]

    @property
    def connection_ns(self) -> int:
        """The connection-time: its holds added up."""
        return sum(hold.duration_ns for hold in self.holds)

    @property
    def most(self) -> int:
        """The most connections held at once."""
        moments = sorted(
            moment
            for hold in self.holds
            for moment in ((hold.start_ns, 1), (hold.end_ns, -1))
            if hold.duration_ns
        )
        now = most = 0
        for _, change in moments:  # at one moment what came back goes first
            now += change
            most = max(most, now)
        return max(most, 1 if self.holds else 0)


class PoolHistory(NamedTuple):
    """A pool as all Traces together met it.

    Attributes:
        name: Engine or alias.
        size: ``pool_size``, None without a bound.
        max_overflow: Connections allowed beyond it, -1 without bound.
        capacity: What can be out at once; None without a bound.
        visits: One for each request that used it.
        most: The most connections that a request claimed at once, those asked for in vain included.
        timed_out: Checkouts that got none.
        waited_ns: Time that the requests waited, one entry each.
        began_at_ns: Unix time at which each request began.
    """

    name: str
    size: int | None
    max_overflow: int
    capacity: int | None
    visits: tuple[Visit, ...]
    most: int
    timed_out: int
    waited_ns: tuple[int, ...]
    began_at_ns: tuple[int, ...]


class _Kept:
    """What is gathered for one pool."""

    def __init__(self, checkout: Checkout) -> None:
        self.name = checkout.pool
        self.size = checkout.size
        self.max_overflow = checkout.max_overflow
        self.capacity = capacity(checkout)
        self.visits: list[Visit] = []
        self.most = 0
        self.timed_out = 0
        self.waited_ns: list[int] = []
        self.began_at_ns: list[int] = []


def histories(traces: Iterable[Trace]) -> tuple[PoolHistory, ...]:
    """Return the pools that requests and tasks used, those with most visits first.

    Pools of several processes that are called alike and are equally large are one. A test or a
    script stands for the requests inside it.
    """
    found: dict[tuple[str, int | None, int], _Kept] = {}
    for trace in traces:
        for request in _requests(trace):
            _add(request, found)
    done = [
        PoolHistory(
            kept.name,
            kept.size,
            kept.max_overflow,
            kept.capacity,
            tuple(kept.visits),
            max(kept.most, max((visit.most for visit in kept.visits), default=0)),
            kept.timed_out,
            tuple(kept.waited_ns),
            tuple(kept.began_at_ns),
        )
        for kept in found.values()
        if kept.visits
    ]
    return tuple(sorted(done, key=lambda item: (-len(item.visits), item.name)))


def _requests(trace: Trace) -> Iterator[Trace]:
    """Yield the outermost units of work that run beside one another in a server."""
    if trace.kind in ("test", "script"):
        for child in trace.children:
            yield from _requests(child)
    else:
        yield trace


def _add(trace: Trace, found: dict[tuple[str, int | None, int], _Kept]) -> None:
    by_pool: dict[tuple[str, int | None, int], list[tuple[int, Checkout, Trace]]] = {}
    for item in trace.subtree():
        offset = item.started_at_ns - trace.started_at_ns
        for checkout in item.checkouts:
            key = checkout.pool, checkout.size, checkout.max_overflow
            by_pool.setdefault(key, []).append((offset, checkout, item))
    waits = sorted(
        (offset + checkout.asked_ns, checkout.waited_ns)
        for members in by_pool.values()
        for offset, checkout, _ in members
        if checkout.waited_ns
    )
    for key, members in by_pool.items():
        kept = found.setdefault(key, _Kept(members[0][1]))
        kept.timed_out += sum(checkout.got_ns is None for _, checkout, _ in members)
        holds = _holds(members, waits)
        if holds:
            kept.visits.append(Visit(tuple(holds)))
            kept.waited_ns.append(sum(checkout.waited_ns for _, checkout, _ in members))
            kept.began_at_ns.append(trace.started_at_ns)
    for pool in pools(trace):
        first = pool.checkouts[0]
        kept = found[first.pool, first.size, first.max_overflow]
        kept.most = max(kept.most, len(pool.most))


def _holds(members: list[tuple[int, Checkout, Trace]], waits: list[Span]) -> list[Hold]:
    """Return the holds of one request; a connection that two nested Traces know is held once."""
    by_connection: dict[tuple[int, int | None], list[Hold]] = {}
    for offset, checkout, trace in members:
        interval = held_interval(checkout, trace)
        if interval is None:
            continue
        start = _own(interval[0] - checkout.connect_ns + offset, waits)
        end = max(_own(interval[1] + offset, waits), start)
        queries = [query for query in trace.queries if query.checkout == checkout.number]
        hold = Hold(
            start,
            end,
            merged(_busy(query, offset, waits) for query in queries),
            any(query.shape.is_write or query.shape.locks for query in queries),
            max((query.duration_ns for query in queries), default=0),
        )
        key = checkout.pool_number, checkout.connection
        known = by_connection.setdefault(key, [])
        if known and hold.start_ns < known[-1].end_ns and checkout.connection is not None:
            known[-1] = _joined(known[-1], hold)
        else:
            known.append(hold)
    return sorted(hold for holds in by_connection.values() for hold in holds)


def _busy(query: Query, offset: int, waits: list[Span]) -> Span:
    return _own(query.start_ns + offset, waits), _own(query.end_ns + offset, waits)


def _own(moment_ns: int, waits: list[Span]) -> int:
    """Return a moment on the request's own clock, which stands while it waits."""
    waited = 0
    for asked_ns, waited_ns in waits:
        if asked_ns >= moment_ns:
            break
        waited += min(waited_ns, moment_ns - asked_ns)
    return moment_ns - waited


def _joined(first: Hold, second: Hold) -> Hold:
    return Hold(
        min(first.start_ns, second.start_ns),
        max(first.end_ns, second.end_ns),
        merged((*first.busy, *second.busy)),
        first.writes or second.writes,
        max(first.longest_ns, second.longest_ns),
    )


def merged(spans: Iterable[Span], gap_ns: int = 0) -> tuple[Span, ...]:
    """Return spans in order, those that lie ``gap_ns`` apart or less joined into one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start - found[-1][1] <= gap_ns:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return tuple(found)
