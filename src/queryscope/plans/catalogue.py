"""Reads the schema of a database from its catalogue, through a connection of our own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from queryscope.errors import QueryscopeError
from queryscope.plans.catalogue_mysql import read as read_mysql
from queryscope.plans.catalogue_postgresql import read as read_postgresql
from queryscope.plans.catalogue_sqlite import read as read_sqlite
from queryscope.plans.connection import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from queryscope.plans.connection import Connection
    from queryscope.plans.schema import Schema, Table

ROWS_COUNTED = 100_000
"""Rows at which counting ends, where the database has no estimate: there are that many at least."""

_READERS: Mapping[str, Callable[[Connection], Schema]] = {
    "sqlite": read_sqlite,
    "postgresql": read_postgresql,
    "mysql": read_mysql,
    "mariadb": read_mysql,
}


class UnknownDatabaseError(QueryscopeError):
    """The schema of a database of this kind cannot be read."""


def schema_of(connection: Connection, vendor: str) -> Schema:
    """Return the schema that a connection sees.

    It reads the catalogue, and counts the rows of tables of which the database has no estimate,
    up to ``ROWS_COUNTED`` of each.

    Args:
        connection: One of our own, never the user's.
        vendor: ``sqlite``, ``postgresql``, ``mysql`` or ``mariadb``.

    Raises:
        UnknownDatabaseError: It is another.
    """
    reader = _READERS.get(vendor)
    if reader is None:
        raise UnknownDatabaseError(f"The schema of {vendor or 'this database'!r} cannot be read.")
    schema = reader(connection)
    tables = tuple(_with_rows(connection, schema.vendor, table) for table in schema.tables)
    return replace(schema, tables=tables)


def quoted(name: str, vendor: str) -> str:
    """Return an identifier as a database reads it.

    Example:
        >>> quoted('a"b', "postgresql"), quoted("a`b", "mysql")
        ('"a""b"', '`a``b`')
    """
    mark = "`" if vendor in ("mysql", "mariadb") else '"'
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"


def _with_rows(connection: Connection, vendor: str, table: Table) -> Table:
    if table.rows is not None:
        return table
    name = quoted(table.name, vendor)
    if table.schema:
        name = f"{quoted(table.schema, vendor)}.{name}"
    statement = f"SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {ROWS_COUNTED}) AS counted"  # noqa: S608 - an identifier, quoted
    return replace(table, rows=int(rows_of(connection, statement)[0][0]))
