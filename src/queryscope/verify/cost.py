"""What the patched code costs beside the original: per endpoint, against the noise of both runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.verify.proposal import Constraint, Cost

if TYPE_CHECKING:
    from queryscope.verify.bench import Pair
    from queryscope.verify.plan import Plan

TIME_SHARE = 0.25
"""A rise of the time by less is never blamed: two runs of one program differ by as much."""
TIME_FLOOR_NS = 2_000_000
"""Nor is one by less than this for each request."""
NOISE_FACTOR = 2.0

Costs = tuple[tuple[str, Cost], ...]


class Judged(NamedTuple):
    """What came of the costs.

    Attributes:
        before: Endpoints to what their recorded requests cost the original code.
        after: The same of the patched code.
        fell: What fell, one phrase each.
        risen: What rose and must not, one phrase each.
        constraint: What it teaches, None when it is well.
    """

    before: Costs
    after: Costs
    fell: tuple[str, ...]
    risen: tuple[str, ...]
    constraint: Constraint | None


def costs_of(plan: Plan, pair: Pair) -> dict[str, Cost]:
    """Return what the recorded requests of each endpoint cost on the data as it is.

    Counts are of the first run; times the lesser of both.
    """
    found: dict[str, Cost] = {}
    for step in plan.measured:
        endpoint = plan.place(step)[2]
        first, second = pair.a.replies[step].cost, pair.b.replies[step].cost
        cost = first._replace(
            duration_ns=min(first.duration_ns, second.duration_ns),
            held_ns=min(first.held_ns, second.held_ns),
        )
        found[endpoint] = found.get(endpoint, Cost()).plus(cost)
    return found


def judge(plan: Plan, original: Pair, patched: Pair) -> Judged:
    """Return what fell and what rose."""
    before = costs_of(plan, original)
    after = costs_of(plan, patched)
    fell: list[str] = []
    risen: list[str] = []
    for endpoint, old in before.items():
        new = after[endpoint]
        for name in ("statements", "sessions", "rows"):
            was, now = getattr(old, name), getattr(new, name)
            phrase = f"{name} of {endpoint} {was:,} -> {now:,}"
            if now < was:
                fell.append(phrase)
            elif now > was and not (name == "rows" and new.statements < old.statements):
                # More rows for fewer statements is what a join is.
                risen.append(phrase)
        noise = _noise(plan, original, endpoint)
        allowed = old.duration_ns * (1 + max(TIME_SHARE, NOISE_FACTOR * noise))
        requests = sum(plan.place(step)[2] == endpoint for step in plan.measured)
        if new.duration_ns > allowed + TIME_FLOOR_NS * requests:
            risen.append(
                f"time of {endpoint} {old.duration_ns / 1e6:.1f} ms -> "
                f"{new.duration_ns / 1e6:.1f} ms, noise {noise:.0%}"
            )
    constraint = None
    if risen:
        constraint = Constraint("cost", risen[0].partition(" of ")[0], f"{risen[0]}: too much.")
    elif not fell:
        constraint = Constraint(
            "cost", "statements", "Statements, rows or sessions of a recorded endpoint must fall."
        )
    return Judged(
        tuple(before.items()), tuple(after.items()), tuple(fell), tuple(risen), constraint
    )


def _noise(plan: Plan, pair: Pair, endpoint: str) -> float:
    """Return by which share the two runs of the original differ in time."""
    sums = [
        sum(
            run.replies[step].cost.duration_ns
            for step in plan.measured
            if plan.place(step)[2] == endpoint
        )
        for run in pair
    ]
    return (max(sums) - min(sums)) / max(min(sums), 1)
