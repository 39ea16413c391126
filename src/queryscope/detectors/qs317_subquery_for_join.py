"""QS317: a subquery is asked again for each row, where a join reads its table once.

## What it does

Finds SELECTs with a subquery (an aggregate in the select list, an `EXISTS`, an `IN`) for which the
database has a much cheaper plan when the same is written as a join. Both are explained; neither is
run. It needs the database: `queryscope scan --plans` finds it.

## Why it is bad

    cost = rows outside x rows that one run of the subquery reads

A join with the grouped or distinct rows of the inner table reads them once.

## Example

```python
visits = Visit.objects.filter(day=OuterRef("day")).values("day").annotate(n=Count("*"))
Shift.objects.annotate(visits=Subquery(visits.values("n")))
```

## Use instead

Group once and join, or count in a statement of its own and put the two together:

```python
counts = dict(Visit.objects.values_list("day").annotate(n=Count("*")))
select(Shift, counted.c.n).outerjoin(counted, counted.c.day == Shift.day)
```

Where few rows are left outside, an index on the column that ties the two (QS401) does as well.

## Not flagged

- plans that are alike: databases turn most `IN` and many `EXISTS` into joins by themselves;
- subqueries on small tables, and subqueries that an index answers as cheaply;
- `NOT IN` and `NOT EXISTS`, subqueries with LIMIT, window functions or locks, and those that ask
  anything but equality of the rows around them: a join might give other rows;
- on SQLite and MariaDB, which tell no cost of such plans: subqueries that are asked for few rows.
  There the rows read are reckoned from the plan, once for each row outside; where a condition
  leaves rows out before it, once for each row handed out.

## Settings

- `subquery_join_min_ratio` (times cheaper by plan, 3);
- `subquery_join_min_rows` (rows of the table in the subquery, 1,000).

## Source

MariaDB, "Subquery Optimizations": subqueries that are no semi-join and cannot be materialized are
run for each row. https://mariadb.com/kb/en/subquery-optimizations/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._advice import own_step, position_of
from queryscope.detectors._openers import place
from queryscope.detectors._plans import by_place, finding
from queryscope.detectors.finding import Mend
from queryscope.detectors.registry import Threshold
from queryscope.plans.plan import READS, READS_ALL
from queryscope.trace.tokens import without_literals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.planned import Planned
    from queryscope.plans.alternative import Alternative
    from queryscope.plans.plan import Node, Plan
    from queryscope.plans.study import Sent

CODE = "QS317"
NAME = "subquery-for-join"
THRESHOLDS: Mapping[str, Threshold] = {
    "subquery_join_min_ratio": Threshold(3, "times that a join is cheaper by plan"),
    "subquery_join_min_rows": Threshold(1_000, "rows of the table in the subquery"),
}
MAX_CHARS = 600


class _Costs(NamedTuple):
    """What both plans cost, and in what."""

    before: float
    after: float
    unit: str


def detect_plans(planned: Planned) -> Iterator[Finding]:
    """Yield a finding for each line whose subquery is dearer than a join."""
    least_rows = planned.threshold("subquery_join_min_rows")
    least_ratio = planned.threshold("subquery_join_min_ratio")
    for studied, group in by_place(planned):
        plan, other = studied.plan, studied.alternative
        if plan is None or other is None or own_step(group[0].query.origin.steps) is None:
            continue
        rows = plan.rows_in(other.joined.table)
        if rows < least_rows:
            continue
        costs = _costs(plan, other, group)
        if costs is None or costs.before < least_ratio * costs.after:
            continue
        query = group[0].query
        table = other.joined.table
        yield finding(
            studied,
            group,
            code=CODE,
            name=NAME,
            severity="warning",
            confidence="high" if costs.unit == "cost" else "medium",
            message=(
                f"{place(query.origin)} asks {table} again for each row of {other.joined.outer}: "
                f"by plan, a join is {costs.before / costs.after:,.0f} times cheaper."
            ),
            mend=Mend(
                position_of(query),
                "",
                f"Group the rows of {table} once and join them, or ask for them in a statement of "
                "their own.",
            ),
            subject=f"{other.joined.outer} {table}",
            evidence={
                f"{costs.unit} as it is": round(costs.before, 1),
                f"{costs.unit} with a join": round(costs.after, 1),
                f"rows of {table}": rows,
                "with a join": _cut(without_literals(other.joined.statement, query.vendor)),
            },
        )


def _costs(plan: Plan, other: Alternative, group: list[Sent]) -> _Costs | None:
    if plan.vendor == "postgresql":
        if plan.cost is None or not other.plan.cost:
            return None
        return _Costs(plan.cost, other.plan.cost, "cost")
    times = _times(plan, other, group)
    before, after = _read(plan, other, once=False), _read(other.plan, other, once=True)
    if before is None or not after:
        return None
    if other.joined.form == "exists":
        before /= 2  # it ends at the first row that is found: half way through, or at the end
    return _Costs(before * times, after + times, "rows read")


def _times(plan: Plan, other: Alternative, group: list[Sent]) -> float:
    """Return how often the subquery is asked, rather too seldom than too often."""
    if other.joined.alone:
        return max(1, plan.rows_in(other.joined.outer))
    query = group[0].query
    return max(1, 0 if query.shape.aggregate else query.rows or 0)


def _read(plan: Plan, other: Alternative, *, once: bool) -> float | None:
    """Return about how many rows of the inner table a plan reads at a time.

    None where the plan does not say, or where it reads them once and should not, or the reverse.
    """
    for node, above in _paths(plan.roots, ()):
        if node.kind in READS and node.alias == other.joined.alias:
            if _runs_once(above) is not once:
                return None
            return plan.rows_in(node.table) if node.kind in READS_ALL else node.rows
    return None


def _paths(
    nodes: tuple[Node, ...], above: tuple[Node, ...]
) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    for node in nodes:
        yield node, above
        yield from _paths(node.children, (*above, node))


def _runs_once(above: tuple[Node, ...]) -> bool:
    """Tell whether what stands below some steps is read once, and kept: the nearest one decides."""
    for node in reversed(above):
        if node.kind == "temporary":
            return True
        if node.kind == "subquery":
            return node.raw.startswith(("LIST", "CO-ROUTINE", "SCALAR"))
    return False


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 1]}…"
