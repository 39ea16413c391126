"""Edge-value variants of recorded requests."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any

from queryscope.credentials import MASKED
from queryscope.verify.contract import NOBODY
from queryscope.verify.edges import Mark, other_valid, texts_for, values_for
from queryscope.verify.pairwise import pairwise
from queryscope.verify.parameters import Change, Parameter, changed, parameters_of, values_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from queryscope.verify.contract import Request
    from queryscope.verify.parts import Literal

BASES = 3
"""Recorded requests of an endpoint that are varied: the first of each set of parameters."""
FIRST_RANKS = 5
"""Edge values of every parameter that come before pairs: absent, empty, zero, another valid one,
and for a number what is none."""
MOST_PAIRS = 60
"""Combinations of classes; 13 parameters of four classes take 36."""
PAGES = 8
"""Pages that are asked for, from the first; small ones, so that they reach the end."""
SMALL_PAGE = "2"
_PAGE_NAMES = frozenset({"page", "p", "pg", "page_number", "pagenumber"})
_OFFSET_NAMES = frozenset({"offset", "start", "skip", "from"})
_SIZE_NAMES = frozenset({"page_size", "pagesize", "per_page", "perpage", "limit", "size", "count"})


def variants(
    recorded: Sequence[Request],
    *,
    literals: Collection[Literal] = (),
    headers: Collection[str] = (),
    actors: Collection[str] = (),
    parameters: Collection[str] = (),
    limit: int,
) -> tuple[Request, ...]:
    """Return variants of recorded requests, the most telling first, the same ones each time.

    Each parameter alone is given every edge value, the others as recorded; every two parameters
    meet in four classes (absent, as recorded, zero, another valid value); each request is made by
    the other actors, and by nobody; pages are walked.

    Args:
        recorded: What was recorded of one endpoint.
        literals: What the original and the patched source compare with (``literals_of``).
        headers: Names of request headers that the source reads (``headers_read``).
        actors: Names of those who may ask, ``""`` for nobody.
        parameters: Names of query parameters that the source reads (``parameters_read``).
        limit: The largest number of variants.
    """
    known = {request.key for request in recorded}
    made = [
        _of_one(base, recorded, literals, headers, actors, parameters) for base in _bases(recorded)
    ]
    found: list[Request] = []
    for row in zip_longest(*made):
        for request in row:
            if request is not None and request.key not in known:
                known.add(request.key)
                found.append(request)
        if len(found) >= limit:
            break
    return tuple(found[:limit])


def _bases(recorded: Sequence[Request]) -> list[Request]:
    """Return the first request of each set of parameters, those with most parameters first."""
    found: dict[tuple[object, ...], Request] = {}
    for request in recorded:
        names = tuple(sorted({name for name, _ in request.pairs}))
        found.setdefault((request.method, names, bool(request.body)), request)
    return sorted(found.values(), key=lambda one: -len(one.pairs))[:BASES]


def _of_one(
    base: Request,
    family: Sequence[Request],
    literals: Collection[Literal],
    headers: Collection[str],
    actors: Collection[str],
    names: Collection[str],
) -> Iterator[Request]:
    for actor in dict.fromkeys((*actors, NOBODY)):
        if actor != base.actor:
            yield replace(base, actor=actor, variant=f"as {actor or 'nobody'}")
    own = [name for name in headers if name.lower() not in MASKED]
    parameters = parameters_of(base, family, names, own)
    columns = [_edges(one, family, literals) for one in parameters]
    # What was asked for comes first: a filter that is in use is the one that breaks.
    for asked in (True, False):
        here = [
            column
            for one, column in zip(parameters, columns, strict=True)
            if (one.recorded is not None) is asked
        ]
        first = islice(_ranks(here), FIRST_RANKS * len(here))
        yield from _made(base, ([change] for change in first))
    yield from _made(base, _pages(parameters))
    yield from _made(base, _pairs(parameters, family, literals))
    yield from _made(base, ([change] for change in _ranks(columns)))


def _made(base: Request, changes: Iterable[Sequence[Change]]) -> Iterator[Request]:
    for one in changes:
        request = changed(base, one) if one else None
        if request is not None:
            yield request


def _edges(
    parameter: Parameter, family: Sequence[Request], literals: Collection[Literal]
) -> list[Change]:
    if parameter.place == "json":
        values: Iterable[Any] = values_for(parameter.recorded, literals)
    else:
        values = texts_for(parameter.recorded, values_in(family, parameter), literals)
    found: dict[str, Change] = {}
    for value in values:
        absent = value is Mark.ABSENT and parameter.recorded is None
        if not absent and (type(value), value) != (type(parameter.recorded), parameter.recorded):
            found.setdefault(f"{type(value).__name__} {value!r}", Change(parameter, value))
    return list(found.values())


def _ranks(columns: Sequence[Sequence[Change]]) -> Iterator[Change]:
    """Yield the first value of every parameter, then the second of every one, and so on."""
    for row in zip_longest(*columns):
        yield from (change for change in row if change is not None)


def _pairs(
    parameters: Sequence[Parameter], family: Sequence[Request], literals: Collection[Literal]
) -> Iterator[list[Change]]:
    """Yield combinations in which every two parameters meet in four classes."""
    texts = [one for one in parameters if one.place in ("query", "form")]
    if len(texts) < 2:  # noqa: PLR2004 - a pair
        return
    classes = []
    for one in texts:
        sample = one.recorded if one.recorded is not None else ""
        other = other_valid(sample, values_in(family, one), literals)
        values = [Mark.ABSENT, one.recorded, "0", other]
        classes.append([value for value in dict.fromkeys(values) if value is not None])
    for combination in pairwise([len(one) for one in classes], MOST_PAIRS):
        changes = [
            Change(parameter, values[number])
            for parameter, values, number in zip(texts, classes, combination, strict=True)
        ]
        yield [
            change
            for change in changes
            if change.value != change.parameter.recorded
            and not (change.value is Mark.ABSENT and change.parameter.recorded is None)
        ]


def _pages(parameters: Sequence[Parameter]) -> Iterator[list[Change]]:
    """Yield pages from the first one on, as they are and small enough to reach the end."""
    queries = {one.name.lower(): one for one in parameters if one.place == "query"}
    size = next((one for name, one in queries.items() if name in _SIZE_NAMES), None)
    for name, parameter in queries.items():
        if name in _PAGE_NAMES:
            places = [str(number) for number in range(1, PAGES + 1)]
        elif name in _OFFSET_NAMES:
            places = [str(int(SMALL_PAGE) * number) for number in range(PAGES)]
        else:
            continue
        for place in places:
            if size is not None:
                yield [Change(size, SMALL_PAGE), Change(parameter, place)]
        for place in places:
            yield [Change(parameter, place)]
