"""What the patched code costs beside the original: per endpoint, against the noise of times."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from queryscope.verify.proposal import Constraint, Cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.verify.launch import Run
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
        slower: What takes longer beyond the noise, one phrase each.
        constraint: What it teaches, None when it is well.
    """

    before: Costs
    after: Costs
    fell: tuple[str, ...]
    risen: tuple[str, ...]
    slower: tuple[str, ...]
    constraint: Constraint | None


class Times(NamedTuple):
    """The recorded requests asked again and again.

    Attributes:
        plan: What was asked.
        before: Runs of the original.
        after: Runs of the patched code.
    """

    plan: Plan
    before: tuple[Run, ...]
    after: tuple[Run, ...]


def costs_of(plan: Plan, run: Run, timed: Plan, runs: Sequence[Run]) -> dict[str, Cost]:
    """Return what the recorded requests of each endpoint cost on the data as it is.

    Args:
        plan: What was asked.
        run: Counts are of this run.
        timed: What was asked again and again.
        runs: Times are the least of these, request by request.
    """
    spent: dict[str, list[Cost]] = {}
    for one in runs:
        for step in timed.measured:
            spent.setdefault(timed.place(step)[1].key, []).append(one.replies[step].cost)
    found: dict[str, Cost] = {}
    for step in plan.measured:
        _, request, endpoint = plan.place(step)
        cost = run.replies[step].cost._replace(
            duration_ns=min(one.duration_ns for one in spent[request.key]),
            held_ns=min(one.held_ns for one in spent[request.key]),
        )
        found[endpoint] = found.get(endpoint, Cost()).plus(cost)
    return found


def told(plan: Plan, runs: Sequence[Run]) -> Costs:
    """Return what recorded requests cost in runs; nothing where one ended before it asked them."""
    if any(step not in run.replies for run in runs for step in plan.measured):
        return ()
    return tuple(costs_of(plan, runs[0], plan, runs).items())


def judge(plan: Plan, original: Run, patched: Run, times: Times) -> Judged:
    """Return what fell and what rose."""
    before = costs_of(plan, original, times.plan, times.before)
    after = costs_of(plan, patched, times.plan, times.after)
    fell: list[str] = []
    risen: list[str] = []
    slower: list[str] = []
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
        noise = _noise(times, endpoint)
        allowed = old.duration_ns * (1 + max(TIME_SHARE, NOISE_FACTOR * noise))
        requests = sum(plan.place(step)[2] == endpoint for step in plan.measured)
        if new.duration_ns > allowed + TIME_FLOOR_NS * requests:
            slower.append(
                f"time of {endpoint} {old.duration_ns / 1e6:.1f} ms -> "
                f"{new.duration_ns / 1e6:.1f} ms, noise {noise:.0%}"
            )
    too_much = [*risen, *slower]
    constraint = None
    if too_much:
        subject = too_much[0].partition(" of ")[0]
        constraint = Constraint("cost", subject, f"{too_much[0]}: too much.")
    elif not fell:
        constraint = Constraint(
            "cost", "statements", "Statements, rows or sessions of a recorded endpoint must fall."
        )
    return Judged(
        tuple(before.items()),
        tuple(after.items()),
        tuple(fell),
        tuple(risen),
        tuple(slower),
        constraint,
    )


def _noise(times: Times, endpoint: str) -> float:
    """Return by which share the original's usual time is above its least."""
    rounds: dict[str, list[int]] = {}
    for run in times.before:
        for step in times.plan.measured:
            _, request, of = times.plan.place(step)
            if of == endpoint:
                rounds.setdefault(request.key, []).append(run.replies[step].cost.duration_ns)
    least = sum(map(min, rounds.values()))
    usual = sum(median(ones) for ones in rounds.values())
    return (usual - least) / max(least, 1)
