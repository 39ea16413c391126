"""Blocks, stages and findings, interrupted at every place; processes apart run them."""

from __future__ import annotations

import queryscope
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE
from tests.faults.sweep import Sweep, swept


def _everywhere(work):
    """Yield after ``work`` was interrupted at one place, for each place."""
    work()
    counting = Sweep()
    swept(counting, work)
    assert len(counting.passed) > 5
    for place, passes in counting.passed.items():
        for number in range(1, passes + 1):
            sweep = Sweep(place, number)
            raised = swept(sweep, work)
            if sweep.where is not None:  # what wakes the writer is passed while that sleeps
                assert sweep.came_out(raised), sweep.where
                yield sweep.where


def interrupted_block():
    """At its begin, after which Python calls no ``__exit__``, and at its end, none stays in it."""
    shared = queryscope.profile("shared")

    def work():
        with shared, queryscope.stage("inner"):
            pass

    for where in _everywhere(work):
        assert ACTIVE.get() is None, where
    with shared as run:
        pass
    assert run.trace.stages == ()
    assert guard.failures() == ()


def interrupted_stage():
    """The application caught what was raised, and goes on in the block around the stage."""

    def work():
        with queryscope.stage("inner"):
            pass

    with queryscope.profile("block"):
        outside = ACTIVE.get()
        for where in _everywhere(work):
            assert ACTIVE.get() is outside, where
    assert guard.failures() == ()


def interrupted_findings():
    """What is raised while detectors run is no failure of theirs."""

    def work():
        with queryscope.profile("judged") as run:
            pass
        assert run.findings == ()

    for where in _everywhere(work):
        assert ACTIVE.get() is None, where
    assert guard.failures() == ()
