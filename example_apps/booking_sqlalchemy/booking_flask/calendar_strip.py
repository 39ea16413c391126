"""When an item is free in the coming weeks: found by walking through them minute by minute."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WALKED_DAYS = 28
STEP_MINUTES = 5
STRIP_DAYS = 7
STEPS_A_DAY = 24 * 60 // STEP_MINUTES
STEPS_AN_HOUR = 60 // STEP_MINUTES

Span = tuple[dt.datetime, dt.datetime]


def free_times(spans: Sequence[Span], start: dt.datetime) -> dict[str, int | str]:
    """Return how free an item is in the ``WALKED_DAYS`` days from ``start`` on.

    Each step of five minutes is compared with each booking: some 40,000
    comparisons for an item, which is where the answer's own time goes.

    Args:
        spans: First and last moment of each booking; the last one is free again.
        start: The beginning of the walk.

    Returns:
        ``free_minutes``, ``longest_free_minutes`` and ``week``: a character an
        hour for ``STRIP_DAYS`` days, ``x`` where a booking touches the hour.
    """
    booked = [
        ((begin - start) // dt.timedelta(minutes=1), (end - start) // dt.timedelta(minutes=1))
        for begin, end in spans
    ]
    free = longest = run = 0
    steps: list[bool] = []
    for step in range(WALKED_DAYS * STEPS_A_DAY):
        minute = step * STEP_MINUTES
        taken = any(begin <= minute < end for begin, end in booked)
        steps.append(taken)
        run = 0 if taken else run + STEP_MINUTES
        free += 0 if taken else STEP_MINUTES
        longest = max(longest, run)
    week = "".join(
        "x" if any(steps[first : first + STEPS_AN_HOUR]) else "."
        for first in range(0, STRIP_DAYS * STEPS_A_DAY, STEPS_AN_HOUR)
    )
    return {"free_minutes": free, "longest_free_minutes": longest, "week": week}
