"""SQLAlchemy's pools on real servers: dead connections, pings, recycling, waits of tasks."""

from __future__ import annotations

import asyncio

import psycopg
import pymysql
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, StaticPool

from queryscope.detectors.registry import judge_all
from tests.databases.drivers import engine_on, url_of
from tests.databases.servers import postgresql
from tests.recording import recorded
from tests.sqlalchemy.conftest import hooks

__all__ = ["hooks"]

DRIVERS = ["psycopg", "psycopg2", "pymysql", "mysqlclient"]
OWN_ID = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}


def kill(engine, process):
    """Have the server end a connection, as an administrator would."""
    if engine.dialect.name == "postgresql":
        with psycopg.connect(postgresql(), autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 1000)", [process])
        return
    url = make_url(engine.url)
    connection = pymysql.connect(host=url.host, port=url.port, user=url.username)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"KILL {process}")


@pytest.mark.parametrize("driver", DRIVERS)
def test_connection_that_dies_is_given_up(driver):
    """The statement that found it dead has the error; the next one has another connection."""
    with engine_on(url_of(driver)) as engine, recorded() as run, Session(engine) as session:
        kill(engine, session.scalar(text(OWN_ID[engine.dialect.name])))
        with pytest.raises(DBAPIError) as raised:
            session.scalar(text("SELECT 1"))
        assert raised.value.connection_invalidated
        session.rollback()
        session.scalar(text("SELECT 1"))
    _, dead, alive = run.trace.queries
    assert dead.error is not None
    assert alive.error is None
    assert (dead.checkout, alive.checkout) == (0, 1)
    assert dead.connection != alive.connection
    assert [item.outcome for item in run.trace.transactions] == ["rollback", "rollback"]
    assert all(checkout.returned_ns is not None for checkout in run.trace.checkouts)
    assert [checkout.error for checkout in run.trace.checkouts] == [None, None]


@pytest.mark.parametrize("driver", DRIVERS)
def test_ping_is_no_statement(driver):
    """What ``pool_pre_ping`` sends is the pool's own; a dead connection is replaced before use."""
    with engine_on(url_of(driver), pool_pre_ping=True) as engine, recorded() as run:
        for _ in range(2):
            with Session(engine) as session:
                process = session.scalar(text(OWN_ID[engine.dialect.name]))
        kill(engine, process)
        with Session(engine) as session:
            session.scalar(text("SELECT 1"))
    assert [query.error for query in run.trace.queries] == [None] * 3
    first, second, third = run.trace.checkouts
    assert first.connection == second.connection != third.connection
    assert [checkout.connect_ns > 0 for checkout in run.trace.checkouts] == [True, False, True]
    assert [checkout.waited_ns for checkout in run.trace.checkouts] == [0, 0, 0]
    assert run.trace.queries[2].connection == third.connection


def test_recycled_connection_is_another():
    """A connection older than ``pool_recycle`` is opened anew: connect time, another number."""
    with engine_on(url_of("psycopg"), pool_recycle=0) as engine, recorded() as run:
        for _ in range(2):
            with engine.connect() as connection:
                connection.scalar(text("SELECT 1"))
    first, second = run.trace.checkouts
    assert first.connection != second.connection
    assert second.connect_ns > 0
    assert [query.connection for query in run.trace.queries] == [
        first.connection,
        second.connection,
    ]


@pytest.mark.parametrize(("poolclass", "same"), [(NullPool, False), (StaticPool, True)])
def test_pools_without_a_bound(poolclass, same):
    """No pool, and one connection for all: checkouts without a size, that nobody waits for."""
    with engine_on(url_of("psycopg"), poolclass=poolclass) as engine, recorded() as run:
        for _ in range(2):
            with engine.connect() as connection:
                connection.scalar(text("SELECT 1"))
    first, second = run.trace.checkouts
    assert (first.size, first.waited_ns, second.waited_ns) == (None, 0, 0)
    assert (first.connection == second.connection) is same
    assert [checkout.returned_ns is not None for checkout in run.trace.checkouts] == [True, True]


async def beside_a_holder(driver, pool_timeout, lets_go_after=None):
    """Ask a pool of one whose connection another task has; return what was recorded."""
    engine = create_async_engine(
        url_of(driver), pool_size=1, max_overflow=0, pool_timeout=pool_timeout
    )
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold():
        async with AsyncSession(engine) as session:
            await session.scalar(text("SELECT 1"))
            held.set()
            await go_on.wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    if lets_go_after is not None:
        asyncio.get_running_loop().call_later(lets_go_after, go_on.set)
    try:
        with recorded() as run:
            async with AsyncSession(engine) as session:
                await session.scalar(text("SELECT 2"))
    except PoolTimeoutError:
        pass
    finally:
        go_on.set()
        await holder
        await engine.dispose()
    return run


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg_async"])
def test_waits_on_an_event_loop(driver):
    """A task waits for another's connection, and the other is named."""
    run = asyncio.run(beside_a_holder(driver, pool_timeout=30, lets_go_after=0.05))
    (checkout,) = run.trace.checkouts
    assert 25_000_000 <= checkout.waited_ns <= checkout.got_ns - checkout.asked_ns
    assert len(checkout.holders) == 1
    assert [query.statement for query in run.trace.queries] == ["SELECT 2"]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg_async"])
def test_time_outs_on_an_event_loop(driver):
    """A task that waits in vain: the pool's error, no connection and no statement."""
    run = asyncio.run(beside_a_holder(driver, pool_timeout=0.1))
    (checkout,) = run.trace.checkouts
    assert checkout.error.startswith("sqlalchemy.exc.TimeoutError: QueuePool limit of size 1")
    assert checkout.waited_ns >= 90_000_000
    assert (checkout.got_ns, len(checkout.holders)) == (None, 1)
    assert run.trace.queries == ()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "pymysql", "mysqlclient"])
def test_server_that_refuses(driver):
    """No server: the checkout has the driver's error, no wait, and is no time-out of the pool."""
    scheme = url_of(driver).partition("://")[0]
    with (
        engine_on(f"{scheme}://nobody@127.0.0.1:1/nothing") as engine,
        recorded() as run,
        pytest.raises(OperationalError),
    ):
        engine.connect()
    (checkout,) = run.trace.checkouts
    assert "OperationalError" in checkout.error or "Connection" in checkout.error
    assert (checkout.got_ns, checkout.waited_ns, checkout.connection) == (None, 0, None)
    assert "QS504" not in {finding.code for finding in judge_all(run.trace)}
