"""QS304: one statement hands out more rows than anybody reads.

## What it does

Names each line whose SELECT handed out more rows than the threshold while a request was answered.

## Why it is bad

    cost = rows x (transfer + making an object + whatever is done with each)

Memory grows with it, too, and what is slow with this table is slower with the next year's.

## Example

    orders = list(Order.objects.filter(shop=shop))
    return render(request, "orders.html", {"orders": orders})

## Use instead

    page = Paginator(orders, 50).get_page(request.GET.get("page"))

or, where every row is needed once, `.iterator()` and `yield_per()`, and sums and counts in SQL.

## Not flagged

- scripts and tasks: exports, mailings and reports read everything, and should;
- what is read in pieces: `.iterator()`, `yield_per()`, `stream()`, `partitions()`;
- writes, and their rows.

Where a LIMIT as large was asked for, it is an `info`: somebody wanted that many.

## Settings

- `large_result_min_rows` (rows that one statement fetched, 1,000); ten times as many are critical.

## Source

Rows to objects take 4-7 us a row of ten columns with SQLAlchemy 2.0 on CPython 3.11, and as long
again to write each into JSON or HTML: 1,000 rows take 10 ms and more of one processor, which no
page shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import position_of
from queryscope.detectors._openers import place
from queryscope.detectors._sets import what
from queryscope.detectors._statements import by_line, finding, in_pieces, times
from queryscope.detectors.finding import Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding, Severity
    from queryscope.detectors.registry import Case

CODE = "QS304"
NAME = "large-result"
THRESHOLDS: Mapping[str, Threshold] = {
    "large_result_min_rows": Threshold(1_000, "rows that one statement fetched"),
}
CRITICAL_FACTOR = 10
"""Times the threshold from which on it is critical."""


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line with a very large result."""
    if case.trace.kind in ("script", "task"):
        return
    least = case.threshold("large_result_min_rows")
    for queries in by_line(case, each=lambda query: (query.rows or 0) >= least):
        if in_pieces(queries[0]):
            continue
        rows = max(query.rows or 0 for query in queries)
        asked_for = all(query.limit is not None for query in queries)
        severity: Severity = "critical" if rows >= CRITICAL_FACTOR * least else "warning"
        first = queries[0]
        yield finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            severity="info" if asked_for else severity,
            confidence="medium" if asked_for else "high",
            message=(
                f"{place(first.origin)} fetches {rows:,} rows of {what(first)} with one statement"
                f"{times(queries)}."
            ),
            mend=Mend(
                position_of(first),
                "",
                "Fetch a page of them, count and sum them in the database, or read them in "
                "pieces: .iterator() of Django, yield_per() of SQLAlchemy.",
            ),
            subject=what(first),
            evidence={"rows": rows, "a limit was asked for": "yes" if asked_for else "no"},
        )
