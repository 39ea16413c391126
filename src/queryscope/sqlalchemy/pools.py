"""Pools: what they are called, how many connections they give, who has them, who is recorded."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Engine
from sqlalchemy.pool import AssertionPool, Pool, QueuePool

from queryscope.trace.facts import next_uid
from queryscope.trace.freeze import APART

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

    from queryscope.sqlalchemy.lasting import Link

MARK = "_queryscope"
"""Attribute of pools, pool records, checked-out connections, sessions and contexts that is ours."""

_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_engines: weakref.WeakSet[Engine] | None = None
"""The engines that are recorded, None for all."""
new_dialect: list[Callable[[type], None]] = []
"""Told the class of each dialect whose pool is met for the first time."""


class PoolFacts:
    """What is known of one pool."""

    __slots__ = (
        "__weakref__",
        "database",
        "max_overflow",
        "name",
        "named",
        "out",
        "size",
        "uid",
        "url",
        "vendor",
        "watched",
    )

    def __init__(self, pool: Any, engine: Engine | None) -> None:
        """Read a pool, and the engine that asks it, if known."""
        dialect = getattr(pool, "_dialect", None)
        self.uid = next_uid()
        self.vendor = str(getattr(dialect, "name", ""))
        self.named = False
        self.url: URL | None = None
        self.name = self.database = self.vendor
        if engine is not None:
            self.call_as(engine)
        self.size: int | None = None
        self.max_overflow = -1
        if isinstance(pool, QueuePool) and pool.size() > 0:
            self.size = pool.size()
            self.max_overflow = pool._max_overflow
        elif isinstance(pool, AssertionPool):
            self.size, self.max_overflow = 1, 0
        self.out: dict[int, Link] = {}
        self.watched = _is_watched(pool)

    def call_as(self, engine: Engine) -> None:
        """Name the pool, and its database, as the engine that has it."""
        self.named = True
        self.url = engine.url
        self.name = name_of(engine)
        self.database = f"{self.name}{APART}{_identity(engine, self.uid)}"


def name_of(engine: Engine) -> str:
    """Return how an engine is called: its ``logging_name``, else database and host."""
    name = getattr(engine, "logging_name", None)
    if name:
        return str(name)
    url = engine.url
    database = (url.database or "").replace("\\", "/").rpartition("/")[2]
    if url.host:
        port = f":{url.port}" if url.port else ""
        return f"{database}@{url.host}{port}"
    return database or (":memory:" if engine.dialect.name == "sqlite" else engine.dialect.name)


def _identity(engine: Engine, pool: int) -> str:
    """Return what two engines have in common that reach one database, whoever logs in.

    A SQLite database in memory is its pool's alone, unless it is shared by its name.
    """
    url = engine.url
    database = url.database or ""
    if engine.dialect.name != "sqlite":
        return f"{url.host}:{url.port}/{database}?{url.query.get('host', '')}"
    in_memory = database in ("", ":memory:") or (
        database.startswith("file:")
        and (url.query.get("mode") == "memory" or database.startswith("file::memory:"))
        and url.query.get("cache") != "shared"
    )
    return str(pool) if in_memory else str(Path(database).absolute())


def facts_of(pool: Any, engine: Any = None) -> PoolFacts:
    """Return what is known of a pool; ``engine`` gives it its name."""
    found: PoolFacts | None = pool.__dict__.get(MARK)
    if found is None:
        facts = PoolFacts(pool, engine if isinstance(engine, Engine) else None)
        # Two threads may meet a pool at once; the first of them names it.
        found = pool.__dict__.setdefault(MARK, facts)
        _pools.add(pool)
        for tell in new_dialect:
            tell(type(pool._dialect))
    elif not found.named and isinstance(engine, Engine):
        found.call_as(engine)
    return found


def known_urls(name: str) -> list[URL]:
    """Return the URLs of the engines of a name whose pools were met."""
    facts = [pool.__dict__[MARK] for pool in list(_pools)]
    return [one.url for one in facts if one.url is not None and one.name == name]


def watch(engine: Engine | None) -> None:
    """Record this engine too; None records all."""
    global _engines
    if engine is None:
        _engines = None
    else:
        if _engines is None:
            _engines = weakref.WeakSet()
        _engines.add(engine)
    for pool in list(_pools):
        pool.__dict__[MARK].watched = _is_watched(pool)


def is_limited() -> bool:
    """Tell whether only some engines are recorded."""
    return _engines is not None


def forget() -> None:
    """Take our marks off every pool, and forget which engines are recorded."""
    global _engines
    _engines = None
    for pool in list(_pools):
        found = pool.__dict__.pop(MARK, None)
        if found is None:
            continue
        for link in list(found.out.values()):
            # What happens to it from now on, nobody notes.
            link.owner = ""
            link.using = link.begun = None
    _pools.clear()


def _is_watched(pool: Any) -> bool:
    return _engines is None or any(engine.pool is pool for engine in _engines)
