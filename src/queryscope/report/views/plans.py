"""What the page of a plan shows: the statement, the steps, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from queryscope.plans.words import meaning_of, notes_of, step_of, values_in
from queryscope.report.sql import cut, laid_out, parts
from queryscope.report.text import visible
from queryscope.report.views.reading import keeps_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.plans.plan import Node, Plan
    from queryscope.report.sql import SqlPart
    from queryscope.trace.events import Query, Trace

MAX_STATEMENT_CHARS = 4_000
MAX_STEPS = 500
MAX_MEANING_CHARS = 2_000


class StepView(NamedTuple):
    """One step: how deep it lies below the outermost one, what it does, what else is known."""

    depth: int
    text: str
    notes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPage:
    """The page of the plan of one statement.

    Attributes:
        trace: The id of its Trace.
        number: Its number in that.
        text: The statement, in pieces; its shape where values are not kept.
        refusal: Why there is no plan, ``""`` where there is one.
        steps: The steps of the plan, in order.
        meaning: What they mean, as a sentence.
        values: What stood in place of the parameters.
    """

    trace: str
    number: int
    text: tuple[SqlPart, ...]
    refusal: str = ""
    steps: tuple[StepView, ...] = ()
    meaning: str = ""
    values: str = ""


def plan_page(trace: Trace, query: Query, plan: Plan | None, refusal: str) -> PlanPage:
    """Return what the page of a plan shows."""
    shown = query.statement if keeps_values(trace) else query.shape.text
    statement = cut(laid_out(shown), MAX_STATEMENT_CHARS)
    text, name = parts(statement), visible(trace.id)
    if plan is None:
        reason = visible(refusal, limit=MAX_MEANING_CHARS)
        return PlanPage(trace=name, number=query.number, text=text, refusal=reason)
    steps = [step for root in plan.roots for step in _steps(root, plan, 0)]
    return PlanPage(
        trace=name,
        number=query.number,
        text=text,
        steps=tuple(steps[:MAX_STEPS]),
        meaning=f"The database {visible(meaning_of(plan), limit=MAX_MEANING_CHARS)}.",
        values=f"Planned with {values_in(plan)}.",
    )


def _steps(node: Node, plan: Plan, depth: int) -> Iterator[StepView]:
    text = step_of(node, plan) or node.raw or node.kind
    yield StepView(depth, visible(text), visible(", ".join(notes_of(node))))
    for child in node.children:
        yield from _steps(child, plan, depth + 1)
