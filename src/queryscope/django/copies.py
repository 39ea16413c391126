"""``COPY`` through Django's cursors: psycopg's ``copy()``, psycopg2's ``copy_expert()`` and others.

Django hands these methods on to the driver, past its execute wrappers. One ``COPY`` is one
statement: with psycopg it lasts until its block ends, since the connection serves it all the time.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.backends.utils import CursorDebugWrapper, CursorWrapper

from queryscope.django import connections as facts
from queryscope.trace import guard
from queryscope.trace.facts import clock
from queryscope.trace.scope import active

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from queryscope.trace.recorder import Recorder

COPIES = frozenset({"copy", "copy_expert", "copy_from", "copy_to"})
"""Methods of PostgreSQL's drivers that send a ``COPY``, past Django's execute wrappers."""

_frame = sys._getframe


def copying(cursor: Any, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands in for a cursor's ``copy``, ``copy_expert``, ``copy_from`` or ``copy_to``.

    Args:
        cursor: Django's wrapper around the driver's cursor.
        name: The method's name.
        original: The driver's bound method, or the wrapper's own in DEBUG.
    """
    if active() is None:
        return original
    return _block(cursor, original) if name == "copy" else _call(cursor, name, original)


def _block(cursor: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    @contextmanager
    def copy(statement: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        start = clock()
        try:
            with original(statement, *args, **kwargs) as found:
                yield found
        except BaseException as error:
            _record(cursor, start, statement, error, _frame(0))
            raise
        _record(cursor, start, statement, None, _frame(0))

    return copy


def _call(cursor: Any, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def copy(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            _record(cursor, start, _text(name, args, kwargs), error, _frame(0))
            raise
        _record(cursor, start, _text(name, args, kwargs), None, _frame(0))
        return result

    return copy


def _text(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name == "copy_expert":
        return args[0] if args else kwargs.get("sql", "")
    table = args[1] if len(args) > 1 else kwargs.get("table", "")
    direction = "TO STDOUT" if name == "copy_to" else "FROM STDIN"
    return f"COPY {table if type(table) is str else '?'} {direction}"


def _record(
    cursor: Any, start: int, statement: Any, error: BaseException | None, frame: FrameType
) -> None:
    end = clock()
    try:
        scope = active()
        if scope is None:
            return
        recorder: Recorder | None = scope.recorder
        stage = scope.stage
        if scope.recorder.closed:
            recorder, stage = facts._open_recorder(scope.recorder), -1
        if recorder is None:
            return
        info = facts.info_of(cursor.db)
        if info.owner is not recorder.id:
            facts._begin_session(recorder, info, start)
        uid = recorder.add_query(start, end, statement, None, 0, info, stage, error, frame)
        if uid and error is None and (count := cursor.cursor.rowcount) >= 0:
            recorder.rows[uid] = count
    except Exception as failure:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(failure, "django.copy")


def watch(connection: Any, replace: Callable[..., object]) -> None:
    """Count rows with cursors that record copies, too, where the database is PostgreSQL."""
    base = sys.modules.get("django.db.backends.postgresql.base")
    if base is None or not isinstance(connection, base.DatabaseWrapper):
        return
    own = base.CursorDebugWrapper  # of DEBUG, with copies of its own
    names = {name: _debug(name, own) for name in COPIES if name in vars(own)}
    cursors: facts.Cursors = {
        CursorWrapper: CopyingCursor,
        CursorDebugWrapper: CopyingDebugCursor,
        own: type("CopyingDebugCursor", (facts._Counting, own), names),
    }
    for name in ("make_cursor", "make_debug_cursor"):
        replace(base.DatabaseWrapper, name, partial(facts.make_cursor, cursors=cursors))


def _debug(name: str, kind: type) -> Callable[..., Any]:
    own: Callable[..., Any] = vars(kind)[name]

    def copy(self: Any, *args: Any, **kwargs: Any) -> Any:
        return copying(self, name, own.__get__(self))(*args, **kwargs)

    return copy


class _Copying:
    """What Django's cursor wrapper takes from the driver's cursor, with copies recorded."""

    def __getattr__(self, attr: str) -> Any:
        found = super().__getattr__(attr)  # type: ignore[misc] # Django's, beside which this stands
        return copying(self, attr, found) if attr in COPIES else found


class CopyingCursor(_Copying, facts.CountingCursor):
    """A cursor of PostgreSQL."""


class CopyingDebugCursor(_Copying, facts.CountingDebugCursor):
    """A cursor of PostgreSQL, of DEBUG."""
