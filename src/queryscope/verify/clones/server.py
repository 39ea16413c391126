"""What clones on a database server have in common: names by which a later run can sweep."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
from abc import abstractmethod
from contextlib import ExitStack, closing, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from queryscope.errors import QueryscopeError
from queryscope.plans.connection import rows_of
from queryscope.plans.database import Database, brief
from queryscope.verify.clones.source import CloneSource, DatabaseError
from queryscope.verify.parts import Clone

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from queryscope.plans.connection import Connection

PREFIX = "queryscope_clone"
"""Of the names of our databases; no other is ever dropped."""
LONGEST_NAME = 63
"""Characters of a database's name: PostgreSQL's limit, one less than MariaDB's."""
_NAME = re.compile(rf"{PREFIX}_([0-9a-f]{{6}})_(\d+)_\w*")


class ServerSource(CloneSource):
    """Copies of a database beside it, on its server."""

    def __init__(self, url: str, folder: Path, run: str, fixed: Collection[str] = ()) -> None:
        """Say what is copied.

        Args:
            url: The user's database.
            folder: Where a dump may be written.
            run: What the names of the copies end with.
            fixed: Tables that never change.
        """
        super().__init__(fixed)
        self._url, self._folder, self._run = url, folder, re.sub(r"\W", "", run)
        self._database = Database.of_url(url)
        self._numbers = count(1)

    @abstractmethod
    def administration(self) -> Connection:
        """Connect to where databases are made and dropped, without a transaction."""

    @abstractmethod
    def databases(self, connection: Connection) -> Sequence[str]:
        """Return the names of the server's databases."""

    @abstractmethod
    def drop_database(self, connection: Connection, name: str) -> None:
        """Drop one of our databases, whoever is connected to it."""

    def drop(self, clone: Clone) -> None:
        """Drop a clone's database; one that is gone already is none to complain of."""
        name = Database.of_url(clone.url).name
        if not _NAME.fullmatch(name):
            raise DatabaseError(f"The database {name!r} is none of ours, and is not dropped.")
        with closing(self.administration()) as connection:
            self.drop_database(connection, name)

    def sweep(self, connection: Connection) -> tuple[str, ...]:
        """Drop what runs on this machine that are no more have left; return its names."""
        left = []
        for name in self.databases(connection):
            match = _NAME.fullmatch(name)
            if match and match[1] == _machine() and not _alive(int(match[2])):
                with suppress(Exception):  # another run sweeps as well
                    self.drop_database(connection, name)
                    left.append(name)
        return tuple(left)

    def new_name(self) -> str:
        """Return a name for a database that nobody has."""
        number = next(self._numbers)
        name = f"{PREFIX}_{_machine()}_{os.getpid()}_{number}_{self._run}"
        return name[:LONGEST_NAME]

    def clone_of(self, database: str, name: str) -> Clone:
        """Return the clone that a database holds."""
        return Clone(name, urlsplit(self._url)._replace(path=f"/{quote(database)}").geturl())

    def run_program(
        self,
        arguments: Sequence[str],
        secrets: Mapping[str, str],
        *,
        deadline_s: float,
        source: Path | None = None,
        target: Path | None = None,
    ) -> None:
        """Run a program of the database's, and raise DatabaseError with its first complaint."""
        environment = {**os.environ, **{name: value for name, value in secrets.items() if value}}
        complaints = self._folder / f"{self._run}-{os.getpid()}.complaints"
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with ExitStack() as files:
                stderr = files.enter_context(complaints.open("w+b"))
                stdin = files.enter_context((source or Path(os.devnull)).open("rb"))
                stdout = files.enter_context((target or Path(os.devnull)).open("wb"))
                done = subprocess.run(  # noqa: S603 - a program of the database, arguments of ours
                    list(arguments),
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    env=environment,
                    timeout=deadline_s,
                    check=False,
                )
                stderr.seek(0)
                said = stderr.read(2_000).decode(errors="replace").strip().splitlines()
        except FileNotFoundError as error:
            raise DatabaseError(
                f"The database cannot be copied without the program {arguments[0]}: install it."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise DatabaseError(
                f"{arguments[0]} took longer than {deadline_s:g} seconds to copy the database."
            ) from error
        finally:
            complaints.unlink(missing_ok=True)
        if done.returncode:
            raise DatabaseError(
                f"{arguments[0]} could not copy the database: {said[0] if said else 'no word why'}"
            )


def cannot(what: str, error: Exception) -> DatabaseError:
    """Return the error for something that a server refused."""
    return DatabaseError(f"{what}: {error if isinstance(error, QueryscopeError) else brief(error)}")


def one(connection: Connection, statement: str, values: Sequence[object] = ()) -> object:
    """Return the only value of a query's only row, None without rows."""
    rows = rows_of(connection, statement, values)
    return rows[0][0] if rows else None


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
