"""The hooks of threads and pools, put in and taken out around every test."""

from __future__ import annotations

import pytest

from queryscope.stdlib import install, uninstall
from tests.recording import hooked


@pytest.fixture(autouse=True)
def hooks():
    """Put the hooks in; afterwards none of them may have failed."""
    with hooked(install, uninstall):
        yield
