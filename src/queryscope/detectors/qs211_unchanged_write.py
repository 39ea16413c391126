"""QS211: rows are written back with the values that they were loaded with.

## What it does

Finds lines that save rows of which nothing was changed since they were loaded: every column of the
UPDATE has the value that came from the database. Some rows of each statement are looked at, so that
there may be more than the finding says. Django, in full recording; SQLAlchemy by itself writes
changed columns only.

## Why it is bad

    cost = rows x (round trip + UPDATE + log + lock), and what somebody else wrote meanwhile is lost

## Example

```python
for book in Book.objects.all():
    if book.price < 0:
        book.price = 0
    book.save()                             # also where nothing was below zero
```

## Use instead

```python
Book.objects.filter(price__lt=0).update(price=0)

if form.has_changed():
    form.save()
```

## Not flagged

- fewer rows than `unchanged_write_min_rows`: a form that was sent as it was;
- a value that differs, also one that `save()` itself sets, such as that of `auto_now`;
- rows with a column whose value can change in place (JSON, arrays), with expressions, with several
  tables; rows that were locked, `update_or_create()` among them;
- a table that another line wrote between the load and the UPDATE: that takes its change back;
- data migrations.

## Settings

- `unchanged_write_min_rows` (rows that one line wrote in one Trace, 3).

## Source

Django, "How Django knows to UPDATE vs. INSERT": `save()` sends all columns, changed or not:
https://docs.djangoproject.com/en/5.2/ref/models/instances/#saving-objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._loops import in_migration
from queryscope.detectors._openers import place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Frame, Query, TemplateNode, Trace

CODE = "QS211"
NAME = "unchanged-write"
THRESHOLDS: Mapping[str, Threshold] = {
    "unchanged_write_min_rows": Threshold(
        3, "rows that one line wrote back as they were in one Trace, from which on it is named"
    ),
}


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that writes rows back as they were."""
    trace = case.trace
    groups: dict[tuple[Frame | TemplateNode | None, str], list[Query]] = {}
    for update, load in trace.unchanged:
        if not (0 <= load < update < len(trace.queries)):
            continue
        query = trace.queries[update]
        if query.error is None and query.shape.kind == "update" and not query.shape.locks:
            if in_migration(query.origin.steps) or _was_written(trace, load, query):
                continue
            key = query.origin.first, ", ".join(sorted(query.shape.writes))
            groups.setdefault(key, []).append(query)
    for (_, table), queries in groups.items():
        if len(queries) >= case.threshold("unchanged_write_min_rows"):
            yield _finding(table, queries)


def _was_written(trace: Trace, load: int, query: Query) -> bool:
    """Tell whether another line wrote the table since the row was loaded."""
    return any(
        other.shape.is_write
        and other.shape.writes & (query.shape.writes | {"*"})
        and other.origin.first != query.origin.first
        for other in trace.queries[load + 1 : query.number]
    )


def _finding(table: str, queries: list[Query]) -> Finding:
    first = queries[0]
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="medium",
        message=(
            f"{len(queries)} rows of {table} are written back as they were loaded, at "
            f"{place(first.origin)}."
        ),
        count=len(queries),
        cost=Cost(
            statements=len(queries),
            avoidable=len(queries),
            rows=sum(query.rows or 0 for query in queries),
            duration_ns=sum(query.duration_ns for query in queries),
        ),
        origin=first.origin,
        mend=Mend(
            first.origin.first,
            "",
            "Save only what was changed: compare first, ask form.has_changed(), or let one "
            "update() choose the rows.",
        ),
        queries=tuple(query.number for query in queries),
        subject=table,
        evidence={"rows": len(queries)},
    )
