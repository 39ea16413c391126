"""QS402: an index exists on a column, and the way the statement asks keeps it from being used.

## What it does

Finds SELECTs that read all of a large table, with a condition on a column that has an index but
stands inside a function, an expression or a cast. It needs the database: `queryscope scan --plans`
and `queryscope plan` find it.

## Why it is bad

    cost = rows of the table x reading one, each time; and the index is paid for with each write

The index holds the column's values. What a function makes of them it does not hold.

## Example

```python
Reading.objects.extra(where=["sensor + 0 = 7"])
select(User).where(func.lower(User.email) == email.lower())
```

## Use instead

Ask for the column itself, and do the arithmetic on the other side: `filter(sensor=7)`,
`filter(day__gte=start, day__lt=end)` in place of a cast to a date. Where the function has to be,
make an index on it: `models.Index(Upper("email"), name="email_upper")`,
`Index("email_lower", func.lower(User.email))`.

## Not flagged

- tables of less than `plan_min_rows`;
- statements whose plan uses some index, or that hand out a fifth of the table and more;
- columns without an index, and leading wildcards, which no plain index answers (QS312);
- conditions that exclude (`<>`, `NOT`): most rows meet them.

## Settings

- `plan_min_rows` (rows of a table, 1,000).

## Source

PostgreSQL, "Indexes on Expressions": an index is used where the statement asks for the very
expression that it is made of. https://www.postgresql.org/docs/current/indexes-expressional.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._advice import position_of
from queryscope.detectors._openers import place
from queryscope.detectors._plans import PLAN_MIN_ROWS, by_place, finding, hindrances
from queryscope.detectors.finding import Mend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.planned import Planned
    from queryscope.detectors.registry import Threshold

CODE = "QS402"
NAME = "index-not-used"
THRESHOLDS: Mapping[str, Threshold] = PLAN_MIN_ROWS
FORMS = ("wrapped", "cast")


def detect_plans(planned: Planned) -> Iterator[Finding]:
    """Yield a finding for each line and column whose index cannot be used."""
    for studied, group in by_place(planned):
        for one in hindrances(planned, studied):
            if one.form not in FORMS or one.existing is None:
                continue
            query = group[0].query
            column = f"{one.table}.{one.column}"
            yield finding(
                studied,
                group,
                code=CODE,
                name=NAME,
                severity="warning",
                confidence="high",
                message=(
                    f"{place(query.origin)} asks for {column} with {one.how} around it, so that "
                    f"all of {one.table} is read and index {one.existing.name} is not used."
                ),
                mend=Mend(
                    position_of(query),
                    one.column,
                    "Compare the column itself, or make an index on what stands around it.",
                ),
                subject=column,
                evidence={"index": one.existing.name, "around the column": one.how},
            )
