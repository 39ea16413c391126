"""The store on disk: one SQLite file with a summary and a compressed body for each Trace.

Lists read the summaries alone. Several processes write at once: the file is in WAL mode, a
transaction lasts as long as its INSERTs, and what waits for the lock waits with a limit. A batch
is in the file when ``add`` returns: a process killed after that loses nothing of it. (After a
power failure the last batches may be missing; the file is whole.)
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from queryscope.detectors import codec as findings_codec
from queryscope.detectors.registry import Judged
from queryscope.errors import NotFoundError, TraceFormatError, nearest
from queryscope.store import captured
from queryscope.store.database import BUSY_TIMEOUT_S, Database, transaction, used_bytes
from queryscope.store.summary import Summary, storable, summary_of
from queryscope.trace import codec, guard
from queryscope.trace.values import without_values

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from queryscope.store.captured import Captured

SHRUNK_TO = 0.9
"""Share of the size limit that is left after old Traces were deleted, so that not every batch
has to delete."""

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
        self._clock = clock
        self._database = Database(self.path, busy_timeout_s)

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
        with self._database.to_write() as connection:
            deleted = 0
            with transaction(connection):
                for row in rows:
                    self._insert(connection, row)
                deleted = self._delete_old(connection) + self._delete_oldest(connection)
            if deleted:
                self._shrink(connection)

    def keep_requests(self, found: Iterable[Captured]) -> None:
        """Write captured requests; one that was there is the latest again.

        Raises:
            StoreError: None was written.
        """
        with self._database.to_write() as connection, transaction(connection):
            captured.keep(connection, found)

    def _packed(self, batch: Iterable[Judged]) -> Iterator[_Row]:
        for judged in batch:
            trace, findings = judged.trace, judged.findings
            try:
                kept = trace if self.keep_values else without_values(trace)
                yield _Row(
                    summary_of(trace, findings), codec.encode(kept), findings_codec.encode(findings)
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
        """Delete the oldest Traces until the rest fits; the newest one stays in any case.

        By the order in which they came: after a step back of the clock the newest have the
        earliest start.
        """
        limit = self.max_mib * 2**20
        deleted = 0
        while (used := used_bytes(connection)) > limit:
            oldest = connection.execute(
                "SELECT number, bytes FROM summaries ORDER BY number LIMIT "
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
        clean = storable(key)
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

    def captured(self) -> Sequence[Captured]:
        """Return the captured requests, the oldest first.

        Raises:
            StoreError: The file cannot be read.
        """
        with self._database.to_read() as connection:
            return () if connection is None else captured.read(connection)

    def close(self) -> None:
        """Close the file; using the store again opens it again."""
        self._database.close()

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
        with self._database.to_read() as connection:
            return () if connection is None else connection.execute(query, values).fetchall()


def _condition(route: str | None, kind: str | None) -> tuple[str, list[object]]:
    """Return the WHERE of a list, and its values."""
    parts, values = ["1"], list[object]()
    if kind is not None:
        parts.append("kind = ?")
        values.append(storable(kind))
    if route is not None:
        wanted = storable(route.strip())
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
