"""QS207: rows are counted, or looked for, and then all fetched anyway, or the other way round.

## What it does

Finds a ``count()`` or ``exists()`` of a set of rows and, in the same session with nothing written
between, a SELECT of that whole set. The filter and its values are the same; order, columns and
what is joined along may differ.

## Why it is bad

Who holds the rows knows how many there are.

    cost = one round trip + one more look at every row that the condition matches

## Example

    if orders.exists():
        for order in orders:
            ...
    total = orders.count()

## Use instead

    rows = list(orders)
    if rows:
        for order in rows:
            ...
    total = len(rows)

## Not flagged

A count beside a page: a SELECT with LIMIT fetches less than was counted; ``if orders.exists()``
without the rows; ``len(orders)`` and then a loop, which is one statement; counts of other filters
or values; what was written between, to any of the tables; counts that come with groups or of
distinct values; asked by library code alone (paginators, the admin); ``exists()`` that follows the
rows (QS204).

## Settings

- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

Django, "Don't overuse contains(), count(), and exists()":
https://docs.djangoproject.com/en/5.2/topics/db/optimization/#don-t-overuse-contains-count-and-exists
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors import _loops
from queryscope.detectors._advice import framework_of
from queryscope.detectors._openers import place
from queryscope.detectors._sets import comparable, function_of, what
from queryscope.detectors.finding import Mend

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case
    from queryscope.trace.sets import Ask

CODE = "QS207"
NAME = "count-and-fetch"
THRESHOLDS = _loops.thresholds(_loops.CRITICAL_MIN_COUNT)


class _Pair(NamedTuple):
    probe: Ask
    fetch: Ask

    @property
    def before(self) -> bool:
        """Whether the probe came first."""
        return self.probe.query.number < self.fetch.query.number


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding for each line that counts and line that fetches."""
    found: dict[object, list[_Pair]] = {}
    for asks in comparable(case):
        for pair in _pairs(case, asks):
            lines = pair.probe.query.origin.first, pair.fetch.query.origin.first
            found.setdefault((lines, pair.probe.query.shape.text), []).append(pair)
    for pairs in found.values():
        yield _finding(case, pairs)


def _pairs(case: Case, asks: Sequence[Ask]) -> Iterator[_Pair]:
    """Yield each probe with the nearest fetch of the whole set, those that come after it first."""
    fetches = [ask for ask in asks if ask.whole]
    for ask in asks:
        if not ask.probe or ask.limited:
            continue
        number = ask.query.number
        later = (fetch for fetch in fetches if fetch.query.number > number)
        nearest = next(later, None)
        if nearest is not None and case.repeats.unchanged(ask.query, nearest.query):
            yield _Pair(ask, nearest)
            continue
        earlier = [fetch for fetch in fetches if fetch.query.number < number]
        if (
            earlier
            and ask.probe == "count"
            and case.repeats.unchanged(earlier[-1].query, ask.query)
        ):
            yield _Pair(ask, earlier[-1])


def _finding(case: Case, pairs: list[_Pair]) -> Finding:
    probe, fetch = pairs[0].probe.query, pairs[0].fetch.query
    numbers = {query.number for pair in pairs for query in (pair.probe.query, pair.fetch.query)}
    queries = [case.trace.queries[number] for number in sorted(numbers)]
    verb = "counted" if pairs[0].probe.probe == "count" else "looked for"
    times = "" if len(pairs) == 1 else f", {len(pairs)} times"
    order = "and then all fetched" if pairs[0].before else "after all of them were fetched"
    return _loops.finding(
        case,
        queries,
        code=CODE,
        name=NAME,
        confidence="high" if function_of(probe) == function_of(fetch) else "medium",
        message=(
            f"Rows of {what(fetch)} are {verb} at {place(probe.origin)} {order} at "
            f"{place(fetch.origin)}{times}."
        ),
        saved=len({pair.probe.query.number for pair in pairs}),
        mend=_mend(case, pairs[0]),
        subject=what(fetch),
        origin=probe.origin,
        evidence={
            "asked": pairs[0].probe.probe,
            "fetched at": place(fetch.origin),
            "rows": sum(pair.fetch.query.rows or 0 for pair in pairs),
        },
    )


def _mend(case: Case, pair: _Pair) -> Mend:
    probe, fetch = pair.probe.query, pair.fetch.query
    rows = "rows"
    if framework_of(case.trace, fetch) == "django" and fetch.load is not None:
        rows = fetch.load.attribute or rows
    write = f"len({rows})" if pair.probe.probe == "count" else f"if {rows}:"
    when = "first, and use" if pair.before else "once, and use"
    return Mend(
        probe.origin.first,
        write,
        f"Fetch the rows (as {place(fetch.origin)} does) {when} them here: they tell how many "
        "there are.",
    )
