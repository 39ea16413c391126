"""QS103: COUNT, EXISTS, SUM or another aggregate runs once per row.

## What it does

Finds `count()`, `exists()`, `aggregate()` and SELECTs of nothing but aggregates that one place
sends for each of several parent rows, or inside a loop with different parameters. Where the
relation had been prefetched for those rows, the finding says so: the answer was in memory.

## Why it is bad

    cost = rows x (round trip + statement), instead of one GROUP BY

## Example

```python
for book in Book.objects.all():
    print(book.reviews.count())
```

## Use instead

```python
Book.objects.annotate(reviews_count=Count("reviews"))

counts = dict(session.execute(                                            # SQLAlchemy
    select(Review.book_id, func.count()).group_by(Review.book_id)
).all())
```

With `prefetch_related("reviews")` in place, `len(book.reviews.all())` asks nobody.

## Not flagged

- fewer parent rows, or different parameters, than the threshold;
- the count and the page of one listing, several counts on several lines;
- `while exists(name)`, `while True: if not exists(name): break`: the next question depends on the
  answer;
- loops in data migrations.

Without a loop in the source (a serializer or another library calls back for each row) and without a
parent row the finding is an `info` from 5 different parameters on, and a full one from
`critical_min_count` on.

## Settings

- `n_plus_one_min_parents` (parent rows): 2 in tests, 3 in development, 5 in production.
- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

Django, "Aggregation":
https://docs.djangoproject.com/en/5.2/topics/db/aggregation/#generating-aggregates-for-each-item-in-a-queryset.
SQLAlchemy, "Aggregate functions with GROUP BY":
https://docs.sqlalchemy.org/en/20/tutorial/data_select.html#tutorial-group-by-w-aggregates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors import _loops, _words
from queryscope.detectors._advice import framework_of, own_step, placed, position_of, short
from queryscope.detectors.finding import Mend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors._loops import Verdict
    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case

CODE = "QS103"
NAME = "aggregate-in-loop"
THRESHOLDS = _loops.thresholds(_loops.N_PLUS_ONE_MIN_PARENTS, _loops.CRITICAL_MIN_COUNT)


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a relation, or a statement, that is aggregated row by row."""
    for verdict in _loops.verdicts(case, CODE):
        repeat = verdict.repeat
        queries = verdict.queries
        asked = _asked(verdict)
        evidence = _words.evidence_of(case, verdict)
        batch = case.repeats.prefetched(repeat)
        if repeat.load is not None:
            what = f"{asked.upper()} of {repeat.relation} is asked once per row"
            tail = f" for {verdict.parents} rows{_words.around(case, verdict)}"
            if batch is not None:
                tail += "; the prefetched rows would have answered"
                evidence["prefetched by"] = f"statement {batch.number}"
        else:
            tables = short(queries[0].model) or ", ".join(sorted(queries[0].shape.reads))
            what = f"{asked.upper()} of {tables} is asked again and again"
            tail = _words.in_loop(verdict.loop) or " from one place"
        yield _loops.finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            confidence=verdict.confidence,
            message=f"{what}: {len(queries)} statements{tail}.",
            saved=len(queries) - (repeat.load is None),
            mend=_mend(case, verdict, asked, prefetched=batch is not None),
            subject=repeat.relation or queries[0].shape.text,
            origin=repeat.origin,
            evidence=evidence,
        )


def _asked(verdict: Verdict) -> str:
    first = verdict.repeat.queries[0]
    return first.shape.aggregate or first.operation


def _mend(case: Case, verdict: Verdict, asked: str, *, prefetched: bool) -> Mend:
    repeat = verdict.repeat
    load = repeat.load
    first = repeat.queries[0]
    framework = framework_of(case.trace, first)
    if load is None:
        return Mend(
            _words.loop_position(verdict.loop, repeat.origin),
            "GROUP BY",
            "Ask once in front of the loop, grouped by what the loop asks for one by one.",
        )
    if prefetched and framework == "django":
        in_memory = {
            "count": f"len(.{load.attribute}.all())",
            "exists": f"bool(.{load.attribute}.all())",
        }
        return Mend(
            own_step(repeat.origin.steps),
            in_memory.get(asked, f".{load.attribute}.all()"),
            "Ask the prefetched rows instead of the database.",
        )
    parent = case.repeats.parent(repeat)
    at = position_of(parent.query) if parent is not None else None
    if framework == "django":
        name = load.attribute
        function = {"count": "Count", "sum": "Sum", "avg": "Avg", "min": "Min", "max": "Max"}
        if asked == "exists":
            write = f".annotate(has_{name}=Exists(...))"
        elif asked == "count":
            write = f'.annotate({name}_count=Count("{name}"))'
        else:
            write = f'.annotate({name}_{asked}={function.get(asked, "Sum")}("{name}__..."))'
        how = f"Add it to the queryset that loads the rows of {short(load.owner)}"
        model = parent.query.model if parent is not None else ""
        at, words = placed(case.trace, at, model or load.owner, write)
        return Mend(at, write, f"{how}{words}.")
    related = short(first.model) or load.attribute
    return Mend(
        at,
        f"select({related}.<key>, func.{asked}(...)).group_by({related}.<key>)",
        f"Ask once for all rows of {short(load.owner)}, grouped by their key.",
    )
