"""Clones of a MariaDB or MySQL database: loaded from a dump."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from queryscope.plans.catalogue import quoted
from queryscope.plans.connection import rows_of
from queryscope.plans.database import Database
from queryscope.verify.clones.server import ServerSource, cannot
from queryscope.verify.clones.source import RESTORE_DEADLINE_S, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.plans.connection import Connection
    from queryscope.verify.parts import Clone

COPY_DEADLINE_S = 120.0
"""How long one copy of our own copy may take."""


class MariadbSource(ServerSource):
    """Copies of a MariaDB database on its server.

    Attributes:
        vendor: ``mysql``.
    """

    vendor = "mysql"

    def pristine(self, deadline_s: float) -> Clone:
        """Dump the user's database in one transaction and load it into one of ours.

        What runs left behind that were killed is swept first.

        Raises:
            DatabaseError: The server does not let us in or make databases, the programs for a
                dump are missing, or it takes longer than ``deadline_s``.
        """
        try:
            with closing(self.administration()) as connection:
                self.sweep(connection)
        except Exception as error:
            raise cannot("The database cannot be copied", error) from error
        return self._copied(self._database, "pristine", deadline_s)

    def copy(self, clone: Clone, name: str) -> Clone:
        """Copy a clone."""
        made = self._copied(Database.of_url(clone.url), name, COPY_DEADLINE_S)
        return clone._replace(name=name, url=made.url)

    def restore(self, work: Clone, clone: Clone) -> None:
        """Put a clone's rows into the tables of a working copy that are not equal to it.

        Who is connected stays so.

        Raises:
            DatabaseError: A transaction on the working copy stays open.
        """
        origin = Database.of_url(clone.url).name
        try:
            before = self.state(clone)
            with self.connection(work) as target:
                rows_of(target, f"SET SESSION lock_wait_timeout = {int(RESTORE_DEADLINE_S)}")
                rows_of(target, f"SET SESSION innodb_lock_wait_timeout = {int(RESTORE_DEADLINE_S)}")
                rows_of(target, "SET SESSION foreign_key_checks = 0")
                rows_of(
                    target, "SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')"
                )
                after = _digests(target)
                for table, digest in after.items():
                    if before.get(table) != digest:
                        _refill(target, origin, table)
                rows_of(target, "COMMIT")
                _set_counters(target, origin)
        except Exception as error:
            raise cannot(f"The copy {work.name!r} cannot be restored", error) from error

    def state(self, clone: Clone) -> dict[str, str]:
        """Return a digest for each table: the server's checksum."""
        with self.connection(clone) as connection:
            return _digests(connection)

    def administration(self) -> Connection:
        """Connect to no database of the server."""
        return replace(self._database, name="").connect()

    def databases(self, connection: Connection) -> Sequence[str]:
        """Return the names of the server's databases."""
        return [str(row[0]) for row in rows_of(connection, "SHOW DATABASES")]

    def drop_database(self, connection: Connection, name: str) -> None:
        """Drop one of our databases, whoever is connected to it."""
        for (process,) in rows_of(
            connection, "SELECT id FROM information_schema.processlist WHERE db = %s", (name,)
        ):
            rows_of(connection, f"KILL {int(process)}")
        rows_of(connection, "SET sql_notes = 0")  # one that is gone would come as a warning
        rows_of(connection, f"DROP DATABASE IF EXISTS {quoted(name, 'mysql')}")

    def _copied(self, origin: Database, name: str, deadline_s: float) -> Clone:
        database = self.new_name()
        self._folder.mkdir(parents=True, exist_ok=True)
        dump = self._folder / f"{database}.sql"
        clone = self.clone_of(database, name)
        try:
            self.run_program(
                [
                    _program("mariadb-dump", "mysqldump"),
                    *self._server(),
                    "--single-transaction",
                    "--routines",
                    "--triggers",
                    "--events",
                    "--hex-blob",
                    "--skip-lock-tables",
                    origin.name,
                ],
                {"MYSQL_PWD": origin.password},
                deadline_s=deadline_s,
                target=dump,
            )
            with closing(self.administration()) as connection:
                rows_of(connection, f"CREATE DATABASE {quoted(database, 'mysql')}")
            self.run_program(
                [_program("mariadb", "mysql"), *self._server(), database],
                {"MYSQL_PWD": origin.password},
                deadline_s=deadline_s,
                source=dump,
            )
        except DatabaseError:
            self.drop(clone)
            raise
        except Exception as error:
            raise cannot(f"The copy {name!r} cannot be made", error) from error
        finally:
            dump.unlink(missing_ok=True)
        return clone

    def _server(self) -> list[str]:
        where = self._database
        found = ["--user", where.user] if where.user else []
        if where.host.startswith("/"):
            return [*found, "--socket", where.host]
        found += ["--host", where.host] if where.host else []
        return [*found, "--port", str(where.port)] if where.port else found


def _program(*names: str) -> str:
    return next((name for name in names if shutil.which(name)), names[0])


def _digests(connection: Connection) -> dict[str, str]:
    found = {}
    for (table,) in rows_of(
        connection,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
        "AND table_type = 'BASE TABLE' ORDER BY table_name",
    ):
        name = quoted(str(table), "mysql")
        rows = rows_of(connection, f"SELECT count(*) FROM {name}")[0][0]
        checksum = rows_of(connection, f"CHECKSUM TABLE {name} EXTENDED")[0][1]
        found[str(table)] = f"{rows} rows {checksum}"
    return found


def _refill(target: Connection, origin: str, table: str) -> None:
    """Put the rows of a table of another database in the place of this one's."""
    name = quoted(table, "mysql")
    columns = ", ".join(
        quoted(str(row[0]), "mysql")
        for row in rows_of(
            target,
            "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() "
            "AND table_name = %s AND extra NOT LIKE %s ORDER BY ordinal_position",
            (table, "%GENERATED%"),
        )
    )
    rows_of(target, f"DELETE FROM {name}")
    rows_of(
        target,
        f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {quoted(origin, 'mysql')}.{name}",
    )


def _set_counters(target: Connection, origin: str) -> None:
    """Let the keys that the server gives out go on as they would on the clone."""
    statement = (
        "SELECT table_name, auto_increment FROM information_schema.tables "
        "WHERE table_schema = %s AND auto_increment IS NOT NULL"
    )
    own = str(rows_of(target, "SELECT DATABASE()")[0][0])
    now = dict(rows_of(target, statement, (own,)))
    for table, counter in rows_of(target, statement, (origin,)):
        if now.get(table) != counter:
            rows_of(target, f"ALTER TABLE {quoted(str(table), 'mysql')} AUTO_INCREMENT = {counter}")
