"""The SQLite file of the store: made, opened and checked, and what it raises in words."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import threading
from typing import TYPE_CHECKING, NoReturn

from queryscope.errors import StoreError
from queryscope.store import fork
from queryscope.store.folder import draft_of, locked, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = 1
"""Version of the tables, in ``PRAGMA user_version``."""
APPLICATION_ID = int.from_bytes(b"QSdb", "big")
"""In ``PRAGMA application_id``, so that a database of somebody else's is not taken for ours."""
BUSY_TIMEOUT_S = 5.0
"""How long a process waits for another one's transaction."""
MAX_WAL_BYTES = 4 * 2**20

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_SCHEMA = f"""
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE summaries (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    started_at_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    route TEXT NOT NULL,
    status TEXT NOT NULL,
    duration_ns INTEGER NOT NULL,
    statements INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    sessions INTEGER NOT NULL,
    info INTEGER NOT NULL,
    warning INTEGER NOT NULL,
    critical INTEGER NOT NULL,
    codes TEXT NOT NULL,
    bytes INTEGER NOT NULL
);
CREATE INDEX summaries_by_start ON summaries (started_at_ns);
CREATE TABLE bodies (
    number INTEGER PRIMARY KEY REFERENCES summaries (number) ON DELETE CASCADE,
    trace BLOB NOT NULL,
    findings BLOB NOT NULL
);
COMMIT;
"""


class Database:
    """The file and one connection to it; thread-safe, fork-safe, opened when first needed."""

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        """Name the file; it is checked if it exists.

        Args:
            path: The SQLite file, absolute.
            busy_timeout_s: How long to wait for another process's transaction, in seconds.

        Raises:
            StoreError: The file exists and is damaged, newer, or no store.
        """
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._inherited: list[sqlite3.Connection] = []
        fork.watch(self)
        with self._errors("open"):
            self._check_header()

    def after_fork(self) -> None:
        """Leave the parent's connection alone: SQLite forbids to use or close it here."""
        self._lock = threading.Lock()
        if self._connection is not None:
            self._inherited.append(self._connection)
            self._connection = None

    @contextlib.contextmanager
    def to_read(self) -> Iterator[sqlite3.Connection | None]:
        """Give the connection to one thread; None where there is no file.

        Raises:
            StoreError: The file cannot be read.
        """
        with self._lock, self._errors("read"):
            yield self._open(create=False) if self.path.exists() else None

    @contextlib.contextmanager
    def to_write(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to one thread; the file is made if it is missing.

        Raises:
            StoreError: The file cannot be written.
        """
        with self._lock, self._errors("write"):
            yield self._open(create=True)

    def close(self) -> None:
        """Close the file; using the store again opens it again."""
        with self._lock, self._errors("close"):
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _open(self, *, create: bool) -> sqlite3.Connection:
        """Return the connection to the file that is there now, made if ``create`` and missing."""
        connection = self._connection
        if connection is not None:
            if self._inode == _inode(self.path):
                return connection
            # Deleted or replaced under us: what we would write, nobody could find.
            self._connection = None
            connection.close()
        if create and not self.path.exists():
            self._create()
        self._check_header()
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {MAX_WAL_BYTES}").fetchall()
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            self._check_version(version)
            self._inode = _inode(self.path)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _create(self) -> None:
        """Make the file, so that nobody sees it half made."""
        make_folder(self.path.parent)
        with locked(self.path.parent) as alone:
            if self.path.exists():
                return  # another process was first, and may be writing by now
            self._remove_rests(alone=alone)
            with draft_of(self.path) as draft:
                self._fill(draft)

    def _remove_rests(self, *, alone: bool) -> None:
        """Remove what a file that was deleted alone left: SQLite would read it into the new one."""
        for ending in ("-wal", "-shm"):
            rest = self.path.with_name(self.path.name + ending)
            if alone:
                rest.unlink(missing_ok=True)
            elif rest.exists():
                raise StoreError(
                    f"{rest} is left of a store that was deleted. Delete it, too, while no "
                    "process is recording, and a new store is made."
                )

    def _fill(self, draft: Path) -> None:
        connection = sqlite3.connect(draft, isolation_level=None)
        try:
            # Before the first page is written: later it would take a VACUUM.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.executescript(_SCHEMA)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        finally:
            connection.close()

    def _check_header(self) -> None:
        """Look at the file's first bytes, so that SQLite never opens what is not ours."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{self.path} is no file. Name a file in it or another store_path.")
        with self.path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
            self._refuse("is no SQLite file" if header else "is empty")
        if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
            self._refuse("is an SQLite database, but none of queryscope's")
        self._check_version(int.from_bytes(header[60:64], "big"))

    def _check_version(self, version: int) -> None:
        if version > FORMAT:
            raise StoreError(
                f"{self.path} has format {version}, written by a newer queryscope; this one reads "
                f"format {FORMAT}. It was left as it is. Update queryscope, or name another file "
                "(store_path, --store)."
            )

    def _refuse(self, why: str) -> NoReturn:
        raise StoreError(
            f"{self.path} {why}. It was left as it is. Name another file (store_path, --store), or "
            "move it away and a new store is made."
        )

    @contextlib.contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Turn what SQLite and the file system raise into a StoreError that says what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(self._reason(error, doing)) from error
        except (OSError, ValueError, OverflowError) as error:
            text = getattr(error, "strerror", None) or str(error)
            place = getattr(error, "filename", None) or self.path
            raise StoreError(
                f"The store {self.path} cannot be used: {doing} failed at {place}: {text}. "
                "Make the folder writable, or name another file (store_path, --store)."
            ) from error

    def _reason(self, error: sqlite3.Error, doing: str) -> str:
        # The higher bytes tell apart what is one thing to do for the user.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return (
                f"{self.path} is locked: another process has held it for more than "
                f"{self._busy_timeout_s:g} s ({doing} failed). Try again, or end that process."
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return (
                f"{self.path} is damaged ({error}; {doing} failed). It was left as it is. Move it "
                "away and a new store is made."
            )
        if code == sqlite3.SQLITE_FULL:
            return (
                f"{self.path} cannot grow: the disk is full ({doing} failed). Free some space, or "
                "lower store_max_mib."
            )
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return (
                f"{self.path} cannot be opened for writing ({error}; {doing} failed). Make the "
                "file and its folder writable, or name another file (store_path, --store)."
            )
        return (
            f"{self.path}: {doing} failed: {error}. If it stays so, move the file away and a new "
            "store is made."
        )


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock from the start: a lock taken halfway could not be waited for."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return what the pages in use take, whatever the size of the file."""
    numbers = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    ]
    return int((numbers[0] - numbers[1]) * numbers[2])


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
