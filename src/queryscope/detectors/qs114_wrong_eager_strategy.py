"""QS114: a relation is loaded along in the dearer of the two ways.

## What it does

Finds joins that send the same row again and again, by the rows counted of each class: a collection
that repeats its wide parent (`joinedload`), or a foreign key of many rows to few wide ones
(`select_related`, `joinedload`). And the reverse: a single row whose single related row is loaded
by a statement of its own. Full recording only.

## Why it is bad

    cost of a join = rows repeated x bytes of them that are read
    cost of a prefetch = one round trip more, and the keys once again

## Example

```python
reviews = Review.objects.filter(stars=5).select_related("book")     # 400 reviews of 3 books,
                                                                     # each with its long summary
```

## Use instead

```python
reviews = Review.objects.filter(stars=5).prefetch_related("book")   # 3 books
```

With SQLAlchemy `selectinload(Book.reviews)` in place of `joinedload(Book.reviews)`.

## Not flagged

- rows that are narrow or come once each; fewer repeated bytes than
  `wrong_eager_strategy_min_bytes`, or less than a quarter of the result;
- wide columns that nobody reads (QS301), relations that nobody reads (QS112), two collections that
  multiply each other (QS113);
- a statement of its own for several rows, for rows that are loaded along themselves, for generic
  relations, by Django's `FETCH_PEERS`, by a mapping's `lazy="selectin"`, or by a queryset that
  another function made, perhaps for its list;
- what is not seen: `values()`, Core rows, `vars()`, pickles, and rows that were still there when
  their block was judged;
- requests that failed, data migrations.

It is an `info`, and a warning from `unused_columns_warning_bytes` on.

## Settings

- `wrong_eager_strategy_min_bytes` (bytes that one statement repeated, 65,536).

## Source

64 KiB take about half a millisecond at a gigabit a second: what a round trip within a data centre
takes, which a prefetch has more. SQLAlchemy, "What Kind of Loading to Use?":
https://docs.sqlalchemy.org/en/20/orm/queryguide/relationships.html#what-kind-of-loading-to-use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._advice import TO_ONE, framework_of, position_of, short
from queryscope.detectors._joined import joins
from queryscope.detectors._openers import place
from queryscope.detectors._results import results, size_text
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.expressions import methods_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors._joined import Joined, Side
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query

CODE = "QS114"
NAME = "wrong-eager-strategy"
LOOKS_AT = ("reads",)
THRESHOLDS: Mapping[str, Threshold] = {
    "wrong_eager_strategy_min_bytes": Threshold(
        65_536, "bytes of rows that one join repeated and that were read"
    ),
}
MIN_SHARE = 0.25
"""Share of the result that is repeated."""


class Repeated(NamedTuple):
    """Rows that a join repeats: whose, by which relation, how often, and the bytes of it."""

    side: Side
    relation: Side
    times: int
    size: int


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each relation that the other way of loading would bring for less."""
    least = case.threshold("wrong_eager_strategy_min_bytes")
    for joined in joins(case):
        most = max(_repeated(joined), key=lambda one: one.size, default=None)
        if most is not None and most.size >= least and most.size >= MIN_SHARE * joined.sent:
            yield _of_join(case, joined, most)
    yield from _singles(case)


def _repeated(joined: Joined) -> Iterator[Repeated]:
    """Yield what a join repeats for the sake of relations that are read."""
    collections = joined.collections
    for side in joined.sides[1:]:
        outer = joined.by_path.get(side.outer)
        if outer is None or not joined.is_read(side):
            continue
        if side in collections and outer.distinct is not None:
            times = joined.rows - outer.distinct
            yield Repeated(outer, side, times, times * outer.read_size)
        elif side.distinct is not None:
            times = side.rows - side.distinct
            yield Repeated(side, side, times, times * side.read_size)


def _of_join(case: Case, joined: Joined, most: Repeated) -> Finding:
    query = joined.query
    side, relation = most.side, most.relation
    owner = short(joined.by_path[relation.outer].model)
    sqlalchemy = framework_of(case.trace, query) == "sqlalchemy"
    path = relation.path.replace(".", "__")
    write = (
        f"selectinload({owner}.{relation.name})" if sqlalchemy else f'.prefetch_related("{path}")'
    )
    instead = f"joinedload({owner}.{relation.name})" if sqlalchemy else f'select_related("{path}")'
    severe = most.size >= case.threshold("unused_columns_warning_bytes")
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning" if severe else "info",
        confidence="high",
        message=(
            f"The join for {owner}.{relation.name} sends {most.times:,} rows of "
            f"{short(side.model)} that had come already, {size_text(most.size)} of what is read."
        ),
        count=1,
        cost=Cost(statements=1, rows=joined.rows, duration_ns=query.duration_ns),
        origin=query.origin,
        mend=Mend(position_of(query), write, f"Write it in place of {instead}."),
        queries=(query.number,),
        subject=f"{joined.by_path[relation.outer].model}.{relation.name}",
        evidence={
            "rows": joined.rows,
            f"different rows of {short(side.model)}": side.distinct or 0,
            "repeated bytes, about": most.size,
            "bytes of the result, about": joined.sent,
        },
    )


# -- the reverse ------------------------------------------------------------------------------


def _singles(case: Case) -> Iterator[Finding]:
    """Yield an info for each statement that brings one related row of one row."""
    certain = {result.query.number: result for result in results(case)}
    batches = [
        query for query in case.trace.queries if query.number in certain and _is_single(query)
    ]
    for query in batches:
        load = query.load
        assert load is not None  # noqa: S101 - _is_single has looked
        root = certain.get(-1 if load.parent_query is None else load.parent_query)
        if root is None or root.query.load is not None or not certain[query.number].is_read:
            continue
        same = [other for other in batches if other.origin == query.origin]
        alone = len(root.own) == 1 and root.own[0].rows == 1 and len(same) == 1
        if alone and not root.joined and _is_written(case, root.query):
            yield _of_single(case, root.query, query)


def _is_single(query: Query) -> bool:
    load = query.load
    return (
        load is not None
        and load.batched
        and load.relation in TO_ONE
        and load.parents == 1
        and query.rows == 1
    )


def _is_written(case: Case, root: Query) -> bool:
    """Tell whether the function that asks for the row chose the second statement for it.

    A mapping chooses it for all that use it, a view for its list as well, and Django's
    ``FETCH_PEERS`` by itself.
    """
    at = root.origin.frame
    if at is None:
        return False
    if framework_of(case.trace, root) == "sqlalchemy":
        return "options" in methods_at(at)
    made = root.created
    return (
        made is not None
        and (made.file, made.scope) == (at.file, at.scope)
        and "prefetch_related" in methods_at(made)
    )


def _of_single(case: Case, root: Query, query: Query) -> Finding:
    load = query.load
    assert load is not None  # noqa: S101 - _is_single has looked
    owner = short(load.owner)
    sqlalchemy = framework_of(case.trace, root) == "sqlalchemy"
    relation = f"{owner}.{load.attribute}"
    write = f"joinedload({relation})" if sqlalchemy else f'.select_related("{load.attribute}")'
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="medium",
        message=(
            f"{relation} of one row is loaded by a statement of its own at {place(root.origin)}: a "
            "join brings it along."
        ),
        count=1,
        cost=Cost(statements=1, avoidable=1, rows=1, duration_ns=query.duration_ns),
        origin=root.origin,
        mend=Mend(
            position_of(root),
            write,
            "Write it in place of the select-in load."
            if sqlalchemy
            else "Write it in place of prefetch_related().",
        ),
        queries=(query.number,),
        subject=f"{load.owner}.{load.attribute}",
        evidence={"parents": 1, "rows": 1},
    )
