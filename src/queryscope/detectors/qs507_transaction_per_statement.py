"""QS507: writes that belong together are committed one by one.

## What it does

Finds two things. A loop that commits after each row that it writes. And a request whose writes,
from several lines, each stand in a transaction of their own: in autocommit, or in one that holds
nothing else.

## Why it is bad

A commit waits for the disk and for replicas, and the locks are taken anew. What is worse: an error
in between leaves half of the work done, and nobody knows which half.

    cost = (transactions - 1) x (begin + commit + wait for the disk)

## Example

```python
def order(request):                             # no ATOMIC_REQUESTS
    order = Order.objects.create(customer=customer)
    Line.objects.create(order=order, item=item)
    item.stock -= 1
    item.save()
    customer.orders += 1
    customer.save()
    Shipment.objects.create(order=order)

for row in rows:                                # SQLAlchemy
    session.add(Entry(**row))
    session.commit()
```

## Use instead

```python
with transaction.atomic():                      # Django: all or nothing
    ...

session.add_all(Entry(**row) for row in rows)   # SQLAlchemy: one commit behind the loop
session.commit()
```

## Not flagged

- fewer writes than the threshold; reads, however many transactions they take;
- `bulk_create`, `executemany` and updates of many rows that are committed chunk by chunk;
- transactions that lock their row first (`FOR UPDATE`, a queue's worker), and those between which
  the program works or asks another service for `transaction_apart_ms` or longer: it is right not to
  hold locks over that;
- a group of which one was rolled back: each row for itself, so that a bad one does not take the
  others with it; savepoints;
- a Django loop in autocommit: QS107 has the better advice there;
- sessions, logs, audits and what else is written on the way; migrations, scripts and tests, whose
  transactions may be the test case's. Tasks are information only: they may want to go on where they
  were stopped.

## Settings

- `transaction_per_statement_min_writes` (writes committed alone, default 5).
- `transaction_apart_ms` (milliseconds between two commits from which on they do not belong
  together, default 20).

## Source

PostgreSQL, "Disable Autocommit": https://www.postgresql.org/docs/current/populate.html#DISABLE-AUTOCOMMIT.
Django, "Autocommit mode" and `ATOMIC_REQUESTS`:
https://docs.djangoproject.com/en/5.2/topics/db/transactions/#managing-database-transactions.
Five writes a request is what few requests need that do one thing.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._bookkeeping import is_bookkeeping, is_kept
from queryscope.detectors._loops import in_migration
from queryscope.detectors._openers import place
from queryscope.detectors._words import loop_position
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query, Trace
    from queryscope.trace.site import Site

CODE = "QS507"
NAME = "transaction-per-statement"
THRESHOLDS: Mapping[str, Threshold] = {
    "transaction_per_statement_min_writes": Threshold(
        5, "Writes that belong together and were each committed alone."
    ),
    "transaction_apart_ms": Threshold(
        20, "Milliseconds between two commits from which on they do not belong together."
    ),
}
_MIN_LINES = 2
"""Lines that a unit of work has at least; a loop of one line is QS107's."""


class _Alone(NamedTuple):
    """A write that was committed alone; ``by_hand`` where the code began the transaction."""

    query: Query
    start_ns: int
    end_ns: int
    by_hand: bool


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each loop, and each unit of work, that commits write by write."""
    trace = case.trace
    if trace.kind in ("test", "script") or not case.repeats.writes:
        return
    least = case.threshold("transaction_per_statement_min_writes")
    apart_ns = case.threshold("transaction_apart_ms") * 1e6
    alone = list(_alone(trace))
    undone = _undone(trace)
    by_place: dict[tuple[int, Site], list[_Alone]] = {}
    for write in alone:
        by_place.setdefault((write.query.thread, write.query.origin.steps), []).append(write)
    for (_, steps), writes in by_place.items():
        by_hand = [write for write in writes if write.by_hand]
        if steps in undone:
            continue
        if len(by_hand) >= least and len(_together(by_hand, apart_ns)) >= least:
            yield _loop(case, by_hand)
    if trace.kind != "request":
        return  # a block or a task may run inside a transaction that began before it
    repeated = {key for key, writes in by_place.items() if len(writes) >= least}
    for unit in _units(alone, apart_ns):
        lines = {write.query.origin.first for write in unit}
        if len(unit) >= least and len(lines) >= _MIN_LINES:
            rest = [
                write.query
                for write in unit
                if (write.query.thread, write.query.origin.steps) not in repeated
            ]
            if len({query.origin.first for query in rest}) >= _MIN_LINES:
                yield _unit(unit, rest)


def _alone(trace: Trace) -> Iterator[_Alone]:
    """Yield each write of one row that was committed with nothing else, in order."""
    writes: Counter[int] = Counter()
    locks: set[int] = set()
    inside: set[int] = set()
    for query in trace.queries:
        if query.transaction is not None:
            writes[query.transaction] += query.shape.is_write
            if query.shape.locks:
                locks.add(query.transaction)
        elif query.shape.kind == "savepoint":
            # A savepoint without a transaction: one is open that began before this Trace, as a
            # test case's does.
            inside.add(query.connection)
    for query in trace.queries:
        if not is_kept(query, trace) or is_bookkeeping(query) or in_migration(query.origin.steps):
            continue
        if query.many > 1 or query.many < 0 or (query.rows or 0) > 1:
            continue
        if query.transaction is None:
            if query.connection not in inside:
                yield _Alone(query, query.start_ns, query.end_ns, by_hand=False)
            continue
        transaction = trace.transactions[query.transaction]
        if writes[query.transaction] == 1 and query.transaction not in locks:
            if transaction.savepoints:
                continue
            ended = query.end_ns if transaction.ended_ns is None else transaction.ended_ns
            yield _Alone(query, transaction.started_ns, ended, _is_by_hand(query, trace))


def _is_by_hand(query: Query, trace: Trace) -> bool:
    """Tell whether the code itself ended the transaction of a write.

    Django's ORM begins one of its own at the line that writes: for a deletion, for a relation.
    """
    session = None if query.session is None else trace.sessions[query.session]
    if session is None or session.framework != "django":
        return True
    transaction = trace.transactions[query.transaction or 0]
    return transaction.opener.first not in (None, query.origin.first)


def _undone(trace: Trace) -> set[object]:
    """Return the places whose writes were rolled back once, or failed."""
    return {
        query.origin.steps
        for query in trace.queries
        if query.shape.is_write
        and (
            query.error is not None
            or (
                query.transaction is not None
                and trace.transactions[query.transaction].outcome != "commit"
            )
        )
    }


def _together(writes: list[_Alone], apart_ns: float) -> list[_Alone]:
    """Return the writes that follow closely on another one."""
    found = {}
    for before, after in pairwise(writes):
        if after.start_ns - before.end_ns < apart_ns:
            found[before.query.number] = before
            found[after.query.number] = after
    return list(found.values())


def _units(alone: Iterable[_Alone], apart_ns: float) -> Iterator[list[_Alone]]:
    """Yield runs of writes of one thread and database with nothing long in between."""
    running: dict[tuple[int, str], list[_Alone]] = {}
    for write in alone:
        key = write.query.thread, write.query.database
        run = running.setdefault(key, [])
        if run and write.start_ns - run[-1].end_ns >= apart_ns:
            yield run
            run = running[key] = []
        run.append(write)
    yield from running.values()


def _loop(case: Case, writes: list[_Alone]) -> Finding:
    trace = case.trace
    repeat = case.repeats.repeat_of(writes[0].query)
    queries = [write.query for write in writes]
    origin = queries[0].origin
    session = None if queries[0].session is None else trace.sessions[queries[0].session]
    if session is not None and session.framework == "django":
        write, how = "with transaction.atomic():", "Put the loop into one transaction"
    else:
        write, how = "session.commit()", "Commit once, behind the loop"
    return _finding(
        writes,
        queries,
        severity="info" if trace.kind == "task" else "warning",
        message=(f"{len(writes)} rows written at {place(origin)} are committed one by one."),
        mend=Mend(
            loop_position(None if repeat is None else repeat.loop, origin),
            write,
            f"{how}; where a bad row must not take the others with it, give each a savepoint.",
        ),
    )


def _unit(unit: list[_Alone], rest: list[Query]) -> Finding:
    lines = list(dict.fromkeys(place(write.query.origin) for write in unit))
    return _finding(
        unit,
        rest,
        severity="warning",
        message=(
            f"{len(unit)} writes from {len(lines)} lines are committed one by one: an error in "
            "between leaves half of them done."
        ),
        mend=Mend(
            rest[0].origin.first,
            "with transaction.atomic():",
            f"Put the writes from {lines[0]} to {lines[-1]} into one transaction.",
        ),
        lines=lines,
    )


def _finding(
    writes: list[_Alone],
    queries: list[Query],
    *,
    severity: str,
    message: str,
    mend: Mend,
    lines: Iterable[str] = (),
) -> Finding:
    tables = sorted({table for item in writes for table in item.query.shape.writes - {"*"}})
    evidence: dict[str, str | int | float] = {
        "transactions": len(writes),
        "tables": ", ".join(tables),
    }
    for number, line in enumerate(list(lines)[:20], 1):
        evidence[f"line_{number}"] = line
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity,  # type: ignore[arg-type] # one of two that are written out above
        confidence="high" if all(write.by_hand for write in writes) else "medium",
        message=message,
        count=len(writes),
        cost=Cost(
            statements=len(writes),
            rows=sum(item.query.rows or 0 for item in writes),
            duration_ns=sum(write.end_ns - write.start_ns for write in writes),
        ),
        origin=queries[0].origin,
        mend=mend,
        queries=tuple(query.number for query in queries),
        subject=", ".join(tables) or "rows",
        evidence=evidence,
    )
