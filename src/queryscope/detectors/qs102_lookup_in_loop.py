"""QS102: a loop asks for one row, or the rows of one key, at a time.

## What it does

Finds one place inside a loop of your source that sends the same SELECT with different parameters:
`get()` by any key, `filter().first()`, `IN` with one value, raw SQL, SQLAlchemy Core, or a
statement straight to the driver.

## Why it is bad

    cost = (different keys - 1) x (round trip + statement)

All the keys are known before the loop; one statement with `IN` returns the same rows.

## Example

```python
for line in lines:
    product = Product.objects.get(sku=line["sku"])
```

## Use instead

```python
products = Product.objects.in_bulk([line["sku"] for line in lines], field_name="sku")

rows = session.scalars(select(Product).where(Product.sku.in_(skus)))      # SQLAlchemy
products = {row.sku: row for row in rows}
```

## Not flagged

- `IN` lists in chunks, pages by offset, and pages by key;
- rows that are locked one by one (`FOR UPDATE`);
- calls from several lines: three settings read on three lines;
- `while taken(name)`, `while True: if free(name): break`: the next key is known only after the
  answer;
- loops that only retry after an exception: the loop around them counts;
- a function that walks from row to row by calling itself;
- loops in data migrations.

Without a loop in the source (a serializer or another library calls back for each row, the source is
not there) the finding is an `info` from 5 different keys on, and a full one from
`critical_min_count` keys on.

## Settings

- `n_plus_one_min_parents` (different keys): 2 in tests, 3 in development, 5 in production.
- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

Django, `in_bulk`: https://docs.djangoproject.com/en/5.2/ref/models/querysets/#in-bulk.
SQLAlchemy, `in_()`: https://docs.sqlalchemy.org/en/20/core/operators.html#in-comparisons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors import _loops, _words
from queryscope.detectors._advice import batch, short
from queryscope.detectors.finding import Mend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case

CODE = "QS102"
NAME = "lookup-in-loop"
THRESHOLDS = _loops.thresholds(_loops.N_PLUS_ONE_MIN_PARENTS, _loops.CRITICAL_MIN_COUNT)


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a place that looks rows up one by one."""
    for verdict in _loops.verdicts(case, CODE):
        repeat = verdict.repeat
        queries = verdict.queries
        shape = queries[0].shape
        what = short(queries[0].model) or ", ".join(sorted(shape.reads)) or "a statement"
        where = _words.in_loop(verdict.loop) or " from one place"
        yield _loops.finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            confidence=verdict.confidence,
            message=(
                f"{what} is looked up {len(queries)} times with {repeat.questions} different "
                f"keys{where}."
            ),
            saved=len(queries) - 1,
            mend=Mend(
                _words.loop_position(verdict.loop, repeat.origin),
                batch(case.trace, queries[0], what),
                "Collect the keys, ask once in front of the loop, and take the rows from a dict.",
            ),
            subject=shape.text,
            origin=repeat.origin,
            evidence=_words.evidence_of(case, verdict),
        )
