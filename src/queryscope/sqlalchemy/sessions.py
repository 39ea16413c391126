"""ORM sessions: where they were opened, when they first used a connection, when they ended."""

from __future__ import annotations

import sys
from functools import wraps
from threading import get_ident
from typing import TYPE_CHECKING, Any

from queryscope.sqlalchemy.checkouts import link_of
from queryscope.sqlalchemy.lasting import LastingSession
from queryscope.sqlalchemy.pools import MARK
from queryscope.trace import guard
from queryscope.trace.facts import OpenSession, clock
from queryscope.trace.scope import recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from queryscope.sqlalchemy.lasting import Link

_frame = sys._getframe


def init(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Session.__init__``: the line that opens a session."""

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            session = _session_of(self)
            recorder = recording()
            if recorder is not None:
                session.opened_at(recorder, _frame(1))
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.Session.__init__")

    return __init__


def _session_of(session: Any) -> LastingSession:
    """Return what is known of a session object; one from before the hooks begins now."""
    found: LastingSession | None = session.__dict__.get(MARK)
    if found is None:
        found = LastingSession(OpenSession("sqlalchemy", clock(), get_ident()))
        session.__dict__[MARK] = found
    return found


def after_begin(session: Any, _: Any, connection: Any) -> None:
    """Listen to ``after_begin``: a session has got a connection."""
    try:
        link = link_of(connection._dbapi_connection)
        if link is None or not link.pool.watched:
            return
        lasting = _session_of(session)
        _joined(lasting, link)
        recorder = recording()
        if recorder is None:
            link.owner = ""
        elif link.owner is not recorder.id:
            link.bind(recorder)
        else:
            link.session = lasting.used(recorder, link)
            if link.checkout is not None and link.checkout.session is None:
                link.checkout.session = link.session
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "sqlalchemy.after_begin")


def _joined(session: LastingSession, link: Link) -> None:
    if link.using is not session:
        link.using = session
        session.links = [known for known in session.links if not known.returned]
        session.links.append(link)


def close_impl(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Session._close_impl``: close, reset, invalidate and the end of a ``with``."""

    @wraps(original)
    def _close_impl(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            try:
                session = self.__dict__.get(MARK)
                if session is not None:
                    session.closed()
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "sqlalchemy.Session.close")

    return _close_impl
