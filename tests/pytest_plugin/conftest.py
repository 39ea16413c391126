"""Fixtures of the plugin's tests: budgets that report into a folder of the test, and no traces."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool

# What is first imported inside a run of pytester is forgotten after it: hooks would never go out.
import queryscope.sqlalchemy.hooks  # noqa: F401 - see above
from queryscope import adapters
from queryscope.pytest_plugin.budget import Block, Reports
from queryscope.trace import guard


@pytest.fixture(autouse=True)
def _uninstalled():
    """Start without failures of other tests; take out the hooks that a budget has put in."""
    guard.clear()
    yield
    adapters.uninstall()


@pytest.fixture
def budget(tmp_path):
    """Make blocks whose reports go to the folder of the test."""
    reports = Reports(tmp_path, tmp_path)
    return lambda **limits: Block(limits, reports, test="test_it.py::test_it", name="test_it")


@pytest.fixture
def engine(tmp_path):
    """An engine with a pool of three connections to a file of its own."""
    made = create_engine(
        f"sqlite:///{tmp_path / 'it.sqlite3'}", poolclass=QueuePool, pool_size=3, max_overflow=0
    )
    yield made
    made.dispose()
