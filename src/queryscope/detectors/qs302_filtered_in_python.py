"""QS302: rows are fetched, and most of them are dropped by a condition in Python.

## What it does

Finds lines whose rows go through a condition on their own columns, by the source: a comprehension
with an `if`, a loop that begins with one, `filter(lambda ...)`. What was read of the rows has to
agree: the columns of the condition on all of them, everything else on a third of them at most. Full
recording only.

## Why it is bad

    cost = dropped rows x (transfer + making an object)

and the table's next rows are dropped, too.

## Example

```python
slots = Slot.objects.filter(day=day)
return [slot.label for slot in slots if slot.status == "free"]
```

## Use instead

```python
return [slot.label for slot in Slot.objects.filter(day=day, status="free")]
```

With SQLAlchemy `.where(Slot.status == "free")`.

## Not flagged

- conditions that a statement cannot have: a function called with the row, a method of it, an
  attribute of a related row, a set that grows in the loop (rows seen before);
- rows that are used otherwise as well: returned, counted, divided into two lists, looked through
  again in a loop;
- results that have a LIMIT, relations loaded along, fewer rows than `filtered_in_python_min_rows`;
- rows of which something is read before the condition, or nothing but the condition's columns;
- what is not seen: templates, `values()`, Core rows, raw cursors, `vars()`, pickles, and rows that
  were still there when their block was judged.

It is an `info`, and as grave as QS304 where that many rows were fetched. What only Python can read
of a column, such as an encrypted text, is not known here: ignore the line.

## Settings

- `filtered_in_python_min_rows` (rows that one line fetched in one Trace, 100).

## Source

A hundred rows: the default of Django's `GET_ITERATOR_CHUNK_SIZE`, what one fetch brings. Django,
"Do database work in the database rather than in Python":
https://docs.djangoproject.com/en/5.2/topics/db/optimization/#do-database-work-in-the-database-rather-than-in-python.
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

CODE = "QS302"
NAME = "filtered-in-python"
LOOKS_AT = ("reads",)
THRESHOLDS: Mapping[str, Threshold] = {
    "filtered_in_python_min_rows": Threshold(
        100, "rows that one line fetched in one Trace and a condition in Python went through"
    ),
}
MAX_KEPT = 1 / 3
"""Share of the rows that more is read of. It comes from a sample of twenty rows and more: where a
third of that is kept, less than half of all is."""


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line most of whose rows a condition drops."""
    for found in reworked(case, "filter"):
        others = [
            rows for name, rows in found.read_rows.items() if name not in found.rework.columns
        ]
        if found.rows < case.threshold("filtered_in_python_min_rows") or not others:
            continue
        if max(others) <= MAX_KEPT * found.rows:
            yield _finding(case, found, max(others))


def _finding(case: Case, found: Reworked, kept: int) -> Finding:
    query = found.query
    names = " and ".join(found.rework.columns)
    model = short(found.results[0].own[0].model)
    sqlalchemy = framework_of(case.trace, query) == "sqlalchemy"
    write = f".where({model}.{found.rework.columns[0]} ...)"
    if not sqlalchemy:
        write = f".filter({found.rework.columns[0]}=...)"
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity_of(case, found.rows),
        confidence="high"
        if found.rows >= 2 * case.threshold("filtered_in_python_min_rows")
        else "medium",
        message=(
            f"{place(query.origin)} fetches {found.rows:,} rows of {what(query)}, and a condition "
            f"on {names} at {place(found.rework.at)} drops most of them."
        ),
        count=len(found.results),
        cost=Cost(statements=len(found.results), rows=found.rows, duration_ns=found.duration_ns),
        origin=query.origin,
        mend=Mend(
            position_of(query),
            write,
            "Put the condition into the statement, where no comparison with NULL is true.",
        ),
        queries=tuple(result.query.number for result in found.results),
        subject=f"{found.results[0].own[0].model}: {', '.join(found.rework.columns)}",
        evidence={
            "rows": found.rows,
            "rows of which more was read, about": kept,
            "condition at": place(found.rework.at),
        },
    )
