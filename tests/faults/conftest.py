"""Every test of this folder starts and ends without settings, hooks or counted failures."""

from __future__ import annotations

import pytest

import queryscope
from queryscope import runtime
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Take out what a test put in; afterwards this thread records nothing."""
    monkeypatch.chdir(tmp_path)
    # Other folders leave the hooks in. A test that puts back the function it found in place would
    # put ours back after they are out, and all that follows would be recorded twice.
    queryscope.uninstall()
    guard.clear()
    runtime.reset()
    token = ACTIVE.set(None)
    yield
    left = ACTIVE.get()
    ACTIVE.reset(token)
    queryscope.uninstall()
    guard.clear()
    assert left is None


@pytest.fixture
def traces():
    """Return a function that gives the Traces so far, the oldest first."""

    def found():
        assert runtime.get().flush()
        return [judged.trace for judged in reversed(runtime.get().ring.newest())]

    return found
