"""QS509: a request that is meant to read writes to the database.

## What it does

Finds inserts, updates and deletes that a line of your code sends while a request with a safe
method (`GET`, `HEAD`, `OPTIONS`, `TRACE`) is answered, and that are committed.

## Why it is bad

Browsers, caches, crawlers and link previews send safe requests as often as they like, and repeat
them after an error. A page that writes takes row locks while it is read, needs the primary where a
replica would do, and cannot be cached. Cost: the time of the writes.

    cost = writes x (round trip + locks until the commit)

## Example

```python
def article(request, pk):                       # GET /articles/1/
    found = get_object_or_404(Article, pk=pk)
    Article.objects.filter(pk=pk).update(views=F("views") + 1)
    return render(request, "article.html", {"article": found})
```

## Use instead

Let a `POST` change what the user changes. Count and mark outside the request: in a queue, from the
access log, in a cache that is written back in one statement.

## Not flagged

- what no line of yours asked for: session, authentication and CSRF middleware;
- log, audit, session, cache, throttle and visit tables, by their names, and columns like
  `last_login` and `last_seen`: HTTP allows a safe request to be noted;
- what was rolled back, failed, or changed no row; temporary tables;
- `SELECT ... FOR UPDATE`;
- tasks, scripts, tests and blocks: only requests have a method.

## Settings

- `write_in_get_min_writes` (writes of one line in one request, default 1).

## Source

HTTP, "Safe Methods": the client does not expect a state change, and access logs are not one:
https://www.rfc-editor.org/rfc/rfc9110.html#name-safe-methods
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._bookkeeping import is_bookkeeping, is_kept
from queryscope.detectors._openers import place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Frame, Query, TemplateNode

CODE = "QS509"
NAME = "write-in-get"
THRESHOLDS: Mapping[str, Threshold] = {
    "write_in_get_min_writes": Threshold(
        1, "Writes of one line in one request with a safe method, from which on it is flagged."
    ),
}
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that writes while a safe request is answered."""
    trace = case.trace
    method = trace.attributes.get("method", "").upper()
    if trace.kind != "request" or method not in SAFE:
        return
    by_line: dict[Frame | TemplateNode | None, list[Query]] = {}
    for query in case.repeats.writes:
        if is_kept(query, trace) and not is_bookkeeping(query):
            by_line.setdefault(query.origin.first, []).append(query)
    for queries in by_line.values():
        if len(queries) >= case.threshold("write_in_get_min_writes"):
            yield _finding(method, queries)


def _finding(method: str, queries: list[Query]) -> Finding:
    tables = sorted({table for query in queries for table in query.shape.writes - {"*"}})
    written = ", ".join(tables) or "a table"
    origin = queries[0].origin
    times = "once" if len(queries) == 1 else f"{len(queries)} times"
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        confidence="high",
        message=f"A {method} request writes {written}, {times}, at {place(origin)}.",
        count=len(queries),
        cost=Cost(
            statements=len(queries),
            rows=sum(query.rows or 0 for query in queries),
            duration_ns=sum(query.duration_ns for query in queries),
        ),
        origin=origin,
        mend=Mend(
            origin.first,
            "",
            "Let a POST make this change; what only counts or marks goes to a queue or a cache, "
            "and is written outside of the request.",
        ),
        queries=tuple(query.number for query in queries),
        subject=written,
        evidence={
            "method": method,
            "statements": ", ".join(sorted({query.shape.kind for query in queries})),
            "tables": written,
        },
    )
