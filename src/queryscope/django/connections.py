"""Statements, rows, transactions and connections of Django's database wrappers."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections
from django.db.backends import utils
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper

from queryscope.trace import guard
from queryscope.trace.facts import ConnectionInfo, OpenSession, OpenTransaction, clock
from queryscope.trace.patches import uses_only
from queryscope.trace.scope import active, recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.django.pools import Held
    from queryscope.trace.recorder import Recorder

INFO = "_queryscope_info"
"""Attribute of a database wrapper: its ConnectionInfo. Carries our name, removed by uninstall."""

KEPT_SESSIONS = 8
"""Recorders for which one connection object remembers its session there: those that nest."""

_frame = sys._getframe
_attached: weakref.WeakSet[Any] = weakref.WeakSet()
_attached_lock = threading.Lock()


class Used(ConnectionInfo):
    """What is known of one connection object, and its session in each Recorder that uses it.

    No Recorder is kept alive: a persistent connection outlives its requests. ``owner`` is the id
    of the one that ``session`` and ``checkout`` belong to; ``held`` is known where there is a pool.
    """

    __slots__ = ("held", "owner", "sessions")

    def __init__(self, database: str, vendor: str) -> None:
        """Start with a connection that no Recorder has seen."""
        super().__init__(database, vendor)
        self.held: Held | None = None
        self.owner = ""
        self.sessions: dict[str, OpenSession] = {}


def attach(connection: Any) -> None:
    """Put our execute wrapper on a connection object, first in its list and only once.

    First, and never appended: ``with connection.execute_wrapper(f)`` ends with a ``pop()``, which
    would take ours instead of the user's.
    """
    wrappers = connection.execute_wrappers
    if any(_is_ours(wrapper) for wrapper in wrappers):
        return
    wrappers.insert(0, _execute_wrapper(info_of(connection)))
    with _attached_lock:
        _attached.add(connection)


def detach(connection: Any) -> None:
    """Take our execute wrapper and mark off a connection object."""
    # A new list: another thread may be walking through the old one.
    connection.execute_wrappers = [
        item for item in connection.execute_wrappers if not _is_ours(item)
    ]
    connection.__dict__.pop(INFO, None)


def detach_all() -> None:
    """Take our marks off the connection objects of all threads."""
    with _attached_lock:
        found = list(_attached)
        _attached.clear()
    for connection in found:
        detach(connection)


def _is_ours(wrapper: Any) -> bool:
    return type(wrapper) is FunctionType and "queryscope" in vars(wrapper)


def info_of(connection: Any) -> Used:
    """Return what we know of a connection object."""
    info = connection.__dict__.get(INFO)
    if info is None:
        info = Used(_database_name(connection), connection.vendor)
        connection.__dict__[INFO] = info
    found: Used = info
    return found


def _database_name(connection: Any) -> str:
    """Return the configured alias; for a copied connection that of the same database.

    Helpers that open a connection of their own copy one under a new alias. It is the same
    database, and a second session on it.
    """
    alias = str(connection.alias)
    configured = settings.DATABASES
    if alias in configured:
        return alias
    keys = ("ENGINE", "NAME", "HOST", "PORT")
    mine = [connection.settings_dict.get(key) for key in keys]
    for name, other in connections.settings.items():  # connections[name] would make objects
        if [other.get(key) for key in keys] == mine:
            return str(name)
    return alias


def _execute_wrapper(info: Used) -> Callable[..., Any]:
    """Return the wrapper that records each statement of one connection.

    Ours is the outermost wrapper, so the two frames above it are ``_execute_with_wrappers`` and
    ``execute`` of the cursor: the walk starts at the third, and those two are never made.
    """

    def queryscope_execute(
        execute: Callable[..., Any], sql: Any, params: Any, many: Any, context: Any
    ) -> Any:
        scope = active()
        if scope is None:
            return execute(sql, params, many, context)
        error: BaseException | None = None
        start = clock()
        try:
            return execute(sql, params, many, context)
        except BaseException as raised:
            error = raised
            raise
        finally:
            end = clock()
            try:
                recorder: Recorder | None = scope.recorder
                stage = scope.stage
                if scope.recorder.closed:
                    recorder, stage = _open_recorder(scope.recorder), -1
                if recorder is not None:
                    if info.owner is not recorder.id:
                        _begin_session(recorder, info, start)
                    batch = 0 if not many else _size(params)
                    uid = recorder.add_query(start, end, sql, params, batch, info, stage, error, 3)
                    cursor = context["cursor"]
                    if uid and isinstance(cursor, _Counting):
                        cursor.queryscope = (recorder.rows, uid)
                        if error is None and type(sql) is str and sql[:1] not in "Ss":
                            found = cursor.cursor
                            count = found.rowcount
                            # What has rows to give, they are counted when it gives them.
                            if count >= 0 and not found.description:
                                recorder.rows[uid] = count
            except Exception as failure:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(failure, "django.execute")
            finally:
                del error

    queryscope_execute.queryscope = True  # type: ignore[attr-defined] # our mark
    return queryscope_execute


def _open_recorder(closed: Recorder) -> Recorder | None:
    """Return the innermost Recorder still open around a closed one; count an orphan if none."""
    recorder = recording()
    if recorder is None:
        closed.orphans += 1
    return recorder


def _size(params: Any) -> int:
    """Return the number of parameter sets of ``executemany``, -1 for a generator."""
    return len(params) if type(params) in (list, tuple) else -1


def _begin_session(recorder: Recorder, info: Used, now: int) -> None:
    """Note that this Trace uses a connection object: a Django session."""
    session = info.sessions.get(recorder.id)
    if session is None:
        session = OpenSession("django", now, threading.get_ident())
        session.first_used_ns = now
        session.databases[info.database] = None
        recorder.add_session(session, recorder.site(_frame(2)))
        session.recorder = None
        while len(info.sessions) >= KEPT_SESSIONS:
            del info.sessions[next(iter(info.sessions))]
        info.sessions[recorder.id] = session
    info.session = session
    if info.held is not None:
        info.checkout = info.held.within(recorder, session)
    info.owner = recorder.id


# -- rows ----------------------------------------------------------------------------------


class _Counting:
    """Fetch methods that count rows.

    They are written out here, the counting too, although the base class has them by
    ``__getattr__``: that detour is what makes a plain subclass cost 3 us a statement. ``close``,
    which ends each statement, makes up for the call of our wrapper in the same way. Errors become
    Django's where there is one: entering ``wrap_database_errors`` does nothing.
    """

    queryscope: tuple[dict[int, int], int] | None = None
    cursor: Any
    db: Any

    def fetchone(self) -> Any:
        try:
            row = self.cursor.fetchone()
        except BaseException:
            with self.db.wrap_database_errors:
                raise
        if (target := self.queryscope) is not None:
            rows, uid = target
            rows[uid] = rows.get(uid, 0) + (row is not None)
        return row

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        try:
            found = self.cursor.fetchmany(*args, **kwargs)
        except BaseException:
            with self.db.wrap_database_errors:
                raise
        if (target := self.queryscope) is not None:
            rows, uid = target
            try:
                if found or uid not in rows:  # Django asks once more than there are rows
                    rows[uid] = rows.get(uid, 0) + len(found)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "django.fetch")  # a cursor that gives no list
        return found

    def fetchall(self) -> Any:
        try:
            found = self.cursor.fetchall()
        except BaseException:
            with self.db.wrap_database_errors:
                raise
        if (target := self.queryscope) is not None:
            rows, uid = target
            try:
                if found or uid not in rows:
                    rows[uid] = rows.get(uid, 0) + len(found)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "django.fetch")
        return found

    def close(self) -> Any:
        return self.cursor.close()

    def __iter__(self) -> Iterator[Any]:
        with self.db.wrap_database_errors:
            for row in self.cursor:
                if (target := self.queryscope) is not None:
                    rows, uid = target
                    rows[uid] = rows.get(uid, 0) + 1
                yield row


class CountingCursor(_Counting, CursorWrapper):
    """Django's cursor wrapper, with rows counted."""


class CountingDebugCursor(_Counting, CursorDebugWrapper):
    """Django's cursor wrapper of DEBUG, with rows counted."""


Cursors = dict[type, Callable[[Any, Any], Any]]
"""Which cursors of Django's we put which of ours in place of."""

COUNTING: Cursors = {CursorWrapper: CountingCursor, CursorDebugWrapper: CountingDebugCursor}
"""Those of every database; PostgreSQL has more, see ``copies``."""


def make_cursor(original: Callable[..., Any], cursors: Cursors = COUNTING) -> Callable[..., Any]:
    """Return what stands in for ``BaseDatabaseWrapper.make_cursor``, or its debug twin.

    Where another library has replaced the method, its cursors stay: their rows are not counted.
    """
    code = getattr(original, "__code__", None)
    if code is not None and code.co_filename == __file__:  # ours of the base class
        original = original.__wrapped__  # type: ignore[attr-defined] # which functools set
    get = cursors.get
    # Django's own only makes the wrapper that its module names: ours is made in its place.
    plain = uses_only(original, "utils", "CursorWrapper")

    @wraps(original)
    def make(self: Any, cursor: Any) -> Any:
        if plain and (kind := get(utils.CursorWrapper)) is not None:
            return kind(cursor, self)
        made = original(self, cursor)
        kind = get(type(made))
        return made if kind is None else kind(cursor, self)

    return make


# -- transactions and the end of a connection ------------------------------------------------


def began(connection: Any) -> None:
    """Note the begin of a transaction, once the driver is out of autocommit."""
    recorder = recording()
    info = info_of(connection)
    if recorder is None or info.transaction is not None:
        return
    site = recorder.site(_frame(2))
    transaction = OpenTransaction(info, clock(), site, threading.get_ident())
    info.transaction = transaction
    recorder.add_transaction(transaction)


def ended(connection: Any, outcome: str, start: int = 0) -> None:
    """Note the end of the transaction, if one is open; ``start`` is when it was asked to end."""
    info = info_of(connection)
    transaction, info.transaction = info.transaction, None
    if transaction is not None:
        transaction.ended_ns = clock()
        transaction.ending_ns = transaction.ended_ns - start if start else 0
        transaction.outcome = outcome


def savepoint(connection: Any) -> None:
    """Note a savepoint."""
    transaction = info_of(connection).transaction
    if transaction is not None:
        transaction.savepoints += 1


def closed(connection: Any) -> None:
    """Note that a connection object gave up its database connection."""
    ended(connection, "closed")
    info = info_of(connection)
    now = clock()
    for session in info.sessions.values():
        session.closed_ns = now
    info.sessions = {}
    info.session = None
    info.owner = ""
