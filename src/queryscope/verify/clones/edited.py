"""A clone while it is changed: its tables, statements that may be refused, and what was refused."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from queryscope.plans.catalogue import quoted, schema_of
from queryscope.plans.connection import rows_of
from queryscope.plans.database import brief
from queryscope.verify.clones.kinds import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from queryscope.plans.connection import Connection
    from queryscope.plans.schema import Column, ForeignKey, Schema, Table

SAMPLED_ROWS = 500
"""Rows of a table that are looked at to see what its columns hold."""
BOOKKEEPING = frozenset(
    {
        "alembic_version",
        "auth_permission",
        "django_admin_log",
        "django_content_type",
        "django_migrations",
        "django_session",
        "django_site",
        "schema_migrations",
        "spatial_ref_sys",
    }
)
"""Tables of frameworks: nobody's answers are made of them, and nobody logs in without them."""
SETTINGS_COLUMNS = 5
"""A table of settings has hardly more: a key, a name, a value, when and by whom it was changed."""
_CREDENTIALS = (
    "api_key",
    "apikey",
    "digest",
    "hash",
    "passw",
    "pwd",
    "salt",
    "secret",
    "session",
    "signature",
    "token",
)


class Edited:
    """A clone while it is changed.

    Each statement is a savepoint of its own: one that a constraint forbids changes nothing, and is
    counted.

    Attributes:
        vendor: ``sqlite``, ``postgresql`` or ``mysql``.
        schema: Its tables.
        done: What was changed, and how often.
    """

    def __init__(
        self,
        connection: Connection,
        vendor: str,
        schema: Schema | None = None,
        kinds: dict[str, dict[str, Kind]] | None = None,
        fixed: Collection[str] = (),
    ) -> None:
        """Begin with a connection to the clone.

        Args:
            connection: One that may write.
            vendor: ``sqlite``, ``postgresql`` or ``mysql``.
            schema: Its tables; read from it where they are not known yet.
            kinds: What the columns of tables hold, as far as that is known.
            fixed: Tables that never change, and must not be changed.
        """
        self.connection = connection
        self.vendor = vendor
        self.schema = schema if schema is not None else schema_of(connection, vendor)
        self.fixed = frozenset(name.lower() for name in fixed)
        self.done: Counter[str] = Counter()
        self._refused: Counter[tuple[str, str]] = Counter()
        self._kinds = kinds if kinds is not None else {}
        self._keys: dict[str, list[tuple[Any, ...]]] = {}

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables that may be changed, by name."""
        found = []
        for table in self.schema.tables:
            if table.name in BOOKKEEPING:
                continue
            if table.name.lower() in self.fixed:
                self.refuse(table.name, "left as it is, a table that never changes")
            elif self._holds_settings(table):
                self.refuse(table.name, "left as it is, names and values that are parsed")
            else:
                found.append(table)
        return tuple(found)

    @cached_property
    def generated(self) -> frozenset[tuple[str, str]]:
        """Tables and columns that the database computes."""
        statement = {
            "sqlite": "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_xinfo(m.name)"
            " AS c WHERE m.type = 'table' AND c.hidden IN (2, 3)",
            "postgresql": "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE is_generated = 'ALWAYS'",
            "mysql": "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND extra LIKE '%GENERATED%'",
        }[self.vendor]
        return frozenset((str(table), str(column)) for table, column in self.rows(statement))

    @property
    def mark(self) -> str:
        """What stands for a value in a statement."""
        return "?" if self.vendor == "sqlite" else "%s"

    def quoted(self, name: str) -> str:
        """Return an identifier as the database reads it."""
        return quoted(name, self.vendor)

    def name(self, table: Table) -> str:
        """Return a table's name as the database reads it."""
        own = self.quoted(table.name)
        return f"{self.quoted(table.schema)}.{own}" if table.schema else own

    def columns(self, names: Iterable[str], prefix: str = "") -> str:
        """Return columns, comma separated."""
        return ", ".join(prefix + self.quoted(name) for name in names)

    def key(self, table: Table) -> tuple[str, ...]:
        """Return the columns that tell the rows of a table apart, ``()`` where none do."""
        return table.primary_key

    def keys(self, table: Table, most: int) -> list[tuple[Any, ...]]:
        """Return the keys of a table's first rows, as they were when they were first asked for."""
        known = self._keys.get(table.name)
        if known is None:
            columns = self.columns(self.key(table))
            found = self.rows(
                f"SELECT {columns} FROM {self.name(table)} ORDER BY {columns} LIMIT {most}"
            )
            known = self._keys[table.name] = [tuple(row) for row in found]
        return known

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query."""
        return rows_of(self.connection, statement, values)

    def kinds(self, table: Table) -> dict[str, Kind]:
        """Return what each column of a table holds."""
        known = self._kinds.get(table.name)
        if known is None:
            names = [column.name for column in table.columns]
            order = f" ORDER BY {self.columns(self.key(table))}" if self.key(table) else ""
            rows = self.rows(
                f"SELECT {self.columns(names)} FROM {self.name(table)}{order} LIMIT {SAMPLED_ROWS}"
            )
            known = {
                column.name: kind_of(column, [row[number] for row in rows])
                for number, column in enumerate(table.columns)
            }
            self._kinds[table.name] = known
        return known

    def foreign_key(self, table: Table, column: str) -> ForeignKey | None:
        """Return the foreign key that a column is the only column of."""
        return next((key for key in table.foreign_keys if key.columns == (column,)), None)

    def in_key(self, table: Table, column: str) -> bool:
        """Return whether a column is part of a primary or of any foreign key."""
        return column in table.primary_key or any(
            column in key.columns for key in table.foreign_keys
        )

    def unique_alone(self, table: Table, column: str) -> bool:
        """Return whether no two rows may have the same value in a column."""
        return any(index.unique and index.names == (column,) for index in table.indexes)

    def free_columns(self, table: Table) -> Iterator[Column]:
        """Yield the columns that may be changed alone: no key, not computed, no credential."""
        for column in table.columns:
            if self.in_key(table, column.name) or (table.name, column.name) in self.generated:
                continue
            if not is_credential(column.name):
                yield column

    def referring(self, table: Table) -> Iterator[tuple[Table, ForeignKey]]:
        """Yield tables whose foreign keys of one column refer to a table, with the key."""
        for child in self.tables:
            for key in child.foreign_keys:
                if key.table.lower() == table.name.lower() and len(key.columns) == 1:
                    yield child, key

    def _holds_settings(self, table: Table) -> bool:
        """Return whether a table is the application's configuration: names with their values."""
        names = {column.name.lower() for column in table.columns}
        alone = not table.foreign_keys and not any(
            key.table.lower() == table.name.lower()
            for other in self.schema.tables
            for key in other.foreign_keys
        )
        return (
            alone
            and "value" in names
            and bool(names & {"key", "name", "option", "setting"})
            and len(names) <= SETTINGS_COLUMNS
        )

    def change(self, statement: str, values: Sequence[Any], what: str, where: str) -> bool:
        """Send a statement that a constraint may forbid; return whether it was carried out.

        Args:
            statement: It changes rows.
            values: Its values.
            what: What it does, in a few words: how often it was done or refused is counted by it.
            where: The table and column that it does it to.
        """
        done = self._sent(statement, values)
        if done is None:
            self.done[what] += 1
            return True
        self._refused[where, done] += 1
        return False

    def attempt(self, statement: str, values: Sequence[Any] = ()) -> bool:
        """Send a statement that may be refused, without a word about it."""
        return self._sent(statement, values) is None

    def move_sequences(self) -> None:
        """Let PostgreSQL's sequences go on above the keys that copied rows were given."""
        for table in self.tables:
            for name in table.primary_key:
                sequence = f"pg_get_serial_sequence({self.mark}, {self.mark})"
                column = self.quoted(name)
                self.attempt(
                    f"SELECT setval({sequence}, max({column})) FROM {self.name(table)} "
                    f"WHERE {sequence} IS NOT NULL HAVING max({column}) > 0",
                    (self.name(table), name, self.name(table), name),
                )

    def refuse(self, where: str, why: str) -> None:
        """Note that something was left as it is."""
        self._refused[where, why] += 1

    def skipped(self) -> tuple[str, ...]:
        """Return what was refused, one sentence each."""
        return tuple(
            f"{where}: {why}{f' ({times} times)' if times > 1 else ''}."
            for (where, why), times in sorted(self._refused.items())
        )

    @contextmanager
    def unchecked(self) -> Iterator[None]:
        """Let a block delete rows in any order; what it leaves must hold together by itself."""
        if self.vendor == "postgresql":
            allowed = self.attempt("SET LOCAL session_replication_role = replica")
            yield
            if allowed:
                self.rows("SET LOCAL session_replication_role = origin")
        elif self.vendor == "mysql":
            self.rows("SET foreign_key_checks = 0")
            yield
            self.rows("SET foreign_key_checks = 1")
        else:
            yield  # SQLite checks foreign keys where it is told to, and we do not

    def _sent(self, statement: str, values: Sequence[Any]) -> str | None:
        """Send a statement within a savepoint; return why it was refused."""
        if self.vendor == "mysql" and statement.startswith(("CREATE ", "DROP ")):
            return self._sent_alone(statement)  # it ends every transaction, and no savepoint lasts
        self.rows("SAVEPOINT queryscope_change")
        try:
            rows_of(self.connection, statement, values)
        except Exception as error:  # noqa: BLE001 - drivers have no class in common
            self.rows("ROLLBACK TO SAVEPOINT queryscope_change")
            self.rows("RELEASE SAVEPOINT queryscope_change")
            return _without_values(error)
        self.rows("RELEASE SAVEPOINT queryscope_change")
        return None

    def _sent_alone(self, statement: str) -> str | None:
        try:
            rows_of(self.connection, statement)
        except Exception as error:  # noqa: BLE001 - as above
            return _without_values(error)
        return None


def _without_values(error: Exception) -> str:
    """Return what a driver says, without the values of rows and the name of the clone."""
    said = next((part for part in reversed(error.args) if isinstance(part, str)), "")
    text = brief(Exception(said.partition("DETAIL:")[0])) if said else brief(error)
    text = re.sub(r"(?i)(duplicate entry|value:?) '.*?'", r"\1", text)
    return re.sub(r"`\w+`\.`", "`", text).rstrip(".")


def is_credential(column: str) -> bool:
    """Return whether a column's name says that people log in by it."""
    lowered = column.lower()
    return any(word in lowered for word in _CREDENTIALS)


def holds_credentials(table: Table) -> bool:
    """Return whether people are known by the rows of a table."""
    return any(is_credential(column.name) for column in table.columns)
