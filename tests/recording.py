"""Records blocks of tests as Traces of their own, and puts hooks in for the length of a test."""

from __future__ import annotations

from contextlib import contextmanager

from queryscope.trace import guard
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder
from queryscope.trace.scope import ACTIVE


class Recorded:
    """A recorded block: ``recorder`` inside it, ``trace`` after it."""

    recorder = None
    trace = None

    @property
    def queries(self):
        """The statements that budgets count."""
        return [query for query in self.trace.queries if query.counts]

    @property
    def operations(self):
        """The verbs of the statements that budgets count."""
        return [query.operation for query in self.queries]


@contextmanager
def opened(name="request", *, kind="request", **settings):
    """Record the block, and give the Recorder."""
    recorder = Recorder(kind, name, **settings)
    recorder.open()
    try:
        yield recorder
    finally:
        recorder.close()


@contextmanager
def recorded(kind="block", name="test", **settings):
    """Record the block as a Trace of its own."""
    result = Recorded()
    try:
        with opened(name, kind=kind, **settings) as result.recorder:
            yield result
    finally:
        result.trace = freeze(result.recorder)


def trace_of(function, *, full=True):
    """Return the Trace of a call."""
    with recorded(full=full, mode="tests") as result:
        function()
    return result.trace


@contextmanager
def hooked(install, uninstall):
    """Put hooks in for the block, outside every Recorder; none of them may fail in it."""
    token = ACTIVE.set(None)
    guard.clear()
    install()
    try:
        yield
    finally:
        uninstall()
        ACTIVE.reset(token)
        failures = guard.failures()
        guard.clear()
    assert failures == ()
