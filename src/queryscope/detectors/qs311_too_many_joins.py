"""QS311: one SELECT joins so many tables that the planner no longer looks for the best order.

## What it does

Counts the joins of the outermost SELECT. Not counted are joins to the tables that make up one
object of a class with inheritance, and joins within subqueries.

## Why it is bad

n tables can be joined in n! orders. Beyond a bound of their own planners stop looking, and take
the tables as they are written or by chance:

    cost = a plan that may be far from the best, and rows as wide as all tables together

A join to a collection multiplies rows besides.

## Example

    Order.objects.select_related(
        "shop__owner__address__country", "customer__address__country", "cart__coupon", ...
    )

## Use instead

Fetch in two or three statements what does not filter or sort:

    Order.objects.select_related("shop", "customer").prefetch_related("shop__owner", "cart__coupon")

## Not flagged

Joins up to the threshold, which is generous; joined tables of inheritance; subqueries; scripts.
What only library code asked is an `info`, as is a statement whose joins could only be counted by
its words ("not parsed").

## Settings

- `too_many_joins_min_joins` (joins of one SELECT, 8: nine tables).

## Source

PostgreSQL's `join_collapse_limit` is 8: with more tables the written order stays for the rest.
https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-JOIN-COLLAPSE-LIMIT
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from queryscope.detectors._advice import framework_of, own_step, position_of, short
from queryscope.detectors._openers import place
from queryscope.detectors._statements import by_line, finding, times
from queryscope.detectors.finding import Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.clauses import clauses_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case
    from queryscope.trace.clauses import Join
    from queryscope.trace.events import Query

CODE = "QS311"
NAME = "too-many-joins"
THRESHOLDS: Mapping[str, Threshold] = {
    "too_many_joins_min_joins": Threshold(8, "joins of one SELECT, subqueries apart"),
}
_OF_ONE_OBJECT = re.compile(r"on \(? ?\w+\.(?P<one>\w+) = \w+\.(?P<other>\w+) ?\)?")
_PARENT_LINK = "_ptr_id"


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line whose SELECT joins too many tables."""
    if case.trace.kind == "script":
        return
    least = case.threshold("too_many_joins_min_joins")
    for queries in by_line(case, lambda query: query.shape.joins >= least):
        first = queries[0]
        joins, parsed = _joins(first)
        if joins < least:
            continue
        own = own_step(first.origin.steps) is not None
        if framework_of(case.trace, first) == "sqlalchemy":
            write = "selectinload(...)"
        else:
            write = ".prefetch_related(...)"
        evidence: dict[str, str | int | float] = {"joins": joins}
        if not parsed:
            evidence["clauses"] = "not parsed"
        yield finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            severity="warning" if own and parsed else "info",
            confidence="high" if parsed else "low",
            message=(
                f"{place(first.origin)} joins {joins} tables to {short(first.model) or 'one'}"
                f"{times(queries)}."
            ),
            mend=Mend(
                position_of(first),
                write,
                "Load what neither filters nor sorts in statements of its own.",
            ),
            subject=first.model or first.shape.text,
            evidence=evidence,
        )


def _joins(query: Query) -> tuple[int, bool]:
    """Return (joins to other objects, whether the clauses could be told apart)."""
    clauses = clauses_of(query.statement, query.vendor)
    if clauses is None:
        return query.shape.joins, False
    page = clauses.inner
    joins = clauses.joins if page is None else (*clauses.joins, *page.joins)
    return sum(not _is_inheritance(join) for join in joins), True


def _is_inheritance(join: Join) -> bool:
    """Tell whether a join brings in another table of the same object.

    Django's child has a key called after its parent; SQLAlchemy's has the parent's own.
    """
    found = _OF_ONE_OBJECT.fullmatch(join.part.text)
    if found is None:
        return False
    one, other = found["one"], found["other"]
    return one == other == "id" or _PARENT_LINK in (one[-7:], other[-7:])
