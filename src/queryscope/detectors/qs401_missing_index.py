"""QS401: a table is read from one end to the other where an index would find the rows.

## What it does

Finds SELECTs that read all of a large table for a few rows, and tries the index that would find
them: on a copy of the tables that nobody else sees, with the statement run before and after. What
one index mends is one finding, at the line that costs most. It needs the database:
`queryscope scan --plans` and `queryscope plan` find it.

## Why it is bad

    cost = rows of the table x reading one, each time

and it grows with the table, while a search by an index hardly does.

## Example

```python
Reading.objects.filter(taken=moment)  # 6,000 rows read for one
```

## Use instead

```python
class Reading(models.Model):
    ...

    class Meta:
        indexes = [models.Index(fields=["taken"])]
```

SQLAlchemy: `mapped_column(index=True)`, or `Index("ix_reading_taken", Reading.taken)`.

## Not flagged

- tables of less than `plan_min_rows`: they are read as fast as their index;
- indexes that were tried and are not used, save less than `missing_index_min_percent` of the
  statement's work, or leave more than four fifths of its time: few different values;
- statements that hand out a fifth of the table and more;
- conditions that no plain index answers (QS312), and columns that have their index already (QS402);
- writes: only SELECTs are run on a copy.

An index that could not be tried (no right to make temporary tables, tables named with their schema,
values that are not known, a function that may do anything) is said as an info of low confidence,
with the reason.

## Settings

- `plan_min_rows` (rows of a table, 1,000);
- `missing_index_min_percent` (percent of the statement's work that the index saves, 50).

## Source

Work is counted by the database itself: steps of SQLite's virtual machine, pages that PostgreSQL
reads, rows that MariaDB's handler reads. Steps alone can lie: an index on a column of four values
cut them by 58 % and made the statement 1.7 times slower, so that time has to fall as well.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._advice import framework_of, position_of, short
from queryscope.detectors._openers import place
from queryscope.detectors._plans import PLAN_MIN_ROWS, asks_for_most, by_place, finding
from queryscope.detectors.finding import Mend
from queryscope.detectors.registry import Threshold
from queryscope.plans.words import trial_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.planned import Planned
    from queryscope.plans.study import Sent, Studied
    from queryscope.plans.trial import Trial

CODE = "QS401"
NAME = "missing-index"
THRESHOLDS: Mapping[str, Threshold] = {
    **PLAN_MIN_ROWS,
    "missing_index_min_percent": Threshold(50, "percent of a statement's work that an index saves"),
}


def detect_plans(planned: Planned) -> Iterator[Finding]:
    """Yield a finding for each index that would make statements cheaper."""
    wanting: dict[object, list[_Wanting]] = defaultdict(list)
    for one in _wanting(planned):
        trial = one.trial
        wanting[one.group[0].query.database, trial.table, trial.columns].append(one)
    for found in wanting.values():
        found.sort(key=_spent_ns, reverse=True)
        yield _finding(found)


class _Wanting(NamedTuple):
    """A statement of one line that an index would make cheaper."""

    studied: Studied
    group: list[Sent]
    trial: Trial


def _spent_ns(one: _Wanting) -> tuple[bool, int]:
    return not one.trial.refusal, sum(sent.query.duration_ns for sent in one.group)


def _wanting(planned: Planned) -> Iterator[_Wanting]:
    least = planned.threshold("missing_index_min_percent")
    for studied, group in by_place(planned):
        trial = studied.trial
        if trial is None or studied.plan is None:
            continue
        if studied.plan.rows_in(trial.table) < planned.threshold("plan_min_rows"):
            continue
        if asks_for_most(studied, studied.plan, trial.table):
            continue
        if trial.refusal or (trial.is_better and 100 * trial.saved >= least):
            yield _Wanting(studied, group, trial)


def _finding(found: list[_Wanting]) -> Finding:
    studied, group, trial = found[0]
    query = group[0].query
    rows = studied.plan.rows_in(trial.table) if studied.plan is not None else 0
    columns = ", ".join(trial.columns)
    evidence: dict[str, str | int | float] = {"index": f"{trial.table} ({columns})", "rows": rows}
    others = dict.fromkeys(place(one.group[0].query.origin) for one in found[1:])
    others.pop(place(query.origin), None)
    if others:
        evidence["other lines"] = ", ".join(others)
    if trial.refusal:
        evidence["not tried"] = trial.refusal
    else:
        evidence |= {
            f"{trial.unit} before": trial.before.amount,
            f"{trial.unit} after": trial.after.amount,
            "milliseconds before": round(trial.before.duration_ns / 1e6, 3),
            "milliseconds after": round(trial.after.duration_ns / 1e6, 3),
            "rows of the copy": trial.rows,
        }
    return finding(
        studied,
        [sent for one in found for sent in one.group],
        code=CODE,
        name=NAME,
        severity="info" if trial.refusal else "warning",
        confidence="low" if trial.refusal else "high" if trial.whole else "medium",
        message=(
            f"{place(query.origin)} reads all of {trial.table} (about {rows:,} rows)"
            f"{_for(query.rows)}. {trial_in_words(trial)}"
        ),
        mend=Mend(
            position_of(query),
            _index(group[0], trial),
            f"Add the index to the table {trial.table}, in a migration. Each write pays for it.",
        ),
        subject=f"{trial.table} ({columns})",
        evidence=evidence,
    )


def _for(rows: int | None) -> str:
    if rows is None:
        return ""
    return f" for {rows:,} row{'' if rows == 1 else 's'}"


def _index(sent: Sent, trial: Trial) -> str:
    """Return the index as the user would write it."""
    query = sent.query
    framework = framework_of(sent.part, query)
    if framework == "django" and query.model:
        return f"models.Index(fields=[{', '.join(map(repr, trial.columns))}])".replace("'", '"')
    if framework == "sqlalchemy" and query.model:
        name = "_".join(("ix", trial.table, *trial.columns))
        model = short(query.model)
        return f'Index("{name}", {", ".join(f"{model}.{column}" for column in trial.columns)})'
    name = "_".join((trial.table, *trial.columns, "idx"))
    return f"CREATE INDEX {name} ON {trial.table} ({', '.join(trial.columns)})"
