"""Clones of a SQLite database: files."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import time
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from queryscope.errors import QueryscopeError
from queryscope.plans.catalogue import quoted
from queryscope.plans.connection import rows_of
from queryscope.plans.database import Database
from queryscope.verify.clones.source import (
    DIGEST_BYTES,
    RESTORE_DEADLINE_S,
    CloneSource,
    DatabaseError,
)
from queryscope.verify.parts import Clone

if TYPE_CHECKING:
    from collections.abc import Collection

    from queryscope.plans.connection import Connection

PAGES_AT_ONCE = 2_000
"""Of a backup; in between the deadline is looked at."""
WAIT_S = 0.05
"""Between two attempts at a database that somebody writes to."""
_ENDINGS = ("", "-wal", "-shm", "-journal")


class SqliteSource(CloneSource):
    """Copies of one SQLite file, beside one another in a folder.

    Attributes:
        vendor: ``sqlite``.
    """

    vendor = "sqlite"

    def __init__(self, url: str, folder: Path, run: str, fixed: Collection[str] = ()) -> None:
        """Say what is copied and where to.

        Args:
            url: The user's database.
            folder: Where the copies lie.
            run: What their names begin with.
            fixed: Tables that never change.
        """
        super().__init__(fixed)
        self._url, self._folder, self._run = url, folder, run
        self._scheme = urlsplit(url).scheme or "sqlite"
        self._numbers = count(1)
        self._states: dict[str, dict[str, str]] = {}

    def pristine(self, deadline_s: float) -> Clone:
        """Copy the user's file as a reader does: what is still in its log of writes comes along.

        Raises:
            DatabaseError: There is no such file, it is none of SQLite's, or somebody keeps it
                locked for longer than ``deadline_s``.
        """
        target = self._new_file()
        try:
            with closing(Database.of_url(self._url).connect()) as source:
                _back_up(source, target, deadline_s)
            with closing(sqlite3.connect(target)) as connection:
                # One file, whatever becomes of it; an application that wants a log makes its own.
                connection.execute("PRAGMA journal_mode = DELETE")
        except (QueryscopeError, sqlite3.Error, OSError) as error:
            self._remove(target)
            raise DatabaseError(f"The database cannot be copied: {error}") from error
        return Clone("pristine", self._url_of(target))

    def copy(self, clone: Clone, name: str) -> Clone:
        """Copy a file that nobody has open."""
        target = self._new_file()
        try:
            shutil.copyfile(path_of(clone), target)
        except OSError as error:
            self._remove(target)
            raise DatabaseError(f"The copy {name!r} cannot be made: {error}") from error
        return clone._replace(name=name, url=self._url_of(target))

    def restore(self, work: Clone, clone: Clone) -> None:
        """Write a clone's pages into a working copy; who has it open sees them.

        Raises:
            DatabaseError: A transaction on the working copy stays open.
        """
        try:
            with closing(Database.of_url(clone.url).connect()) as source:
                _back_up(source, path_of(work), RESTORE_DEADLINE_S)
        except (QueryscopeError, sqlite3.Error, OSError) as error:
            raise DatabaseError(f"The copy {work.name!r} cannot be restored: {error}") from error

    def state(self, clone: Clone) -> dict[str, str]:
        """Return a digest for each table; files of equal content are looked at once."""
        key = _digest_of_files(path_of(clone))
        if key not in self._states:
            with self.connection(clone) as connection:
                self._states[key] = _digests(connection)
        return dict(self._states[key])

    def fingerprint(self, clone: Clone) -> str:
        """Return a digest of a clone's file: rows, their order on the pages, and indexes."""
        return _digest_of_files(path_of(clone))

    def drop(self, clone: Clone) -> None:
        """Remove a clone's file and what SQLite put beside it."""
        self._remove(path_of(clone))

    def _remove(self, path: Path) -> None:
        for ending in _ENDINGS:
            path.with_name(path.name + ending).unlink(missing_ok=True)

    def _new_file(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder.absolute() / f"{self._run}-{next(self._numbers)}.sqlite3"

    def _url_of(self, path: Path) -> str:
        return f"{self._scheme}:///{quote(str(path))}"


def path_of(clone: Clone) -> Path:
    """Return the file of a clone."""
    return Path(Database.of_url(clone.url).name)


def _back_up(source: Connection, target: Path, deadline_s: float) -> None:
    end = time.monotonic() + deadline_s

    def look_at_the_clock(_status: int, _remaining: int, _total: int) -> None:
        # SQLite tries a locked database for ever; an exception from here is the only way out.
        if time.monotonic() > end:
            raise DatabaseError(
                f"It is locked by somebody's writes for more than {deadline_s:g} seconds."
            )

    with closing(sqlite3.connect(target, timeout=WAIT_S)) as into:
        # A run's own file need not outlive the machine: waiting for the disk took most of its time.
        into.execute("PRAGMA synchronous = OFF")
        if isinstance(source, sqlite3.Connection):
            source.execute("PRAGMA busy_timeout = 50")
            source.backup(into, pages=PAGES_AT_ONCE, progress=look_at_the_clock, sleep=WAIT_S)


def _digest_of_files(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for ending in ("", "-wal"):
        file = path.with_name(path.name + ending)
        if file.exists():
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _digests(connection: Connection) -> dict[str, str]:
    found = {}
    tables = rows_of(
        connection,
        "SELECT name FROM sqlite_master WHERE type = 'table' "
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )
    for (table,) in tables:
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        rows = 0
        for row in rows_of(connection, f"SELECT * FROM {quoted(table, 'sqlite')}"):
            digest.update(repr(row).encode("utf-8", "surrogatepass"))
            rows += 1
        found[str(table)] = f"{rows} rows {digest.hexdigest()}"
    return found
