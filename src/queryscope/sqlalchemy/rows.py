"""Rows fetched, counted where a cursor's result hands them out.

Nothing is read from ``__dict__`` here: asking for it makes a dict of an object that has none yet,
which costs more than all the counting.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from queryscope.sqlalchemy.pools import MARK
from queryscope.trace import guard
from queryscope.trace.patches import uses_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Target = tuple[dict[int, int], int]
    """``Recorder.rows`` and the uid of the statement; on execution contexts that are recorded."""


def _add(target: Target, count: int) -> None:
    rows, uid = target
    rows[uid] = rows.get(uid, 0) + count


def fetchiter(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``CursorResult._fetchiter_impl``, which gives the rows one by one."""

    @wraps(original)
    def _fetchiter_impl(self: Any) -> Any:
        found = original(self)
        try:
            target = getattr(self.context, MARK, None)
            return found if target is None else _counted(found, target)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.fetch")
            return found

    return _fetchiter_impl


def _counted(found: Iterator[Any], target: Target) -> Iterator[Any]:
    rows, uid = target
    before = rows.setdefault(uid, 0)
    for count, row in enumerate(found, before + 1):
        rows[uid] = count
        yield row


def fetchone(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``CursorResult._fetchone_impl``."""

    @wraps(original)
    def _fetchone_impl(self: Any, hard_close: bool = False) -> Any:  # noqa: FBT001, FBT002 - SQLAlchemy's signature
        row = original(self, hard_close)
        try:
            target = getattr(self.context, MARK, None)
            if target is not None:
                _add(target, row is not None)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.fetch")
        return row

    return _fetchone_impl


def fetchmany(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``CursorResult._fetchmany_impl``."""

    @wraps(original)
    def _fetchmany_impl(self: Any, size: int | None = None) -> Any:
        found = original(self, size)
        try:
            target = getattr(self.context, MARK, None)
            if target is not None:
                _add(target, len(found))
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.fetch")
        return found

    return _fetchmany_impl


def fetchall(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``CursorResult._fetchall_impl``; SQLAlchemy's own is not called for its one line."""
    plain = uses_only(original, "cursor_strategy", "fetchall", "cursor")

    @wraps(original)
    def _fetchall_impl(self: Any) -> Any:
        found = self.cursor_strategy.fetchall(self, self.cursor) if plain else original(self)
        try:
            target = getattr(self.context, MARK, None)
            if target is not None:
                rows, uid = target
                rows[uid] = rows.get(uid, 0) + len(found)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.fetch")
        return found

    return _fetchall_impl
