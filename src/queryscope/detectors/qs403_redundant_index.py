"""QS403: an index that another one answers for, or that no recorded statement uses.

## What it does

Compares the indexes of each table that recorded statements read or write: two that are alike, one
that is the beginning of another, and, where the whole workload of the table could be explained, one
that no plan uses. It needs the database: `queryscope scan --plans` finds it.

## Why it is bad

    cost = writes of the table x one more index to keep, its pages in memory and on disk

## Example

```python
class Meta:
    indexes = [models.Index(fields=["room"]), models.Index(fields=["room", "place"])]
```

## Use instead

Keep the longer one: it is searched by its first columns as well.

```python
class Meta:
    indexes = [models.Index(fields=["room", "place"])]
```

## Not flagged

- unique indexes, primary keys, and what a constraint keeps;
- the index of a foreign key, unless another one is just like it;
- indexes of other rows (`WHERE`), other methods than B-trees, another operator class or collation
  (the one that Django makes for `LIKE` on PostgreSQL), another direction of one of the columns;
- as unused: indexes that PostgreSQL has counted a use of, indexes of tables that recorded
  statements do not write, are few in kind, or could not all be explained.

The shorter index of two is the smaller one: where its table is read much more than written, it may
be worth its keep. An index that no recorded statement uses may serve what was not recorded; that is
an `info` with low confidence.

## Settings

- `unused_index_min_statements` (different statements about the table, 5);
- `plan_min_rows` (rows of a table from which on it is asked whether its indexes are used, 1,000).

## Source

PostgreSQL, "Multicolumn Indexes": a B-tree is most efficient with constraints on the leading
columns. https://www.postgresql.org/docs/current/indexes-multicolumn.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._plans import PLAN_MIN_ROWS
from queryscope.detectors._tables import models_of, place_of, used_tables
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.plans.catalogue import quoted
from queryscope.plans.schema import backs_foreign_key, can_go, redundant_indexes
from queryscope.trace.events import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors._tables import Used
    from queryscope.detectors.finding import Confidence
    from queryscope.detectors.planned import Planned
    from queryscope.plans.schema import Index

CODE = "QS403"
NAME = "redundant-index"
THRESHOLDS: Mapping[str, Threshold] = {
    **PLAN_MIN_ROWS,
    "unused_index_min_statements": Threshold(
        5, "different statements about a table, none of which uses one of its indexes"
    ),
}


def detect_plans(planned: Planned) -> Iterator[Finding]:
    """Yield a finding for each index that could go."""
    for used in used_tables(planned):
        gone = set()
        for one in redundant_indexes(used.table):
            gone.add(one.needless.name)
            how = "is just like" if one.how == "duplicate" else "is the beginning of"
            yield _finding(
                planned,
                used,
                one.needless,
                f"{how} index {one.by.name or 'of the primary key'} ({_columns(one.by)})",
                {"answers for it": one.by.name or "the primary key"},
                "high" if one.how == "duplicate" else "medium",
            )
        for index in _unused(planned, used):
            if index.name not in gone:
                statements = len(used.statements)
                yield _finding(
                    planned,
                    used,
                    index,
                    f"is used by none of {statements} recorded statements",
                    {"statements": statements},
                    "low",
                )


def _unused(planned: Planned, used: Used) -> Iterator[Index]:
    """Yield the indexes that no plan uses, where every statement about the table has one."""
    table, statements = used.table, used.statements
    if (
        len(statements) < planned.threshold("unused_index_min_statements")
        or (table.rows or 0) < planned.threshold("plan_min_rows")
        or not used.writes
    ):
        return
    plans = [one.plan for one in statements if one.plan is not None]
    if len(plans) < len(statements) or planned.study.left_off:
        return
    names = {node.index for plan in plans for node in plan.nodes()}
    for index in table.indexes:
        if can_go(index) and not (
            index.name in names or index.scans or backs_foreign_key(table, index)
        ):
            yield index


def _finding(
    planned: Planned,
    used: Used,
    index: Index,
    why: str,
    evidence: Mapping[str, str | int],
    confidence: Confidence,
) -> Finding:
    table, vendor = used.table, used.schema.vendor
    writes, example = used.writes, used.example
    models = models_of(planned, used)
    at = place_of(models[0]) if models else None
    name = quoted(index.name, vendor)
    drop = f"DROP INDEX {name}"
    if vendor == "mysql":
        drop = f"ALTER TABLE {quoted(table.name, vendor)} DROP INDEX {name}"
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning" if writes and confidence != "low" else "info",
        confidence=confidence,
        message=f"Index {index.name} ({_columns(index)}) of {table.name} {why}.",
        count=1,
        cost=Cost(statements=len(writes), duration_ns=sum(one.query.duration_ns for one in writes)),
        origin=Origin(() if at is None else (at,)),
        mend=Mend(at, drop, "Take the index out of the model and migrate, or drop it."),
        subject=f"{table.name} {index.name}",
        evidence={**evidence, "recorded writes of the table": len(writes)},
        trace_id=example.part.id,
    )


def _columns(index: Index) -> str:
    parts = (
        f"{column.name or column.expression}{' DESC' if column.descending else ''}"
        for column in index.columns
    )
    return ", ".join(parts)
