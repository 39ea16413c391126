"""Indexes that might serve a scan: columns that the statement finds, joins or orders rows by."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.plans.conditions import SERVED, conditions_of, order_of
from queryscope.plans.plan import READS_ALL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.plans.conditions import Condition
    from queryscope.plans.plan import Plan
    from queryscope.plans.schema import Schema, Table
    from queryscope.plans.statement import Statement

MAX_COLUMNS = 3
MAX_CANDIDATES = 4
"""Indexes tried for one statement."""
_NO_KEYS = ("text", "blob", "json", "bytea", "xml", "geometry", "longtext", "mediumtext", "clob")
"""Types that no plain index is made of on every database."""


class Candidate(NamedTuple):
    """An index that may be missing: the table and its columns, as the schema names them."""

    table: str
    columns: tuple[str, ...]


def scanned_tables(plan: Plan, least_rows: float) -> tuple[str, ...]:
    """Return the tables that a plan reads from one end to the other, without the small ones."""
    found = dict.fromkeys(node.table.lower() for node in plan.nodes() if node.kind in READS_ALL)
    return tuple(table for table in found if plan.rows_in(table) >= least_rows)


def candidates_for(
    statement: Statement, plan: Plan, schema: Schema, least_rows: float
) -> tuple[Candidate, ...]:
    """Return the indexes that are worth trying, the likeliest first.

    Args:
        statement: A SELECT.
        plan: What the database does for it now.
        schema: Its tables.
        least_rows: Rows from which on a table is worth an index.
    """
    conditions = [item for one in conditions_of(statement) for item in (one, *_sides(one))]
    found: dict[Candidate, None] = {}
    for name in scanned_tables(plan, least_rows):
        table = schema.table(name)
        if table is None:
            continue
        for columns in _lists(statement, table, [one for one in conditions if one.table == name]):
            known = [column for one in columns if (column := table.column(one)) is not None]
            if len(known) != len(columns) or _is_there(table, columns):
                continue
            if not any(column.type.lower().startswith(_NO_KEYS) for column in known):
                found[Candidate(table.name, tuple(column.name for column in known))] = None
    return tuple(found)[:MAX_CANDIDATES]


def _sides(condition: Condition) -> tuple[Condition, ...]:
    return condition.others if condition.form == "join" else ()


def _lists(
    statement: Statement, table: Table, conditions: Sequence[Condition]
) -> Iterator[tuple[str, ...]]:
    """Yield lists of columns: what is equal to something first, then a range or the order."""
    served = [one for one in conditions if one.form in SERVED]
    equal = list(dict.fromkeys(one.column for one in served if one.form != "range"))[:MAX_COLUMNS]
    ranges = [one.column for one in served if one.form == "range" and one.column not in equal]
    order = order_of(statement)
    behind: list[str] = []
    if order is not None and order.limited and order.table == table.name.lower():
        behind = [column for column in order.columns if column not in equal]
    for tail in (*filter(None, (ranges[:1], behind)), []):
        columns = tuple([*equal, *tail][:MAX_COLUMNS])
        if columns:
            yield columns
    # A join's column alone: the other table may find the rows of this one by it.
    for one in served:
        if one.form == "join" and len(equal) > 1:
            yield (one.column,)


def _is_there(table: Table, columns: Sequence[str]) -> bool:
    """Tell whether an index begins with these columns already."""
    wanted = [column.lower() for column in columns]
    return any(
        [name.lower() for name in index.names[: len(wanted)]] == wanted and not index.predicate
        for index in table.indexes
    )
