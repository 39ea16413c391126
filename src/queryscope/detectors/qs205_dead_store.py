"""QS205: a row is loaded again before anything of it was read.

## What it does

Finds rows that are refreshed (`refresh_from_db()`, `session.refresh()`) although nothing was read
of them, set on them or written since they were loaded, and results whose name is given another
value before it is read. Full recording only.

## Why it is bad

    cost = round trip + statement, for the answer that was there already, or that nobody looks at

## Example

```python
book = Book.objects.get(pk=pk)
book.refresh_from_db()                  # it has just come
return book.title
```

## Use instead

```python
return Book.objects.get(pk=pk).title
```

## Not flagged

- anything written in between, by any statement, or set on the row, which the refresh discards;
- the row was read in between, if only its key; some of its columns are refreshed;
- a transaction that began or ended, an HTTP request, a nested Trace (of a test's client, of a
  task), or a second in between: others may have written meanwhile;
- loops, as they ask again until something has changed; rows that are locked;
- expired rows: reading them loads them;
- rows that were loaded along with others; what only library code does;
- what is not seen: `vars()`, pickles, copies, and rows that were still there when their block was
  judged;
- requests that failed, data migrations.

Every one is an `info`.

## Settings

None: a row is read, or it is not.

## Source

Django, `refresh_from_db()`:
https://docs.djangoproject.com/en/5.2/ref/models/instances/#refreshing-objects-from-database.
SQLAlchemy, "Refreshing / Expiring":
https://docs.sqlalchemy.org/en/20/orm/session_state_management.html#refreshing-expiring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import own_step, position_of, short
from queryscope.detectors._openers import place
from queryscope.detectors._results import results
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.trace.events import Frame
from queryscope.trace.loops import enclosing_loop
from queryscope.trace.usage import overwritten_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors._results import Result
    from queryscope.detectors.registry import Case, Threshold
    from queryscope.trace.events import Query, Trace

CODE = "QS205"
NAME = "dead-store"
LOOKS_AT = ("reads",)
THRESHOLDS: Mapping[str, Threshold] = {}

PATIENCE_NS = 1_000_000_000
"""Who waits for others to write waits for longer than statements of one request are apart."""


def detect(case: Case) -> Iterator[Finding]:
    """Yield an info for each row that is loaded again unread, and for each result unread so."""
    trace = case.trace
    known = {result.query.number: result for result in results(case)}
    chains: dict[int, list[Query]] = {}
    for read in trace.reads:
        if read.before is None or read.path or not 0 <= read.query < len(trace.queries):
            continue
        earlier, reload = known.get(read.before), trace.queries[read.query]
        if earlier is None or not _is_unread(earlier) or not _is_same(trace, earlier.query, reload):
            continue
        chain = chains.pop(read.before, [earlier.query])
        chains[read.query] = [*chain, reload]
    for chain in chains.values():
        yield _of_refresh(known[chain[0].number], chain)
    for result in known.values():
        over = _overwritten(result)
        if over is not None:
            yield _of_name(result, over)


def _is_unread(result: Result) -> bool:
    """Tell whether a result is one row of which nothing was read."""
    return len(result.reads) == 1 and result.own[0].rows == 1 and not result.own[0].read


def _is_same(trace: Trace, earlier: Query, reload: Query) -> bool:
    """Tell whether nothing can have changed the row between two statements that load it."""
    if reload.error is not None or reload.shape.locks or reload.transaction != earlier.transaction:
        return False
    if own_step(reload.origin.steps) is None or enclosing_loop(reload.origin) is not None:
        return False
    if reload.start_ns - earlier.end_ns >= PATIENCE_NS:
        return False
    between = trace.queries[earlier.number + 1 : reload.number]
    if any(query.shape.is_write or query.shape.kind not in _QUIET for query in between):
        return False
    others = [call.start_ns for call in trace.external_calls]
    # A request of a test's client, a task that runs at once: what they write, they have written.
    others += [child.started_at_ns - trace.started_at_ns for child in trace.children]
    return not any(earlier.start_ns <= start_ns <= reload.start_ns for start_ns in others)


_QUIET = frozenset({"select", "savepoint", "catalogue"})
"""Kinds of statements that change no row."""


def _overwritten(result: Result) -> Frame | None:
    """Return where the name of a result is given another value, if nothing of it was read."""
    query = result.query
    at = query.origin.first
    if result.is_read or not isinstance(at, Frame) or query.load is not None or result.joined:
        return None
    return None if any(read.opaque for read in result.own) else overwritten_at(at)


def _of_refresh(first: Result, chain: list[Query]) -> Finding:
    earlier, reload = chain[0], chain[1]
    model = first.own[0].model
    again = len(chain) - 1
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="high",
        message=(
            f"{place(reload.origin)} loads a row of {short(model)} again, and nothing was read of "
            f"it since {place(earlier.origin)} loaded it{'' if again == 1 else f', {again} times'}."
        ),
        count=again,
        cost=Cost(
            statements=len(chain),
            avoidable=again,
            rows=sum(query.rows or 0 for query in chain),
            duration_ns=sum(query.duration_ns for query in chain[1:]),
        ),
        origin=reload.origin,
        mend=Mend(
            reload.origin.first,
            "",
            "Leave the refresh out: nothing was set or written since the row came.",
        ),
        queries=tuple(query.number for query in chain),
        subject=model,
        evidence={"loaded at": place(earlier.origin), "statements": len(chain)},
    )


def _of_name(result: Result, over: Frame) -> Finding:
    query = result.query
    model = result.own[0].model
    rows = sum(read.rows for read in result.own)
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="high",
        message=(
            f"{place(query.origin)} loads {'a row' if rows == 1 else f'{rows:,} rows'} of "
            f"{short(model)}, and {place(over)} gives its name another value before anything of it "
            "was read."
        ),
        count=1,
        cost=Cost(statements=1, avoidable=1, rows=rows, duration_ns=query.duration_ns),
        origin=query.origin,
        mend=Mend(
            position_of(query),
            "",
            "Leave the statement out; where it is to fail without a row, ask exists() and say so.",
        ),
        queries=(query.number,),
        subject=model,
        evidence={"overwritten at": place(over), "rows": rows},
    )
