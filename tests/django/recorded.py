"""Records a block of a test with the Django hooks installed, and gives its Trace."""

from __future__ import annotations

import pytest

from queryscope.django import hooks
from tests import recording as blocks


@pytest.fixture(params=["light", "full"])
def hooked(request):
    """The hooks, installed for one test and taken out again; the value is the recording."""
    hooks.install(full=request.param == "full")
    yield request.param
    hooks.uninstall()


def recorded(recording="full", **settings):
    """Record the block as a Trace."""
    return blocks.recorded(full=recording == "full", mode="tests", **settings)


def here(origin, text):
    """Tell whether the origin's first step is a source line of a test that contains ``text``."""
    frame = origin.frame
    with open(frame.file, encoding="utf-8") as file:  # noqa: PTH123 - one line, one place
        return text in file.read().splitlines()[frame.line - 1]
