"""Places in the user's code, and where control was between two statements of one place."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from queryscope.trace.events import Frame
from queryscope.trace.loops import is_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.trace.events import Origin, Query, TemplateNode

MAX_TURNS = 50
"""Turns of a loop looked at for the function in which it is."""
_IN_PLACE = re.compile(r"\.<locals>\.<(listcomp|setcomp|dictcomp|genexpr)>$")
Site = tuple["Frame | TemplateNode", ...]
"""A place in the user's code: the steps of an Origin with recursion folded."""


def fold(origin: Origin) -> tuple[Site, bool]:
    """Return (the steps of an origin with recursion folded, whether there was any).

    A function that called itself stands once, with its innermost position; a position that is
    active twice in one chain is recursion through others, and stands once. So a walk through a
    tree is one place at every depth.
    """
    steps = origin.steps
    if len(steps) < 2:  # noqa: PLR2004 - nothing to fold
        return steps, False
    kept: dict[Frame | TemplateNode, None] = {}
    recursive = False
    run_of: tuple[str, str] | None = None
    run: set[str] = set()
    for step in steps:
        if not isinstance(step, Frame):
            run_of = None
        else:
            # A comprehension is a function of its own up to Python 3.11, a generator always.
            function = (step.file, _IN_PLACE.sub("", step.function))
            if function == run_of:
                recursive = recursive or step.function in run
                run.add(step.function)
                continue
            run_of, run = function, {step.function}
        recursive = recursive or step in kept
        kept[step] = None
    return tuple(kept), recursive


def turned_at(
    queries: Sequence[Query], everything: Sequence[Query]
) -> tuple[int, Frame | TemplateNode | None]:
    """Return where control was between the statements of one place.

    A statement of another line that was sent in between shows how far the calls returned: the
    functions further in were left and entered again, so that none of their loops turned. Half of
    the statements or more have to agree.

    Args:
        queries: The statements of one place, in order.
        everything: All statements of the Trace, by number.

    Returns:
        Index of the step of their origin; the other position in the same function, if known.
    """
    found: list[tuple[int, Frame | TemplateNode | None]] = []
    for one, two in pairwise(queries[: MAX_TURNS + 1]):
        furthest: tuple[int, Frame | TemplateNode | None] = (0, None)
        if one.number + 1 < two.number <= len(everything):
            for other in (everything[one.number + 1], everything[two.number - 1]):
                if other.thread == two.thread == one.thread:
                    way = _parting(two.origin.steps, other.origin.steps)
                    furthest = max(furthest, way, key=_distance)
        found.append(furthest)
    if not found:
        return 0, None
    found.sort(key=_distance)
    start, beside = found[(len(found) - 1) // 2]
    steps = queries[0].origin.steps
    if any(isinstance(step, Frame) and is_generator(step) for step in steps[:start]):
        return 0, None  # suspended, not left
    return start, beside


def _distance(way: tuple[int, Frame | TemplateNode | None]) -> tuple[int, bool]:
    return way[0], way[1] is not None


def _parting(
    steps: Sequence[Frame | TemplateNode], other: Sequence[Frame | TemplateNode]
) -> tuple[int, Frame | TemplateNode | None]:
    """Return (index of the innermost step where both were, where the other was in it)."""
    common = 0
    shorter = min(len(steps), len(other))
    while common < shorter and steps[-1 - common] == other[-1 - common]:
        common += 1
    if common == len(steps):
        return 0, None  # the same place, or one further in
    index = len(steps) - 1 - common
    if common < len(other):
        mine, others = steps[index], other[-1 - common]
        if not isinstance(mine, Frame):
            return index, None  # light recording keeps one tag: its file tells of the loop
        if isinstance(others, Frame) and (mine.file, mine.function) == (
            others.file, others.function,
        ):  # fmt: skip
            return index, others
    return (index + 1, None) if common else (0, None)
