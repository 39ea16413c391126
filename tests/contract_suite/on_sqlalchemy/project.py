"""The engines, tables and rows around the application."""

from __future__ import annotations

from urllib.parse import urlsplit

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from tests.contract_suite.on_sqlalchemy import engines
from tests.contract_suite.on_sqlalchemy.models import Base
from tests.contract_suite.on_sqlalchemy.models import fill as fill_one

DIALECTS = {"sqlite": "sqlite", "postgresql": "postgresql", "mariadb": "mysql"}
ASYNC_DRIVERS = {"sqlite": "aiosqlite", "postgresql": "psycopg"}
POOL = {"pool_size": 5, "max_overflow": 2}

stale = True
"""Rows have to be made anew before the next scenario."""


def begin(plan):
    """Make the engines of a plan."""
    if plan.driver == "asyncpg":
        driver, async_driver = "psycopg", "asyncpg"
    else:
        driver, async_driver = plan.driver, ASYNC_DRIVERS.get(plan.database)
    engines.sync = create_engine(_url(plan.database, driver, plan.first), **POOL)
    engines.second = create_engine(_url(plan.database, driver, plan.second), **POOL)
    if async_driver is not None and plan.ways != ("greenlet",):
        engines.asynchronous = create_async_engine(
            _url(plan.database, async_driver, plan.first), **POOL
        )


def make_tables():
    """Make the tables of both databases."""
    for engine in (engines.sync, engines.second):
        Base.metadata.create_all(engine)


def fill():
    """Make the rows anew."""
    fill_one(engines.sync)
    fill_one(engines.second)


def close():
    """Empty the pools: which of several connections a pool gives depends on those before."""
    engines.sync.dispose()
    engines.second.dispose()


async def aclose():
    """Empty the asynchronous pool; its connections belong to the loop that runs."""
    if engines.asynchronous is not None:
        await engines.asynchronous.dispose()


dispose = aclose


def end():
    """Leave nothing open."""
    close()


def _url(database, driver, url):
    scheme = f"{DIALECTS[database]}+{driver}" if driver else DIALECTS[database]
    if database == "sqlite":
        return f"{scheme}:///{url}"
    return urlsplit(url)._replace(scheme=scheme).geturl()
