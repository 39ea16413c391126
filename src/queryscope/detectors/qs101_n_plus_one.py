"""QS101: a relation is loaded once for each row of an earlier result.

## What it does

Finds relations (foreign key, one-to-one, reverse, many-to-many, generic) that one place of your
code, or one template tag, loaded with a statement of its own for each of several parent rows. The
ORM itself says which relation and which row a load was for, so rows that share one foreign key
value count as the rows they are, and so does a prefetch or select-in that runs once per row. Loops
inside loops are one tree: the inner finding names the product.

## Why it is bad

    cost = rows x (round trip + statement), instead of one join or one batch

With a round trip of 1 ms, 200 rows cost 0.2 s of waiting in which the connection is held; the cost
grows with the data, so that it is small on the machine where it is written.

## Example

```python
for book in Book.objects.all():          # 1 statement
    print(book.publisher.name)           # 1 statement a book
```

## Use instead

```python
for book in Book.objects.select_related("publisher"): ...   # Django, to one row: a join
for book in Book.objects.prefetch_related("genres"): ...    # Django, to many rows: one batch
select(Book).options(joinedload(Book.publisher))            # SQLAlchemy, to one row
select(Book).options(selectinload(Book.genres))             # SQLAlchemy, to many rows
```

The finding says which of them, with the whole path, and the line where the parent rows are loaded.

## Not flagged

- fewer parent rows than the threshold: the page of one object with a few lazy reads;
- several calls of a helper: each call is a place of its own;
- batches: prefetch, select-in, in chunks, too, and fetch modes that load for all peers;
- a walk from one row up to its ancestors: each row is known only after the one before. From
  `critical_min_count` steps on it is an `info`: a recursive query reads them with one statement;
- look-ups of content types, which Django caches for the life of the process;
- loops in data migrations.

## Settings

- `n_plus_one_min_parents` (parent rows): 2 in tests, 3 in development, 5 in production.
- `critical_min_count` (statements, 10): from here on the finding is critical, and a walk is named.

## Source

Django, "Database access optimization":
https://docs.djangoproject.com/en/5.2/topics/db/optimization/#retrieve-everything-at-once-if-you-know-you-will-need-it.
SQLAlchemy, "Relationship Loading Techniques":
https://docs.sqlalchemy.org/en/20/orm/queryguide/relationships.html.
PostgreSQL, "Recursive Queries":
https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-RECURSIVE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors import _loops, _words
from queryscope.detectors._advice import TO_ONE, eager_load
from queryscope.detectors.finding import Mend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case
    from queryscope.trace.repeat import Repeat

CODE = "QS101"
NAME = "n-plus-one"
THRESHOLDS = _loops.thresholds(_loops.N_PLUS_ONE_MIN_PARENTS, _loops.CRITICAL_MIN_COUNT)


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a relation that was loaded row by row."""
    for verdict in _loops.verdicts(case, CODE):
        repeat = verdict.repeat
        load = repeat.load
        assert load is not None  # noqa: S101 - the table gives this code loads only
        queries = verdict.queries
        rows = verdict.parents or len(queries)
        how = "loaded once per row"
        walk = case.repeats.is_chain(repeat)
        if walk:
            how = "walked from row to row"
        elif load.batched:
            how = "loaded in batches of one row"
        elif repeat.narrowed:
            how = "queried once per row"
        joined = load.relation in TO_ONE and not load.narrowed
        yield _loops.finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            confidence=verdict.confidence,
            message=(
                f"{repeat.relation} is {how}: {len(queries)} statements for {rows} rows"
                f"{_words.around(case, verdict)}."
            ),
            saved=len(queries) - (not joined),
            mend=_recursive(repeat) if walk else eager_load(case.trace, case.repeats, repeat),
            subject=repeat.relation,
            origin=repeat.origin,
            evidence=_words.evidence_of(case, verdict),
        )


def _recursive(repeat: Repeat) -> Mend:
    """Return how to read what a walk leads to: no eager load knows its length."""
    loop = _words.loop_position(repeat.loop, repeat.origin)
    return Mend(
        loop,
        "WITH RECURSIVE ...",
        "Read all steps with one recursive query, or keep the path with the row.",
    )
