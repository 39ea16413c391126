"""QS110: slow statements wait for one another, though none needs the other's answer.

## What it does

Finds SELECTs that follow one another on one thread, each of them slow, of which the later ones
provably do not use what the earlier ones returned: they have no parameters, or only values that had
been sent before the first of them. It says what sending them together would save.

## Why it is bad

    cost = sum of the statements - the slowest of them

## Example

```python
totals = Order.objects.aggregate(total=Sum("amount"))        # 90 ms
late = Invoice.objects.filter(paid=False).count()            # 80 ms, needs no total
```

## Use instead

```python
async with asyncio.TaskGroup() as group:                     # a session for each
    totals = group.create_task(read_totals())
    late = group.create_task(read_late())
```

Each needs a connection of its own: two for one request are two fewer for others (QS505). One
statement that answers both is better still.

## Not flagged

- statements that load a relation, or whose parameters may come from an earlier answer;
- statements in a transaction that has written: on another connection they would not see it;
- repeated statements, which have codes of their own; writes and row locks;
- what saves less than the thresholds.

It is always an `info`: whether a second connection is worth it, the code cannot tell.

## Settings

- `serial_min_saved_ms` (milliseconds saved, 100).
- `serial_min_saved_percent` (share of the request saved, 10).
- `serial_statement_min_ms` (milliseconds of each statement, 30).

## Source

Amdahl's law: what runs at the same time as the slowest part costs nothing more. Statements shorter
than 30 ms gain less than what a second connection and task switching take under load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import short
from queryscope.detectors._openers import milliseconds, place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query

CODE = "QS110"
NAME = "serial-independent"
THRESHOLDS: Mapping[str, Threshold] = {
    "serial_min_saved_ms": Threshold(100, "milliseconds that sending together would save"),
    "serial_min_saved_percent": Threshold(10, "share of the whole that it would save, in percent"),
    "serial_statement_min_ms": Threshold(30, "milliseconds from which a statement is slow here"),
}


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a run of slow statements that could go together."""
    least_ns = case.threshold("serial_statement_min_ms") * 1e6
    if sum(query.duration_ns >= least_ns for query in case.trace.queries) <= 1:
        return
    for run in _runs(case):
        total_ns = sum(query.duration_ns for query in run)
        saved_ns = total_ns - max(query.duration_ns for query in run)
        if saved_ns < case.threshold("serial_min_saved_ms") * 1e6:
            continue
        if saved_ns * 100 < case.trace.duration_ns * case.threshold("serial_min_saved_percent"):
            continue
        names = [short(q.model) or ", ".join(sorted(q.shape.reads)) or "a statement" for q in run]
        yield Finding(
            code=CODE,
            name=NAME,
            severity="info",
            confidence="medium",
            message=(
                f"{len(run)} statements ({', '.join(names)}) wait for one another, "
                f"{milliseconds(total_ns)} ms, and need nothing of one another: together they "
                f"would save {milliseconds(saved_ns)} ms."
            ),
            count=len(run),
            cost=Cost(statements=len(run), duration_ns=saved_ns),
            origin=run[0].origin,
            mend=Mend(
                run[0].origin.first,
                "",
                "Send them at the same time, each on a connection of its own, or ask for both in "
                "one statement.",
            ),
            queries=tuple(query.number for query in run),
            subject=" + ".join(names),
            evidence={"statements": "; ".join(place(query.origin) for query in run)},
        )


def _runs(case: Case) -> Iterator[list[Query]]:
    """Yield the runs of slow, independent SELECTs of each thread, two or more each."""
    running: dict[int, list[Query]] = {}
    asked: dict[int, set[str]] = {}
    wrote: set[tuple[int, int | None]] = set()
    least_ns = case.threshold("serial_statement_min_ms") * 1e6
    for query in case.trace.queries:
        if not query.counts:
            continue
        run = running.setdefault(query.thread, [])
        known = asked.setdefault(query.thread, set())
        transaction = query.connection, query.transaction
        if query.shape.is_write and query.transaction is not None:
            wrote.add(transaction)
        slow = query.duration_ns >= least_ns
        if slow and _is_alone(case, query) and transaction not in wrote:
            if run and _needs_nothing(query, known):
                run.append(query)
                continue
            yield from _ended(run)
            running[query.thread] = [query]
            known.add(query.parameters_key)
            continue
        if slow or query.shape.is_write:
            yield from _ended(run)
            running[query.thread] = []
        if not running[query.thread]:
            known.add(query.parameters_key)  # sent before the run began
    for run in running.values():
        yield from _ended(run)


def _is_alone(case: Case, query: Query) -> bool:
    shape = query.shape
    return (
        shape.kind == "select"
        and not shape.locks
        and query.load is None
        and query.error is None
        and case.repeats.repeat_of(query) is None
    )


def _needs_nothing(query: Query, known: set[str]) -> bool:
    """Tell whether all of a statement's parameters were known before the run it would join."""
    return query.parameters_key == "" or query.parameters_key in known


def _ended(run: list[Query]) -> Iterator[list[Query]]:
    if len(run) > 1:
        yield run
