"""QS111: a request sends more statements than it may.

## What it does

Counts the statements of a request, without those of transactions, savepoints and the catalogue. It
speaks where they are many and no loop explains most of them: then each has a reason of its own, and
only their number is wrong.

## Why it is bad

    cost = statements x (round trip + client's own time for one)

A statement that finds one row by its key takes the client 130 to 200 us, and the network's round
trip on top. A hundred of them are felt, however quick each is.

## Example

```python
def dashboard(request):
    context = {}
    for panel in PANELS:                 # fifteen panels, each with six statements of its own
        context[panel.name] = panel.context(request)
```

## Use instead

Ask for what belongs together in one statement (`aggregate(total=..., open=..., late=...)`), load
relations with their rows, keep what seldom changes in a cache, and send parts of the page when they
are looked at.

## Not flagged

- requests within the budget;
- requests in which statements that one place repeats are more than half: those have codes of their
  own, or are a batch that is right as it is;
- tests, tasks, scripts and blocks: `query_budget` counts in tests.

## Settings

- `chatty_request_max_statements` (statements of one request, 50).

## Source

Client time of one statement by primary key: 162 us with Django 5.2, 127 us with SQLAlchemy 2.0, on
CPython 3.11 and SQLite. That a page needs no more than 50 different ones is a convention, as every
budget is: set your own.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from queryscope.detectors._openers import milliseconds, place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.endpoint import endpoint_of
from queryscope.trace.events import NOWHERE, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.registry import Case

CODE = "QS111"
NAME = "chatty-request"
THRESHOLDS: Mapping[str, Threshold] = {
    "chatty_request_max_statements": Threshold(50, "statements that one request may send"),
}
_NAMED = 5
"""Lines and tables named in the evidence."""


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding for a request with too many different statements."""
    trace = case.trace
    most = int(case.threshold("chatty_request_max_statements"))
    sent = len(trace.queries) + trace.dropped.get("queries", 0)
    if trace.kind != "request" or sent <= most or trace.statements <= most:
        return
    queries = [query for query in trace.queries if query.counts]
    repeated = {id(repeat): repeat for q in queries if (repeat := case.repeats.repeat_of(q))}
    again = sum(len(repeat.queries) - 1 for repeat in repeated.values())
    if 2 * again > len(queries):
        return
    duration_ns = sum(query.duration_ns for query in queries)
    lines = Counter(place(query.origin) for query in queries)
    tables = Counter(table for query in queries for table in query.shape.reads)
    endpoint = endpoint_of(trace)
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        confidence="high",
        message=(
            f"The request sends {trace.statements} statements, {len(queries) - again} of them "
            f"different, in {milliseconds(duration_ns)} ms; {most} are its budget."
        ),
        count=trace.statements,
        cost=Cost(
            statements=trace.statements,
            avoidable=trace.statements - most,
            rows=trace.rows,
            duration_ns=duration_ns,
        ),
        origin=NOWHERE if endpoint is None else Origin((endpoint,)),
        mend=Mend(
            endpoint,
            "",
            "Ask for what belongs together in one statement, and keep what seldom changes in a "
            "cache; the lines that ask most stand in the evidence.",
        ),
        queries=tuple(query.number for query in queries),
        subject=trace.name,
        evidence={"lines": _most(lines), "tables": _most(tables)},
    )


def _most(found: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in found.most_common(_NAMED))
