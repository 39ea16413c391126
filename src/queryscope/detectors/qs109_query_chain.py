"""QS109: the values of one result are fetched only to be sent back with the next statement.

## What it does

Finds a SELECT of one column whose rows become the `IN` list of the next SELECT, and nothing else:
in your source the result is assigned to a name that is read once, there, or is written right into
the next expression; and the list is as long as the result. A chain of several is one finding.

## Why it is bad

    cost = (statements - 1) x round trip + rows x (transfer there and back)

The database has the values already. A list of thousands is parsed anew each time, and has a limit:
32,766 parameters in SQLite, 65,535 in PostgreSQL's protocol.

## Example

```python
keys = list(Author.objects.filter(country="DE").values_list("pk", flat=True))
books = Book.objects.filter(author_id__in=keys)
```

## Use instead

```python
books = Book.objects.filter(author__country="DE")

keys = Author.objects.filter(country="DE").values("pk")      # not evaluated: a subquery
books = Book.objects.filter(author_id__in=keys)

select(Book).where(Book.author_id.in_(select(Author.id).where(Author.country == "DE")))
```

## Not flagged

- a result that is used in a second place, also for `if not keys`;
- objects, or rows of several columns: the rest of them is read;
- prefetches, select-in loads, and other batches of the ORM;
- two databases; a write to one of the tables in between; rows that are locked;
- what a loop repeats, which has codes of its own;
- sources that cannot be read, and values that pass through other functions: without proof it is
  silent.

It is always an `info`: now and then two small statements are quicker than a join.

## Settings

None.

## Source

Django, "Nested queries": a queryset as the value of `__in` is a subquery:
https://docs.djangoproject.com/en/5.2/ref/models/querysets/#in. Limits: SQLite, "Maximum Number Of
Host Parameters": https://www.sqlite.org/limits.html#max_variable_number.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from queryscope.detectors._advice import framework_of, short
from queryscope.detectors._openers import place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.trace.expressions import expression_at, only_use
from queryscope.trace.source import covers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.detectors.registry import Case, Threshold
    from queryscope.trace.events import Frame, Query

CODE = "QS109"
NAME = "query-chain"
THRESHOLDS: Mapping[str, Threshold] = {}

MIN_VALUES = 2
"""A list of one value may as well be a key that came from elsewhere."""
MAX_BETWEEN = 20
"""Statements between the one and the other that are looked past."""
_ONE_COLUMN = re.compile(
    r"""\s*SELECT\s+(?:DISTINCT\s+)?["`\[\]\w.]+(?:\s+AS\s+["`\[\]\w]+)?\s+FROM\b""",
    re.IGNORECASE,
)


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a chain of statements that could be one."""
    chains: dict[int, list[Query]] = {}
    for first, second in _links(case):
        chain = chains.pop(first.number, [first])
        chains[second.number] = [*chain, second]
    for chain in chains.values():
        yield _finding(case, chain)


def _links(case: Case) -> Iterator[tuple[Query, Query]]:
    """Yield (the statement that fetched values, the one that only sends them back)."""
    waiting: list[Query] = []
    if all(query.shape.in_list < MIN_VALUES for query in case.trace.queries):
        return
    for query in case.trace.queries:
        if not query.counts:
            continue
        if query.shape.is_write:
            waiting = [item for item in waiting if item.shape.reads.isdisjoint(query.shape.writes)]
            continue
        if not _is_plain(case, query):
            continue
        if query.shape.in_list >= MIN_VALUES:
            for item in reversed(waiting):
                if _feeds(item, query):
                    waiting.remove(item)
                    yield item, query
                    break
        if (query.rows or 0) >= MIN_VALUES and _ONE_COLUMN.match(query.statement):
            waiting = [*waiting[-MAX_BETWEEN:], query]


def _is_plain(case: Case, query: Query) -> bool:
    shape = query.shape
    return (
        shape.kind == "select"
        and not shape.locks
        and query.load is None
        and query.error is None
        and query.origin.frame is not None
        and case.repeats.repeat_of(query) is None
    )


def _feeds(first: Query, second: Query) -> bool:
    """Tell whether all that a statement returned is the list of another, and used nowhere else."""
    rows, length = first.rows, second.shape.in_list
    if rows != length or (first.database, first.thread) != (second.database, second.thread):
        return False
    if second.values is not None and len(set(second.values)) < length:
        return False
    source, target = first.origin.frame, second.origin.frame
    if source is None or target is None:
        return False
    if (source.file, source.scope) != (target.file, target.scope):
        return False
    if covers(target, source):
        return source != target
    use = only_use(source)
    return use is not None and any(covers(at, use) for at in _written(second, target))


def _written(query: Query, frame: Frame) -> Iterator[Frame]:
    """Yield where a statement was written: where it ran, was made, and what a name stands for."""
    yield frame
    if query.created is not None:
        yield query.created
    yield expression_at(frame)


def _finding(case: Case, chain: Sequence[Query]) -> Finding:
    first, last = chain[0], chain[-1]
    names = [short(q.model) or ", ".join(sorted(q.shape.reads)) or "a statement" for q in chain]
    values = sum(query.rows or 0 for query in chain[:-1])
    source = first.origin.frame
    write = "WHERE key IN (SELECT ...)"
    framework = framework_of(case.trace, first)
    if framework == "django":
        write = ".filter(key__in=<the queryset itself, not evaluated>)"
    elif framework == "sqlalchemy":
        write = ".where(key.in_(select(...)))"
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="high",
        message=(
            f"{values} values of {', '.join(names[:-1])} are fetched only to be sent back with "
            f"the SELECT of {names[-1]}: {len(chain)} statements could be one."
        ),
        count=len(chain),
        cost=Cost(
            statements=len(chain),
            avoidable=len(chain) - 1,
            rows=values,
            duration_ns=sum(query.duration_ns for query in chain),
        ),
        origin=first.origin,
        mend=Mend(
            None if source is None else expression_at(source),
            write,
            "Hand the statement itself over as a subquery, or join the tables.",
        ),
        queries=tuple(query.number for query in chain),
        subject=" -> ".join(names),
        evidence={
            "statements": "; ".join(place(query.origin) for query in chain),
            "sent by": place(last.origin),
        },
    )
