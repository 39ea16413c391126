"""Everything that queryscope patches in SQLAlchemy, and how it is taken out again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import CursorResult, Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import Query, RelationshipProperty, Session, loading
from sqlalchemy.pool import Pool, SingletonThreadPool
from sqlalchemy.pool import base as pool_base
from sqlalchemy.util import queue

from queryscope.errors import InstallError
from queryscope.sqlalchemy import (
    checkouts,
    greenlets,
    labels,
    loads,
    pools,
    provenance,
    rows,
    sessions,
    statements,
    transactions,
)
from queryscope.trace import codes, guard, recorder, tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    Maker = Callable[[Callable[..., Any]], Callable[..., Any]]

OLDEST = (2, 0)

_EXECUTES: dict[str, Maker] = {
    "do_execute": statements.do_execute,
    "do_executemany": statements.do_executemany,
    "do_execute_no_params": statements.do_execute_no_params,
}
_TRANSACTIONS: dict[str, Maker] = {
    "do_begin": transactions.do_begin,
    "do_commit": transactions.ending("commit"),
    "do_rollback": transactions.ending("rollback"),
    "do_savepoint": transactions.do_savepoint,
}

_lock = threading.RLock()
_undo: list[Callable[[], None]] = []
_dialects: set[type] = set()
_registered: list[Callable[..., Any]] = []


def installed() -> bool:
    """Tell whether the hooks are in."""
    return bool(_undo)


def install(engine: Any = None) -> None:
    """Record every engine, pool and session of the process, made before or after.

    A second call changes nothing, but that a call with an engine adds one, and a call without
    adds all.

    Args:
        engine: Record this engine and its pool only.

    Raises:
        InstallError: ``engine`` is no engine, or SQLAlchemy is older than 2.0.
    """
    version = tuple(int(part) for part in sqlalchemy.__version__.split(".")[:2])
    if version < OLDEST:
        raise InstallError(
            f"SQLAlchemy {sqlalchemy.__version__} is installed; queryscope needs 2.0 or newer."
        )
    if engine is not None:
        engine = getattr(engine, "sync_engine", engine)  # an AsyncEngine has one inside
        if not isinstance(engine, Engine):
            raise InstallError(
                f"install(engine) takes an Engine of SQLAlchemy, not {type(engine).__name__}. "
                "Pass what create_engine() returned, or nothing to record every engine."
            )
    with _lock:
        if not _undo:
            pools.watch(engine)
            try:
                _patch()
            except BaseException:
                uninstall()  # all hooks or none
                raise
        elif engine is None or pools.is_limited():
            pools.watch(engine)


def uninstall() -> None:
    """Take every hook out again."""
    with _lock:
        while _undo:
            _undo.pop()()
        codes.unregister(_registered)
        _registered.clear()
        _dialects.clear()
        pools.forget()
        loads.forget()


def _replace(owner: Any, name: str, make: Maker) -> None:
    """Replace what ``owner`` itself defines; what this SQLAlchemy has not is counted.

    Who wrapped ours since then keeps his wrapper, and ours inside it, which does nothing without
    a Recorder.
    """
    original = vars(owner).get(name)
    if original is None:
        missing = AttributeError(f"{owner.__name__} has no {name}")
        guard.count(missing, "sqlalchemy.install")
        return
    ours = make(original)
    setattr(owner, name, ours)

    def undo() -> None:
        if vars(owner).get(name) is ours:
            setattr(owner, name, original)

    _undo.append(undo)


def _patch() -> None:
    _undo.append(pools.new_dialect.clear)
    awaiting = greenlets.awaiting()
    if awaiting is not None:
        tasks.follow()
        recorder.beyond.append(awaiting)
        _undo.append(lambda: recorder.beyond.remove(awaiting))
    # Its decorators are made with exec: such code has no file that would show whose it is.
    codes.set_packages(user=(), library=("sqlalchemy",))
    for name, function, source in labels.sources():
        if function is None:
            guard.count(AttributeError(f"there is no {name}"), "sqlalchemy.labels")
        else:
            codes.register(function, source)
            _registered.append(function)
    _patch_dialect(DefaultDialect)
    for dialect in _subclasses(DefaultDialect):
        _patch_dialect(dialect)
    pools.new_dialect.append(_patch_late)
    _replace(CursorResult, "_fetchiter_impl", rows.fetchiter)
    _replace(CursorResult, "_fetchone_impl", rows.fetchone)
    _replace(CursorResult, "_fetchmany_impl", rows.fetchmany)
    _replace(CursorResult, "_fetchall_impl", rows.fetchall)
    _replace(Pool, "connect", checkouts.connect)
    _replace(SingletonThreadPool, "connect", checkouts.connect)
    _replace(pool_base._ConnectionFairy, "_checkin", checkouts.checkin)
    _replace(pool_base._ConnectionRecord, "_ConnectionRecord__connect", checkouts.new_connection)
    _replace(queue.Queue, "get", checkouts.queue_get)
    _replace(queue.AsyncAdaptedQueue, "get", checkouts.queue_get)
    _replace(Session, "__init__", sessions.init)
    _replace(Session, "_close_impl", sessions.close_impl)
    _replace(loading, "instances", provenance.instances)
    _replace(RelationshipProperty, "_with_parent", provenance.with_parent)
    _replace(Query, "__init__", provenance.query_init)
    event.listen(Session, "after_begin", sessions.after_begin)
    _undo.append(lambda: event.remove(Session, "after_begin", sessions.after_begin))


def _subclasses(owner: type) -> list[type]:
    found: list[type] = []
    own: list[type] = owner.__subclasses__()
    for subclass in own:
        found += [subclass, *_subclasses(subclass)]
    return found


def _patch_dialect(dialect: type) -> None:
    """Wrap what a dialect defines itself; an override may call the base's, or not."""
    if dialect in _dialects:
        return
    _dialects.add(dialect)
    own = vars(dialect)
    for name, make in _EXECUTES.items():
        if dialect is DefaultDialect:
            _replace(dialect, name, make)
        elif name in own:
            _replace(dialect, name, _outermost(make))
    for name, make in _TRANSACTIONS.items():
        if name in own or dialect is DefaultDialect:
            _replace(dialect, name, make)


def _outermost(make: Maker) -> Maker:
    return lambda original: statements.outer(make, original)


def _patch_late(dialect: type) -> None:
    """Wrap the overrides of a dialect that was imported after the hooks went in."""
    if dialect in _dialects:
        return
    with _lock:
        for base in reversed(dialect.__mro__):
            if issubclass(base, DefaultDialect):
                _patch_dialect(base)
