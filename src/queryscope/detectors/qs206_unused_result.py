"""QS206: rows are loaded and nobody reads any of them.

## What it does

Finds statements of which not one column of one row, nor a relation of one, was read: the work is
thrown away on this path. Full recording only.

## Why it is bad

    cost = round trip + statement + rows x (transfer + making an object), for nothing

## Example

```python
def calendar(request, day):
    slots = list(Slot.objects.filter(day=day))       # read below, but not on a holiday
    bookings = list(Booking.objects.filter(day=day))
    if is_holiday(day):
        return render(request, "closed.html")
```

## Use instead

Ask first whether the rows are needed:

```python
if is_holiday(day):
    return render(request, "closed.html")
slots = list(Slot.objects.filter(day=day))
```

Where only the number of rows counts, or whether there are any: `count()` and `exists()`.

## Not flagged

- fewer rows than `unused_result_min_rows`: a row that is loaded to see that it exists;
- relations that were loaded along (QS112), rows of `SELECT ... FOR UPDATE`, writes;
- rows with annotations, files or other values whose reading is not seen;
- what is not seen: `values()`, Core rows, raw cursors, `vars()`, pickles, and rows that were still
  there when their block was judged;
- requests that failed, data migrations.

## Settings

- `unused_result_min_rows` (rows that one line loaded in one Trace, 5).

## Source

Django, "Database access optimization", "Don't retrieve things you don't need":
https://docs.djangoproject.com/en/5.2/topics/db/optimization/#don-t-retrieve-things-you-don-t-need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import position_of, short
from queryscope.detectors._openers import place
from queryscope.detectors._results import by_place, results
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors._results import Result
    from queryscope.detectors.registry import Case

CODE = "QS206"
NAME = "unused-result"
THRESHOLDS: Mapping[str, Threshold] = {
    "unused_result_min_rows": Threshold(
        5, "rows that one line loaded in one Trace and nobody read, from which on it is named"
    ),
}


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line whose rows nobody read, in none of its runs."""
    found = [result for result in results(case) if not _is_eager(result)]
    for group in by_place(found):
        rows = sum(read.rows for result in group for read in result.own)
        seen = any(result.is_read or _has_more(result) for result in group)
        if not seen and rows >= case.threshold("unused_result_min_rows"):
            yield _finding(group, rows)


def _is_eager(result: Result) -> bool:
    """Tell whether a statement loaded the relation or columns of rows that were there."""
    return result.query.load is not None or not result.own


def _has_more(result: Result) -> bool:
    """Tell whether values came along whose reading is not seen."""
    return any(read.opaque or not read.columns for read in result.reads)


def _finding(group: list[Result], rows: int) -> Finding:
    first = group[0].query
    what = short(first.model) or short(group[0].own[0].model) or "a class"
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="medium",
        message=(
            f"{rows:,} rows of {what} are loaded at {place(first.origin)}, and nothing of any of "
            "them is read."
        ),
        count=len(group),
        cost=Cost(
            statements=len(group),
            avoidable=len(group),
            rows=rows,
            duration_ns=sum(result.query.duration_ns for result in group),
        ),
        origin=first.origin,
        mend=Mend(
            position_of(first),
            "",
            "Load the rows where they are needed, behind the check that makes them needless here; "
            "where only their number counts, ask for count() or exists().",
        ),
        queries=tuple(result.query.number for result in group),
        subject=first.shape.text,
        evidence={"rows": rows, "runs": len(group)},
    )
