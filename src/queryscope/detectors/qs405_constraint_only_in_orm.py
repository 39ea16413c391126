"""QS405: a model promises what the database does not keep.

## What it does

Compares the models that the process knows with the tables of the database: `unique`, not null and
foreign keys that stand in the model alone. Only tables that recorded statements are about. It needs
the database and the models: `queryscope scan --plans` finds it.

## Why it is bad

The ORM checks in one process what two do at the same time, and bulk writes, other programs and
people do not ask it:

    cost = rows that break the promise, and each line of code that relied on it

A planner does not know it either: a unique constraint tells it that one row comes, a foreign key
with an index makes a join cheap.

## Example

```python
book = models.ForeignKey(Book, models.DO_NOTHING, db_constraint=False)
email: Mapped[str] = mapped_column(unique=True)     # and the migration was never made
```

## Use instead

Add the constraint by a migration, after the rows that break it were looked for and mended. What is
left out on purpose (rows of another database, bulk loads) is accepted with its reason, inline or in
the baseline.

## Not flagged

- tables and columns that the database does not have: a migration to come;
- unmanaged models, proxies, a library's own models;
- foreign keys to tables of another database, generic foreign keys, which are none;
- a unique index in place of a unique constraint, or of fewer columns; conditions and expressions
  of a unique index, which are not compared;
- checks and validators: what they ask of one row, one process can answer.

A foreign key that the model itself keeps from the database (`db_constraint=False`) is an `info`.

## Settings

None: a constraint is there or not.

## Source

Django, "UniqueConstraint.condition": databases without partial indexes (MariaDB, MySQL) do not
get them. https://docs.djangoproject.com/en/5.2/ref/models/constraints/#condition.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from queryscope.detectors._tables import is_users, models_of, place_of, used_tables
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.plans.declared import missing
from queryscope.trace.events import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.detectors._tables import Used
    from queryscope.detectors.planned import Planned
    from queryscope.detectors.registry import Threshold
    from queryscope.plans.declared import Model, Rule

CODE = "QS405"
NAME = "constraint-only-in-orm"
THRESHOLDS: Mapping[str, Threshold] = {}
_LACKS = {
    "unique": "rows that are alike",
    "not null": "NULL",
    "foreign key": "keys of rows that are not there",
}
"""By what the model promises, what the database lets in."""


def detect_plans(planned: Planned) -> Iterator[Finding]:
    """Yield a finding for each model and each kind of promise that its table does not keep."""
    for used in used_tables(planned):
        for model in models_of(planned, used):
            if is_users(model):
                rules = sorted(missing(model, used.schema), key=_kind)
                for _, alike in groupby(rules, key=_kind):
                    yield _finding(used, model, list(alike))


def _kind(rule: Rule) -> tuple[str, bool]:
    return rule.kind, rule.on_purpose


def _finding(used: Used, model: Model, rules: Sequence[Rule]) -> Finding:
    first = rules[0]
    example, writes = used.example, used.writes
    at = place_of(model, first.attribute)
    columns = "; ".join(", ".join(rule.columns) or rule.name for rule in rules)
    said = "; ".join(dict.fromkeys(rule.text for rule in rules))
    how = "Add the constraint by a migration, once no row breaks it."
    if first.on_purpose:
        how = "Let the database keep it, or accept this with the reason why not."
    return Finding(
        code=CODE,
        name=NAME,
        severity="info" if first.on_purpose else "warning",
        confidence="high",
        message=(
            f"{model.name} promises {first.kind} for {columns} ({said}), and table "
            f"{used.table.name} has no such constraint: it lets in {_LACKS[first.kind]}."
        ),
        count=len(rules),
        cost=Cost(),
        origin=Origin(() if at is None else (at,)),
        mend=Mend(at, "db_constraint=True" if first.on_purpose else "", how),
        subject=f"{model.name} {first.kind}",
        evidence={
            "promised": first.kind,
            "columns": columns,
            "in the model": said,
            "recorded writes of the table": len(writes),
        },
        trace_id=example.part.id,
    )
