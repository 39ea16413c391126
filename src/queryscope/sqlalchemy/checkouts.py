"""Connections out of their pools: who asked, how long it took, who held the others."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from functools import wraps
from threading import get_ident
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import Pool, QueuePool, SingletonThreadPool

from queryscope.sqlalchemy.lasting import Link, dropped, write_dropped
from queryscope.sqlalchemy.pools import MARK, facts_of
from queryscope.trace import guard
from queryscope.trace.facts import OpenCheckout, clock
from queryscope.trace.lasting import held_by, holders
from queryscope.trace.scope import recording
from queryscope.trace.text import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from queryscope.sqlalchemy.pools import PoolFacts
    from queryscope.trace.recorder import Recorder

_frame = sys._getframe
_attempt: ContextVar[Link | None] = ContextVar("queryscope_checkout", default=None)


def connect(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Pool.connect``: a checkout from the question to the answer."""

    @wraps(original)
    def connect(self: Any) -> Any:
        before = _attempt.get()
        link = None
        try:
            try:
                recorder = recording()
                link = _asked(self, recorder, _frame(1))
                if link is not None and recorder is not None:
                    _attempt.set(link)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "sqlalchemy.pool.connect")
            fairy = original(self)
        except BaseException as error:
            if link is not None:
                for checkout in link.out.everywhere():
                    checkout.error = describe(error)
            raise
        finally:
            _attempt.set(before)
        try:
            if link is not None:
                _got(link, self, fairy)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.pool.connect")
        return fairy

    return connect


def _asked(pool: Any, recorder: Recorder | None, frame: Any) -> Link | None:
    """Note that a connection was asked for; None when the caller has it already."""
    facts: PoolFacts | None = pool.__dict__.get(MARK)
    if facts is None or not facts.named:
        facts = facts_of(pool, frame.f_locals.get("self"))
    if not facts.watched:
        return None
    if isinstance(pool, SingletonThreadPool):
        current = getattr(pool._fairy, "current", None)
        if current is not None and current() is not None:
            return None
    checkout = OpenCheckout(facts.name, facts.uid, clock(), get_ident())
    checkout.size = facts.size
    checkout.max_overflow = facts.max_overflow
    link = Link(facts, checkout)
    if dropped:
        write_dropped()
    if recorder is not None:
        checkout.held_before = held_by(recorder, list(facts.out.values()))
        link.out.add(recorder, checkout, link.out.opened_at(recorder, frame))
        link.owner = recorder.id
        link.checkout = checkout
    return link


def _got(link: Link, pool: Any, fairy: Any) -> None:
    """Note that the connection was handed out."""
    checkout = link.out.first
    checkout.got_ns = clock()
    facts = link.pool
    size = facts.size
    checkout.overflow = (
        size is not None and isinstance(pool, QueuePool) and pool.checkedout() > size
    )
    _attach(link, fairy)
    checkout.connection = link.uid


def _attach(link: Link, fairy: Any) -> None:
    """Put a link on a checked-out connection, and number the connection."""
    record = fairy._connection_record
    if record is not None:
        known = record.__dict__.get(MARK)
        if known is not None and known[0] == record.starttime:
            link.uid = known[1]
        else:
            record.__dict__[MARK] = (record.starttime, link.uid)
    fairy.__dict__[MARK] = link
    link.belongs_to(fairy)
    link.pool.out[id(link)] = link


def learn(fairy: Any) -> Link | None:
    """Return a new link for a connection that was out before the hooks were in."""
    pool = getattr(fairy, "_pool", None)
    if not isinstance(pool, Pool):
        return None  # the engine's own look at the database, before its first connection
    link = Link(facts_of(pool), OpenCheckout("", 0, clock(), get_ident()))
    checkout = link.out.first
    checkout.pool, checkout.pool_uid = link.pool.name, link.pool.uid
    checkout.size, checkout.max_overflow = link.pool.size, link.pool.max_overflow
    checkout.got_ns = checkout.asked_ns
    _attach(link, fairy)
    checkout.connection = link.uid
    return link


def link_of(fairy: Any) -> Link | None:
    """Return what is known of a checked-out connection; None for one that is in no pool."""
    try:
        link = fairy._queryscope
    except AttributeError:
        link = None
    if type(link) is Link:
        return link
    return learn(fairy)


def checkin(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``_ConnectionFairy._checkin``: the connection goes back."""

    @wraps(original)
    def _checkin(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            link = self.__dict__.get(MARK)
            if link is not None:
                link.gave_back(clock())
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.pool.checkin")
        return original(self, *args, **kwargs)

    return _checkin


# -- waiting and connecting ----------------------------------------------------------------


def queue_get(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``get`` of the pools' queues: what blocks here is pure waiting."""

    @wraps(original)
    def get(self: Any, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 - SQLAlchemy's signature
        link = _attempt.get() if block else None
        if link is None or not self.empty():
            return original(self, block, timeout)
        checkout = link.out.first
        try:
            write_dropped()
            checkout.holders = holders(list(link.pool.out.values()))
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.pool.holders")
        start = clock()
        try:
            return original(self, block, timeout)
        finally:
            checkout.waited_ns += clock() - start

    return get


def new_connection(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the pool record's connecting, also of a connection that is replaced."""

    @wraps(original)
    def __connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        link = _attempt.get()
        if link is None:
            return original(self, *args, **kwargs)
        start = clock()
        try:
            return original(self, *args, **kwargs)
        finally:
            link.out.first.connect_ns += clock() - start

    return __connect
