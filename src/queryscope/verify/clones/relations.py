"""How tables depend on each other, and the keys that new rows of them get."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queryscope.plans.schema import Table
    from queryscope.verify.clones.edited import Edited


def children_first(edited: Edited) -> list[Table]:
    """Return the tables, each before those that it refers to, as far as they form no circle."""
    left = {table.name.lower(): table for table in edited.tables}
    found: list[Table] = []
    while left:
        referred = {
            key.table.lower()
            for table in left.values()
            for key in table.foreign_keys
            if key.table.lower() != table.name.lower()
        }
        free = [name for name in left if name not in referred] or [next(iter(left))]
        found += [left.pop(name) for name in free]
    return found


def is_link(table: Table) -> bool:
    """Return whether a table does nothing but link two others."""
    others = {name for key in table.foreign_keys for name in key.columns}
    plain = {column.name for column in table.columns} - set(table.primary_key)
    return len(table.foreign_keys) > 1 and (plain <= others or set(table.primary_key) <= others)


def next_key(edited: Edited, table: Table, name: str) -> int:
    """Return the first integer above all keys of a table."""
    column = edited.quoted(name)
    return int(
        edited.rows(f"SELECT coalesce(max({column}), 0) + 1 FROM {edited.name(table)}")[0][0]
    )


def identity(edited: Edited) -> str:
    """Return what lets PostgreSQL take keys for a column that makes its own."""
    return " OVERRIDING SYSTEM VALUE" if edited.vendor == "postgresql" else ""
