"""Repeats and the loops around them in words, and where to mend a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import own_step
from queryscope.detectors._openers import place

if TYPE_CHECKING:
    from queryscope.detectors._loops import Verdict
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Frame, Origin, TemplateNode
    from queryscope.trace.loops import Loop
    from queryscope.trace.repeat import Repeat


def evidence_of(case: Case, verdict: Verdict) -> dict[str, str | int | float]:
    """Return what carries a verdict: rows, the loops around and inside, the places."""
    repeat, repeats = verdict.repeat, case.repeats
    found: dict[str, str | int | float] = {}
    if verdict.parents:
        found["parents"] = verdict.parents
    else:
        found["different parameters"] = repeat.questions
    if repeat.loop is not None:
        found["loop"] = place(repeat.loop.at)
        if repeat.loop.constant:
            found["length of the loop"] = "constant"
    if len(verdict.repeats) > 1:
        found["also at"] = "; ".join(place(item.origin.first) for item in verdict.repeats[1:])
    if repeat.load is None or repeat.is_write:
        return found
    parent = repeats.parent(repeat)
    if parent is None:
        found["parent rows"] = "loaded by a statement that is not known"
    else:
        how = "" if parent.known_by == "recorded" else f", as their {parent.known_by} tells"
        if parent.candidates > 1:
            how += f"; {parent.candidates} statements may have"
        found["parent rows"] = f"loaded by statement {parent.query.number}{how}"
    outer = repeats.outer(repeat)
    if outer is not None:
        found["inside"] = f"{outer.name}, {len(outer.queries)} statements"
        found["product"] = product(outer, len(verdict.queries))
    inner = [f"{item.name}, {len(item.queries)} statements" for item in repeats.inner(repeat)]
    if inner:
        found["around"] = "; ".join(inner)
    return found


def product(outer: Repeat, count: int) -> str:
    """Return ``12 x 5`` for 60 loads inside 12; an average where rows differ."""
    return f"{len(outer.queries)} x {round(count / len(outer.queries), 1):g}"


def around(case: Case, verdict: Verdict) -> str:
    """Return the words that name the loop around a loop, with the product; ``""`` without."""
    outer = case.repeats.outer(verdict.repeat)
    # Less than one statement in two turns: that is hardly the loop around.
    if outer is None or 2 * len(verdict.queries) < len(outer.queries):
        return ""
    return f", inside {outer.name} ({product(outer, len(verdict.queries))})"


def in_loop(loop: Loop | None) -> str:
    """Return the words that name a loop: `` in the loop at views.py:41 in book_list``."""
    if loop is None:
        return ""
    return f" in the loop at {place(loop.at)}" + (" of constant length" if loop.constant else "")


def loop_position(loop: Loop | None, origin: Origin) -> Frame | TemplateNode | None:
    """Return where a batch has to go: in front of the loop; without one, where it was asked."""
    return loop.at if loop is not None else own_step(origin.steps)
