"""Connections out of psycopg's pool, where Django has one: ``OPTIONS = {"pool": {...}}``.

Without that option nothing here is patched. A pool of psycopg that the application made for
itself is not Django's: its connections are not recorded.
"""

from __future__ import annotations

import sys
import threading
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from queryscope.django.connections import INFO, attach, info_of
from queryscope.trace import guard
from queryscope.trace.facts import OpenCheckout, clock, next_uid
from queryscope.trace.lasting import Lasting, held_by, holders
from queryscope.trace.scope import recording
from queryscope.trace.text import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from queryscope.django.connections import Used
    from queryscope.trace.facts import OpenSession
    from queryscope.trace.recorder import Recorder

_frame = sys._getframe


class PoolFacts:
    """What is known of one pool: its number, who has its connections, which ones it gave before."""

    __slots__ = ("known", "out", "uid")

    def __init__(self) -> None:
        """Start with a pool of which nothing is out."""
        self.uid = next_uid()
        self.out: dict[int, Held] = {}
        self.known: WeakSet[Any] = WeakSet()


class Held:
    """A connection from the question to its return.

    A thread that ends without closing its connection takes it from the pool for ever: it stays
    among those that are out, and whoever waits is told who has it.
    """

    __slots__ = ("facts", "out", "pool")

    def __init__(self, name: str, pool: Any) -> None:
        """Ask now; the pool is None before Django has made it."""
        self.facts = PoolFacts() if pool is None else facts_of(pool)
        self.pool = pool
        checkout = OpenCheckout(name, self.facts.uid, clock(), threading.get_ident())
        self.out: Lasting[OpenCheckout] = Lasting(checkout)
        if pool is not None:
            self.sized(pool)

    def sized(self, pool: Any) -> None:
        """Note which pool it is, and how many connections that can have out at once."""
        facts = facts_of(pool)
        self.facts, self.pool = facts, pool
        for checkout in self.out.everywhere():
            checkout.pool_uid, checkout.size = facts.uid, pool.max_size

    def within(self, recorder: Recorder, session: OpenSession | None = None) -> OpenCheckout:
        """Return the checkout that ``recorder`` has of it, for the session that uses it."""
        known = recorder.id in self.out.copies
        before = 0 if known else held_by(recorder, list(self.facts.out.values()))
        checkout = self.out.within(recorder)
        if not known:
            checkout.held_before = before
        if checkout.session is None:
            checkout.session = session
        return checkout


MARK = "_queryscope"
"""Attribute of a pool that is ours."""
_pools: WeakSet[Any] = WeakSet()
_asking: ContextVar[Held | None] = ContextVar("queryscope_django_checkout", default=None)


def patch(replace: Callable[[Any, str, Callable[[Any], Any]], object]) -> bool:
    """Watch the pools of Django's PostgreSQL backend; False where no alias has one."""
    if not settings.configured or not any(map(_is_pooled, connections.settings.values())):
        return False
    try:
        from django.db.backends.postgresql.base import DatabaseWrapper
        from psycopg_pool.pool import WaitingClient
    except (ImportError, ImproperlyConfigured):
        return False  # another database's pool, or Django will say what is missing
    replace(DatabaseWrapper, "get_new_connection", get_new_connection)
    replace(DatabaseWrapper, "_close", close)
    replace(WaitingClient, "wait", wait)
    for connection in connections.all(initialized_only=True):
        learn(connection)
    return True


def forget() -> None:
    """Forget every pool; what is out is nobody's from now on."""
    for pool in list(_pools):
        pool.__dict__.pop(MARK, None)
    _pools.clear()


def _is_pooled(configured: Any) -> bool:
    return bool((configured.get("OPTIONS") or {}).get("pool"))


def facts_of(pool: Any) -> PoolFacts:
    """Return what is known of a pool."""
    found: PoolFacts | None = pool.__dict__.get(MARK)
    if found is None:
        # Two threads may meet a pool at once; no lock, which a fork could leave held.
        found = pool.__dict__.setdefault(MARK, PoolFacts())
        _pools.add(pool)
    return found


def _pool_of(connection: Any) -> Any:
    """Return the pool that Django made for a connection object; asking Django would make one."""
    return connection._connection_pools.get(connection.alias)


def get_new_connection(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap PostgreSQL's ``get_new_connection``: a checkout from the question to the answer."""

    @wraps(original)
    def get_new_connection(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_pooled(self.settings_dict):
            return original(self, *args, **kwargs)
        before = _asking.get()
        held = None
        try:
            try:
                held = _asked(self)
                _asking.set(held)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "django.get_new_connection")
            connection = original(self, *args, **kwargs)
        except BaseException as error:
            if held is not None:
                for checkout in held.out.everywhere():
                    checkout.error = describe(error)
            raise
        finally:
            _asking.set(before)
        try:
            if held is not None:
                _got(self, held, connection)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "django.get_new_connection")
        return connection

    return get_new_connection


def _asked(connection: Any) -> Held:
    attach(connection)  # one that gets none is never announced, and keeps our mark
    held = Held(info_of(connection).database, _pool_of(connection))
    recorder = recording()
    if recorder is not None:
        checkout = held.out.first
        checkout.held_before = held_by(recorder, list(held.facts.out.values()))
        held.out.add(recorder, checkout, held.out.opened_at(recorder, _frame(2)))
    return held


def _got(connection: Any, held: Held, given: Any) -> None:
    pool = getattr(given, "_pool", None)
    if pool is None:
        return
    if pool is not held.pool:
        held.sized(pool)
    held.facts.known.add(given)
    _take(info_of(connection), held)


def _take(info: Used, held: Held) -> None:
    now = clock()
    for checkout in held.out.everywhere():
        checkout.got_ns, checkout.connection = now, info.uid
    held.facts.out[id(held)] = held
    info.held = held
    info.owner = ""  # the next statement names the session and the checkout anew


def learn(connection: Any) -> None:
    """Note a connection that was out of its pool before the hooks were in."""
    given = getattr(connection, "connection", None)
    pool = getattr(given, "_pool", None)
    if pool is None or not _is_pooled(connection.settings_dict):
        return
    info = info_of(connection)
    if info.held is None:
        held = Held(info.database, pool)
        held.facts.known.add(given)
        _take(info, held)


def close(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap PostgreSQL's ``_close``: with a pool it gives the connection back."""

    @wraps(original)
    def _close(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            info = self.__dict__.get(INFO)
            if info is not None and info.held is not None:
                _returned(info, info.held)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "django._close")
        return original(self, *args, **kwargs)

    return _close


def _returned(info: Used, held: Held) -> None:
    now = clock()
    held.facts.out.pop(id(held), None)
    for checkout in held.out.everywhere():
        checkout.returned_ns = now
    info.held = info.checkout = None
    info.owner = ""


def wait(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the wait of a pool's client: for another holder, or for a new connection.

    The pool opens connections in threads of its own, so that both look alike until one comes:
    one that nobody has had yet was opened for this client.
    """

    @wraps(original)
    def wait(self: Any, *args: Any, **kwargs: Any) -> Any:
        held = _asking.get()
        if held is None:
            return original(self, *args, **kwargs)
        full = False
        try:
            full = _is_full(held)
            if full:
                held.out.first.holders = holders(list(held.facts.out.values()))
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "django.pool.wait")
        start = clock()
        try:
            given = original(self, *args, **kwargs)
        except BaseException:
            # A pool that is not full and gives none could not open one.
            _waited(held, clock() - start, connecting=not full)
            raise
        passed = clock() - start
        try:
            _waited(held, passed, connecting=given not in held.facts.known)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "django.pool.wait")
        return given

    return wait


def _waited(held: Held, passed: int, *, connecting: bool) -> None:
    checkout = held.out.first
    if connecting:
        checkout.connect_ns += passed
    else:
        checkout.waited_ns += passed


def _is_full(held: Held) -> bool:
    return held.pool is not None and len(held.facts.out) >= held.pool.max_size
