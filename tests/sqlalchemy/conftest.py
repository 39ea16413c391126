"""Engines with the shop in them, and the hooks, put in and taken out around every test."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool

import queryscope.sqlalchemy as adapter
from tests.recording import hooked
from tests.sqlalchemy.shop import fill


@pytest.fixture(autouse=True)
def hooks():
    """Put the hooks in; afterwards none of them may have failed."""
    with hooked(adapter.install, adapter.uninstall):
        yield


@pytest.fixture
def make_engine(tmp_path):
    """Make engines on one SQLite file, with a pool of the given size."""
    engines = []

    def make(pool_size=5, max_overflow=10, **options):
        engine = create_engine(
            f"sqlite:///{tmp_path / 'shop.db'}",
            **{
                "poolclass": QueuePool,
                "pool_size": pool_size,
                "max_overflow": max_overflow,
                **options,
            },
        )
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def engine(make_engine):
    """Make an engine with the shop filled."""
    engine = make_engine()
    fill(engine)
    return engine
