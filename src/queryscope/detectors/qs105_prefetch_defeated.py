"""QS105: a prefetched relation is asked from the database again, row by row.

## What it does

Finds relations that a batch had loaded for rows which then ask for them again with `filter()`,
`order_by()`, `first()`, a slice, `values_list()` or `iterator()`: each makes a new queryset, which
does not look at the prefetched rows.

## Why it is bad

    cost = rows x (round trip + statement), and the batch was loaded for nothing

## Example

```python
for book in Book.objects.prefetch_related("reviews"):
    best = book.reviews.order_by("-stars").first()      # 1 statement a book
```

## Use instead

```python
best = max(book.reviews.all(), key=lambda review: review.stars, default=None)

good = Prefetch("reviews", queryset=Review.objects.filter(stars__gte=4), to_attr="good_reviews")
for book in Book.objects.prefetch_related(good): ...
```

## Not flagged

- `all()` on a prefetched relation: the database is not asked;
- fewer parent rows than the threshold;
- a relation that was not prefetched (that is QS101), aggregates of it (QS103);
- loops in data migrations.

## Settings

- `n_plus_one_min_parents` (parent rows): 2 in tests, 3 in development, 5 in production.
- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

Django, `prefetch_related()`, the note on "any subsequent chained methods":
https://docs.djangoproject.com/en/5.2/ref/models/querysets/#prefetch-related.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors import _loops, _words
from queryscope.detectors._advice import framework_of, position_of, short
from queryscope.detectors.finding import Mend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors._loops import Verdict
    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case

CODE = "QS105"
NAME = "prefetch-defeated"
THRESHOLDS = _loops.thresholds(_loops.N_PLUS_ONE_MIN_PARENTS, _loops.CRITICAL_MIN_COUNT)


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a prefetched relation that was asked for again."""
    for verdict in _loops.verdicts(case, CODE):
        repeat = verdict.repeat
        queries = verdict.queries
        batch = case.repeats.prefetched(repeat)
        evidence = _words.evidence_of(case, verdict)
        if batch is not None:
            evidence["prefetched by"] = f"statement {batch.number}"
        yield _loops.finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            confidence=verdict.confidence,
            message=(
                f"{repeat.relation} was prefetched and is queried again once per row: "
                f"{len(queries)} statements for {verdict.parents} rows"
                f"{_words.around(case, verdict)}."
            ),
            saved=len(queries),
            mend=_mend(case, verdict),
            subject=repeat.relation,
            origin=repeat.origin,
            evidence=evidence,
        )


def _mend(case: Case, verdict: Verdict) -> Mend:
    repeat = verdict.repeat
    load = repeat.load
    assert load is not None  # noqa: S101 - the table gives this code loads only
    first = repeat.queries[0]
    parent = case.repeats.parent(repeat)
    at = position_of(parent.query) if parent is not None else None
    model = short(first.model) or "Related"
    if framework_of(case.trace, first) == "sqlalchemy":
        return Mend(
            at,
            f"selectinload({short(load.owner)}.{load.attribute}.and_(...))",
            "Load what the loop asks for with the rows, or choose among the loaded rows in Python.",
        )
    return Mend(
        at,
        f'Prefetch("{load.attribute}", queryset={model}.objects.filter(...), '
        f'to_attr="wanted_{load.attribute}")',
        f'Prefetch this instead of "{load.attribute}", or choose among the prefetched rows of '
        f".{load.attribute}.all() in Python.",
    )
