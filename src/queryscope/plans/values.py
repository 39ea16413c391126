"""What stands in place of a statement's parameters while it is explained."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from queryscope.plans.connection import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queryscope.plans.connection import Connection
    from queryscope.plans.plan import ValuesUsed
    from queryscope.plans.statement import Slot, Statement

LIMIT = 20
"""Rows asked for where a LIMIT's number was not recorded."""
SAMPLE_OFFSET = 500
"""Rows passed over before the sampled ones: the first of a table are seldom like the others."""
SAVEPOINT = "queryscope_sample"
MAX_SAMPLED = 200
"""Rows sampled of a table at most; a longer list takes them again."""


class Values(NamedTuple):
    """Values for the slots of a statement, in order, and where they are from.

    ``of`` is None where some of them could not be found: then only a generic plan can be had.
    """

    of: tuple[Any, ...] | None
    used: ValuesUsed


def values_for(connection: Connection, statement: Statement) -> Values:
    """Return the values that were kept, else some that its tables hold.

    Args:
        connection: A connection of ours, in a transaction.
        statement: The statement.
    """
    if not statement.slots:
        return Values((), "none")
    if statement.kept is not None:
        return Values(statement.kept, "kept")
    wanted: dict[str, list[str]] = defaultdict(list)
    for slot in statement.slots:
        if slot.table and slot.column and slot.column not in wanted[slot.table]:
            wanted[slot.table].append(slot.column)
    sampled = _samples(connection, statement, wanted)
    taken: dict[tuple[str, str], int] = defaultdict(int)
    found = [_value(slot, statement, sampled, taken) for slot in statement.slots]
    if _UNKNOWN in found:
        return Values(None, "generic")
    return Values(tuple(found), "sampled")


_UNKNOWN = object()


def _value(
    slot: Slot,
    statement: Statement,
    sampled: Mapping[str, Sequence[Mapping[str, Any]]],
    taken: dict[tuple[str, str], int],
) -> Any:
    if slot.clause:
        return statement.numbers.get(slot.clause, LIMIT if slot.clause == "LIMIT" else 0)
    rows = sampled.get(slot.table) if slot.column else None
    if not rows:
        return _UNKNOWN
    at = taken[slot.table, slot.column]
    taken[slot.table, slot.column] += 1
    return rows[at % len(rows)][slot.column]


def _samples(
    connection: Connection, statement: Statement, wanted: Mapping[str, Sequence[str]]
) -> dict[str, list[dict[str, Any]]]:
    """Return rows of each table; none of a table that does not let itself be read."""
    found = {}
    for table, columns in wanted.items():
        if statement.vendor != "sqlite":
            rows_of(connection, f"SAVEPOINT {SAVEPOINT}")
        try:
            found[table] = _sample(connection, statement, table, columns)
        except Exception:  # noqa: BLE001 - no right to read it, or no such column: no sample
            if statement.vendor != "sqlite":
                rows_of(connection, f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
    return found


def _sample(
    connection: Connection, statement: Statement, table: str, columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Return some rows of a table, without those that lack a value."""
    count = sum(slot.table == table for slot in statement.slots)
    filled = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    text = f"SELECT {', '.join(columns)} FROM {table} WHERE {filled}"  # noqa: S608 - as written there
    size = min(count, MAX_SAMPLED)
    rows = rows_of(connection, f"{text} LIMIT {size} OFFSET {SAMPLE_OFFSET}")
    if len(rows) < size:
        rows = rows_of(connection, f"{text} LIMIT {size}")
    return [dict(zip(columns, row, strict=True)) for row in rows]
