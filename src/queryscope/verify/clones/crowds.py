"""Many rows: more than any integer that source code names, in tables and below one parent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.verify.clones.edited import holds_credentials
from queryscope.verify.clones.relations import children_first, identity, is_link, next_key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from queryscope.plans.schema import Table
    from queryscope.verify.clones.edited import Edited

MOST_COPIED = 6_000
"""Rows of a table that are copied once; of a larger one there are many already."""
LARGEST_SIZE = 1_000
"""Of the integers that source code names, up to this one there are more rows than that."""
MOST_PARENTS = 8
"""Whose children are made so many: the first ones, as those are what is asked for most."""
MOST_CROWDED = 2_000
"""Rows that are added for them: an application that asks for each row takes its time."""
EXTRA_ROWS = 10
"""Beyond the largest of them."""


def fill_up(edited: Edited, sizes: Collection[int]) -> None:
    """Give each table more rows than any integer that source code names, with large keys.

    Every row is copied once, together with what it refers to, and gets a key beyond all of them;
    the first row of each table, and the first of each of a few parents, is copied until there are
    more of it than the largest integer, so that the parents it refers to have as many children.

    Args:
        edited: The clone.
        sizes: Integers of the source; those above ``LARGEST_SIZE`` only move the keys.
    """
    beyond = max((size for size in sizes if size <= LARGEST_SIZE), default=0) + EXTRA_ROWS
    parents = min(MOST_PARENTS, MOST_CROWDED // beyond) if beyond > EXTRA_ROWS else 0
    shift = max(sizes, default=0)
    if shift > LARGEST_SIZE:
        edited.refuse(
            "all tables", f"not filled up beyond {LARGEST_SIZE:,} rows, with keys beyond {shift:,}"
        )
    moved: dict[str, int] = {}
    for table in reversed(children_first(edited)):
        if holds_credentials(table):
            continue
        keyed = _integer_key(edited, table)
        if not keyed and not is_link(table):
            edited.refuse(table.name, "its key is no integer, so its rows stay as many")
            continue
        own = {key: shift + next_key(edited, table, key) for key in table.primary_key if keyed}
        if _copy_all(edited, table, own, moved) and keyed:
            moved[table.name.lower()] = own[table.primary_key[0]]
        if keyed and not is_link(table):
            for first in _firsts(edited, table, parents):
                _crowd(edited, table, first, beyond)


def _integer_key(edited: Edited, table: Table) -> bool:
    key = edited.key(table)
    return (
        len(key) == 1
        and edited.kinds(table)[key[0]].family == "integer"
        and edited.foreign_key(table, key[0]) is None
    )


def _copy_all(
    edited: Edited, table: Table, own: Mapping[str, int], moved: Mapping[str, int]
) -> bool:
    """Insert a copy of all rows; return whether that could be done.

    Args:
        edited: The clone.
        table: The table.
        own: The key's column, and by how much the copies' keys are larger.
        moved: Tables whose rows have copies, and by how much their keys are larger.
    """
    if int(edited.rows(f"SELECT count(*) FROM {edited.name(table)}")[0][0]) > MOST_COPIED:
        return False
    further = dict(own)
    for key in table.foreign_keys:
        by = moved.get(key.table.lower())
        if by is not None and len(key.columns) == 1 and key.table.lower() != table.name.lower():
            further.setdefault(key.columns[0], by)
            if is_link(table):
                break  # the other end of a link stays the same
    if not further:
        return False
    limits = [
        f"({edited.quoted(column)} IS NULL OR {edited.quoted(column)} < {by})"
        for column, by in further.items()
    ]
    return _copied(edited, table, further, " AND ".join(limits), "times all rows copied")


def _firsts(edited: Edited, table: Table, parents: int) -> list[int]:
    """Return the keys of the first row of a table and of the first of each of some parents."""
    (key,) = table.primary_key
    first = f"SELECT min({edited.quoted(key)}) FROM {edited.name(table)}"
    found = edited.rows(first)
    for foreign in table.foreign_keys:
        if len(foreign.columns) == 1:
            parent = edited.quoted(foreign.columns[0])
            found += edited.rows(
                f"{first} WHERE {parent} IS NOT NULL GROUP BY {parent} ORDER BY {parent} "
                f"LIMIT {parents}"
            )
    return list(dict.fromkeys(int(row[0]) for row in found if row[0] is not None))


def _crowd(edited: Edited, table: Table, first: int, beyond: int) -> None:
    """Copy a row of a table until there are more of it than ``beyond``."""
    (key,) = table.primary_key
    name = edited.quoted(key)
    base = next_key(edited, table, key)
    condition = f"{name} = {first}"
    by, rows = base - first, 0
    while rows <= beyond and _copied(edited, table, {key: by}, condition, "times a row copied"):
        rows = max(2 * rows, 1)
        condition = f"{name} >= {base} AND {name} < {base + rows}"
        by = rows


def _copied(
    edited: Edited, table: Table, further: Mapping[str, int], condition: str, what: str
) -> bool:
    names, values = [], []
    for column in table.columns:
        if (table.name, column.name) in edited.generated:
            continue
        name = edited.quoted(column.name)
        names.append(column.name)
        if column.name in further:
            values.append(f"{name} + {further[column.name]}")
        elif edited.unique_alone(table, column.name):
            values.append(_made_unique(edited, table, column.name, further))
        else:
            values.append(name)
    own = edited.name(table)
    return edited.change(
        f"INSERT INTO {own} ({edited.columns(names)}){identity(edited)} "
        f"SELECT {', '.join(values)} FROM {own} WHERE {condition}",
        (),
        what,
        table.name,
    )


def _made_unique(edited: Edited, table: Table, column: str, further: Mapping[str, int]) -> str:
    """Return SQL for a value that no other row has, as far as one can be made of the new key."""
    name = edited.quoted(column)
    key = next((one for one in table.primary_key if one in further), None)
    family = edited.kinds(table)[column].family
    if key is None or family not in ("text", "integer"):
        return name
    made = f"{edited.quoted(key)} + {further[key]}"
    if family == "integer":
        return f"{next_key(edited, table, column)} + {made}"
    if edited.vendor == "mysql":
        return f"concat('c-', CAST({made} AS char))"
    return f"'c-' || CAST({made} AS varchar(20))"
