"""An application whose tasks run eagerly, with the shop of the SQLAlchemy tests behind it."""

from __future__ import annotations

import pytest
from celery import Celery
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

import queryscope
import queryscope.celery as adapter
from queryscope import runtime
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE
from tests.sqlalchemy.shop import fill


@pytest.fixture
def app():
    """An application that runs tasks where they are called."""
    made = Celery("eager", broker="memory://", backend="cache+memory://", set_as_current=False)
    made.conf.update(task_always_eager=True)
    yield made
    made.close()


@pytest.fixture
def engine():
    """The shop, filled, in memory."""
    made = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    fill(made)
    yield made
    made.dispose()


@pytest.fixture
def installed():
    """Tasks are recorded; afterwards nothing is, and no hook has failed."""
    token = ACTIVE.set(None)
    runtime.reset()
    guard.clear()
    adapter.install({"store": False})
    yield adapter
    queryscope.uninstall()
    ACTIVE.reset(token)
    failures = guard.failures()
    guard.clear()
    assert failures == ()
