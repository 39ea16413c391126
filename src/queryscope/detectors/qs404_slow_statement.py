"""QS404: a statement is slow, and its plan says what it does all the time.

## What it does

Finds statements over a threshold of time, and says what the database does for them. In tests, where
time says little and tables are small, the plan decides: rows of the tables that are read from one
end to the other. It needs the database: `queryscope scan --plans` and `queryscope plan` find it.

## Why it is bad

    cost = duration x times sent, of the request and of a connection that others wait for

## Example

```python
Order.objects.filter(note__contains="gift").order_by("-total")
```

## Use instead

Read the plan, and mend what it names: a table that is read from one end to the other (QS401,
QS312), a sort without an index, a temporary table.

## Not flagged

- statements below `slow_statement_ms`, however often they are sent;
- in tests, whatever the clock says: a busy machine is slow, not the statement;
- scripts and migrations, which may take their time.

A statement without a plan is said to be slow all the same, with the reason why there is none.

## Settings

- `slow_statement_ms` (milliseconds of one statement, 500; in tests never);
- `slow_statement_min_rows` (rows of tables that are read whole, in tests, 100,000).

## Source

Half a second is a fifth of the 2.5 s in which the largest part of a page should be there:
https://web.dev/articles/lcp. Fetching rows is not part of a statement's time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import position_of
from queryscope.detectors._openers import place
from queryscope.detectors._plans import by_place, finding
from queryscope.detectors.finding import Mend
from queryscope.detectors.registry import Threshold
from queryscope.plans.candidates import scanned_tables
from queryscope.plans.words import meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.planned import Planned
    from queryscope.plans.study import Sent, Studied

CODE = "QS404"
NAME = "slow-statement"
THRESHOLDS: Mapping[str, Threshold] = {
    "slow_statement_ms": Threshold(
        {"development": 500, "tests": 3_600_000, "production": 500}, "milliseconds of one statement"
    ),
    "slow_statement_min_rows": Threshold(
        100_000, "rows of tables that are read whole, which is slow in tests"
    ),
}
_NS = 1_000_000


def detect_plans(planned: Planned) -> Iterator[Finding]:
    """Yield a finding for each line that sends a slow statement."""
    least_ns = planned.threshold("slow_statement_ms") * _NS
    least_rows = planned.threshold("slow_statement_min_rows")
    for studied, group in by_place(planned):
        sent = [one for one in group if one.trace.kind != "script"]
        slow = [one for one in sent if one.query.duration_ns >= least_ns]
        tested = [one for one in sent if one.trace.mode == "tests"]
        rows = _rows(studied)
        if slow:
            slow.sort(key=lambda one: -one.query.duration_ns)
            yield _finding(studied, slow, f"took {slow[0].query.duration_ns / _NS:,.0f} ms")
        elif tested and rows >= least_rows:
            yield _finding(studied, tested, f"reads about {rows:,} rows")


def _rows(studied: Studied) -> int:
    plan = studied.plan
    return 0 if plan is None else sum(plan.rows_in(table) for table in scanned_tables(plan, 1))


def _finding(studied: Studied, group: list[Sent], what: str) -> Finding:
    query = group[0].query
    if studied.plan is not None:
        plan = f"the database {meaning_of(studied.plan)}"
    else:
        plan = f"there is no plan ({studied.refusal.rstrip('.')})"
    times = "" if len(group) == 1 else f", the slowest of {len(group)}"
    return finding(
        studied,
        group,
        code=CODE,
        name=NAME,
        severity="warning",
        confidence="high" if studied.plan is not None else "medium",
        message=f"A statement of {place(query.origin)} {what}{times}: {plan}.",
        mend=Mend(position_of(query), "", "Mend what the plan names."),
        subject=", ".join(sorted(query.shape.reads | query.shape.writes)) or query.shape.text,
        evidence={"milliseconds": round(query.duration_ns / _NS, 3), "rows read": _rows(studied)},
    )
