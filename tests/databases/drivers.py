"""Every driver that SQLAlchemy has here, and an engine for each."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from tests.databases.servers import mariadb, need, postgresql

SCHEMES = {
    "psycopg": "postgresql+psycopg",
    "psycopg2": "postgresql+psycopg2",
    "asyncpg": "postgresql+asyncpg",
    "psycopg_async": "postgresql+psycopg_async",
    "pymysql": "mysql+pymysql",
    "mysqlclient": "mysql+mysqldb",
    "sqlite": "sqlite",
    "aiosqlite": "sqlite+aiosqlite",
}
MODULES = {"psycopg_async": "psycopg", "mysqlclient": "MySQLdb", "sqlite": "sqlite3"}
ASYNC = ("asyncpg", "psycopg_async", "aiosqlite")
SERVERS = tuple(name for name in SCHEMES if "sqlite" not in name)


def url_of(driver, folder=None):
    """Return SQLAlchemy's URL for a driver; SQLite's file lies in ``folder``."""
    need(MODULES.get(driver, driver))
    scheme = SCHEMES[driver]
    if scheme.startswith("sqlite"):
        return f"{scheme}:///{folder / 'shop.db'}"
    url = postgresql() if scheme.startswith("postgresql") else mariadb()
    return scheme + url[url.index("://") :]


def sync_url(driver, folder=None):
    """Return the URL of the same database for a driver that does not wait."""
    other = {"asyncpg": "psycopg", "psycopg_async": "psycopg", "aiosqlite": "sqlite"}
    return url_of(other.get(driver, driver), folder)


def within(driver, work, folder=None, **options):
    """Run ``work(session)`` in a session of an engine of its own, on an event loop if need be."""
    url = url_of(driver, folder)
    if driver not in ASYNC:
        with engine_on(url, **options) as engine, Session(engine) as session:
            return work(session)

    async def run():
        engine = create_async_engine(url, **options)
        try:
            async with AsyncSession(engine) as session:
                return await session.run_sync(work)
        finally:
            await engine.dispose()

    return asyncio.run(run())


@contextmanager
def engine_on(url, **options):
    """Make an engine for a block."""
    engine = create_engine(url, **options)
    try:
        yield engine
    finally:
        engine.dispose()
