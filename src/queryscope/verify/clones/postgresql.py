"""Clones of a PostgreSQL database: databases made from a template."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from queryscope.plans.catalogue import quoted
from queryscope.plans.connection import rows_of
from queryscope.verify.clones.server import ServerSource, cannot, one
from queryscope.verify.clones.source import RESTORE_DEADLINE_S, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.plans.connection import Connection
    from queryscope.verify.parts import Clone

COPY_DEADLINE_S = 120.0
"""How long one copy of our own copy may take."""
_TABLES = """SELECT n.nspname, c.relname FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname NOT LIKE 'pg\\_%' ORDER BY n.nspname, c.relname"""


class PostgresqlSource(ServerSource):
    """Copies of a PostgreSQL database on its server.

    Attributes:
        vendor: ``postgresql``.
    """

    vendor = "postgresql"

    def pristine(self, deadline_s: float) -> Clone:
        """Copy the user's database: as a template where nobody uses it, else by dump and restore.

        Nobody's session is ended. What runs left behind that were killed is swept first.

        Raises:
            DatabaseError: The server does not let us in or make databases, the programs for a
                dump are missing, or it takes longer than ``deadline_s``.
        """
        name = self.new_name()
        try:
            with closing(self.administration()) as connection:
                self.sweep(connection)
                used = one(
                    connection,
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s "
                    "AND pid <> pg_backend_pid()",
                    (self._database.name,),
                )
                copied = not used and self._from_template(
                    connection, self._database.name, name, deadline_s
                )
                if not copied:
                    rows_of(connection, f"CREATE DATABASE {self._quoted(name)} TEMPLATE template0")
        except Exception as error:
            raise cannot("The database cannot be copied", error) from error
        clone = self.clone_of(name, "pristine")
        if not copied:
            try:
                self._dump_into(name, deadline_s)
            except DatabaseError:
                self.drop(clone)
                raise
        with self.connection(clone) as connection:
            rows_of(connection, "ANALYZE")
            rows_of(connection, "COMMIT")
        return clone

    def copy(self, clone: Clone, name: str) -> Clone:
        """Copy a clone that nobody is connected to."""
        database = self.new_name()
        origin = self.database_of(clone)
        try:
            with closing(self.administration()) as connection:
                rows_of(connection, f"SET statement_timeout = {int(COPY_DEADLINE_S * 1_000)}")
                rows_of(
                    connection,
                    f"CREATE DATABASE {self._quoted(database)} TEMPLATE {self._quoted(origin)}",
                )
        except Exception as error:
            raise cannot(f"The copy {name!r} cannot be made", error) from error
        return clone._replace(name=name, url=self.clone_of(database, name).url)

    def restore(self, work: Clone, clone: Clone) -> None:
        """Put a clone's rows into the tables of a working copy that are not equal to it.

        Who is connected stays so. Where a table is held by an open transaction, or the server
        does not let us switch references off, the sessions on the working copy are ended, and it
        is made anew.
        """
        try:
            with self.connection(clone) as origin, self.connection(work) as target:
                rows_of(target, f"SET LOCAL lock_timeout = {int(RESTORE_DEADLINE_S * 500)}")
                rows_of(target, "SET LOCAL session_replication_role = replica")
                before, after = _digests(origin), _digests(target)
                for table in after:
                    if before.get(table) != after[table]:
                        _refill(origin, target, table)
                _set_sequences(origin, target)
                rows_of(target, "COMMIT")
        except Exception:  # noqa: BLE001 - drivers have no class in common
            self._make_anew(work, clone)

    def state(self, clone: Clone) -> dict[str, str]:
        """Return a digest for each table, by SQL."""
        with self.connection(clone) as connection:
            return {
                table if schema == "public" else f"{schema}.{table}": digest
                for (schema, table), digest in _digests(connection).items()
            }

    def database_of(self, clone: Clone) -> str:
        """Return the name of a clone's database."""
        return type(self._database).of_url(clone.url).name

    def administration(self) -> Connection:
        """Connect to the database ``postgres``, else to the user's, outside transactions."""
        try:
            connection = replace(self._database, name="postgres").connect()
        except Exception:  # noqa: BLE001 - a server may have none, or not let us in there
            connection = self._database.connect()
        setattr(connection, "autocommit", True)  # noqa: B010 - which both drivers have
        return connection

    def databases(self, connection: Connection) -> Sequence[str]:
        """Return the names of the server's databases."""
        return [str(row[0]) for row in rows_of(connection, "SELECT datname FROM pg_database")]

    def drop_database(self, connection: Connection, name: str) -> None:
        """Drop one of our databases, whoever is connected to it."""
        rows_of(
            connection,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s "
            "AND pid <> pg_backend_pid()",
            (name,),
        )
        rows_of(connection, f"DROP DATABASE IF EXISTS {self._quoted(name)} WITH (FORCE)")

    def _from_template(
        self, connection: Connection, origin: str, name: str, deadline_s: float
    ) -> bool:
        rows_of(connection, f"SET statement_timeout = {int(deadline_s * 1_000)}")
        with suppress(Exception):  # somebody came in between, or it is not ours: by dump, then
            rows_of(
                connection,
                f"CREATE DATABASE {self._quoted(name)} TEMPLATE {self._quoted(origin)}",
            )
            return True
        return False

    def _make_anew(self, work: Clone, clone: Clone) -> None:
        try:
            with closing(self.administration()) as connection:
                self.drop_database(connection, self.database_of(work))
                rows_of(
                    connection,
                    f"CREATE DATABASE {self._quoted(self.database_of(work))} "
                    f"TEMPLATE {self._quoted(self.database_of(clone))}",
                )
        except Exception as error:
            raise cannot(f"The copy {work.name!r} cannot be restored", error) from error

    def _dump_into(self, name: str, deadline_s: float) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        dump = self._folder / f"{name}.dump"
        where = self._database
        server = [
            *(("--host", where.host) if where.host else ()),
            *(("--port", str(where.port)) if where.port else ()),
            *(("--username", where.user) if where.user else ()),
            "--no-password",
        ]
        secrets = {"PGPASSWORD": where.password}
        plain = ("--no-owner", "--no-privileges")
        try:
            self.run_program(
                ["pg_dump", "--format=custom", *plain, *server, "--file", str(dump), where.name],
                secrets,
                deadline_s=deadline_s,
            )
            self.run_program(
                ["pg_restore", "--exit-on-error", *plain, *server, "--dbname", name, str(dump)],
                secrets,
                deadline_s=deadline_s,
            )
        finally:
            dump.unlink(missing_ok=True)

    def _quoted(self, name: str) -> str:
        return quoted(name, "postgresql")


def _digests(connection: Connection) -> dict[tuple[str, str], str]:
    found = {}
    for schema, table in rows_of(connection, _TABLES):
        name = f"{quoted(schema, 'postgresql')}.{quoted(table, 'postgresql')}"
        ((rows, content),) = rows_of(
            connection,
            "SELECT count(*), md5(coalesce(string_agg(line, '' ORDER BY line), '')) "
            f"FROM (SELECT md5(kept::text) AS line FROM {name} AS kept) AS lines",
        )
        found[str(schema), str(table)] = f"{rows} rows {content}"
    return found


def _refill(origin: Connection, target: Connection, table: tuple[str, str]) -> None:
    """Put the rows of one table in the place of another's, in their physical order."""
    schema, name = table
    own = f"{quoted(schema, 'postgresql')}.{quoted(name, 'postgresql')}"
    columns = [
        quoted(str(row[0]), "postgresql")
        for row in rows_of(
            origin,
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s "
            "AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
            (schema, name),
        )
    ]
    rows_of(target, f"DELETE FROM {own}")
    texts = ", ".join(f"{column}::text" for column in columns)
    rows = rows_of(origin, f"SELECT {texts} FROM {own} ORDER BY ctid")
    if not rows:
        return
    marks = ", ".join(["%s"] * len(columns))
    cursor = target.cursor()
    with closing(cursor):
        cursor.executemany(
            f"INSERT INTO {own} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE VALUES ({marks})",
            [tuple(row) for row in rows],
        )


def _set_sequences(origin: Connection, target: Connection) -> None:
    for schema, name, last in rows_of(
        origin, "SELECT schemaname, sequencename, last_value FROM pg_sequences"
    ):
        sequence = f"{quoted(schema, 'postgresql')}.{quoted(name, 'postgresql')}"
        if last is None:
            rows_of(target, f"ALTER SEQUENCE {sequence} RESTART")
        else:
            rows_of(target, "SELECT setval(%s::regclass, %s)", (sequence, last))
