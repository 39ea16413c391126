"""The plan of one recorded statement, asked for when somebody follows its link in the viewer."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from queryscope import adapters
from queryscope.plans.connection import CannotExplainError
from queryscope.plans.explain import explain
from queryscope.plans.study import ANY, database_of, not_named
from queryscope.report.views.plans import PlanPage, plan_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.plans.plan import Plan
    from queryscope.trace.events import Query, Trace


def page_of(trace: Trace, asked: Sequence[str]) -> PlanPage | None:
    """Return what the page of a plan shows, None where there is no such statement.

    Args:
        trace: The outermost Trace.
        asked: The id of it or of a nested one, and the number of a statement, from a path.
    """
    if len(asked) != 2 or not asked[1].isdecimal():  # noqa: PLR2004 - both of them
        return None
    part, number = asked
    for item in trace.subtree():
        for query in item.queries:
            if item.id == part and str(query.number) == number:
                return plan_page(item, query, *_plan(query))
    return None


def _plan(query: Query) -> tuple[Plan | None, str]:
    """Return the plan, or why there is none; over a connection that is closed behind it."""
    known = adapters.database_of(query.database)
    database = database_of({} if known is None else {ANY: known}, query)
    if database is None:
        return None, not_named(query)
    try:
        with closing(database.connect()) as connection:
            return explain(connection, query), ""
    except CannotExplainError as error:
        return None, str(error)
