"""Another text for a statement, with the plan that the database has for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queryscope.plans.connection import CannotExplainError
from queryscope.plans.explain import explain
from queryscope.plans.joined import joined

if TYPE_CHECKING:
    from queryscope.plans.connection import Connection
    from queryscope.plans.joined import Joined
    from queryscope.plans.plan import Plan
    from queryscope.plans.schema import Schema
    from queryscope.trace.events import Query

_NUMBERED = re.compile(r"[$?]\d")
"""A mark that says which parameter it stands for, wherever it is."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A statement with a join in place of a subquery, and its plan."""

    joined: Joined
    plan: Plan


def alternative_to(connection: Connection, query: Query, schema: Schema) -> Alternative | None:
    """Return a SELECT with a join in place of its subquery, None where there is none to compare.

    Args:
        connection: A connection of ours to the database, with no transaction under way.
        query: The statement.
        schema: The tables of the database.
    """
    if query.shape.kind != "select" or query.shape.locks:
        return None
    found = joined(query.statement, query.vendor, schema)
    if found is None:
        return None
    other = query._replace(statement=found.statement, parameters=_in_order(query, found))
    try:
        return Alternative(found, explain(connection, other))
    except CannotExplainError:
        return None


def _in_order(query: Query, found: Joined) -> tuple[object, ...] | None:
    """Return the values as the other text wants them; by name or number they stay as they are."""
    values = query.parameters
    if values is None or _NUMBERED.search(query.statement) or len(values) != len(found.order):
        return values
    if "%s" not in query.statement and "?" not in query.statement:
        return values
    return tuple(values[place] for place in found.order)
