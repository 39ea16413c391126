"""The hooks of threads and pools, put in and taken out around every test."""

from __future__ import annotations

import pytest

from queryscope.stdlib import install, uninstall
from queryscope.trace import guard
from queryscope.trace.recorder import ACTIVE


@pytest.fixture(autouse=True)
def hooks():
    """Put the hooks in; afterwards none of them may have failed."""
    token = ACTIVE.set(None)
    guard.clear()
    install()
    yield
    uninstall()
    ACTIVE.reset(token)
    failures = guard.failures()
    guard.clear()
    assert failures == ()
