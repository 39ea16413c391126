"""QS314: a list of keys in a statement grows with the data.

## What it does

Finds statements whose `IN` list your code fills: of a thousand keys and more, or of another length
in each request, up to a hundred and more. It needs recorded traffic: `queryscope scan` finds it.

## Why it is bad

    cost = texts x (parse + plan) + keys x (transfer + comparison)

Each length is a text of its own, so that no prepared statement and no plan is used again; databases
have a limit of placeholders (SQLite 32,766 by default, PostgreSQL 65,535), and on the day it is
reached the request fails.

## Example

```python
keys = [book.pk for book in Book.objects.filter(shelf=shelf)]
reviews = Review.objects.filter(book_id__in=keys)               # as many keys as books
```

## Use instead

Let the database have the keys from where they are:

```python
reviews = Review.objects.filter(book__shelf=shelf)
reviews = Review.objects.filter(book_id__in=Book.objects.filter(shelf=shelf).values("pk"))
```

On PostgreSQL one array is one parameter, whatever its length: `= ANY(%s)`. Keys that come from
elsewhere are asked for in chunks of one length.

## Not flagged

- batches that the ORM sends: prefetch, select-in, subquery loads;
- chunks: two statements or more of one Trace with lists of the largest length;
- lists of a few keys, and lists of always the same length;
- scripts and tests.

## Settings

- `in_list_max_keys` (keys of one list, 1,000): from here on the finding is a warning.
- `in_list_min_lengths` (different lengths, 8), with `in_list_min_keys` (keys of the longest, 100).

## Source

SQLite's limits: https://www.sqlite.org/limits.html#max_variable_number. PostgreSQL,
`= ANY (array)`: https://www.postgresql.org/docs/17/functions-comparisons.html.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from queryscope.detectors._advice import own_step, position_of, short
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.detectors.traffic import Asked, Traffic
    from queryscope.trace.events import Query

CODE = "QS314"
NAME = "growing-in-list"
THRESHOLDS: Mapping[str, Threshold] = {
    "in_list_max_keys": Threshold(1_000, "keys of one list that are too many at once"),
    "in_list_min_lengths": Threshold(8, "different lengths of one list"),
    "in_list_min_keys": Threshold(100, "keys of the longest of lists that differ"),
}

_BATCHES = frozenset({"prefetch", "select_in", "subquery"})
_NAMED = 6
"""Lengths that the evidence names."""


def detect_over(traffic: Traffic) -> Iterator[Finding]:
    """Yield one finding for each place and statement."""
    groups: dict[tuple[object, ...], list[Asked]] = defaultdict(list)
    for one in traffic.asked():
        query = one.query
        step = own_step(query.origin.steps)
        if query.shape.in_list > 1 and step is not None and not _is_batch(query):
            groups[step, query.database, query.shape.text].append(one)
    for found in groups.values():
        longest = max(found, key=lambda one: one.query.shape.in_list)
        keys = longest.query.shape.in_list
        lengths = {one.query.shape.in_list for one in found}
        if _in_chunks(found, keys):
            continue
        if keys >= traffic.threshold("in_list_max_keys"):
            yield _finding(found, longest, lengths)
        elif keys >= traffic.threshold("in_list_min_keys") and (
            len(lengths) >= traffic.threshold("in_list_min_lengths")
        ):
            yield _finding(found, longest, lengths, huge=False)


def _is_batch(query: Query) -> bool:
    return query.operation in _BATCHES or (query.load is not None and query.load.batched)


def _in_chunks(found: Sequence[Asked], keys: int) -> bool:
    """Tell whether one Trace sent the largest list twice: a chunk has a length of its own."""
    full = Counter(one.trace.id for one in found if one.query.shape.in_list == keys)
    return max(full.values()) > 1


def _finding(
    found: Sequence[Asked], longest: Asked, lengths: set[int], *, huge: bool = True
) -> Finding:
    query = longest.query
    keys = query.shape.in_list
    what = short(query.model) or ", ".join(sorted(query.shape.reads))
    source = _source_of_keys(longest)
    message = f"{what} is asked for by a list of {keys:,} keys"
    if len(lengths) > 1:
        message += f"; {len(lengths)} lengths were seen, each is a statement of its own"
    ordered = sorted(lengths)
    shown = ", ".join(f"{length:,}" for length in ordered[-_NAMED:])
    evidence: dict[str, str | int | float] = {
        "longest list": keys,
        "lengths": f"… {shown}" if len(ordered) > _NAMED else shown,
    }
    how = "Ask by a join or a subquery instead of a list, or in chunks of one length."
    if source is not None:
        evidence["keys"] = f"as many as rows of statement {source.number}"
        how = (
            "Join with the statement that gave the keys, or use it as a subquery; keys from "
            "elsewhere go in chunks of one length."
        )
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning" if huge else "info",
        confidence="medium",
        message=f"{message}.",
        count=len(found),
        cost=Cost(
            statements=len(found),
            rows=sum(one.query.rows or 0 for one in found),
            duration_ns=sum(one.query.duration_ns for one in found),
        ),
        origin=query.origin,
        mend=Mend(position_of(query), "", how),
        queries=(query.number,),
        subject=query.shape.text,
        evidence=evidence,
        trace_id=longest.part.id,
    )


def _source_of_keys(one: Asked) -> Query | None:
    """Return the latest earlier statement with as many rows as the list has keys."""
    keys = one.query.shape.in_list
    earlier = one.part.queries[: one.query.number]
    return next((query for query in reversed(earlier) if query.rows == keys), None)
