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
    engines,
    greenlets,
    labels,
    loads,
    pools,
    provenance,
    reads,
    rows,
    sessions,
    statements,
    transactions,
)
from queryscope.sqlalchemy.lasting import write_dropped
from queryscope.trace import codes, guard, lasting, tasks, walk
from queryscope.trace.patches import Patches

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
    "do_begin_twophase": transactions.do_begin_twophase,
    "do_commit_twophase": transactions.ending_twophase("commit"),
    "do_rollback_twophase": transactions.ending_twophase("rollback"),
}

_lock = threading.RLock()
_patches = Patches("sqlalchemy.install")
_dialects: set[type] = set()
_registered: list[Callable[..., Any]] = []
_tracked: list[str] = []


def installed() -> bool:
    """Tell whether the hooks are in."""
    return bool(_patches)


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
        if not _patches:
            pools.watch(engine)
            try:
                _patch()
            except BaseException:
                uninstall()  # all hooks or none
                raise
        elif engine is None or pools.is_limited():
            pools.watch(engine)


def track() -> None:
    """See also which columns and relationships are read, where a Recorder asks for it."""
    with _lock:
        if _patches and not _tracked:
            _tracked.append("reads")
            _patches.later(_tracked.clear)
            reads.install(_patches)


def uninstall() -> None:
    """Take every hook out again."""
    with _lock:
        _patches.restore()
        codes.unregister(_registered)
        _registered.clear()
        _dialects.clear()
        pools.forget()
        loads.forget()


def _patch() -> None:
    _patches.later(pools.new_dialect.clear)
    lasting.unwritten.append(write_dropped)
    _patches.later(lambda: lasting.unwritten.remove(write_dropped))
    awaiting = greenlets.awaiting()
    if awaiting is not None:
        tasks.follow()
        walk.beyond.append(awaiting)
        _patches.later(lambda: walk.beyond.remove(awaiting))
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
    _patches.replace(CursorResult, "_fetchiter_impl", rows.fetchiter)
    _patches.replace(CursorResult, "_fetchone_impl", rows.fetchone)
    _patches.replace(CursorResult, "_fetchmany_impl", rows.fetchmany)
    _patches.replace(CursorResult, "_fetchall_impl", rows.fetchall)
    _patches.replace(DefaultDialect, "engine_created", engines.engine_created)
    _patches.later(engines.forget)
    _patches.replace(Pool, "connect", checkouts.connect)
    _patches.replace(SingletonThreadPool, "connect", checkouts.connect)
    _patches.replace(pool_base._ConnectionFairy, "_checkin", checkouts.checkin)
    _patches.replace(
        pool_base._ConnectionRecord, "_ConnectionRecord__connect", checkouts.new_connection
    )
    _patches.replace(queue.Queue, "get", checkouts.queue_get)
    _patches.replace(queue.AsyncAdaptedQueue, "get", checkouts.queue_get)
    _patches.replace(Session, "__init__", sessions.init)
    _patches.replace(Session, "_close_impl", sessions.close_impl)
    _patches.replace(loading, "instances", provenance.instances)
    _patches.replace(RelationshipProperty, "_with_parent", provenance.with_parent)
    _patches.replace(Query, "__init__", provenance.query_init)
    event.listen(Session, "after_begin", sessions.after_begin)
    _patches.later(lambda: event.remove(Session, "after_begin", sessions.after_begin))


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
            _patches.replace(dialect, name, make)
        elif name in own:
            _patches.replace(dialect, name, _outermost(make))
    for name, make in _TRANSACTIONS.items():
        if name in own or dialect is DefaultDialect:
            _patches.replace(dialect, name, make)


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
