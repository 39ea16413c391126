"""Rows taken away and added: no rows, one each, children gone and doubled, twins."""

from __future__ import annotations

import uuid
from itertools import islice
from typing import TYPE_CHECKING, Any

from queryscope.verify.clones.edited import holds_credentials
from queryscope.verify.clones.relations import children_first, identity, is_link, next_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from queryscope.plans.schema import ForeignKey, Table
    from queryscope.verify.clones.edited import Edited

MOST_CHILDREN = 200
"""Rows of one parent that are doubled or given to its twin."""


# -- fewer rows -------------------------------------------------------------------------------


def delete_all(edited: Edited) -> None:
    """Leave no row, but of those by whom people log in and what these refer to."""
    _keep_only(edited, _Kept(edited))


def leave_one(edited: Edited) -> None:
    """Leave one row in each table, and those that it refers to."""
    kept = _Kept(edited)
    for table in children_first(edited):
        if not edited.key(table) or kept.of(table):
            continue
        row = kept.nearest(table)
        if row is not None:
            kept.keep(table, row)
    _keep_only(edited, kept)


class _Kept:
    """The rows that stay, by their keys; what they refer to stays with them."""

    def __init__(self, edited: Edited) -> None:
        self._edited = edited
        self._keys: dict[str, dict[tuple[Any, ...], None]] = {}
        for table in edited.tables:
            if edited.key(table) and holds_credentials(table):
                columns = edited.columns(edited.key(table))
                for row in edited.rows(f"SELECT {columns} FROM {edited.name(table)}"):
                    self.keep(table, tuple(row))

    def of(self, table: Table) -> Collection[tuple[Any, ...]]:
        """Return the keys of a table's rows that stay."""
        return self._keys.get(table.name, {})

    def keep(self, table: Table, row: tuple[Any, ...]) -> None:
        """Keep a row, and every row that it refers to."""
        waiting = [(table, row)]
        while waiting:
            table, row = waiting.pop()
            known = self._keys.setdefault(table.name, {})
            if row in known:
                continue
            known[row] = None
            waiting.extend(self._referred(table, row))

    def nearest(self, table: Table) -> tuple[Any, ...] | None:
        """Return the key of the first row, of those that refer to rows kept if there are any."""
        edited = self._edited
        columns = edited.columns(edited.key(table))
        statement = f"SELECT {columns} FROM {edited.name(table)}"
        order = f" ORDER BY {columns} LIMIT 1"
        wanted, values = [], []
        for key in table.foreign_keys:
            parent = edited.schema.table(key.table)
            if parent is None or key.referred != parent.primary_key or len(key.columns) != 1:
                continue
            rows = list(islice(self.of(parent), MOST_CHILDREN))
            if rows:
                marks = ", ".join(edited.mark for _ in rows)
                wanted.append(f"{edited.quoted(key.columns[0])} IN ({marks})")
                values += [row[0] for row in rows]
        found = []
        if wanted:
            found = edited.rows(f"{statement} WHERE {' AND '.join(wanted)}{order}", values)
        found = found or edited.rows(f"{statement}{order}")
        return tuple(found[0]) if found else None

    def _referred(
        self, table: Table, row: tuple[Any, ...]
    ) -> Iterable[tuple[Table, tuple[Any, ...]]]:
        edited = self._edited
        for key in table.foreign_keys:
            parent = edited.schema.table(key.table)
            if parent is None or not edited.key(parent):
                continue
            joined = " AND ".join(
                f"parent.{edited.quoted(there)} = child.{edited.quoted(here)}"
                for here, there in zip(key.columns, key.referred, strict=True)
            )
            same = " AND ".join(
                f"child.{edited.quoted(name)} = {edited.mark}" for name in edited.key(table)
            )
            found = edited.rows(
                f"SELECT {edited.columns(edited.key(parent), 'parent.')} "
                f"FROM {edited.name(table)} AS child JOIN {edited.name(parent)} AS parent "
                f"ON {joined} WHERE {same}",
                row,
            )
            yield from ((parent, tuple(one)) for one in found)


def _keep_only(edited: Edited, kept: _Kept) -> None:
    with edited.unchecked():
        for table in children_first(edited):
            key = edited.key(table)
            rows = list(kept.of(table))
            statement = f"DELETE FROM {edited.name(table)}"
            if not rows:
                edited.change(statement, (), "tables emptied", table.name)
                continue
            if holds_credentials(table) and len(rows) >= (table.rows or 0):
                continue
            condition = " OR ".join(
                "(" + " AND ".join(f"{edited.quoted(name)} = {edited.mark}" for name in key) + ")"
                for _ in rows
            )
            values = [value for row in rows for value in row]
            edited.change(
                f"{statement} WHERE NOT ({condition})", values, "tables emptied", table.name
            )


# -- more rows --------------------------------------------------------------------------------


def change_children(edited: Edited) -> None:
    """Take all children from one parent of each relation, and double those of two others.

    Children that have children themselves are given to another parent, so that the rest stays.
    """
    for table in edited.tables:
        leaf = not any(True for _ in edited.referring(table))
        for key in table.foreign_keys:
            parent = edited.schema.table(key.table)
            if parent is None or len(key.columns) != 1 or holds_credentials(parent):
                continue
            column = edited.quoted(key.columns[0])
            condition = f"{column} = {edited.mark}"
            parents = edited.rows(
                f"SELECT DISTINCT {column} FROM {edited.name(table)} "
                f"WHERE {column} IS NOT NULL ORDER BY {column} LIMIT 4"
            )
            own = edited.name(table)
            if len(parents) > 1 and not holds_credentials(table):
                where = f"{table.name}.{key.columns[0]}"
                if leaf:
                    edited.change(
                        f"DELETE FROM {own} WHERE {condition}",
                        parents[1],
                        "parents without children",
                        where,
                    )
                elif key.columns[0] not in table.primary_key:
                    edited.change(
                        f"UPDATE {own} SET {condition} WHERE {condition}",
                        (*parents[0], *parents[1]),
                        "parents without children",
                        where,
                    )
            if is_link(table):
                continue  # the same two cannot be linked twice; twins are linked
            for number in (0, 3):  # those in between stay as they are
                if len(parents) > number:
                    _double(edited, table, condition, parents[number], {})


def make_twins(edited: Edited) -> None:
    """Double the first rows that others refer to, and let every second reference name the double.

    Of a table that links two others (many to many), the double is linked as well.
    """
    for table in edited.tables:
        key = edited.key(table)
        referring = [
            (child, foreign)
            for child, foreign in edited.referring(table)
            if foreign.referred == key and len(key) == 1
        ]
        if not referring or holds_credentials(table):
            continue
        name = edited.quoted(key[0])
        for (value,) in edited.rows(
            f"SELECT {name} FROM {edited.name(table)} ORDER BY {name} LIMIT 2"
        ):
            twin = _double(edited, table, f"{name} = {edited.mark}", (value,), {})
            for child, foreign in referring if twin else ():
                _share(edited, child, foreign, value, twin[0][0])


def _share(edited: Edited, child: Table, foreign: ForeignKey, old: object, new: object) -> None:
    """Let children of a row refer to its double: links both, others every second one."""
    column = foreign.columns[0]
    condition = f"{edited.quoted(column)} = {edited.mark}"
    if is_link(child):
        _double(edited, child, condition, (old,), {column: new})
        return
    key = edited.key(child)
    if not key or column in key:
        return
    columns = edited.columns(key)
    rows = edited.rows(
        f"SELECT {columns} FROM {edited.name(child)} WHERE {condition} "
        f"ORDER BY {columns} LIMIT {MOST_CHILDREN}",
        (old,),
    )
    same = " AND ".join(f"{edited.quoted(name)} = {edited.mark}" for name in key)
    for row in rows[1::2]:
        edited.change(
            f"UPDATE {edited.name(child)} SET {edited.quoted(column)} = {edited.mark} WHERE {same}",
            (new, *row),
            "references to twins",
            f"{child.name}.{column}",
        )


def _double(
    edited: Edited,
    table: Table,
    condition: str,
    values: Sequence[Any],
    changed: dict[str, object],
) -> list[tuple[Any, ...]]:
    """Insert copies of rows with keys of their own; return the keys."""
    names = [c.name for c in table.columns if (table.name, c.name) not in edited.generated]
    key = edited.key(table)
    where = table.name
    if not key:
        edited.refuse(where, "the table has no key to tell its rows apart")
        return []
    make = _key_maker(edited, table, changed)
    if make is None:
        edited.refuse(where, "no new key can be made for a copy of a row")
        return []
    found = edited.rows(
        f"SELECT {edited.columns(names)} FROM {edited.name(table)} WHERE {condition} "
        f"ORDER BY {edited.columns(key)} LIMIT {MOST_CHILDREN}",
        values,
    )
    made = []
    for row in found:
        copy = dict(zip(names, row, strict=True)) | changed
        copy |= make(copy) | _other_values(edited, table, copy)
        statement = _insertion(edited, table, names)
        if edited.change(statement, [copy[name] for name in names], "rows doubled", where):
            made.append(tuple(copy[name] for name in key))
    return made


def _other_values(edited: Edited, table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Return other values for the columns of a copy that no two rows may have alike."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if value is None or edited.in_key(table, name) or not edited.unique_alone(table, name):
            continue
        kind = edited.kinds(table)[name]
        if kind.family == "integer":
            found[name] = next_key(edited, table, name)
        elif kind.family == "uuid":
            found[name] = _other_uuid(value)
        elif kind.family == "text" and kind.size != len(str(value)):
            found[name] = f"{value}2"
    return found


def _insertion(edited: Edited, table: Table, names: Sequence[str]) -> str:
    """Return the statement that inserts a row."""
    marks = ", ".join(edited.mark for _ in names)
    columns = edited.columns(names)
    return f"INSERT INTO {edited.name(table)} ({columns}){identity(edited)} VALUES ({marks})"


def _key_maker(
    edited: Edited, table: Table, changed: dict[str, object]
) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """Return what gives a copied row its own key, None where nothing does."""
    key = edited.key(table)
    if any(name in changed for name in key):
        return lambda _: {}
    if len(key) != 1:
        return None
    (name,) = key
    if edited.foreign_key(table, name) is not None:
        return None
    family = edited.kinds(table)[name].family
    if family == "integer":
        return lambda _: {name: next_key(edited, table, name)}
    if family == "uuid" or (family == "text" and edited.kinds(table)[name].structured):
        return lambda row: {name: _other_uuid(row[name])}
    if family == "text":
        return lambda row: {name: f"{row[name]}2"}
    return None


def _other_uuid(value: Any) -> Any:
    """Return another UUID in the same form, the same one each time."""
    try:
        made = uuid.uuid5(uuid.NAMESPACE_OID, str(value))
    except ValueError:
        return value
    if isinstance(value, uuid.UUID):
        return made
    return str(made) if "-" in str(value) else made.hex
