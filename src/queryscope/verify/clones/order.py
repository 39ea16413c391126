"""The order in which rows come where nothing orders them, turned round."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.plans.schema import Table
    from queryscope.verify.clones.edited import Edited

PREFIX = "queryscope_turned_"
"""Of the names of our indexes."""
MOST_PER_TABLE = 24
"""Indexes on one table: more than an application orders by, and MariaDB takes 64."""
_WIDE = frozenset({"bytes", "json", "other"})
_LONG_TEXT = 255


def turn_order(edited: Edited, *, descending: bool) -> None:
    """Let rows that tie, or that nothing orders, come in another order.

    By an index on each column that rows are ordered or found by, with the key behind it: downwards,
    so that the ties of ``ORDER BY x`` come out last first, or upwards, which does that to
    ``ORDER BY x DESC``. On SQLite the indexes hold all columns and the statistics say that they are
    small, so that rows are read from them even where nothing asks for an order; on PostgreSQL the
    rows themselves are written anew, last first; on MariaDB rows lie in the order of their keys.

    Args:
        edited: The clone, outside a transaction.
        descending: Whether the key is downwards in the indexes.
    """
    numbers = count()
    for table in edited.tables:
        key = edited.key(table)
        if not key:
            edited.refuse(table.name, "without a key its rows keep their order")
            continue
        for columns in _orders(edited, table):
            name = f"{PREFIX}{next(numbers)}"
            direction = " DESC" if descending else ""
            parts = [edited.quoted(one) for one in columns]
            parts += [f"{edited.quoted(one)}{direction}" for one in key if one not in columns]
            if not columns:
                parts = [f"{edited.quoted(one)} DESC" for one in key]
            if edited.vendor == "sqlite":
                used = {*columns, *key}
                parts += [edited.quoted(c.name) for c in table.columns if c.name not in used]
            edited.change(
                f"CREATE INDEX {edited.quoted(name)} ON {edited.name(table)} ({', '.join(parts)})",
                (),
                "indexes made",
                f"{table.name}.{', '.join(columns) or 'key'}",
            )
    if edited.vendor == "sqlite":
        _believe_small(edited)
    elif edited.vendor == "postgresql":
        _rewrite(edited)
    else:
        edited.refuse("all tables", "rows that nothing orders keep the order of their keys")


def _orders(edited: Edited, table: Table) -> Iterator[tuple[str, ...]]:
    """Yield what rows of a table are ordered or found by; ``()`` is the order of nothing."""
    yield ()
    made = 0
    for column in table.columns:
        kind = edited.kinds(table)[column.name]
        if kind.family in _WIDE or table.primary_key == (column.name,):
            continue
        # An index of a server has a limit in bytes; a long text is no order of a list.
        long = kind.family == "text" and not 0 < (kind.size or 0) <= _LONG_TEXT
        if long and edited.vendor != "sqlite":
            continue
        made += 1
        if made > MOST_PER_TABLE:
            edited.refuse(f"{table.name}.{column.name}", f"more than {MOST_PER_TABLE} columns")
        else:
            yield (column.name,)


def _believe_small(edited: Edited) -> None:
    """Drop the indexes that compete with ours, and let SQLite's planner take ours for small."""
    for table in edited.tables:
        for index in table.indexes:
            if index.name and not index.unique and not index.primary:
                edited.attempt(f"DROP INDEX {edited.quoted(index.name)}")
    edited.rows("ANALYZE")
    edited.rows("UPDATE sqlite_stat1 SET stat = stat || ' sz=1' WHERE idx LIKE ?", (f"{PREFIX}%",))
    for table in edited.tables:
        edited.rows("DELETE FROM sqlite_stat1 WHERE tbl = ? AND idx IS NULL", (table.name,))
        count = edited.rows(f"SELECT count(*) FROM {edited.name(table)}")[0][0]
        edited.rows(
            "INSERT INTO sqlite_stat1 VALUES (?, NULL, ?)", (table.name, f"{count} sz=2000")
        )


def _rewrite(edited: Edited) -> None:
    """Write PostgreSQL's rows in the order of their keys, last first."""
    for table in edited.tables:
        key = edited.key(table)
        if not key:
            continue
        index = edited.quoted(f"{PREFIX}heap")
        parts = ", ".join(f"{edited.quoted(one)} DESC" for one in key)
        if edited.attempt(f"CREATE INDEX {index} ON {edited.name(table)} ({parts})"):
            edited.change(
                f"CLUSTER {edited.name(table)} USING {index}", (), "tables written anew", table.name
            )
            schema = f"{edited.quoted(table.schema)}." if table.schema else ""
            edited.attempt(f"DROP INDEX {schema}{index}")
