"""The store on disk: one SQLite file with a summary and a compressed body for each Trace.

Lists read the summaries alone. Several processes write at once: the file is in WAL mode, a
transaction lasts as long as its INSERTs, and what waits for the lock waits with a limit. A batch
is in the file when ``add`` returns: a process killed after that loses nothing of it. (After a
power failure the last batches may be missing; the file is whole.)
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from queryscope.detectors import codec as findings_codec
from queryscope.detectors.registry import Judged
from queryscope.errors import NotFoundError, StoreError, TraceFormatError, nearest
from queryscope.store import fork
from queryscope.store.folder import draft_of, locked, make_folder
from queryscope.trace import codec, guard
from queryscope.trace.values import without_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from queryscope.trace.events import Trace

FORMAT = 1
"""Version of the tables, in ``PRAGMA user_version``."""
APPLICATION_ID = int.from_bytes(b"QSdb", "big")
"""In ``PRAGMA application_id``, so that a database of somebody else's is not taken for ours."""
BUSY_TIMEOUT_S = 5.0
"""How long a process waits for another one's transaction."""
MAX_WAL_BYTES = 4 * 2**20
SHRUNK_TO = 0.9
"""Share of the size limit that is left after old Traces were deleted, so that not every batch
has to delete."""
MAX_SUMMARY_CHARS = 500

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


class Summary(NamedTuple):
    """One line about a stored Trace; the numbers are those of its whole subtree.

    Attributes:
        id: The Trace's.
        started_at_ns: Unix time, in nanoseconds.
        kind: What the unit of work was.
        name: Route, test id, command or label.
        method: HTTP method, ``""`` for what is no request.
        path: Path of the request.
        route: The route that matched it, ``""`` where the framework did not tell.
        status: HTTP status code.
        duration_ns: Wall time.
        statements: Statements sent.
        rows: Rows fetched.
        sessions: Sessions that used a connection.
        info: Number of findings of this severity, as the next two.
        warning: See ``info``.
        critical: See ``info``.
        codes: Codes of the findings, once each, comma-separated.
    """

    id: str
    started_at_ns: int
    kind: str
    name: str
    method: str
    path: str
    route: str
    status: str
    duration_ns: int
    statements: int
    rows: int
    sessions: int
    info: int
    warning: int
    critical: int
    codes: str


_COLUMNS = ", ".join(Summary._fields)
_INSERT = (
    f"INSERT INTO summaries ({_COLUMNS}, bytes) "  # noqa: S608 - our own column names
    f"VALUES ({', '.join('?' * (len(Summary._fields) + 1))})"
)


class _Row(NamedTuple):
    """A Trace ready to be written."""

    summary: Summary
    trace: bytes
    findings: bytes


class Store:
    """The Traces in one SQLite file; thread-safe, fork-safe, opened when first needed.

    Every method raises ``StoreError`` when the file cannot be used, and nothing else for it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_mib: float = 200,
        max_age_days: float = 14.0,
        keep_values: bool = False,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Name the file; it is checked if it exists and made when the first Trace comes.

        Args:
            path: The SQLite file; a relative one is of the working directory of this moment.
            max_mib: Size from which the oldest Traces are deleted, in MiB. While processes have
                the file open, its WAL takes up to 4 MiB beside it.
            max_age_days: Age from which Traces are deleted, in days.
            keep_values: Write the parameters of statements, too.
            busy_timeout_s: How long to wait for another process's transaction, in seconds.
            clock: The Unix time in nanoseconds.

        Raises:
            StoreError: The file exists and is damaged, newer, or no store.
        """
        self.path = Path(path).absolute()
        self.max_mib = max_mib
        self.max_age_days = max_age_days
        self.keep_values = keep_values
        self._busy_timeout_s = busy_timeout_s
        self._clock = clock
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

    # -- writing ------------------------------------------------------------------------------

    def add(self, batch: Iterable[Judged]) -> None:
        """Write Traces in one transaction, then delete what is too old or too much.

        A Trace that was there under the same id is replaced. One that cannot be packed is left
        out and counted with the failures of our hooks.

        Raises:
            StoreError: Nothing of the batch was written.
        """
        rows = list(self._packed(batch))
        if not rows:
            return
        with self._lock, self._errors("write"):
            connection = self._open(create=True)
            deleted = 0
            with _transaction(connection):
                for row in rows:
                    self._insert(connection, row)
                deleted = self._delete_old(connection) + self._delete_oldest(connection)
            if deleted:
                self._shrink(connection)

    def _packed(self, batch: Iterable[Judged]) -> Iterator[_Row]:
        for judged in batch:
            trace, findings = judged.trace, judged.findings
            try:
                kept = trace if self.keep_values else without_values(trace)
                yield _Row(
                    _summary(trace, findings), codec.encode(kept), findings_codec.encode(findings)
                )
            except Exception as error:  # noqa: BLE001 - one impossible Trace must not cost the batch
                guard.count(error, "store.add")

    def _insert(self, connection: sqlite3.Connection, row: _Row) -> None:
        connection.execute("DELETE FROM summaries WHERE id = ?", (row.summary.id,))
        size = len(row.trace) + len(row.findings)
        number = connection.execute(_INSERT, (*row.summary, size)).lastrowid
        connection.execute(
            "INSERT INTO bodies (number, trace, findings) VALUES (?, ?, ?)",
            (number, row.trace, row.findings),
        )

    def _delete_old(self, connection: sqlite3.Connection) -> int:
        oldest_ns = self._clock() - int(self.max_age_days * 86_400 * 1_000_000_000)
        query = "DELETE FROM summaries WHERE started_at_ns < ?"
        return connection.execute(query, (max(oldest_ns, -(2**63)),)).rowcount

    def _delete_oldest(self, connection: sqlite3.Connection) -> int:
        """Delete the oldest Traces until the rest fits; the newest one stays in any case."""
        limit = self.max_mib * 2**20
        deleted = 0
        while (used := _used_bytes(connection)) > limit:
            oldest = connection.execute(
                "SELECT number, bytes FROM summaries ORDER BY started_at_ns, number LIMIT "
                "(SELECT count(*) - 1 FROM summaries)"
            ).fetchall()
            surplus = used - limit * SHRUNK_TO
            chosen = []
            for number, size in oldest:
                if surplus <= 0:
                    break
                chosen.append((number,))
                surplus -= size
            if not chosen:
                break
            connection.executemany("DELETE FROM summaries WHERE number = ?", chosen)
            deleted += len(chosen)
        return deleted

    def _shrink(self, connection: sqlite3.Connection) -> None:
        """Give the freed pages back; where another process is writing, the next time."""
        with contextlib.suppress(sqlite3.OperationalError):
            # A script: execute() takes one step of it, and each step frees one page.
            connection.executescript("PRAGMA incremental_vacuum")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    # -- reading ------------------------------------------------------------------------------

    def list(
        self, limit: int = 50, route: str | None = None, kind: str | None = None
    ) -> Sequence[Summary]:
        """Return what is there, the newest first.

        Args:
            limit: At most so many.
            route: Only Traces of a route, path or name: ``GET /orders``, ``/orders/``,
                ``nightly export``. Slashes at the ends do not matter.
            kind: Only Traces of a kind, such as ``request``.

        Raises:
            StoreError: The file cannot be read.
        """
        condition, values = _condition(route, kind)
        rows = self._read(
            f"SELECT {_COLUMNS} FROM summaries WHERE {condition} "  # noqa: S608 - our own text
            "ORDER BY started_at_ns DESC, number DESC LIMIT ?",
            (*values, limit),
        )
        return tuple(Summary._make(row) for row in rows)

    def get(self, key: str) -> Judged:
        """Return the Trace of an id, or of a prefix that only one id has.

        Raises:
            NotFoundError: No Trace has it, or several have.
            StoreError: The file cannot be read.
            TraceFormatError: The stored Trace is damaged or newer.
        """
        clean = _text(key)
        found = [clean] if self._read("SELECT 1 FROM summaries WHERE id = ?", (clean,)) else []
        if not found and clean:
            query = "SELECT id FROM summaries WHERE substr(id, 1, ?) = ? LIMIT 6"
            found = [name for (name,) in self._read(query, (len(clean), clean))]
        if len(found) == 1:
            return self._body(found[0])
        if found:
            raise NotFoundError(
                f"Several Traces in {self.path} begin with {key!r}: {', '.join(found)}."
            )
        ids = [name for (name,) in self._read("SELECT id FROM summaries", ())]
        raise self._not_found(f"no Trace {key!r}", key, ids)

    def latest(self, route: str | None = None) -> Judged:
        """Return the newest Trace, or the newest of a route, path or name.

        Raises:
            NotFoundError: There is none.
            StoreError: The file cannot be read.
            TraceFormatError: The stored Trace is damaged or newer.
        """
        found = self.list(1, route)
        if found:
            return self._body(found[0].id)
        known = self._read(
            "SELECT DISTINCT CASE WHEN method <> '' AND route <> '' THEN method || ' ' || route "
            "ELSE name END FROM summaries",
            (),
        )
        what = "no Trace" if route is None else f"no Trace of {route!r}"
        raise self._not_found(what, route or "", [name for (name,) in known])

    def close(self) -> None:
        """Close the file; using the store again opens it again."""
        with self._lock, self._errors("close"):
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _not_found(self, what: str, key: str, known: Sequence[str]) -> NotFoundError:
        if not known:
            return NotFoundError(
                f"There is {what}: {self.path} "
                f"{'holds none yet' if self.path.exists() else 'does not exist'}. Record one "
                "first, for instance with `queryscope run -- python manage.py runserver`."
            )
        return NotFoundError(
            f"There is {what} in {self.path}.{nearest(key, known)} `queryscope list` shows all."
        )

    def _body(self, name: str) -> Judged:
        rows = self._read(
            "SELECT trace, findings FROM summaries JOIN bodies USING (number) WHERE id = ?",
            (name,),
        )
        if not rows:
            raise NotFoundError(f"Trace {name} in {self.path} has been deleted this moment.")
        trace, findings = rows[0]
        try:
            return Judged(codec.decode(trace), findings_codec.decode(findings))
        except TraceFormatError as error:
            raise TraceFormatError(f"Trace {name} in {self.path}: {error}") from error

    def _read(self, query: str, values: Sequence[object]) -> Sequence[tuple[Any, ...]]:
        """Return all rows of a query; none where there is no file."""
        with self._lock, self._errors("read"):
            if not self.path.exists():
                return ()
            return self._open(create=False).execute(query, values).fetchall()

    # -- the file -----------------------------------------------------------------------------

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
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock from the start: a lock taken halfway could not be waited for."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _used_bytes(connection: sqlite3.Connection) -> int:
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


def _summary(trace: Trace, findings: Sequence[Any]) -> Summary:
    subtree = list(trace.subtree())
    attributes = trace.attributes
    severities = [finding.severity for finding in findings]
    return Summary(
        _text(trace.id),
        _number(trace.started_at_ns),
        _text(trace.kind),
        _text(trace.name),
        _text(attributes.get("method", "")),
        _text(attributes.get("path", "")),
        _text(attributes.get("route", "")),
        _text(attributes.get("status", "")),
        _number(trace.duration_ns),
        _number(sum(item.statements for item in subtree)),
        _number(sum(item.rows for item in subtree)),
        _number(sum(len(item.sessions) for item in subtree)),
        severities.count("info"),
        severities.count("warning"),
        severities.count("critical"),
        _text(",".join(dict.fromkeys(finding.code for finding in findings))),
    )


def _text(value: str) -> str:
    """Return a text that SQLite can hold; the body has the exact one."""
    return value[:MAX_SUMMARY_CHARS].encode("utf-8", "replace").decode()


def _number(value: int) -> int:
    """Return a number that SQLite can hold."""
    return max(-(2**63), min(value, 2**63 - 1))


def _condition(route: str | None, kind: str | None) -> tuple[str, list[object]]:
    """Return the WHERE of a list, and its values."""
    parts, values = ["1"], list[object]()
    if kind is not None:
        parts.append("kind = ?")
        values.append(_text(kind))
    if route is not None:
        wanted = _text(route.strip())
        method, _, rest = wanted.partition(" ")
        by_method = method.isalpha() and method.isupper() and rest
        place = (rest if by_method else wanted).strip().strip("/")
        ours = "(trim(route, '/') = ? OR trim(path, '/') = ?) AND method <> ''"
        values += [wanted, place, place]
        if by_method:
            ours += " AND method = ?"
            values.append(method)
        parts.append(f"(name = ? OR ({ours}))")
    return " AND ".join(parts), values
