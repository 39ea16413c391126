"""A pool under load, event by event: requests come at random and do what recorded ones did."""

from __future__ import annotations

import random
from collections import deque
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from queryscope.prophet.queueing import Waits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queryscope.prophet.plans import Plan

ARRIVALS = 20_000
"""Requests of one simulation."""
WARM_UP = 0.05
"""Share of the requests that come first, into an empty pool, and are not counted."""
SEED = 20_260_101
"""The same question gets the same answer."""
TIMEOUT_S = 30.0
"""SQLAlchemy's ``pool_timeout``, and that of psycopg's pool, unless they are told otherwise."""

_ARRIVES, _GOES_ON, _GIVES_UP = range(3)


class Outcome(NamedTuple):
    """What a simulation saw.

    Attributes:
        waits: Of all requests, each with all that it waited.
        timed_out: Requests that gave up, and gave back what they had.
        arrivals: Requests counted.
        by_lane: Waits for the connections of each lane, one checkout each.
    """

    waits: Waits
    timed_out: int
    arrivals: int
    by_lane: Mapping[str, Waits]


class _Request:
    __slots__ = ("asked", "done", "held", "number", "plan", "turn", "waited")

    def __init__(self, number: int, plan: Plan) -> None:
        self.number = number
        self.plan = plan
        self.done = 0
        """Steps done."""
        self.held: dict[str, int] = {}
        self.waited = 0.0
        self.asked = -1.0
        """Since when it waits, -1 while it does not."""
        self.turn = 0
        """Counts its waits, so that an old time-out is told from the one of now."""


def simulate(
    plans: Sequence[Plan],
    capacities: Mapping[str, int],
    rate: float,
    *,
    arrivals: int = ARRIVALS,
    seed: int = SEED,
    timeout_s: float = TIMEOUT_S,
) -> Outcome:
    """Let requests come at random, each as one of the plans, and return what they wait.

    Who waits is served in turn. One that waits longer than ``timeout_s`` gives up and gives back
    what it holds, as a time-out of the pool ends a request.

    Args:
        plans: What a request does; each is as likely.
        capacities: Connections of each lane that the plans name.
        rate: Arrivals a second, > 0; the times between them are exponential.
        arrivals: How many come.
        seed: Of the generator.
        timeout_s: How long a request waits for one connection.

    Raises:
        ValueError: There is no plan, no arrival, or the rate is not positive.
    """
    if not plans or arrivals <= 0 or rate <= 0:
        raise ValueError("a simulation needs plans, arrivals and a rate above 0")
    pool = _Pool(capacities, timeout_s)
    chance = random.Random(seed)  # noqa: S311 - a simulation, no secret
    now = 0.0
    events: list[tuple[float, int, int, _Request, int]] = []
    for number in range(arrivals):
        now += chance.expovariate(rate)
        request = _Request(number, chance.choice(plans))
        events.append((now, number, _ARRIVES, request, 0))
    heapify(events)
    pool.run(events)
    first = int(arrivals * WARM_UP)
    counted = pool.requests_waited[first:] if first else pool.requests_waited
    return Outcome(
        waits_of(list(counted)),
        sum(number >= first for number in pool.gave_up),
        len(counted),
        {lane: waits_of(found) for lane, found in pool.lane_waited.items()},
    )


class _Pool:
    """The connections of each lane, and who waits for them."""

    def __init__(self, capacities: Mapping[str, int], timeout_s: float) -> None:
        self.free = dict(capacities)
        self.queues: dict[str, deque[tuple[_Request, int]]] = {lane: deque() for lane in capacities}
        self.timeout_s = timeout_s
        self.events: list[tuple[float, int, int, _Request, int]] = []
        self.order = 0
        self.requests_waited: list[float] = []
        self.lane_waited: dict[str, list[float]] = {lane: [] for lane in capacities}
        self.gave_up: list[int] = []

    def run(self, events: list[tuple[float, int, int, _Request, int]]) -> None:
        self.events = events
        self.order = len(events)
        self.requests_waited = [0.0] * len(events)
        while events:
            now, _, what, request, turn = heappop(events)
            if what == _GIVES_UP:
                if request.asked >= 0 and request.turn == turn:
                    self._give_up(request, now)
            else:
                if what == _GOES_ON:
                    self._change(request, now)
                self._go_on(request, now)

    def _go_on(self, request: _Request, now: float) -> None:
        """Begin the next step, or end; without work before it, it is done at once."""
        plan = request.plan
        while request.asked < 0:
            if request.done == len(plan):
                self.requests_waited[request.number] = request.waited
                return
            work = plan[request.done].work_s
            if work > 0:
                self._at(now + work, _GOES_ON, request)
                return
            self._change(request, now)

    def _change(self, request: _Request, now: float) -> None:
        """Take or give back the connection of the request's step."""
        step = request.plan[request.done]
        if step.change < 0:
            request.held[step.lane] -= 1
            request.done += 1
            self._give(step.lane, now)
        elif self.free[step.lane] > 0:
            self.free[step.lane] -= 1
            self._got(request, step.lane, 0.0)
        else:
            request.asked = now
            request.turn += 1
            self.queues[step.lane].append((request, request.turn))
            self._at(now + self.timeout_s, _GIVES_UP, request, request.turn)

    def _got(self, request: _Request, lane: str, waited: float) -> None:
        request.held[lane] = request.held.get(lane, 0) + 1
        request.waited += waited
        request.done += 1
        request.asked = -1.0
        self.lane_waited[lane].append(waited)

    def _give(self, lane: str, now: float) -> None:
        """Hand a connection to who has waited longest, else put it back."""
        queue = self.queues[lane]
        while queue:
            request, turn = queue.popleft()
            if request.asked >= 0 and request.turn == turn:
                self._got(request, lane, now - request.asked)
                self._at(now, _ARRIVES, request)
                return
        self.free[lane] += 1

    def _give_up(self, request: _Request, now: float) -> None:
        request.waited += now - request.asked
        request.asked = -1.0
        self.requests_waited[request.number] = request.waited
        self.gave_up.append(request.number)
        held, request.held = request.held, {}
        request.done = len(request.plan)
        for lane, count in held.items():
            for _ in range(count):
                self._give(lane, now)

    def _at(self, moment: float, what: int, request: _Request, turn: int = 0) -> None:
        self.order += 1
        heappush(self.events, (moment, self.order, what, request, turn))


def waits_of(waits_s: list[float]) -> Waits:
    """Return mean, 95th percentile and share of those above 0; 0 for none."""
    if not waits_s:
        return Waits(0.0, 0.0, 0.0)
    ordered = sorted(waits_s)
    return Waits(
        sum(ordered) / len(ordered),
        ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)],
        sum(wait > 0 for wait in ordered) / len(ordered),
    )
