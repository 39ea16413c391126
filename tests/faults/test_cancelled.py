"""Requests and tasks that are cancelled: the application ends as without us, and the Trace says so.

``cancelled`` has the applications; each is a process of its own.
"""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from queryscope.trace import guard
from tests.faults.child import run
from tests.faults.doors import recording
from tests.services import postgresql_url


@pytest.mark.parametrize("side", ["Starlette", "Django"])
def test_request_cancelled_at_each_await(side):
    """Wherever it waits, a cancelled request ends as without us; the next one has its Trace."""
    code = f"from tests.faults import cancelled as c; c.cancelled(c.{side}Side)"
    done = run(code)
    assert done.stdout == "()\nenough\n", done.stderr[-4000:]


def _made_twice(work):
    """Run work in a loop without us and with us; return what it gave and the Trace."""
    url = postgresql_url().replace("postgresql:", "postgresql+asyncpg:")

    async def connected():
        engine = create_async_engine(url, pool_size=2)
        try:
            found = await work(engine)
            return found, engine.pool.checkedout()
        finally:
            await engine.dispose()

    bare = asyncio.run(connected())
    with recording() as traces:
        profiled = asyncio.run(connected())
    assert profiled == bare
    assert guard.failures() == ()
    return profiled, traces[0]


def test_statement_under_asyncio_timeout():
    """A statement that ``asyncio.timeout`` ends is in the Trace as cancelled, with its time."""

    async def work(engine):
        try:
            async with asyncio.timeout(0.3), engine.begin() as connection:
                await connection.execute(text("SELECT 1"))
                await connection.execute(text("SELECT pg_sleep(60)"))
        except TimeoutError as error:
            ended = type(error).__name__
        async with engine.connect() as connection:
            return ended, (await connection.execute(text("SELECT 2"))).scalar()

    got, trace = _made_twice(work)
    assert got == (("TimeoutError", 2), 0)
    errors = {query.statement: query.error for query in trace.queries}
    assert errors == {
        "SELECT 1": None,
        "SELECT pg_sleep(60)": "asyncio.exceptions.CancelledError",
        "SELECT 2": None,
    }
    assert trace.queries[1].duration_ns > 150_000_000
    assert [item.outcome for item in trace.transactions] == ["rollback", "rollback"]
    assert all(item.returned_ns is not None for item in trace.checkouts)


def test_task_group_in_which_one_fails():
    """The others are cancelled as without us: each statement has its own error."""

    async def work(engine):
        async def slow():
            async with engine.connect() as connection:
                started.set()
                await connection.execute(text("SELECT pg_sleep(60)"))

        async def fails():
            await started.wait()
            async with engine.connect() as connection:
                await connection.execute(text("SELECT nothing"))

        started = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(slow())
                tasks.create_task(fails())
        except ExceptionGroup as group:
            return [type(error).__name__ for error in group.exceptions]

    got, trace = _made_twice(work)
    assert got == (["ProgrammingError"], 0)
    errors = {query.statement: query.error.partition(":")[0] for query in trace.queries}
    assert errors["SELECT pg_sleep(60)"] == "asyncio.exceptions.CancelledError"
    assert errors["SELECT nothing"].endswith("ProgrammingError")
    assert all(item.returned_ns is not None for item in trace.checkouts)
