"""QS511: a loop makes the session flush before each of its queries.

## What it does

Finds SQLAlchemy's autoflush at work in a loop: the loop changes or adds an object, its next query
makes the session write that one object first, and so on, turn by turn.

## Why it is bad

    cost = turns x (looking through the session + round trip of the write)

Objects that would go into the database together, in one flush behind the loop, go one by one; each
flush also looks at every object of the session.

## Example

```python
for row in rows:
    author = session.get(Author, row["author"])     # flushes the Book of the turn before
    session.add(Book(title=row["title"], author=author))
```

## Use instead

```python
with session.no_autoflush:
    for row in rows:
        author = session.get(Author, row["author"])
        session.add(Book(title=row["title"], author=author))
session.flush()
```

Better still, load all that the loop asks for in one query before it.

## Not flagged

- one flush of many objects, also when a query caused it;
- `flush()` and `commit()` that the code itself calls (QS107 and QS507 speak of those);
- queries that caused no write: nothing had changed;
- a savepoint in each turn: a bad row must not take the others with it;
- fewer turns than the threshold; queries of several places.

Where the query asks for rows of a table that the flush has just written, the loop may need it (it
looks for what an earlier turn added): confidence is medium, and the advice says so. Django has no
autoflush.

## Settings

- `flush_storm_min_flushes` (flushes that the queries of one place caused, default 5).

## Source

SQLAlchemy, "Autoflush" and `Session.no_autoflush`:
https://docs.sqlalchemy.org/en/20/orm/session_api.html#sqlalchemy.orm.Session.no_autoflush
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._openers import place
from queryscope.detectors._words import loop_position
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query

CODE = "QS511"
NAME = "flush-storm"
THRESHOLDS: Mapping[str, Threshold] = {
    "flush_storm_min_flushes": Threshold(
        5, "Flushes that the queries of one place caused, one a turn, from which on it is flagged."
    ),
}


class _Flush(NamedTuple):
    """One autoflush: its statements, and the query that caused it, if that was sent."""

    writes: tuple[Query, ...]
    cause: Query | None


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each place whose queries flush turn by turn."""
    if not case.repeats.writes:
        return
    by_place: dict[tuple[object, ...], list[_Flush]] = {}
    isolated: set[tuple[object, ...]] = set()
    flushes = list(_flushes(case))
    for flush, after_savepoint in flushes:
        where = _place(flush.writes[0])
        by_place.setdefault(where, []).append(flush)
        if after_savepoint and len(by_place[where]) > 1:
            isolated.add(where)
    for where, found in by_place.items():
        if len(found) >= case.threshold("flush_storm_min_flushes") and where not in isolated:
            yield _finding(case, found)


def _place(query: Query) -> tuple[object, ...]:
    return query.session, query.thread, query.origin.steps


def _flushes(case: Case) -> Iterator[tuple[_Flush, bool]]:
    """Yield each autoflush, and whether its session set a savepoint since the one before."""
    writes: dict[int, list[Query]] = {}
    savepoints: set[int] = set()
    for query in case.trace.queries:
        session = query.session
        if session is None or not query.origin.steps:
            continue
        pending = writes.get(session)
        if query.operation == "autoflush" and query.shape.kind not in ("savepoint", "transaction"):
            if pending and _place(pending[0]) != _place(query):
                yield _Flush(tuple(pending), None), session in savepoints
                savepoints.discard(session)
                pending.clear()
            writes.setdefault(session, []).append(query)
            continue
        if pending:
            yield _Flush(tuple(pending), query), session in savepoints
            savepoints.discard(session)
            pending.clear()
        if query.shape.kind == "savepoint":
            savepoints.add(session)
    for session, left in writes.items():
        if left:
            yield _Flush(tuple(left), None), session in savepoints


def _finding(case: Case, flushes: list[_Flush]) -> Finding:
    queries = [query for flush in flushes for query in flush.writes]
    tables = {table for query in queries for table in query.shape.writes - {"*"}}
    causes = [flush.cause for flush in flushes if flush.cause is not None]
    needed = sorted({table for cause in causes for table in cause.shape.reads} & tables)
    written = ", ".join(sorted(tables)) or "rows"
    origin = queries[0].origin
    repeat = case.repeats.repeat_of(queries[0])
    at = loop_position(None if repeat is None else repeat.loop, origin)
    how = "Put the loop into this block and flush once behind it"
    if needed:
        how += (
            f"; the query reads {', '.join(needed)}, so keep what the loop adds in a dictionary "
            "and look there"
        )
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        confidence="medium" if needed else "high",
        message=(
            f"The query at {place(origin)} makes the session flush {written} {len(flushes)} times, "
            f"{len(queries)} statements, before it is sent itself."
        ),
        count=len(flushes),
        cost=Cost(
            statements=len(queries),
            avoidable=len(queries) - len(flushes[0].writes),
            rows=sum(query.rows or 0 for query in queries),
            duration_ns=sum(query.duration_ns for query in queries),
        ),
        origin=origin,
        mend=Mend(at, "with session.no_autoflush:", f"{how}."),
        queries=tuple(query.number for query in queries),
        subject=f"autoflush {written}",
        evidence={
            "flushes": len(flushes),
            "statements": len(queries),
            "tables": written,
            **({"the query reads them": ", ".join(needed)} if needed else {}),
        },
    )
