"""What the tests of detectors on real SQLAlchemy code share: a shop, and sessions on it."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

import queryscope.sqlalchemy as adapter
from tests.recording import hooked, recorded
from tests.sqlalchemy.shop import fill


@pytest.fixture(params=["light", "full"])
def recording(request):
    """Both recordings, with the hooks put in for the test."""
    with hooked(adapter.install, adapter.uninstall):
        yield request.param


@pytest.fixture
def engine(tmp_path):
    """An engine with the shop: 3 authors, 7 books, one of them a novel."""
    made = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    fill(made)
    yield made
    made.dispose()


def run(function, engine, recording):
    """Return the Trace of a function that is given a session; what it left open is rolled back."""
    settings = {"full": recording == "full", "mode": "tests"}
    with recorded(**settings) as result, Session(engine) as session:
        function(session)
    return result.trace
