"""A pool's forecast: what it admits, from when on it deadlocks, how long requests will wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from queryscope.prophet import plans as planned
from queryscope.prophet.queueing import ENDLESS, Waits, erlang_c, textbook
from queryscope.prophet.simulation import ARRIVALS, SEED, TIMEOUT_S, simulate, waits_of
from queryscope.trace.pool import deadlock_from

if TYPE_CHECKING:
    from queryscope.prophet.plans import Plan
    from queryscope.prophet.simulation import Outcome
    from queryscope.prophet.visits import Hold, PoolHistory, Visit

GAP_NS = 10_000_000
"""Idle time from which on a connection could be given back meanwhile: what QS502 counts."""
LONG_NS = 500_000_000
"""A statement is long from here on: what calls it slow in production."""
FEW_VISITS = 100
"""Fewer recorded requests say little about the longest one in twenty."""
UTILISATIONS = (0.5, 0.7, 0.8, 0.9)
"""Shares of what the pool admits at which the waits are told unless rates are asked for."""

_SOME_AIR, _LITTLE_AIR = 0.85, 0.95
"""Shares of what a pool admits, up to which changes are compared."""


class Rate(NamedTuple):
    """What is to be expected at one rate of arrivals.

    Attributes:
        per_second: Arrivals.
        utilisation: Share of the connections' time that is used; 1 and more is too much.
        waits: By simulation of the recorded requests; ``ENDLESS`` from utilisation 1 on.
        timed_out: Share of the requests that gave up.
        textbook: M/M/c with the mean connection-time, for requests of one connection.
    """

    per_second: float
    utilisation: float
    waits: Waits
    timed_out: float
    textbook: Waits


class Change(NamedTuple):
    """What another use of the same number of connections would give, at one rate.

    Attributes:
        name: ``as recorded``, ``sessions merged``, ``released early`` and others.
        capacities: Connections of each pool; one ``all`` where it is not split.
        connection_s: Mean connection-time of a request.
        most_held: The most connections of one pool that a request holds at once.
        deadlock_from: Concurrent requests from which they can deadlock, None for never.
        waits: Of all requests.
        by_lane: Waits for one connection of each pool, where it is split.
        timed_out: Share of the requests that gave up.
    """

    name: str
    capacities: dict[str, int]
    connection_s: float
    most_held: int
    deadlock_from: int | None
    waits: Waits
    by_lane: dict[str, Waits]
    timed_out: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the recorded requests say about a pool of this capacity.

    Attributes:
        name: The pool's.
        capacity: Connections that can be out at once.
        visits: Recorded requests.
        few: They are fewer than ``FEW_VISITS``.
        hold: Mean, 95th percentile of the recorded holds in seconds; its share is not used.
        connection_s: Mean connection-time of a request, in seconds.
        admitted_per_second: Requests a second that the pool admits, at most.
        most_held: C, the most connections that a request claimed at once.
        deadlock_from: Concurrent requests from which they can deadlock, None for never.
        safe_concurrency: Concurrent requests that cannot deadlock, None for any number.
        waitless_concurrency: Concurrent requests of which none ever waits.
        recorded: What the requests waited when they were recorded.
        rates: What is to be expected, one for each rate.
        changes: What would help, all at ``changes_at`` arrivals a second.
        changes_at: That rate.
    """

    name: str
    capacity: int
    visits: int
    few: bool
    hold: Waits
    connection_s: float
    admitted_per_second: float
    most_held: int
    deadlock_from: int | None
    safe_concurrency: int | None
    waitless_concurrency: int
    recorded: Waits
    rates: tuple[Rate, ...]
    changes: tuple[Change, ...]
    changes_at: float


class Options(NamedTuple):
    """How a forecast is made.

    Attributes:
        rates: Arrivals a second; empty: ``UTILISATIONS`` of what the pool admits.
        capacity: Connections to reckon with instead of the recorded pool's.
        timeout_s: How long a request waits for a connection.
        arrivals: Requests of each simulation.
        seed: Of the simulations.
        gap_ns: Idle time from which on a connection could be given back.
        long_ns: A statement is long from here on.
    """

    rates: Sequence[float] = ()
    capacity: int | None = None
    timeout_s: float = TIMEOUT_S
    arrivals: int = ARRIVALS
    seed: int = SEED
    gap_ns: int = GAP_NS
    long_ns: int = LONG_NS


def forecast(history: PoolHistory, options: Options | None = None) -> Forecast | None:
    """Return the forecast of a pool, None for one without a bound: nobody ever waits there.

    Raises:
        ValueError: A capacity, a rate or the number of arrivals is not positive.
    """
    options = options or Options()
    capacity = history.capacity if options.capacity is None else options.capacity
    if capacity is None:
        return None
    if capacity <= 0 or any(rate <= 0 for rate in options.rates):
        raise ValueError("capacities and rates are above 0")
    recorded = [planned.as_recorded(visit) for visit in history.visits]
    connection_s = planned.load_s(recorded).get(planned.ONLY, 0.0)
    admitted = capacity / connection_s if connection_s else float("inf")
    rates = tuple(options.rates)
    if not rates and connection_s:
        rates = tuple(share * admitted for share in UTILISATIONS)
    deadlock = deadlock_from(capacity, history.most)
    changes_at = _busiest(rates, admitted)
    return Forecast(
        name=history.name,
        capacity=capacity,
        visits=len(history.visits),
        few=len(history.visits) < FEW_VISITS,
        hold=waits_of([hold.duration_ns / 1e9 for v in history.visits for hold in v.holds]),
        connection_s=connection_s,
        admitted_per_second=admitted,
        most_held=history.most,
        deadlock_from=deadlock,
        safe_concurrency=None if deadlock is None else deadlock - 1,
        waitless_concurrency=capacity // max(history.most, 1),
        recorded=waits_of([wait / 1e9 for wait in history.waited_ns]),
        rates=tuple(_at_rate(recorded, capacity, connection_s, rate, options) for rate in rates),
        changes=_changes(history, capacity, changes_at, options) if changes_at else (),
        changes_at=changes_at,
    )


def can_deadlock(requests: int, held: int, capacity: int | None) -> bool:
    """Tell whether so many concurrent requests, each holding so many connections, can deadlock.

    Example:
        >>> can_deadlock(4, 2, 5), can_deadlock(5, 2, 5), can_deadlock(99, 1, 5)
        (False, True, False)
    """
    bound = deadlock_from(capacity, held)
    return bound is not None and requests >= bound


def _busiest(rates: Sequence[float], admitted: float) -> float:
    """Return the highest rate that leaves the pool some air, 0 where it admits none of them.

    Close to its limit a pool that is split has no connections to share out any more.
    """
    some = max((rate for rate in rates if rate <= _SOME_AIR * admitted), default=0.0)
    return some or min((rate for rate in rates if rate <= _LITTLE_AIR * admitted), default=0.0)


def _at_rate(
    recorded: list[Plan], capacity: int, connection_s: float, rate: float, options: Options
) -> Rate:
    utilisation = rate * connection_s / capacity
    by_book = textbook(rate, connection_s, capacity)
    if utilisation >= 1:
        return Rate(rate, utilisation, ENDLESS, 1.0, by_book)
    outcome = _simulated(recorded, {planned.ONLY: capacity}, rate, options)
    return Rate(rate, utilisation, outcome.waits, outcome.timed_out / outcome.arrivals, by_book)


def _simulated(
    plans: list[Plan], capacities: dict[str, int], rate: float, options: Options
) -> Outcome:
    return simulate(
        plans,
        capacities,
        rate,
        arrivals=options.arrivals,
        seed=options.seed,
        timeout_s=options.timeout_s,
    )


# -- what would help -------------------------------------------------------------------------


def _changes(
    history: PoolHistory, capacity: int, rate: float, options: Options
) -> tuple[Change, ...]:
    """Return the changes that make a difference to these requests, as they are first."""
    whole = {planned.ONLY: capacity}
    visits = history.visits
    early = partial(planned.released_early, gap_ns=options.gap_ns)
    named: list[tuple[str, Callable[[Visit], Plan]]] = [
        ("as recorded", planned.as_recorded),
        ("sessions merged", planned.sessions_merged),
        ("released early", early),
        ("merged and released early", lambda visit: early(_merged_visit(visit))),
    ]
    found: list[Change] = []
    seen: list[list[Plan]] = []
    for name, plan_of in named:
        plans = [plan_of(visit) for visit in visits]
        if plans not in seen:
            seen.append(plans)
            found.append(_change(name, plans, whole, rate, options))
    lanes: list[tuple[str, tuple[str, str], Callable[[Hold], str]]] = [
        ("reads and writes apart", ("reads", "writes"), _by_writes),
        ("long statements apart", ("short", "long"), partial(_by_length, long_ns=options.long_ns)),
    ]
    for name, (one, other), lane in lanes:
        plans = [planned.split(visit, lane) for visit in visits]
        capacities = _shared_out(plans, one, other, capacity, rate)
        if capacities is not None:
            found.append(_change(name, plans, capacities, rate, options))
    return tuple(found)


def _merged_visit(visit: Visit) -> Visit:
    """Return a visit whose connections held at the same time are one, with all its statements."""
    holds: list[Hold] = []
    for hold in visit.holds:
        if holds and hold.start_ns < holds[-1].end_ns:
            last = holds[-1]
            holds[-1] = last._replace(
                end_ns=max(last.end_ns, hold.end_ns), busy=last.busy + hold.busy
            )
        else:
            holds.append(hold)
    return visit._replace(holds=tuple(holds))


def _by_writes(hold: Hold) -> str:
    return "writes" if hold.writes else "reads"


def _by_length(hold: Hold, long_ns: int) -> str:
    return "long" if hold.longest_ns >= long_ns else "short"


def _shared_out(
    plans: list[Plan], one: str, other: str, capacity: int, rate: float
) -> dict[str, int] | None:
    """Return how many of the connections each of two pools gets, None where one has no use.

    Of all ways to share them out, the one of which the textbook says the shortest waits.
    """
    loads = planned.load_s(plans)
    if capacity <= 1 or not loads.get(one) or not loads.get(other):
        return None
    best: tuple[float, int] | None = None
    for first in range(1, capacity):
        total = 0.0
        for lane, servers in ((one, first), (other, capacity - first)):
            load = rate * loads[lane]
            spare = servers - load
            # Of what is held, not of how often: both pools are weighed by their load.
            total += load * erlang_c(servers, load) / spare if spare > 0 else float("inf")
        if best is None or total < best[0]:
            best = total, first
    if best is None or best[0] == float("inf"):
        return None
    return {one: best[1], other: capacity - best[1]}


def _change(
    name: str, plans: list[Plan], capacities: dict[str, int], rate: float, options: Options
) -> Change:
    loads = planned.load_s(plans)
    bounds = {
        lane: (max(planned.most_held(plan, lane) for plan in plans), capacity)
        for lane, capacity in capacities.items()
    }
    deadlocks = [deadlock_from(capacity, held) for held, capacity in bounds.values()]
    deadlock = min((bound for bound in deadlocks if bound is not None), default=None)
    if any(rate * loads.get(lane, 0.0) >= capacity for lane, capacity in capacities.items()):
        waits, by_lane, timed_out = ENDLESS, {}, 1.0
    else:
        outcome = _simulated(plans, capacities, rate, options)
        waits, by_lane = outcome.waits, dict(outcome.by_lane) if len(capacities) > 1 else {}
        timed_out = outcome.timed_out / outcome.arrivals
    return Change(
        name,
        capacities,
        sum(loads.values()),
        max(held for held, _ in bounds.values()),
        deadlock,
        waits,
        by_lane,
        timed_out,
    )
