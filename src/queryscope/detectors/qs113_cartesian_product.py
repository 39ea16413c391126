"""QS113: two collections in one join multiply each other.

## What it does

Finds statements that join two collections of the same rows, so that each row of the one comes with
each row of the other: two `joinedload()` side by side, or `values()` over two many-to-many
relations. For objects the rows of each class are counted apart: it is said where each child came
twice on average. Full recording only. For plain values the statement alone tells: two tables of
links, neither behind the other, and columns of both.

## Why it is bad

    cost = (rows of the one x rows of the other - rows of both) x width of a joined row, a parent

## Example

```python
select(Book).options(joinedload(Book.tags), joinedload(Book.reviews))
```

A book with 20 tags and 50 reviews is 1,000 rows.

## Use instead

```python
select(Book).options(selectinload(Book.tags), selectinload(Book.reviews))
```

With Django `prefetch_related("tags", "reviews")` where `values()` or two filters joined both.

## Not flagged

- one collection, a chain of collections (`books.tags`), joins to one row;
- collections of which one has a single row for nearly each parent: that multiplies nothing;
- `DISTINCT`, aggregates and `GROUP BY`, statements with a LIMIT, fewer rows than
  `cartesian_product_min_rows`;
- values over a collection by a foreign key, which may be a one-to-one relation as well, or over a
  table of links that is not called after one of its two; relations that only filter;
- data migrations, requests that failed.

It is a warning from `unused_columns_warning_bytes` of repeated bytes on, and as grave as QS304
where that many rows came. What is told by the statement alone is an `info`.

## Settings

- `cartesian_product_min_rows` (rows of one statement, 20).

## Source

Twenty rows: 4 parents with 2 and 2 children are 16 rows joined and 20 apart, so that below it a
product saves more than it costs. SQLAlchemy, "The Zen of Joined Eager Loading":
https://docs.sqlalchemy.org/en/20/orm/queryguide/relationships.html#the-zen-of-joined-eager-loading.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from queryscope.detectors._advice import framework_of, position_of, short
from queryscope.detectors._joined import joins
from queryscope.detectors._openers import place
from queryscope.detectors._results import size_text
from queryscope.detectors._reworked import severity_of
from queryscope.detectors._sets import what
from queryscope.detectors._statements import by_line
from queryscope.detectors._statements import finding as of_line
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.clauses import clauses_of
from queryscope.trace.sets import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors._joined import Joined, Side
    from queryscope.detectors.finding import Severity
    from queryscope.detectors.registry import Case
    from queryscope.trace.clauses import Clauses
    from queryscope.trace.events import Query

CODE = "QS113"
NAME = "cartesian-product"
THRESHOLDS: Mapping[str, Threshold] = {
    "cartesian_product_min_rows": Threshold(
        20, "rows of one statement that two collections multiplied"
    ),
}
MIN_TIMES = 2.0
"""Times that each row of the larger collection came on average."""


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each statement in which two collections multiply each other."""
    least = case.threshold("cartesian_product_min_rows")
    seen: set[int] = set()
    for joined in joins(case):
        seen.add(joined.query.number)
        pair = _multiplied(joined)
        if pair is not None and joined.rows >= least:
            yield _of_objects(case, joined, pair)
    known = {read.query for read in case.trace.reads}
    for queries in by_line(case, each=lambda query: query.number not in known):
        first = queries[0]
        rows = max(query.rows or 0 for query in queries)
        if rows >= least:
            tables = _branches(first)
            if tables is not None:
                yield _of_values(case, queries, tables)


def _multiplied(joined: Joined) -> tuple[Side, Side] | None:
    """Return the two collections of a join that multiply each other."""
    for one, other in combinations(joined.collections, 2):
        apart = not f"{one.path}.".startswith(f"{other.path}.") and not (
            f"{other.path}.".startswith(f"{one.path}.")
        )
        most = max(side.rows for side in joined.sides)
        if apart and joined.rows >= MIN_TIMES * most:
            return one, other
    return None


def _of_objects(case: Case, joined: Joined, pair: tuple[Side, Side]) -> Finding:
    query = joined.query
    own = joined.sides[0]
    apart = (own.distinct or 0) * own.size
    apart += sum(side.rows * side.size for side in joined.sides[1:])
    repeated = max(joined.sent - apart, 0)
    severity: Severity = severity_of(case, joined.rows)
    if severity == "info" and repeated >= case.threshold("unused_columns_warning_bytes"):
        severity = "warning"
    one, other = pair
    owner = short(own.model)
    unread = [side.path for side in pair if not joined.is_read(side)]
    needless = f" Nobody reads {' and '.join(unread)}: leave it out." if unread else ""
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity,
        confidence="high",
        message=(
            f"{one.path} and {other.path} of {owner} multiply each other in one join: "
            f"{joined.rows:,} rows for {own.distinct:,} of {owner} with {one.rows:,} and "
            f"{other.rows:,}, {size_text(repeated)} of them repeated."
        ),
        count=1,
        cost=Cost(statements=1, rows=joined.rows, duration_ns=query.duration_ns),
        origin=query.origin,
        mend=Mend(
            position_of(query),
            f"selectinload({owner}.{other.path})",
            f"Load one of the two, or both, by a statement of its own.{needless}",
        ),
        queries=(query.number,),
        subject=f"{own.model}: {one.path}, {other.path}",
        evidence={
            "rows": joined.rows,
            f"rows of {owner}": own.distinct or 0,
            f"rows of {one.path}": one.rows,
            f"rows of {other.path}": other.rows,
            "repeated bytes, about": repeated,
        },
    )


def _of_values(case: Case, queries: list[Query], tables: tuple[str, str]) -> Finding:
    first = queries[0]
    sqlalchemy = framework_of(case.trace, first) == "sqlalchemy"
    rows = max(query.rows or 0 for query in queries)
    return of_line(
        case,
        queries,
        code=CODE,
        name=NAME,
        severity="info",
        confidence="medium",
        message=(
            f"{place(first.origin)} joins {' and '.join(tables)} side by side, which multiply each "
            f"other, to {rows:,} rows of {what(first)}."
        ),
        mend=Mend(
            position_of(first),
            "selectinload(...)" if sqlalchemy else ".prefetch_related(...)",
            "Ask for one of the two collections by a statement of its own.",
        ),
        subject=f"{what(first)}: {tables[0]}, {tables[1]}",
        evidence={"rows": rows},
    )


# -- what the statement alone tells -----------------------------------------------------------


def _branches(query: Query) -> tuple[str, str] | None:
    """Return two tables of links that a statement joins side by side, and has columns of."""
    shape = query.shape
    if shape.aggregate or shape.limited or shape.joins < 4:  # noqa: PLR2004 - two through tables
        return None
    clauses = clauses_of(query.statement, query.vendor)
    if clauses is None or clauses.distinct or clauses.grouping.text or clauses.probe:
        return None
    above, through = _tree(clauses)
    used = {column.partition(" ")[0].partition(".")[0] for column in clauses.columns}
    ways = {alias: _way(alias, above) for alias in above}
    for one, other in combinations(through, 2):
        if one in ways[other] or other in ways[one]:
            continue
        shown = [
            any(alias in used and link in ways[alias] for alias in above) for link in (one, other)
        ]
        if all(shown):
            return through[one], through[other]
    return None


def _tree(clauses: Clauses) -> tuple[dict[str, str], dict[str, str]]:
    """Return the alias that each join starts from, and the tables of links by alias.

    A table of links is called after one of the two that it links, ``shop_book_tags``: any other
    that a key leads to may have one row for each.
    """
    above: dict[str, str] = {}
    through: dict[str, str] = {}
    tables = {clauses.alias: clauses.table}
    keyed: set[str] = set()
    for join in clauses.joins:
        tables[join.alias] = join.table
        found = KEYS.fullmatch(join.part.text)
        if found is None:
            continue
        one, key, other, column = found.groups()
        if one == join.alias:
            one, key, other, column = other, column, one, key
        if other != join.alias:
            continue
        above[other] = one
        if column.endswith("_id") and key == "id":
            keyed.add(other)
        elif key.endswith("_id") and column == "id" and one in keyed:
            ends = (tables[above[one]], join.table)
            if any(tables[one].startswith(f"{end}_") for end in ends if end):
                through[one] = tables[one]
    return above, through


def _way(alias: str, above: dict[str, str]) -> tuple[str, ...]:
    found = [alias]
    while found[-1] in above and len(found) <= len(above):
        found.append(above[found[-1]])
    return tuple(found)
