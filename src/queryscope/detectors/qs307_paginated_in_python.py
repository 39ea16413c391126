"""QS307: all rows are fetched, and a page of them is cut out in Python.

## What it does

Finds SELECTs without a LIMIT whose result is used for nothing but a slice from its front, by the
source of the line that asked: `list(...)[:10]`, `.all()[a:b]`, `Paginator(list(...), 25)`,
`islice(...)`, also where the rows are given a name first.

## Why it is bad

    cost = (all rows - rows of the page) x (transfer + making an object)

and every new row makes each page slower.

## Example

    books = list(Book.objects.order_by("id"))
    return books[start:start + 20]

## Use instead

    return Book.objects.order_by("id")[start:start + 20]

With SQLAlchemy `select(Book).order_by(Book.id).offset(start).limit(20)`.

## Not flagged

Slices of a queryset that has not been evaluated, which become LIMIT and OFFSET; rows that are used
besides, sorted or filtered in Python before the cut, returned or handed on; the last rows
(`[-5:]`), all but the first, every second one; results of one row and less. What is cut by other
code than the function that asked is left to read tracking: rows that came and were not read.

## Settings

None: what is cut does not depend on a number.

## Source

Django, "Limiting QuerySets":
https://docs.djangoproject.com/en/5.2/topics/db/queries/#limiting-querysets
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import framework_of
from queryscope.detectors._openers import place
from queryscope.detectors._sets import what
from queryscope.detectors._statements import by_line, finding, times
from queryscope.detectors.finding import Mend
from queryscope.trace.events import Frame
from queryscope.trace.usage import use_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case, Threshold
    from queryscope.trace.events import Query

CODE = "QS307"
NAME = "paginated-in-python"
THRESHOLDS: Mapping[str, Threshold] = {}


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that cuts a page out of all rows."""
    for queries in by_line(case, _fetches_all, each=lambda query: (query.rows or 0) > 1):
        first = queries[0]
        at = first.origin.first
        use = use_of(at) if isinstance(at, Frame) else None
        if use is None or use.kind != "page":
            continue
        rows = max(query.rows or 0 for query in queries)
        sqlalchemy = framework_of(case.trace, first) == "sqlalchemy"
        yield finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            severity="warning",
            confidence="high",
            message=(
                f"{place(first.origin)} fetches all {rows:,} rows of {what(first)} and cuts a page "
                f"out of them{times(queries)}."
            ),
            mend=Mend(
                at,
                ".offset(start).limit(size)" if sqlalchemy else "[start:stop]",
                "Let the database cut the page: limit the statement, in a settled order, before it "
                "is sent.",
            ),
            subject=what(first),
            evidence={"rows": sum(query.rows or 0 for query in queries)},
        )


def _fetches_all(query: Query) -> bool:
    if query.load is not None and query.load.batched:
        return False  # the rows are for others
    shape = query.shape
    return not (shape.limited or shape.aggregate)
