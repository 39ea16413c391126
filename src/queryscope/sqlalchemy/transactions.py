"""Transactions and savepoints, from the dialects' own methods."""

from __future__ import annotations

import sys
from functools import wraps
from threading import get_ident
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from queryscope.sqlalchemy.lasting import Link
from queryscope.sqlalchemy.pools import MARK
from queryscope.trace import guard
from queryscope.trace.facts import OpenTransaction, clock
from queryscope.trace.lasting import Lasting
from queryscope.trace.scope import recording

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
            start = clock()
            try:
                result = original(self, dbapi_connection)
            except BaseException:
                # A commit that failed is none. What ends the transaction instead comes next: a
                # rollback, or the return of the connection to its pool.
                if outcome != "commit":
                    note(dbapi_connection, start)
                raise
            note(dbapi_connection, start)
            return result

        def note(dbapi_connection: Any, start: int) -> None:
            try:
                _ended(dbapi_connection, outcome, start)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, f"sqlalchemy.do_{outcome}")

        return end

    return make


def do_begin_twophase(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``DefaultDialect.do_begin_twophase``, which may call ``do_begin`` or not."""

    @wraps(original)
    def do_begin_twophase(self: Any, connection: Any, xid: Any) -> Any:
        link, before = _open_on(connection)
        result = original(self, connection, xid)
        try:
            if link is not None and link.begun is before:
                _began(connection._dbapi_connection, _frame(1))
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.do_begin_twophase")
        return result

    return do_begin_twophase


def ending_twophase(outcome: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what wraps ``do_commit_twophase`` or ``do_rollback_twophase``.

    PostgreSQL's commit of a prepared transaction ends with a rollback of the empty one after it.
    """

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def end(self: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:
            link, begun = _open_on(connection)
            try:
                return original(self, connection, *args, **kwargs)
            except BaseException:
                if outcome == "commit":
                    begun = None  # as with one phase: what ends it instead comes next
                raise
            finally:
                try:
                    if link is not None and begun is not None:
                        link.begun = begun
                        _ended(connection._dbapi_connection, outcome)
                except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                    guard.caught(error, f"sqlalchemy.do_{outcome}_twophase")

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


def _open_on(connection: Any) -> tuple[Link | None, Lasting[OpenTransaction] | None]:
    """Return the link of an engine's connection, and the transaction that is open on it."""
    try:
        link = _known(connection._dbapi_connection)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "sqlalchemy.twophase")
        link = None
    return link, None if link is None else link.begun


def _known(fairy: Any) -> Link | None:
    """Return the link of a connection that our checkout has seen."""
    link = getattr(fairy, "__dict__", {}).get(MARK)
    return link if type(link) is Link else None


def _began(fairy: Any, frame: Any) -> None:
    link = _known(fairy)
    if link is None or link.returned or not link.pool.watched:
        return
    _ended(fairy, "rollback")  # where a commit has failed, and nobody has asked for a rollback
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


def _ended(fairy: Any, outcome: str, start: int = 0) -> None:
    link = _known(fairy)
    if link is None or link.begun is None or link.returned:
        return
    now = clock()
    for transaction in link.begun.everywhere():
        transaction.ended_ns = now
        transaction.ending_ns = now - start if start else 0
        transaction.outcome = outcome
    link.begun = link.transaction = None
