"""Ties: rows that are neighbours in a column's order made equal in it, whatever the column."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queryscope.plans.schema import Column, Table
    from queryscope.verify.clones.edited import Edited

_NO_ORDER = frozenset({"bytes", "json", "other"})


def make_ties(edited: Edited) -> None:
    """Make neighbours equal: in every column that rows can be ordered by, each in its own order.

    The pairs are shifted from column to column, so that rows which are equal in one column
    differ in the next: what breaks a tie is seen.
    """
    for table in edited.tables:
        key = edited.key(table)
        if not key:
            edited.refuse(table.name, "the table has no key to tell its rows apart")
            continue
        number = 0
        for column in edited.free_columns(table):
            kind = edited.kinds(table)[column.name]
            if kind.family in _NO_ORDER or kind.choice or kind.family == "boolean":
                continue  # choices and booleans are tied as they are
            number += 1
            where = f"{table.name}.{column.name}"
            if edited.unique_alone(table, column.name):
                edited.refuse(where, "no two rows may be equal")
                continue
            edited.change(_tie(edited, table, column, number), (), "columns tied", where)


def _tie(edited: Edited, table: Table, column: Column, shift: int) -> str:
    """Return the statement that gives the second of each pair the value of the first."""
    name = edited.quoted(column.name)
    key = edited.key(table)
    own = edited.name(table)
    columns = edited.columns(key)
    same = " AND ".join(f"tied.{edited.quoted(one)} = {own}.{edited.quoted(one)}" for one in key)
    ranked = (
        f"SELECT {columns}, LAG({name}) OVER ordered AS earlier, "
        f"ROW_NUMBER() OVER ordered + {shift} AS n FROM {own} "
        f"WHERE {name} IS NOT NULL WINDOW ordered AS (ORDER BY {name}, {columns})"
    )
    chosen = f"SELECT * FROM ({ranked}) AS ranked WHERE (n & 1) = 0 AND earlier IS NOT NULL"
    if edited.vendor == "mysql":
        return f"UPDATE {own} JOIN ({chosen}) AS tied ON {same} SET {own}.{name} = tied.earlier"
    return f"UPDATE {own} SET {name} = tied.earlier FROM ({chosen}) AS tied WHERE {same}"
