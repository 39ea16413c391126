"""QS312: a condition is written so that no plain index could answer it.

## What it does

Finds SELECTs that read all of a large table because of a condition that no plain index of the
column answers: a function or an expression around the column, a LIKE that begins with a wildcard, a
cast that the database adds by itself, an OR of several columns. It needs the database:
`queryscope scan --plans` and `queryscope plan` find it.

## Why it is bad

    cost = rows of the table x reading one, each time

An index finds what a value begins with. What it ends with, what a function makes of it, or a row
that one of two columns finds, has to be looked for in every row.

## Example

```python
Book.objects.filter(isbn__contains="-1")
Book.objects.annotate(up=Upper("title")).filter(up="DUNE")
select(Book).where(or_(Book.isbn == text, Book.author_name == text))
```

## Use instead

A prefix (`isbn__startswith`), a column that holds what is asked for, an index on the expression,
a trigram or full-text index; for an OR an index on each column, or two statements and a UNION.

## Not flagged

- tables of less than `plan_min_rows`, and statements whose plan finds the rows by another index;
- a function around a column that has an index: QS402 says so;
- a LIKE whose pattern is not known, because values were not kept;
- an OR of one column, and one whose columns all have their index;
- conditions that exclude, and statements that hand out a fifth of the table and more.

## Settings

- `plan_min_rows` (rows of a table, 1,000).

## Source

PostgreSQL, "B-Tree": patterns are answered by an index only if they are anchored to the beginning.
https://www.postgresql.org/docs/current/indexes-types.html. The word is short for "search argument
able".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import position_of
from queryscope.detectors._openers import place
from queryscope.detectors._plans import PLAN_MIN_ROWS, by_place, finding, hindrances
from queryscope.detectors.finding import Mend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors._plans import Hindrance
    from queryscope.detectors.finding import Finding
    from queryscope.detectors.planned import Planned
    from queryscope.detectors.registry import Threshold

CODE = "QS312"
NAME = "non-sargable"
THRESHOLDS: Mapping[str, Threshold] = PLAN_MIN_ROWS
_HOW = {
    "wrapped": "Compare the column itself, keep a column that holds what is asked for, or make an "
    "index on the expression.",
    "cast": "Compare with a value of the column's own type.",
    "wildcard": "Ask for a beginning, or make a trigram or full-text index.",
    "or": "Make an index on each of the columns, or send two statements with a UNION.",
}


def detect_plans(planned: Planned) -> Iterator[Finding]:
    """Yield a finding for each line and condition that no plain index answers."""
    for studied, group in by_place(planned):
        for one in hindrances(planned, studied):
            if one.form in ("wrapped", "cast") and one.existing is not None:
                continue  # QS402 says so
            query = group[0].query
            yield finding(
                studied,
                group,
                code=CODE,
                name=NAME,
                severity="warning",
                confidence="medium",
                message=(
                    f"{place(query.origin)} asks for {one.table}.{one.column} by "
                    f"{_what(one)}, which no plain index answers: all of {one.table} is read."
                ),
                mend=Mend(position_of(query), one.column, _HOW[one.form]),
                subject=f"{one.table}.{one.column}",
                evidence={"condition": _what(one)},
            )


def _what(one: Hindrance) -> str:
    if one.form == "wildcard":
        return "a LIKE that begins with a wildcard"
    return f"{one.how} around it" if one.form == "wrapped" else one.how
