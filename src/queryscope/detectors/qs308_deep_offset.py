"""QS308: a page far behind the first is fetched by OFFSET, which reads all rows before it.

## What it does

Names SELECTs with an OFFSET over the threshold, written out or as a parameter.

## Why it is bad

The database finds, sorts and throws away every row before the page:

    cost = (OFFSET + LIMIT) rows read for LIMIT rows handed out

A crawler that walks through n pages of k rows reads k x n^2 / 2 rows. And what is inserted on an
earlier page meanwhile shifts rows from one page to the next.

## Example

    books = Book.objects.order_by("id")[20_000:20_050]

## Use instead

Go on from the last key of the page before:

    books = Book.objects.filter(id__gt=last_id).order_by("id")[:50]

or offer no page numbers that far (date ranges, a search).

## Not flagged

First pages; an OFFSET below the threshold; scripts; statements whose OFFSET is not known.

## Settings

- `deep_offset_min_rows` (rows passed over, 1,000).

## Source

PostgreSQL, "LIMIT and OFFSET": "the rows skipped by an OFFSET clause still have to be computed
inside the server; therefore a large OFFSET might be inefficient".
https://www.postgresql.org/docs/current/queries-limit.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import framework_of, position_of, short
from queryscope.detectors._openers import place
from queryscope.detectors._sets import what
from queryscope.detectors._statements import by_line, finding, times
from queryscope.detectors.finding import Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case

CODE = "QS308"
NAME = "deep-offset"
THRESHOLDS: Mapping[str, Threshold] = {
    "deep_offset_min_rows": Threshold(1_000, "rows that an OFFSET passes over"),
}


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that fetches pages far behind."""
    if case.trace.kind == "script":
        return
    least = case.threshold("deep_offset_min_rows")
    for queries in by_line(case, each=lambda query: (query.offset or 0) >= least):
        first = queries[0]
        deepest = max(query.offset or 0 for query in queries)
        if framework_of(case.trace, first) == "sqlalchemy":
            write = f".where({short(first.model) or 'Model'}.id > last_id)"
        else:
            write = ".filter(pk__gt=last_pk)"
        yield finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            severity="warning",
            confidence="high",
            message=(
                f"{place(first.origin)} passes over {deepest:,} rows of {what(first)} with OFFSET "
                f"to fetch {first.rows if first.rows is not None else 'some'}{times(queries)}."
            ),
            mend=Mend(
                position_of(first),
                write,
                "Order by a key, and go on from the last one of the page before, instead of "
                "OFFSET; or offer no pages that far behind.",
            ),
            subject=what(first),
            evidence={"offset": deepest, "rows": sum(query.rows or 0 for query in queries)},
        )
