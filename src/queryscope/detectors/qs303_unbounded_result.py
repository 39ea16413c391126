"""QS303: a result without a LIMIT grows with the table.

## What it does

Finds SELECTs of requests that have no LIMIT and, sent again with the same parameters, gave more
rows as time went on. It needs recorded traffic: `queryscope scan` finds it.

## Why it is bad

    cost = rows of the table x (transfer + making an object)

Nothing is slow on the day it is written. The table grows, and with it time and memory of each
request, until one fails.

## Example

```python
def books(request):
    return render(request, "books.html", {"books": Book.objects.all()})
```

## Use instead

```python
page = Paginator(Book.objects.order_by("pk"), 50).get_page(request.GET.get("page"))
```

SQLAlchemy: `select(Book).order_by(Book.id).limit(50)`. An API gives pages, an export streams.

## Not flagged

- statements with a LIMIT, counts and other aggregates;
- results that stay as they are: look-up tables;
- results of less than `unbounded_result_min_rows`, or that grew by less than a tenth;
- fewer than three Traces with the same parameters: another filter has another number of rows;
- results that shrink in between: work that is done, such as a queue;
- relations of a row, which belong to it; scripts, tasks and tests, which read everything.

## Settings

- `unbounded_result_min_rows` (rows of the largest result, 200).

## Source

Rows are what grows: a result that had 200 rows at a tenth more than before has 2,000 when the table
has ten times as many. Django's pages: https://docs.djangoproject.com/en/5.2/topics/pagination/.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from queryscope.detectors._advice import framework_of, own_step, position_of, short
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.detectors.traffic import Asked, Traffic

CODE = "QS303"
NAME = "unbounded-result"
THRESHOLDS: Mapping[str, Threshold] = {
    "unbounded_result_min_rows": Threshold(200, "rows of a result that has no LIMIT and grew"),
}

MIN_TRACES = 3
MIN_GROWTH = 1.1
"""Rows at the end over rows at the beginning: a tenth, so that one new row is no trend."""


def detect_over(traffic: Traffic) -> Iterator[Finding]:
    """Yield one finding for each place and statement, the parameters with the most rows."""
    groups: dict[tuple[str, str, str], list[Asked]] = defaultdict(list)
    for one in traffic.asked():
        query = one.query
        if _is_unbounded(one):
            groups[query.database, query.statement, query.parameters_key].append(one)
    found: dict[tuple[object, ...], list[Asked]] = {}
    for asked in groups.values():
        last = asked[-1].query
        if (last.rows or 0) >= traffic.threshold("unbounded_result_min_rows") and _grew(asked):
            place = own_step(last.origin.steps), last.database, last.shape.text
            if len(asked) > len(found.get(place, ())):
                found[place] = asked
    for asked in found.values():
        yield _finding(asked)


def _is_unbounded(one: Asked) -> bool:
    query = one.query
    shape = query.shape
    if one.trace.kind != "request" or query.load is not None or query.rows is None:
        return False
    return bool(shape.reads) and not shape.limited and not shape.aggregate


def _grew(asked: Sequence[Asked]) -> bool:
    """Tell whether the rows only ever became more, over enough Traces."""
    rows = [one.query.rows or 0 for one in asked]
    if len({one.trace.id for one in asked}) < MIN_TRACES or not rows[0]:
        return False
    rising = all(before <= after for before, after in pairwise(rows))
    return rising and rows[-1] >= MIN_GROWTH * rows[0]


def _finding(asked: Sequence[Asked]) -> Finding:
    last = asked[-1]
    query = last.query
    what = short(query.model) or ", ".join(sorted(query.shape.reads))
    first_rows, rows = asked[0].query.rows or 0, query.rows or 0
    write = ".limit(50)" if framework_of(last.part, query) == "sqlalchemy" else "[:50]"
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        confidence="medium",
        message=(
            f"{what} is read without a LIMIT and grows: {first_rows:,} rows at first, {rows:,} at "
            f"last, over {len(asked)} statements with the same parameters."
        ),
        count=len(asked),
        cost=Cost(
            statements=len(asked),
            rows=sum(one.query.rows or 0 for one in asked),
            duration_ns=sum(one.query.duration_ns for one in asked),
        ),
        origin=query.origin,
        mend=Mend(position_of(query), write, "Read a page of it, in a fixed order."),
        queries=(query.number,),
        subject=query.shape.text,
        evidence={"rows at first": first_rows, "rows at last": rows},
        trace_id=last.part.id,
    )
