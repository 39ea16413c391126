"""QS203: the same filtered rows are fetched again: sorted otherwise, with other columns, or cut.

## What it does

Finds SELECTs that filter one table by the same condition and values and differ in order, columns,
limit or in what is joined along, in one session with nothing written between, where one of them
fetched the whole set: the rows of the others were at hand, or could have been. So it does for one
row that was looked up by the same key with different columns.

## Why it is bad

    cost = (statements - 1) x (round trip + finding and making the rows again)

## Example

    newest = shop.orders.order_by("-created").first()
    dearest = shop.orders.order_by("-total").first()
    for order in shop.orders.all():
        ...

## Use instead

    rows = list(shop.orders.all())
    newest = max(rows, key=lambda order: order.created)

## Not flagged

- pages of one set: where each statement has a limit, none holds what another needs, but for
  single rows;
- several SELECTs of a whole table from different functions: one table serves several purposes;
- equal statements (QS201), counts and ``exists()`` (QS204, QS207), sums and groups;
- rows written between, locked, read anew on purpose, in another session (QS208);
- tables of one name in several schemas, and another schema, role or tenant set in between;
- rows that a batch loaded for others, deferred columns (QS104), relations of different rows;
- asked by library code alone; random rows; data migrations.

A set of which only a small part was wanted first may be large: where more than `same_set_max_rows`
rows were fetched as the whole, nothing is said of parts that were cut off it.

## Settings

- `same_set_max_rows` (rows of the whole set, 1,000): cutting a part off more rows than these in
  Python is not advised.
- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

Django, "Retrieve everything at once if you know you will need it":
https://docs.djangoproject.com/en/5.2/topics/db/optimization/#retrieve-everything-at-once-if-you-know-you-will-need-it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors import _loops, _sets
from queryscope.detectors._openers import place
from queryscope.detectors._sets import comparable, function_of, what
from queryscope.detectors.finding import Mend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case, Threshold
    from queryscope.trace.sets import Ask

CODE = "QS203"
NAME = "same-set-again"
THRESHOLDS: Mapping[str, Threshold] = {
    **_sets.THRESHOLDS,
    **_loops.thresholds(_loops.CRITICAL_MIN_COUNT),
}
MAX_NAMED = 3
"""Places that the message names; the evidence has all of them."""


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding for the lines that fetch one set."""
    found: dict[object, list[list[Ask]]] = {}
    for asks in comparable(case):
        same = _same(case, [ask for ask in asks if not ask.probe])
        if same:
            lines = tuple(ask.query.origin.first for ask in same)
            found.setdefault((lines, same[0].query.shape.text), []).append(same)
    for groups in found.values():
        yield _finding(case, groups)


def _same(case: Case, asks: Sequence[Ask]) -> list[Ask]:
    """Return the asks of one set that differ, the first of each text, if one could serve all."""
    kept: dict[str, Ask] = {}
    for ask in asks:
        query = ask.query
        if any(not case.repeats.unchanged(other.query, query) for other in kept.values()):
            if len(kept) > 1:
                break
            kept = {}
        kept.setdefault(query.shape.text, ask)
    found = list(kept.values())
    if len(found) <= 1 or len({ask.query.origin.steps for ask in found}) <= 1:
        return []
    whole = next((ask for ask in found if ask.whole), None)
    if whole is None:
        return found if _one_row(found) else []
    if not whole.conditions and len({function_of(ask.query) for ask in found}) > 1:
        return []
    rows = whole.query.rows or 0
    if rows > case.threshold(_sets.SAME_SET_MAX_ROWS):
        found = [ask for ask in found if ask.whole]
    return found if len(found) > 1 and rows else []


def _one_row(found: list[Ask]) -> bool:
    """Tell whether each of them fetched one row, of a set that has no other: looked up by a key."""
    return all(
        ask.query.rows == 1 and ask.query.operation == "get" and ask.conditions for ask in found
    )


def _finding(case: Case, groups: list[list[Ask]]) -> Finding:
    asks = groups[0]
    numbers = sorted(ask.query.number for group in groups for ask in group)
    queries = [case.trace.queries[number] for number in numbers]
    whole = next((ask for ask in asks if ask.whole), asks[0])
    lines = list(dict.fromkeys(place(ask.query.origin) for ask in asks))
    named = lines[:MAX_NAMED]
    if len(lines) > MAX_NAMED:
        named.append(f"{len(lines) - MAX_NAMED} more places")
    again = next(ask for ask in asks if ask is not whole)
    near = len({function_of(ask.query) for ask in asks}) == 1
    differ = _differ(asks)
    return _loops.finding(
        case,
        queries,
        code=CODE,
        name=NAME,
        confidence="high" if near else "medium",
        message=(
            f"The same rows of {what(whole.query)} are fetched {len(asks)} times, "
            f"{'as other ' + differ if differ else 'otherwise'}, from {' and '.join(named)}."
        ),
        saved=sum(len(group) - 1 for group in groups),
        mend=Mend(
            again.query.origin.first,
            "",
            f"Take it from the rows that {place(whole.query.origin)} fetches, with all columns "
            "that are needed, instead of asking again.",
        ),
        subject=what(whole.query),
        origin=again.query.origin,
        evidence={
            "lines": "; ".join(lines),
            "differ in": differ or "joins",
            "rows of the set": whole.query.rows or 0,
        },
    )


def _differ(asks: Sequence[Ask]) -> str:
    """Return in what the statements differ, in words."""
    words = []
    if len({ask.clauses.columns for ask in asks}) > 1:
        words.append("columns")
    if len({ask.clauses.order for ask in asks if ask.clauses.order}) > 1 or (
        len({ask.clauses.order for ask in asks}) > 1 and not any(ask.limited for ask in asks)
    ):
        words.append("order")
    if len({ask.limited for ask in asks}) > 1:
        words.append("limit")
    return " and ".join(words)
