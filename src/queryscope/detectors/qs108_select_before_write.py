"""QS108: a row is selected only to decide or compute what is written to it.

## What it does

Finds loops that send a SELECT before each write to the same table: `exists()` and then `create()`,
`get()` and then `save()` or `delete()`, `get_or_create()` and `update_or_create()` per row. It also
finds one row whose new value Python computes from the old one (`stock.quantity -= 1` and `save()`)
where the database could.

## Why it is bad

    cost = rows x 2 x (round trip + statement)

Between the SELECT and the write somebody else may write: a row is created twice, or one of two
changes is lost. One statement does both in one step.

## Example

```python
for name in names:
    if not Option.objects.filter(name=name).exists():
        Option.objects.create(name=name)

stock.quantity -= 1
stock.save()
```

## Use instead

```python
Option.objects.bulk_create([Option(name=name) for name in names], ignore_conflicts=True)

Stock.objects.filter(pk=stock.pk).update(quantity=F("quantity") - 1)

session.execute(insert(Option).on_conflict_do_nothing(), rows)       # SQLAlchemy
stock.quantity = Stock.quantity - 1
```

## Not flagged

- one `get()` and one `save()`, as a form does it; one `get_or_create()`;
- `get_or_create()` in a loop where the rows are there already: those are look-ups (QS102);
- rows that are locked first (`FOR UPDATE`), and an UPDATE that compares a version;
- a SELECT of one table and a write to another (QS102, QS107);
- a savepoint of your own around each row: a bad row must not take the others with it;
- `while taken(name)`, polling and retries, loops of a test, data migrations.

A single read-modify-write is an `info`: whether two may run at once, the code does not tell.

## Settings

- `n_plus_one_min_parents` (rows): 2 in tests, 3 in development, 5 in production.
- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

Django, "Avoiding race conditions using F()":
https://docs.djangoproject.com/en/5.2/ref/models/expressions/#avoiding-race-conditions-using-f.
PostgreSQL, lost updates under READ COMMITTED:
https://www.postgresql.org/docs/current/transaction-iso.html#XACT-READ-COMMITTED.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors import _loops, _words
from queryscope.detectors._advice import framework_of, short
from queryscope.detectors._openers import place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.trace.expressions import attributes_stepped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Frame, Query
    from queryscope.trace.loops import Loop
    from queryscope.trace.repeat import Repeat

CODE = "QS108"
NAME = "select-before-write"
THRESHOLDS = _loops.thresholds(_loops.N_PLUS_ONE_MIN_PARENTS, _loops.CRITICAL_MIN_COUNT)

_BOTH = frozenset({"get_or_create", "update_or_create"})
"""Verbs that select and then write."""
_NOT_ASKED = frozenset({"lazy", "prefetch", "refresh", "select_in", "subquery"})
"""Verbs of SELECTs that are no question of the loop's own: their mend is another."""
_PLACEHOLDER = r"(?:%s|%\(\w+\)s|\?\d*|:\w+|\$\d+)"
_WHERE = re.compile(r"\bWHERE\b(.*)", re.IGNORECASE | re.DOTALL)


class _Pair(NamedTuple):
    """A repeat of SELECTs, and the repeats of writes that follow each of them."""

    reads: Repeat
    writes: tuple[Repeat, ...]
    loop: Loop | None


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a loop that selects before it writes, and one a step of a single row."""
    for pair in _pairs(case):
        yield _of_loop(case, pair)
    yield from _steps(case)


# -- loops ----------------------------------------------------------------------------------------


def _pairs(case: Case) -> Iterator[_Pair]:
    least = case.threshold(_loops.N_PLUS_ONE_MIN_PARENTS)
    by_loop: dict[object, list[Repeat]] = {}
    by_site: dict[object, list[Repeat]] = {}
    for repeat in case.repeats.sites:
        if not repeat.is_write or not repeat.site:
            continue
        by_site.setdefault((repeat.site, repeat.operation), []).append(repeat)
        if repeat.operation not in _BOTH and not repeat.isolated and repeat.loop is not None:
            by_loop.setdefault(repeat.loop.at, []).append(repeat)
    taken: set[int] = set()
    for reads in case.repeats.sites if by_site else ():
        if reads.is_write or not reads.site or reads.questions < least:
            continue
        if not _asks_itself(reads) or not _loops.can_be_batched(reads):
            continue
        loop = reads.loop
        if _loops.in_migration(reads.site) or not _turns(case, loop, reads):
            continue
        if reads.operation in _BOTH:
            own = by_site.get((reads.site, reads.operation), [])
        else:
            own = [
                repeat
                for repeat in by_loop.get(None if loop is None else loop.at, ())
                if repeat.number not in taken
                and _same_table(reads, repeat)
                and _alternating(reads, repeat) >= max(least, len(reads.queries) / 2)
            ]
        if own:
            taken.update(repeat.number for repeat in own)
            yield _Pair(reads, tuple(own), loop)


def _asks_itself(reads: Repeat) -> bool:
    first = reads.queries[0]
    if first.shape.kind != "select" or reads.operation in _NOT_ASKED:
        return False
    return reads.load is None or reads.narrowed


def _turns(case: Case, loop: Loop | None, reads: Repeat) -> bool:
    """Tell whether a loop over rows turned; without one, a library calls for each."""
    if loop is None:
        many = reads.questions >= _loops.SUSPECTED_MIN_QUESTIONS
        return reads.operation in _BOTH and many and not reads.recursive
    if loop.once or loop.waits or loop.kind == "condition":
        return False
    return not _loops.is_of_test(case, loop)


def _same_table(reads: Repeat, writes: Repeat) -> bool:
    written = {table for query in writes.queries for table in query.shape.writes} - {"*"}
    return not written.isdisjoint(reads.queries[0].shape.reads)


def _alternating(reads: Repeat, writes: Repeat) -> int:
    """Return after how many of the SELECTs a write came before the next SELECT."""
    numbers = iter(query.number for query in writes.queries if query.shape.is_write)
    following = [query.number for query in reads.queries[1:]]
    last = writes.queries[-1].number + 1
    written = next(numbers, None)
    found = 0
    for query, end in zip(reads.queries, [*following, last], strict=True):
        while written is not None and written < query.number:
            written = next(numbers, None)
        found += written is not None and written < end
    return found


def _of_loop(case: Case, pair: _Pair) -> Finding:
    reads = pair.reads
    first = reads.queries[0]
    queries = [query for repeat in (reads, *pair.writes) for query in repeat.queries]
    queries.sort(key=lambda query: query.number)
    what = short(first.model) or ", ".join(sorted(first.shape.reads)) or "a table"
    verb = _verb(reads, pair)
    return _loops.finding(
        case,
        queries,
        code=CODE,
        name=NAME,
        confidence="medium",
        message=(
            f"{what} is selected before each write, {verb} row by row: {len(queries)} statements "
            f"for {len(reads.queries)} rows{_words.in_loop(pair.loop)}."
        ),
        saved=len(queries) - 2,
        mend=Mend(
            _words.loop_position(pair.loop, reads.origin),
            _batched(case, pair, what),
            "Ask once which rows there are, in front of the loop, and write them once behind it; "
            "a unique constraint keeps rows from being created twice.",
        ),
        subject=f"{reads.operation} {what}",
        origin=reads.origin,
        evidence={
            "selected at": place(reads.origin),
            "written at": "; ".join(place(repeat.origin) for repeat in pair.writes) or "nowhere",
            "rows": len(reads.queries),
        },
    )


def _kind(pair: _Pair) -> str:
    kinds = [query.shape.kind for repeat in pair.writes for query in repeat.queries]
    return next((kind for kind in kinds if kind in ("insert", "update", "delete")), "")


def _verb(reads: Repeat, pair: _Pair) -> str:
    if reads.operation in _BOTH:
        return f"{reads.operation}()"
    words = {"insert": "inserted", "update": "updated", "delete": "deleted"}
    return words.get(_kind(pair), "written")


def _batched(case: Case, pair: _Pair, what: str) -> str:
    framework = framework_of(case.trace, pair.reads.queries[0])
    kind = _kind(pair) or "insert"
    if framework == "sqlalchemy":
        return f"session.execute({kind}({what}), rows)"
    if framework != "django":
        return ""
    if kind == "delete":
        return f"{what}.objects.filter(key__in=keys).delete()"
    if kind == "update" and pair.reads.operation not in _BOTH:
        return f"{what}.objects.bulk_update(objects, fields)"
    return f"{what}.objects.bulk_create(objects, ignore_conflicts=True)"


# -- one row --------------------------------------------------------------------------------------


def _steps(case: Case) -> Iterator[Finding]:
    """Yield a finding for each row whose new value Python computed from the old one."""
    if case.trace.kind in ("script", "test") or not case.repeats.writes:
        return
    read: set[str] = set()
    locked: set[str] = set()
    for query in case.trace.queries:
        shape = query.shape
        if shape.kind == "select":
            (locked if shape.locks else read).update(shape.reads)
            continue
        at = query.origin.frame
        if shape.kind != "update" or query.many or query.error is not None or at is None:
            continue
        if shape.writes & locked or not shape.writes & read:
            continue
        if case.repeats.repeat_of(query) is None and not _loops.in_migration(query.origin.steps):
            stepped = sorted(name for name in attributes_stepped(at) if _is_set(query, name))
            if stepped:
                yield _of_step(case, query, at, stepped[0])


def _is_set(query: Query, name: str) -> bool:
    """Tell whether an UPDATE of one row by its key alone sets a column to a value."""
    where = _WHERE.search(query.statement)
    if where is None or re.search(r"\bAND\b", where[1], re.IGNORECASE):
        return False  # it may compare a version
    column = rf"(?<!\w){re.escape(name)}[\"`\]]?\s*=\s*{_PLACEHOLDER}"
    return re.search(column, query.statement[: where.start()], re.IGNORECASE) is not None


def _of_step(case: Case, query: Query, at: Frame, name: str) -> Finding:
    what = short(query.model) or ", ".join(sorted(query.shape.writes))
    write = f'{what}.objects.filter(pk=pk).update({name}=F("{name}") + step)'
    if framework_of(case.trace, query) == "sqlalchemy":
        write = f"object.{name} = {what}.{name} + step"
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="medium",
        message=(
            f"{name} of {what} is read, changed in Python and written back: of two at a time, one "
            "change is lost."
        ),
        count=1,
        cost=Cost(statements=1, rows=query.rows or 0, duration_ns=query.duration_ns),
        origin=query.origin,
        mend=Mend(at, write, "Let the database compute it, or lock the row before it is read."),
        queries=(query.number,),
        subject=f"{what}.{name}",
        evidence={"written at": place(at)},
    )
