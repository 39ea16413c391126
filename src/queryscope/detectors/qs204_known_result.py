"""QS204: a statement whose answer was known before it was sent.

## What it does

Finds SELECTs that cannot return a row, since their condition is false whatever the data hold (an
empty IN list, as SQLAlchemy writes it, or `false()`) or their LIMIT is 0, and `exists()` of a set
whose rows had been fetched before in the same session, with nothing written between. Then a single
row that is asked for by its `id` in the function that has fetched the set it belongs to.

## Why it is bad

    cost = one round trip for an answer that is known

## Example

    keys = [item.key for item in basket]                       # empty
    books = session.scalars(select(Book).where(Book.id.in_(keys))).all()

    books = list(shop.books.all())
    if shop.books.filter().exists():
        ...
    first = shop.books.get(pk=key)

## Use instead

    books = session.scalars(select(Book).where(Book.id.in_(keys))).all() if keys else []

    if books:
        ...
    first = {book.pk: book for book in books}[key]

With SQLAlchemy `session.get(Book, key)` looks into the session's own rows first.

## Not flagged

`NOT IN` of nothing, and conditions with an OR beside the false part, which may be true; a `LIMIT 0`
of raw SQL, which asks for the names of columns; counts after the rows (QS207); rows that were
written or locked meanwhile, sets with other filters or values, pages, and what only library code
asked. Of single rows those with columns that the set came without, of sets that another function,
an earlier transaction or `iterator()` has fetched, or that have more than `same_set_max_rows`, and
what is asked for again and again, as who waits for a change does. Django sends nothing where a list
is empty. Keys that are read off a related row instead of the row itself (`book.author.id`) are for
read tracking to see, not for statements.

## Settings

- `critical_min_count` (statements, 10): from here on the finding is critical.
- `same_set_max_rows` (rows of the set, 1,000): from here on single rows of it may be asked for.

## Source

SQLAlchemy, "Empty IN Expressions":
https://docs.sqlalchemy.org/en/20/core/operators.html#empty-in-expressions.
"What does the Session do?":
https://docs.sqlalchemy.org/en/20/orm/session_basics.html#what-does-the-session-do
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from queryscope.detectors import _loops, _sets
from queryscope.detectors._advice import framework_of, own_step, position_of
from queryscope.detectors._openers import place
from queryscope.detectors._sets import comparable, function_of, what
from queryscope.detectors._statements import by_line, in_pieces, times
from queryscope.detectors.finding import Mend
from queryscope.trace.clauses import clauses_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case, Threshold
    from queryscope.trace.events import Query
    from queryscope.trace.sets import Ask

CODE = "QS204"
NAME = "known-result"
THRESHOLDS: Mapping[str, Threshold] = {
    **_sets.THRESHOLDS,
    **_loops.thresholds(_loops.CRITICAL_MIN_COUNT),
}

_RAW = frozenset({"cursor", "raw", "core", ""})
_MAYBE_FALSE = re.compile(r"\b\d+\s*(?:=|!=|<>)\s*\d+\b|\bfalse\b", re.IGNORECASE)
_NUMBERS = r"(?P<one>\d+) (?P<sign>=|!=|<>) (?P<two>\d+)"
_COMPARED = re.compile(rf"(?:\( )*{_NUMBERS}(?: \))*")
_FALSE = re.compile(r"(?:\( )*(?:false(?: = 1)?|not true)(?: \))*")
_EMPTY_IN = re.compile(rf"(?:\( )*[\w.]+ in \( select .* where {_NUMBERS}(?: \))+")


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that asks what it could have known."""
    for queries in by_line(case, _cannot_return, each=lambda query: not query.rows):
        if own_step(queries[0].origin.steps) is not None:
            yield _empty(case, queries)
    found: dict[object, list[tuple[Query, Query]]] = {}
    for asks in comparable(case):
        for fetched, asked in _known(case, asks):
            lines = fetched.origin.first, asked.origin.first
            found.setdefault((lines, asked.shape.text), []).append((fetched, asked))
    for pairs in found.values():
        yield _after_rows(case, pairs)
    for fetched, asked in _sets.held(case):
        if not in_pieces(fetched):
            yield _one_of_them(case, fetched, asked)


def _cannot_return(query: Query) -> bool:
    if query.limit == 0:
        return query.operation not in _RAW or bool(query.model)
    if _MAYBE_FALSE.search(query.statement) is None:
        return False
    clauses = clauses_of(query.statement, query.vendor)
    return clauses is not None and any(_is_false(part.text) for part in clauses.asked.conjuncts)


def _is_false(condition: str) -> bool:
    """Tell whether a part of a condition that has to hold never does."""
    if _FALSE.fullmatch(condition):
        return True
    compared = _COMPARED.fullmatch(condition) or _EMPTY_IN.fullmatch(condition)
    if compared is None:
        return False
    equal = int(compared["one"]) == int(compared["two"])
    return not equal if compared["sign"] == "=" else equal


def _known(case: Case, asks: Sequence[Ask]) -> Iterator[tuple[Query, Query]]:
    """Yield (the statement that fetched the set, the ``exists()`` that followed)."""
    whole: Query | None = None
    for ask in asks:
        if ask.whole:
            whole = ask.query
        elif (
            ask.probe == "exists"
            and not ask.limited
            and whole is not None
            and case.repeats.unchanged(whole, ask.query)
        ):
            yield whole, ask.query


def _empty(case: Case, queries: list[Query]) -> Finding:
    first = queries[0]
    nothing = first.limit == 0
    why = "its LIMIT is 0" if nothing else "its condition is always false, as of an empty list"
    return _loops.finding(
        case,
        queries,
        code=CODE,
        name=NAME,
        confidence="high",
        message=(
            f"{place(first.origin)} asks for rows of {what(first)} that cannot be there: {why}"
            f"{times(queries)}."
        ),
        saved=len(queries),
        mend=Mend(
            position_of(first),
            "if ...:",
            "Ask only where a row is wanted." if nothing else "Ask only where the list has values.",
        ),
        subject=first.shape.text,
        evidence={"why": why},
    )


def _after_rows(case: Case, pairs: list[tuple[Query, Query]]) -> Finding:
    fetched, asked = pairs[0]
    numbers = {query.number for pair in pairs for query in pair}
    repeated = "" if len(pairs) == 1 else f", {len(pairs)} times"
    return _loops.finding(
        case,
        [case.trace.queries[number] for number in sorted(numbers)],
        code=CODE,
        name=NAME,
        confidence="high" if function_of(fetched) == function_of(asked) else "medium",
        message=(
            f"{place(asked.origin)} asks whether there are rows of {what(fetched)} after "
            f"{place(fetched.origin)} has fetched them{repeated}."
        ),
        saved=len({asked.number for _, asked in pairs}),
        mend=Mend(
            asked.origin.first,
            "if rows:",
            f"Look at the rows that {place(fetched.origin)} has fetched.",
        ),
        subject=what(fetched),
        origin=asked.origin,
        evidence={"why": "the rows were fetched before", "fetched at": place(fetched.origin)},
    )


def _one_of_them(case: Case, fetched: Query, asked: Query) -> Finding:
    name = what(fetched)
    sqlalchemy = framework_of(case.trace, asked) == "sqlalchemy"
    return _loops.finding(
        case,
        [asked],
        code=CODE,
        name=NAME,
        confidence="high",
        message=(
            f"{place(asked.origin)} asks for a row of {name} that {place(fetched.origin)} has "
            f"fetched with {fetched.rows:,} rows."
        ),
        saved=1,
        mend=Mend(
            asked.origin.first,
            f"session.get({name}, ...)" if sqlalchemy else "{row.pk: row for row in rows}[...]",
            f"Take it from the rows that {place(fetched.origin)} has fetched.",
        ),
        subject=name,
        evidence={"why": "the row was fetched before", "fetched at": place(fetched.origin)},
    )
