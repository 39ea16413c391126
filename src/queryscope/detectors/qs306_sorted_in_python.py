"""QS306: rows are fetched in one order and sorted into another.

## What it does

Finds lines whose rows are sorted by their own columns, by the source: `sorted(rows, key=...)` or
`rows.sort(key=...)` with a lambda or an `attrgetter` that takes columns and nothing else. What was
read of the rows has to agree: the columns of the key on all of them. Full recording only.

## Why it is bad

    cost = rows x log2(rows) comparisons in Python

An index may give that order for nothing, and only a statement in order can have a LIMIT: as long as
Python sorts, all rows have to come.

## Example

```python
books = sorted(Book.objects.filter(shop=shop), key=lambda book: -book.price)
```

## Use instead

```python
books = Book.objects.filter(shop=shop).order_by("-price")
```

With SQLAlchemy `.order_by(Book.price.desc())`. Text and NULL may stand elsewhere than in Python:
the database sorts by its collation, and Python raises at None.

## Not flagged

- keys that are computed: a method, a function, a related row, parts in different directions;
- rows of several results in one list, rows that are sorted in two ways, `{% regroup %}` and all
  that templates sort;
- results that have a LIMIT (a page put into another order), relations loaded along, fewer rows than
  `sorted_in_python_min_rows`;
- what is not seen: `values()`, Core rows, raw cursors, `vars()`, pickles, and rows that were still
  there when their block was judged.

Every one is an `info`.

## Settings

- `sorted_in_python_min_rows` (rows that one line fetched in one Trace, 50).

## Source

Fifty rows: what a page shows. Fewer fit on one whoever sorts them, so that no LIMIT is lost.
Django, `order_by()`: https://docs.djangoproject.com/en/5.2/ref/models/querysets/#order-by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import framework_of, position_of, short
from queryscope.detectors._openers import place
from queryscope.detectors._reworked import reworked
from queryscope.detectors._sets import what
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors._reworked import Reworked
    from queryscope.detectors.registry import Case

CODE = "QS306"
NAME = "sorted-in-python"
LOOKS_AT = ("reads",)
THRESHOLDS: Mapping[str, Threshold] = {
    "sorted_in_python_min_rows": Threshold(
        50, "rows that one line fetched in one Trace and Python sorted"
    ),
}


def detect(case: Case) -> Iterator[Finding]:
    """Yield an info for each line whose rows are sorted by columns of theirs."""
    for found in reworked(case, "sort"):
        if found.rows >= case.threshold("sorted_in_python_min_rows"):
            yield _finding(case, found)


def _finding(case: Case, found: Reworked) -> Finding:
    query, rework = found.query, found.rework
    model = short(found.results[0].own[0].model)
    if framework_of(case.trace, query) == "sqlalchemy":
        suffix = ".desc()" if rework.verb else ""
        order = ", ".join(f"{model}.{name}{suffix}" for name in rework.columns)
    else:
        order = ", ".join(f'"{rework.verb}{name}"' for name in rework.columns)
    write = f".order_by({order})"
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="high",
        message=(
            f"{place(query.origin)} fetches {found.rows:,} rows of {what(query)}, and "
            f"{place(rework.at)} sorts them by {' and '.join(rework.columns)}."
        ),
        count=len(found.results),
        cost=Cost(statements=len(found.results), rows=found.rows, duration_ns=found.duration_ns),
        origin=query.origin,
        mend=Mend(
            position_of(query),
            write,
            "Let the statement ask for that order, and take the sort out; text stands in the order "
            "of the database's collation then.",
        ),
        queries=tuple(result.query.number for result in found.results),
        subject=f"{found.results[0].own[0].model}: {', '.join(rework.columns)}",
        evidence={"rows": found.rows, "sorted at": place(rework.at)},
    )
