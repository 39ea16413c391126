"""Records a block of a test with the Django hooks installed, and gives its Trace."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from queryscope.django import hooks
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder


class Recorded:
    """The Trace of a block, after the block."""

    trace = None

    @property
    def queries(self):
        """The statements that budgets count."""
        return [query for query in self.trace.queries if query.counts]


@pytest.fixture(params=["light", "full"])
def hooked(request):
    """The hooks, installed for one test and taken out again; the value is the recording."""
    hooks.install(full=request.param == "full")
    yield request.param
    hooks.uninstall()


@contextmanager
def recorded(recording="full", **settings):
    """Record the block as a Trace."""
    result = Recorded()
    recorder = Recorder("block", "test", full=recording == "full", mode="tests", **settings)
    recorder.open()
    try:
        yield result
    finally:
        recorder.close()
        result.trace = freeze(recorder)


def here(origin, text):
    """Tell whether the origin's first step is a source line of a test that contains ``text``."""
    frame = origin.frame
    with open(frame.file, encoding="utf-8") as file:  # noqa: PTH123 - one line, one place
        return text in file.read().splitlines()[frame.line - 1]
