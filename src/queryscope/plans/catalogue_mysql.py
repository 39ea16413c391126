"""Reads the tables of a MariaDB or MySQL database from ``information_schema``."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from queryscope.plans.connection import rows_of
from queryscope.plans.schema import Check, Column, ForeignKey, Index, IndexColumn, Schema, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.plans.connection import Connection

_TABLES = """
    SELECT TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
    ORDER BY TABLE_NAME
"""
_COLUMNS = """
    SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION
"""
# MariaDB says which indexes are ignored, MySQL which are visible and what an expression is.
_HAS = """
    SELECT COLUMN_NAME FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = 'STATISTICS'
"""
_INDEXES = """
    SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, INDEX_TYPE, {ignored}, COLUMN_NAME, {expression},
        COLLATION, SUB_PART
    FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE()
    ORDER BY TABLE_NAME, INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX
"""
_FOREIGN_KEYS = """
    SELECT TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME
    FROM information_schema.KEY_COLUMN_USAGE
    WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL
    ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION
"""
_CHECKS = """
    SELECT t.TABLE_NAME, c.CONSTRAINT_NAME, c.CHECK_CLAUSE
    FROM information_schema.CHECK_CONSTRAINTS AS c
    JOIN information_schema.TABLE_CONSTRAINTS AS t
        ON t.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA AND t.CONSTRAINT_NAME = c.CONSTRAINT_NAME
            AND t.CONSTRAINT_TYPE = 'CHECK'{same_table}
    WHERE c.CONSTRAINT_SCHEMA = DATABASE() ORDER BY t.TABLE_NAME, c.CONSTRAINT_NAME
"""


def read(connection: Connection) -> Schema:
    """Return the tables of the database that the connection is in."""
    columns: dict[str, list[Column]] = defaultdict(list)
    for table, name, kind, nullable in rows_of(connection, _COLUMNS):
        columns[table].append(Column(name, _text(kind), nullable=nullable == "YES"))
    known = {str(row[0]).upper() for row in rows_of(connection, _HAS)}
    ignored = next(
        (f"{name} {test}" for name, test in _IGNORED.items() if name in known), "NULL IS NOT NULL"
    )
    expression = "EXPRESSION" if "EXPRESSION" in known else "NULL"
    parts: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    statement = _INDEXES.format(ignored=ignored, expression=expression)
    for table, name, *row in rows_of(connection, statement):
        parts[table][name].append(row)
    referred: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for table, name, *row in rows_of(connection, _FOREIGN_KEYS):
        referred[table][name].append(row)
    # In MariaDB, names of checks are those of one table only, and the view has its name.
    same = " AND t.TABLE_NAME = c.TABLE_NAME" if ignored.startswith("IGNORED") else ""
    checks: dict[str, list[Check]] = defaultdict(list)
    for table, name, clause in rows_of(connection, _CHECKS.format(same_table=same)):
        checks[table].append(Check(name, _text(clause)))
    return Schema(
        "mysql",
        tuple(
            Table(
                name=name,
                columns=tuple(columns[name]),
                indexes=tuple(_index(key, rows) for key, rows in parts[name].items()),
                foreign_keys=tuple(
                    ForeignKey(
                        key,
                        tuple(row[0] for row in rows),
                        rows[0][1],
                        tuple(row[2] for row in rows),
                    )
                    for key, rows in referred[name].items()
                ),
                checks=tuple(checks[name]),
                rows=None if estimate is None else int(estimate),
            )
            for name, estimate in rows_of(connection, _TABLES)
        ),
    )


_IGNORED = {"IGNORED": "= 'YES'", "IS_VISIBLE": "= 'NO'"}


def _index(name: str, rows: Sequence[Any]) -> Index:
    repeated, kind, ignored = rows[0][:3]
    columns = tuple(
        IndexColumn(
            column or "",
            "" if column else _text(expression),
            descending=order == "D",
            detail=f"first {length}" if length else "",
        )
        for _, _, _, column, expression, order, length in rows
    )
    primary = name == "PRIMARY"
    return Index(
        name,
        columns,
        unique=not repeated,
        primary=primary,
        constraint=primary or not repeated,
        method=kind.lower(),
        valid=not ignored,
    )


def _text(value: Any) -> str:
    """Return a text that some drivers hand out as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value or "")
