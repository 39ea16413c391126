"""Cells changed in place: rows keep their number and most of what makes them visible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from queryscope.verify.clones.values import Value, values_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from queryscope.plans.schema import Column, Table
    from queryscope.verify.clones.edited import Edited
    from queryscope.verify.parts import Literal

COPIES = 8
"""Clones with changed cells: half with all rows changed, half with every second one."""
DECIDING = 2
"""Of this many columns that decide what is shown, one is changed in a copy: what it shows stays
mostly what it showed."""
PHASES = 3
"""Columns in a row whose every second rows differ: among eight rows they meet in each way."""
CYCLED_ROWS = 200
"""First rows of a table of which every second one gets a value of its own."""


def name_of(number: int) -> str:
    """Return what a copy is called."""
    rows = "every second row" if _every_second(number) else "all rows"
    return f"{rows} changed in place, {number % (COPIES // 2) + 1}"


def change_cells(edited: Edited, number: int, literals: Collection[Literal]) -> None:
    """Put telling values into the cells of every table, other ones in each copy.

    Columns that are shown are changed in all rows, with one value, or in every second row, with
    all values in turn. Those that decide what is shown (booleans, choices, days, references) are
    changed in every second row always, and half of them in each copy.

    Args:
        edited: The clone.
        number: Which copy, from 0 to ``COPIES`` - 1.
        literals: What source code compares with.
    """
    for table in edited.tables:
        deciding = shown = 0
        for column in edited.free_columns(table):
            kind = edited.kinds(table)[column.name]
            values = values_for(column, kind, literals, edited.vendor)
            if not values:
                edited.refuse(f"{table.name}.{column.name}", "nothing is known to put there")
            elif kind.decides:
                deciding += 1
                _decide(edited, _Cells(table, column, values, deciding), number)
            else:
                shown += 1
                cells = _Cells(table, column, values, shown)
                if _every_second(number):
                    _put_in_turn(edited, cells, number % (COPIES // 2), number)
                else:
                    _put_everywhere(edited, cells, number)
        for column, values, far in _references(edited, table):
            deciding += 1
            _decide(edited, _Cells(table, column, values, deciding, far), number)


class _Cells(NamedTuple):
    """The cells of a column.

    Attributes:
        table: The table.
        column: The column.
        values: What may be put in.
        place: The how manyth column of its table it is.
        far: What rows far behind get; None for one of the values.
    """

    table: Table
    column: Column
    values: tuple[Value, ...]
    place: int
    far: Value | None = None

    @property
    def where(self) -> str:
        """Table and column, for the evidence."""
        return f"{self.table.name}.{self.column.name}"

    def half(self, phase: int) -> tuple[int, int]:
        """Return which bit of a row's number has to be what, for it to be changed."""
        return self.place % PHASES, (phase + self.place // PHASES) % 2

    def update(self, edited: Edited, value: Value) -> str:
        """Return the statement that puts a value in, without its condition."""
        column = edited.quoted(self.column.name)
        expression = value.expression.format(column=column, mark=edited.mark)
        return f"UPDATE {edited.name(self.table)} SET {column} = {expression}"


def _every_second(number: int) -> bool:
    return number >= COPIES // 2


def _decide(edited: Edited, cells: _Cells, number: int) -> None:
    """Change a column that decides what is shown, in its turn."""
    visit, waits = divmod(number + cells.place, DECIDING)
    if not waits:
        _put_in_turn(edited, cells, visit, visit // DECIDING)


def _put_everywhere(edited: Edited, cells: _Cells, number: int) -> None:
    """Put one value into all rows."""
    if edited.unique_alone(cells.table, cells.column.name):
        _put_in_turn(edited, cells, number, number)
        return
    value = cells.values[(number + cells.place) % len(cells.values)]
    statement = cells.update(edited, value)
    if edited.attempt(statement, value.values):
        edited.done["columns changed"] += 1
    elif edited.key(cells.table):
        keys = edited.keys(cells.table, CYCLED_ROWS)
        _one_by_one(edited, cells, [(value, key) for key in keys[::2]])
    else:
        edited.change(statement, value.values, "columns changed", cells.where)


def _put_in_turn(edited: Edited, cells: _Cells, start: int, phase: int) -> None:
    """Put all values in turn into every second row, and one of them into those far behind."""
    table = cells.table
    if not edited.key(table):
        edited.refuse(cells.where, "the table has no key to tell its rows apart")
        return
    bit, wanted = cells.half(phase)
    keys = edited.keys(table, CYCLED_ROWS)
    chosen = [key for number, key in enumerate(keys) if number >> bit & 1 == wanted]
    if len(keys) == 1:
        chosen = keys if wanted else []
    alone = edited.unique_alone(table, cells.column.name)
    values = cells.values
    if alone:
        chosen = chosen[: len(values)]
    elif len(keys) == CYCLED_ROWS:
        value = cells.far or values[start % len(values)]
        edited.attempt(
            cells.update(edited, value) + _half(edited, table, bit, wanted), value.values
        )
    for number, value in enumerate(values):
        mine = [key for place, key in enumerate(chosen) if (place + start) % len(values) == number]
        if not mine:
            continue
        statement = cells.update(edited, value) + _among(edited, table, len(mine))
        if edited.attempt(statement, (*value.values, *(part for key in mine for part in key))):
            edited.done["columns changed"] += 1
        else:
            _one_by_one(edited, cells, [(value, key) for key in mine])


def _one_by_one(
    edited: Edited, cells: _Cells, changes: Sequence[tuple[Value, tuple[Any, ...]]]
) -> None:
    """Change the rows that let themselves be changed."""
    condition = _among(edited, cells.table, 1)
    for value, key in changes:
        statement = cells.update(edited, value) + condition
        edited.change(statement, (*value.values, *key), "rows changed", cells.where)


def _among(edited: Edited, table: Table, count: int) -> str:
    """Return the condition for so many rows, by their keys."""
    same = " AND ".join(f"{edited.quoted(name)} = {edited.mark}" for name in edited.key(table))
    return f" WHERE {' OR '.join([f'({same})'] * count)}"


def _half(edited: Edited, table: Table, bit: int, wanted: int) -> str:
    """Return the condition for every second row, or every second pair or four of rows."""
    columns = edited.columns(edited.key(table))
    # Twice nested: MariaDB reads no table that it is changing.
    return (
        f" WHERE ({columns}) IN (SELECT {columns} FROM (SELECT {columns}, "
        f"ROW_NUMBER() OVER (ORDER BY {columns}) - 1 AS n FROM {edited.name(table)}) AS numbered "
        f"WHERE ((numbered.n >> {bit}) & 1) = {wanted})"
    )


def _references(
    edited: Edited, table: Table
) -> Iterator[tuple[Column, tuple[Value, ...], Value | None]]:
    """Yield columns that refer to other rows, with nothing and with other rows to refer to.

    Far behind it is the next row each, and not one row for all of them: half of a large table
    below one parent is a page that no application has, and that takes it minutes to make.
    """
    for key in table.foreign_keys:
        column = table.column(key.columns[0])
        parent = edited.schema.table(key.table)
        if column is None or parent is None or len(key.columns) != 1 or not key.referred:
            continue
        if column.name in table.primary_key:
            continue
        values = [Value("NULL", "NULL")] if column.nullable else []
        name, own = edited.quoted(key.referred[0]), parent.name == table.name
        if own:
            # Below the first row, and that below none: what walks up comes to an end.
            if column.nullable:
                first = f"NULLIF({_end(edited, parent, name, 'min')}, {name})"
                yield column, (*values, Value("the min key", first)), values[0]
            continue
        values += [
            Value(f"the {end} key", _end(edited, parent, name, end)) for end in ("max", "min")
        ]
        following = (
            f"SELECT min(following.{name}) FROM {edited.name(parent)} AS following "
            f"WHERE following.{name} > {edited.name(table)}.{edited.quoted(column.name)}"
        )
        kept = f"COALESCE(({following}), {edited.quoted(column.name)})"
        yield column, tuple(values), Value("the next key", kept)


def _end(edited: Edited, parent: Table, name: str, end: str) -> str:
    # Twice nested, as above: a table may refer to itself.
    found = f"SELECT {end}({name}) AS found FROM {edited.name(parent)}"
    return f"(SELECT found FROM ({found}) AS ends)"
