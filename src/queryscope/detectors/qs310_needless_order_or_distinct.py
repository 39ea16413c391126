"""QS310: rows are ordered or made distinct without any effect on the result.

## What it does

Finds `ORDER BY` in a subquery whose order nobody sees: below a count or another aggregate, in the
list of an `IN`, in an `EXISTS`. Finds `DISTINCT` on rows that differ anyway, because a key of each
table is shown or settled, and in the list of an `IN`. It needs the database's keys and plans:
`queryscope scan --plans` finds it.

## Why it is bad

The rows are sorted or hashed, and on the way they are all kept:

    cost = rows x log(rows) comparisons, and memory for the rows

## Example

```python
session.query(Book).order_by(Book.title).count()          # the rows are sorted, then counted
Book.objects.filter(genre=genre).distinct()               # no join: no book comes twice
```

## Use instead

```python
session.query(Book).count()
Book.objects.filter(genre=genre)
```

## Not flagged

- an order with a LIMIT, OFFSET or FETCH behind it, in the subquery or below it: it says which rows;
- `DISTINCT ON`, window functions, and aggregates that depend on the order (`string_agg`,
  `array_agg`, `GROUP_CONCAT`, JSON lists);
- `ORDER BY NULL`, which asks for no order (Django writes it for MariaDB and MySQL);
- rows that are locked: an order keeps two transactions from waiting for each other;
- `DISTINCT` behind a join to many, of columns without a key, of a key that may be NULL, and of
  what a function gives several rows of;
- a DISTINCT or ORDER BY that only library code wrote.

Where the plan shows no work for it, or the tables have few rows, it is an `info`.

## Settings

- `needless_sort_min_rows` (rows of a table from which on the work is a warning, 1,000).

## Source

PostgreSQL, "Sorting Rows": "A particular output ordering can only be guaranteed if the sort step is
explicitly chosen"; what reads a subquery keeps none of its order.
https://www.postgresql.org/docs/current/queries-order.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.detectors._advice import framework_of, own_step, position_of
from queryscope.detectors._openers import place
from queryscope.detectors._plans import by_place, finding
from queryscope.detectors._sets import what
from queryscope.detectors.finding import Mend
from queryscope.detectors.registry import Threshold
from queryscope.plans.uniqueness import is_distinct_on, rows_differ
from queryscope.trace.clauses import clauses_of
from queryscope.trace.subselects import subselects_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.planned import Planned
    from queryscope.plans.plan import Plan
    from queryscope.plans.schema import Schema
    from queryscope.plans.study import Sent, Studied
    from queryscope.trace.clauses import Clauses
    from queryscope.trace.subselects import Subselect

CODE = "QS310"
NAME = "needless-order-or-distinct"
THRESHOLDS: Mapping[str, Threshold] = {
    "needless_sort_min_rows": Threshold(
        1_000, "rows of a table from which on a needless sort is a warning"
    ),
}

_DEPENDS = {"LIMIT", "OFFSET", "FETCH", "FOR", "LOCK", "OVER", "WINDOW"}
"""Words with which an order says which rows there are, or in which order they are locked."""
_ANY_ORDER = re.compile(r"(?:count|sum|avg|min|max) \(.*\)(?: as \w+)?")
_COUNT_DISTINCT = re.compile(r"count \( distinct (?P<column>[\w.]+) \)(?: as \w+)?")
_NO_SORT = {"null", "( null )", "( select null )"}
"""An order that asks for none: Django writes ``ORDER BY NULL`` for MariaDB and MySQL."""
_IN_WORDS = {
    "in": "the list of an IN",
    "exists": "what only has to exist",
    "compared": "what is only compared with",
}
_WORK = {
    "ORDER BY": re.compile(r"ORDER BY|sort", re.IGNORECASE),
    "DISTINCT": re.compile(r"DISTINCT|Unique|Aggregate|temporary|duplicates", re.IGNORECASE),
}
"""By what is needless, how databases call the step that does it."""


class _Needless(NamedTuple):
    word: Literal["ORDER BY", "DISTINCT"]
    why: str


def detect_plans(planned: Planned) -> Iterator[Finding]:
    """Yield a finding for each line, and each thing without effect in its statement."""
    for studied, group in by_place(planned):
        query = studied.query
        if query.shape.kind != "select" or query.shape.locks:
            continue
        if own_step(group[0].query.origin.steps) is None:
            continue
        for one in dict.fromkeys(_needless(studied)):
            yield _finding(planned, studied, group, one)


def _needless(studied: Studied) -> Iterator[_Needless]:
    query = studied.query
    clauses = clauses_of(query.statement, query.vendor)
    for item in subselects_of(query.statement, query.vendor):
        if not (_DEPENDS & item.words or is_distinct_on(item.clauses)):
            yield from _in_subselect(item, clauses)
    if clauses is None or studied.schema is None:
        return
    if _is_distinct_anyway(clauses.asked, studied.schema):
        yield _Needless("DISTINCT", "no two of them are alike: a key of each table is among them")
    counted = _COUNT_DISTINCT.fullmatch(clauses.columns[0]) if len(clauses.columns) == 1 else None
    if counted is not None:
        plain = clauses._replace(columns=(counted["column"],))
        if rows_differ(plain, studied.schema):
            yield _Needless("DISTINCT", f"no two rows have the same {counted['column']}")


def _in_subselect(item: Subselect, outer: Clauses | None) -> Iterator[_Needless]:
    ordered = not _NO_SORT.issuperset(item.clauses.order)
    if item.role in _IN_WORDS:
        if ordered:
            yield _Needless("ORDER BY", f"{_IN_WORDS[item.role]} has no order")
        if item.clauses.distinct:
            yield _Needless("DISTINCT", f"{_IN_WORDS[item.role]} may have the same row twice")
    elif ordered and outer is not None and outer.inner == item.clauses:
        is_plain = not (outer.joins or outer.grouping.text) and bool(outer.columns)
        if is_plain and all(map(_ANY_ORDER.fullmatch, outer.columns)):
            yield _Needless("ORDER BY", "they are only counted or summed up")


def _is_distinct_anyway(clauses: Clauses, schema: Schema) -> bool:
    return clauses.distinct and not is_distinct_on(clauses) and rows_differ(clauses, schema)


def _works(plan: Plan | None, one: _Needless) -> bool:
    """Tell whether the database does anything for it."""
    return plan is not None and any(
        node.kind in ("sort", "temporary", "group", "other") and _WORK[one.word].search(node.raw)
        for node in plan.nodes()
    )


def _finding(planned: Planned, studied: Studied, group: list[Sent], one: _Needless) -> Finding:
    first = group[0]
    plan = studied.plan
    rows = max((plan.rows_in(table) for table in first.query.shape.reads), default=0) if plan else 0
    works = _works(plan, one)
    weighs = works and rows >= planned.threshold("needless_sort_min_rows")
    write = ""
    if one.word == "ORDER BY":
        is_django = framework_of(first.part, first.query) == "django"
        write = ".order_by()" if is_django else ".order_by(None)"
    return finding(
        studied,
        group,
        code=CODE,
        name=NAME,
        severity="warning" if weighs else "info",
        confidence="high",
        message=(
            f"{place(first.query.origin)} asks for rows of {what(first.query)} with {one.word}, "
            f"which changes nothing: {one.why}."
        ),
        mend=Mend(
            position_of(first.query),
            write,
            f"Leave the {one.word} out."
            if not write
            else "Leave the ORDER BY out; this takes one away that comes along.",
        ),
        subject=f"{one.word} {what(first.query)}",
        evidence={
            "needless": one.word,
            "work for it": "yes" if works else "none that the plan shows",
            "rows of the table": rows,
        },
    )
