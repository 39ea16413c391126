"""What a request does with a pool, step by step: as it was recorded, and as it might be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.prophet.visits import Hold, Visit, merged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ONLY = "all"
"""The lane of a pool that is not split."""


class Step(NamedTuple):
    """Some work, and then a connection of a lane is taken (+1) or given back (-1)."""

    work_s: float
    lane: str
    change: int


Plan = tuple[Step, ...]
"""The steps of one request, in order."""


def as_recorded(visit: Visit) -> Plan:
    """Return the steps of a visit on one pool."""
    return _plan(visit.holds, lambda _: ONLY)


def sessions_merged(visit: Visit) -> Plan:
    """Return the steps when connections held at the same time are one connection.

    That is what one session passed on to the helpers would hold; sessions in turn stay in turn.
    """
    spans = merged(((hold.start_ns, hold.end_ns) for hold in visit.holds), -1)
    return _plan((Hold(start, end) for start, end in spans), lambda _: ONLY)


def released_early(visit: Visit, gap_ns: int) -> Plan:
    """Return the steps when a connection is held only while it is used.

    It is taken at its first statement, and given back wherever nothing is sent for longer than
    ``gap_ns``. A hold whose statements were not recorded stays as it is.
    """
    holds: list[Hold] = []
    for hold in visit.holds:
        spans = merged(hold.busy, gap_ns)
        holds += [Hold(start, end) for start, end in spans] if spans else [hold]
    return _plan(holds, lambda _: ONLY)


def split(visit: Visit, lane: Callable[[Hold], str]) -> Plan:
    """Return the steps when each hold goes to the pool that ``lane`` names."""
    return _plan(visit.holds, lane)


def load_s(plans: Iterable[Plan]) -> dict[str, float]:
    """Return the mean connection-time of a request in each lane, in seconds."""
    total: dict[str, float] = {}
    count = 0
    for plan in plans:
        count += 1
        now = 0.0
        for step in plan:
            now += step.work_s
            # What is taken at a and given back at b adds b - a.
            total[step.lane] = total.get(step.lane, 0.0) - step.change * now
    return {name: seconds / count for name, seconds in total.items()}


def most_held(plan: Plan, lane: str | None = None) -> int:
    """Return the most connections that a plan holds at once, of one lane or of all."""
    now = most = 0
    for step in plan:
        if lane is None or step.lane == lane:
            now += step.change
            most = max(most, now)
    return most


def _plan(holds: Iterable[Hold], lane: Callable[[Hold], str]) -> Plan:
    moments = sorted(
        (moment, change, name)
        for hold in holds
        if hold.duration_ns > 0
        for name in (lane(hold),)
        for moment, change in ((hold.start_ns, 1), (hold.end_ns, -1))
    )
    steps = []
    before = moments[0][0] if moments else 0
    for moment, change, name in moments:  # at one moment what came back goes first
        steps.append(Step((moment - before) / 1e9, name, change))
        before = moment
    return tuple(steps)
