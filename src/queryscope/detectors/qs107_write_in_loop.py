"""QS107: a loop inserts, updates or deletes rows one statement at a time.

## What it does

Finds writes of single rows that a loop of your source sends one by one: `save()`, `create()`,
`delete()`, `genres.add()`, a flush for each object, `executemany` of one row, statements straight
to the driver. SELECTs that the ORM sends on the way (what a delete cascades to) count with them.

## Why it is bad

    cost = (rows - 1) x (round trip + statement), with row locks held until the transaction ends

## Example

```python
for line in lines:
    Entry.objects.create(account=account, amount=line.amount)
```

## Use instead

```python
Entry.objects.bulk_create([Entry(account=account, amount=line.amount) for line in lines])
Entry.objects.bulk_update(entries, ["amount"])
Entry.objects.filter(pk__in=keys).delete()
Book.genres.through.objects.bulk_create(links)

session.add_all(entries)                     # SQLAlchemy: one flush behind the loop
session.execute(insert(Entry), rows)
```

`bulk_create` and `bulk_update` do not call `save()` and send no signals: where those matter, the
loop may be right.

## Not flagged

- fewer writes from one loop than the threshold;
- one flush, `bulk_create` or `executemany` that the ORM itself sends in several statements;
- a savepoint around each row: a bad row must not take the others with it;
- statements that write several rows each;
- what a test makes in a loop of its own, factories, fixtures, and data migrations.

## Settings

- `write_in_loop_min_statements` (statements of one loop, 5).
- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

Django, "Use bulk methods":
https://docs.djangoproject.com/en/5.2/topics/db/optimization/#use-bulk-methods.
SQLAlchemy, "ORM Bulk INSERT Statements":
https://docs.sqlalchemy.org/en/20/orm/queryguide/dml.html#orm-bulk-insert-statements.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from queryscope.detectors import _loops, _words
from queryscope.detectors._advice import framework_of, short
from queryscope.detectors.finding import Mend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors._loops import Verdict
    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case

CODE = "QS107"
NAME = "write-in-loop"
THRESHOLDS = _loops.thresholds(_loops.WRITES_MIN_STATEMENTS, _loops.CRITICAL_MIN_COUNT)

_SQL_VERBS = frozenset({"raw", "cursor", ""})


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a place that writes row by row."""
    for verdict in _loops.verdicts(case, CODE):
        repeat = verdict.repeat
        queries = verdict.queries
        what, kind = _written(verdict)
        yield _loops.finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            confidence=verdict.confidence,
            message=(
                f"{what} is written one row at a time: {len(queries)} statements"
                f"{_words.in_loop(verdict.loop)}."
            ),
            saved=len(queries) - 1,
            mend=_mend(case, verdict, what, kind),
            subject=f"{repeat.operation} {what}",
            origin=repeat.origin,
            evidence=_words.evidence_of(case, verdict),
        )


def _written(verdict: Verdict) -> tuple[str, str]:
    """Return (class or table written, ``insert``, ``update`` or ``delete``) of most statements."""
    writes = [query for query in verdict.queries if query.shape.is_write]
    first = writes[0] if writes else verdict.queries[0]
    if first.load is not None and first.load.attribute:
        what = f"{short(first.load.owner)}.{first.load.attribute}"
    else:
        what = short(first.model) or ", ".join(sorted(first.shape.writes - {"*"})) or "a table"
    kinds = Counter(query.shape.kind for query in writes)
    return what, kinds.most_common(1)[0][0] if kinds else ""


def _mend(case: Case, verdict: Verdict, what: str, kind: str) -> Mend:
    repeat = verdict.repeat
    framework = framework_of(case.trace, repeat.queries[0])
    operation = repeat.operation
    how = "Collect the rows in the loop and write them once behind it."
    if operation in _SQL_VERBS or not framework:
        write = "executemany"
    elif framework == "django":
        if operation == "m2m_write":
            write = f"{what}.through.objects.bulk_create(links)"
        elif kind == "delete":
            write = f"{what}.objects.filter(pk__in=keys).delete()"
        elif kind == "update":
            write = f"{what}.objects.bulk_update(objects, fields)"
        else:
            write = f"{what}.objects.bulk_create(objects)"
    elif operation in ("flush", "autoflush"):
        write = "session.add_all(objects)"
        how = "Add the objects in the loop and flush or commit once behind it."
    elif kind == "delete":
        write = f"delete({what}).where({what}.key.in_(keys))"
    else:
        write = f"session.execute({kind or 'insert'}({what}), rows)"
    return Mend(_words.loop_position(verdict.loop, repeat.origin), write, how)
