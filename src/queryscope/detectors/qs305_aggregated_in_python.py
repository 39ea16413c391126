"""QS305: rows are fetched for the sake of one number.

## What it does

Finds lines whose rows become one value, by the source: `sum()`, `min()`, `max()`, `mean()` or the
length of a comprehension over them, or a loop that only adds up. What was read of the rows has to
agree: the columns that go into the value, on all of them, and nothing else but keys. Full recording
only.

## Why it is bad

    cost = rows x (transfer + making an object), for one number

## Example

```python
total = sum(order.amount for order in Order.objects.filter(shop=shop))
```

## Use instead

```python
total = Order.objects.filter(shop=shop).aggregate(total=Sum("amount"))["total"] or 0
```

With SQLAlchemy `select(func.sum(Order.amount))`. Of no rows `Sum` is NULL, where `sum()` is 0.

## Not flagged

- values that a statement cannot compute: a method or a property, a function of the row, a start
  value, totals by group in a dict;
- rows that are listed, returned or handed on as well, or of which more is read somewhere else;
- results that have a LIMIT, relations loaded along, fewer rows than
  `aggregated_in_python_min_rows`;
- `len(rows)` and `if rows`: QS315 speaks of these;
- what is not seen: templates, `values()`, Core rows, raw cursors, `vars()`, pickles, and rows that
  were still there when their block was judged.

It is an `info`, and as grave as QS304 where that many rows were fetched.

## Settings

- `aggregated_in_python_min_rows` (rows that one line fetched in one Trace, 100).

## Source

A hundred rows: the default of Django's `GET_ITERATOR_CHUNK_SIZE`, what one fetch brings. Django,
"Aggregation": https://docs.djangoproject.com/en/5.2/topics/db/aggregation/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import framework_of, position_of, short
from queryscope.detectors._openers import place
from queryscope.detectors._reworked import reworked, severity_of
from queryscope.detectors._sets import what
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors._reworked import Reworked
    from queryscope.detectors.registry import Case
    from queryscope.trace.rework import Rework

CODE = "QS305"
NAME = "aggregated-in-python"
LOOKS_AT = ("reads",)
THRESHOLDS: Mapping[str, Threshold] = {
    "aggregated_in_python_min_rows": Threshold(
        100, "rows that one line fetched in one Trace and that became one number"
    ),
}


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line whose rows become one number."""
    for found in reworked(case, "total"):
        more = found.read_rows.keys() - found.keys - set(found.rework.columns)
        along = any(read.read for result in found.results for read in result.joined)
        if not (more or along) and found.rows >= case.threshold("aggregated_in_python_min_rows"):
            yield _finding(case, found)


def _finding(case: Case, found: Reworked) -> Finding:
    query, rework = found.query, found.rework
    model = short(found.results[0].own[0].model)
    names = " and ".join(rework.columns)
    sqlalchemy = framework_of(case.trace, query) == "sqlalchemy"
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity_of(case, found.rows),
        confidence="high",
        message=(
            f"{place(query.origin)} fetches {found.rows:,} rows of {what(query)}, and all that is "
            f"made of them is one number of {names}."
        ),
        count=len(found.results),
        cost=Cost(statements=len(found.results), rows=found.rows, duration_ns=found.duration_ns),
        origin=query.origin,
        mend=Mend(
            position_of(query),
            _written(rework, model, sqlalchemy=sqlalchemy),
            "Let the database compute it; of no rows it answers NULL, but for a count.",
        ),
        queries=tuple(result.query.number for result in found.results),
        subject=f"{found.results[0].own[0].model}: {', '.join(rework.columns)}",
        evidence={"rows": found.rows, "computed at": place(rework.at), "of": names},
    )


def _written(rework: Rework, model: str, *, sqlalchemy: bool) -> str:
    """Return the expression that asks for the number."""
    column = rework.columns[0] if len(rework.columns) == 1 else ""
    if rework.verb == "Count":
        if sqlalchemy:
            return f"select(func.count()).select_from({model}).where(...)"
        return f".filter({column}{'=' if column else ''}...).count()"
    if sqlalchemy:
        return f"select(func.{rework.verb.lower()}({f'{model}.{column}' if column else '...'}))"
    named = f'"{column}"' if column else "..."
    return f".aggregate({rework.verb}({named}))"
