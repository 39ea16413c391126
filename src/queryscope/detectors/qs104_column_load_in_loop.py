"""QS104: deferred or expired columns are fetched row by row.

## What it does

Finds columns left out of the SELECT (`defer()`, `only()`, `deferred()`, columns of a subclass) or
expired by a commit, that one place then fetched with a statement of its own for each row.

## Why it is bad

    cost = rows x (round trip + statement), instead of a few bytes more in the first SELECT

## Example

```python
for article in Article.objects.defer("body"):
    print(len(article.body))                 # 1 statement an article
```

```python
session.commit()                             # SQLAlchemy expires every instance
for order in orders:
    print(order.total)                       # 1 statement an order
```

## Use instead

```python
Article.objects.only("title", "body")        # or no defer("body")
select(Article).options(undefer(Article.body))
sessionmaker(engine, expire_on_commit=False)
```

## Not flagged

- fewer rows than the threshold: one object's deferred column, one object used after a commit;
- fetch modes that load a deferred column for all peers at once;
- `refresh_from_db()` and `session.refresh()`, which ask for it;
- loops in data migrations.

## Settings

- `n_plus_one_min_parents` (rows): 2 in tests, 3 in development, 5 in production.
- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

Django, `defer()`: https://docs.djangoproject.com/en/5.2/ref/models/querysets/#defer.
SQLAlchemy, "Column Loading Options":
https://docs.sqlalchemy.org/en/20/orm/queryguide/columns.html;
"Expiring": https://docs.sqlalchemy.org/en/20/orm/session_api.html#sqlalchemy.orm.Session.commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors import _loops, _words
from queryscope.detectors._advice import columns_mend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case

CODE = "QS104"
NAME = "column-load-in-loop"
THRESHOLDS = _loops.thresholds(_loops.N_PLUS_ONE_MIN_PARENTS, _loops.CRITICAL_MIN_COUNT)


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a column, or expired class, that is fetched row by row."""
    for verdict in _loops.verdicts(case, CODE):
        repeat = verdict.repeat
        load = repeat.load
        assert load is not None  # noqa: S101 - the table gives this code loads only
        queries = verdict.queries
        expired = load.relation == "expired"
        what = f"Expired rows of {load.owner} are" if expired else f"{repeat.relation} is"
        yield _loops.finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            confidence=verdict.confidence,
            message=(
                f"{what} fetched row by row: {len(queries)} statements for {verdict.parents} "
                f"rows{_words.around(case, verdict)}."
            ),
            saved=len(queries) - expired,
            mend=columns_mend(case.trace, case.repeats, repeat),
            subject=repeat.relation,
            origin=repeat.origin,
            evidence=_words.evidence_of(case, verdict),
        )
