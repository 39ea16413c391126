"""Fixtures of the ASGI tests: a shop in a SQLite file, and the Traces of this test."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from queryscope import adapters, runtime
from queryscope.trace import guard
from tests.sqlalchemy.shop import fill

SETTINGS = {"mode": "development", "console": False, "store": False}


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    """Take the hooks out after each test; none of them may have failed."""
    monkeypatch.chdir(tmp_path)
    guard.clear()
    yield
    adapters.uninstall()
    failures = guard.failures()
    guard.clear()
    assert failures == ()


@pytest.fixture
def shop_path(tmp_path):
    """Fill a shop into a SQLite file."""
    path = tmp_path / "shop.db"
    engine = create_engine(f"sqlite:///{path}")
    fill(engine)
    engine.dispose()
    return path


@pytest.fixture
def open_shop(shop_path):
    """Give what opens the shop in an event loop: a factory of sessions, closed at the end."""

    @asynccontextmanager
    async def opened(**options):
        engine = create_async_engine(f"sqlite+aiosqlite:///{shop_path}", **options)
        try:
            yield async_sessionmaker(engine, expire_on_commit=False)
        finally:
            await engine.dispose()

    return opened


@pytest.fixture
def judged():
    """Give what returns the Traces recorded so far with their findings, the oldest first."""

    def found():
        current = runtime.get()
        assert current.flush()
        return list(reversed(current.ring.newest(500)))

    return found


@pytest.fixture
def traces(judged):
    """Give what returns the Traces recorded so far, the oldest first."""
    return lambda: [item.trace for item in judged()]
