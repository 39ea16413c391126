"""Transactions and savepoints, from the dialects' own methods."""

from __future__ import annotations

import sys
from functools import wraps
from threading import get_ident
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from queryscope.sqlalchemy.lasting import Lasting, Link
from queryscope.sqlalchemy.pools import MARK
from queryscope.trace import guard
from queryscope.trace.recorder import OpenTransaction, clock, recording

if TYPE_CHECKING:
    from collections.abc import Callable

_frame = sys._getframe


def do_begin(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``DefaultDialect.do_begin``."""

    @wraps(original)
    def do_begin(self: Any, dbapi_connection: Any) -> Any:
        result = original(self, dbapi_connection)
        try:
            _began(dbapi_connection, _frame(1))
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.do_begin")
        return result

    return do_begin


def ending(outcome: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what wraps ``do_commit`` or ``do_rollback``."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def end(self: Any, dbapi_connection: Any) -> Any:
            try:
                return original(self, dbapi_connection)
            finally:
                try:
                    _ended(dbapi_connection, outcome)
                except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                    guard.caught(error, f"sqlalchemy.do_{outcome}")

        return end

    return make


def do_savepoint(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``DefaultDialect.do_savepoint``; its statement is recorded as any other."""

    @wraps(original)
    def do_savepoint(self: Any, connection: Any, name: Any) -> Any:
        result = original(self, connection, name)
        try:
            link = _known(connection._dbapi_connection)
            if link is not None and link.begun is not None:
                for transaction in link.begun.everywhere():
                    transaction.savepoints += 1
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.do_savepoint")
        return result

    return do_savepoint


def _known(fairy: Any) -> Link | None:
    """Return the link of a connection that our checkout has seen."""
    link = getattr(fairy, "__dict__", {}).get(MARK)
    return link if type(link) is Link else None


def _began(fairy: Any, frame: Any) -> None:
    link = _known(fairy)
    if link is None or link.returned or not link.pool.watched:
        return
    connection = frame.f_locals.get("self")
    if isinstance(connection, Connection) and connection._is_autocommit_isolation():
        return  # the driver begins nothing
    transaction = OpenTransaction(link, clock(), -1, get_ident())
    link.begun = Lasting(transaction)
    link.transaction = None
    recorder = recording()
    if recorder is None:
        link.owner = ""
        return
    site = link.begun.opened_at(recorder, frame)
    link.begun.add(recorder, transaction, site)
    if link.owner is not recorder.id:
        link.bind(recorder)
    link.transaction = transaction


def _ended(fairy: Any, outcome: str) -> None:
    link = _known(fairy)
    if link is None or link.begun is None or link.returned:
        return
    now = clock()
    for transaction in link.begun.everywhere():
        transaction.ended_ns = now
        transaction.outcome = outcome
    link.begun = link.transaction = None
