"""The tally: each Recorder that begins gets somewhere, is given up, or is counted as lost."""

from __future__ import annotations

import gc
import sys
from functools import partial

import pytest

import queryscope
from queryscope import requests, runtime
from queryscope.runtime import Runtime
from queryscope.settings import Settings
from queryscope.trace import guard
from queryscope.trace import recorder as recorders
from queryscope.trace.recorder import Recorder
from queryscope.trace.scope import ACTIVE
from queryscope.trace.tally import Tally


@pytest.fixture
def force():
    """A runtime of its own, with nothing on disk."""
    made = Runtime(Settings(store=False), "production")
    token = ACTIVE.set(None)
    yield made
    ACTIVE.reset(token)
    made.close()
    guard.clear()


def test_settled_and_living_recorders_are_not_lost():
    """Neither one under way nor one whose Trace somebody has, alive or dead."""
    tally = Tally()
    under_way, settled = Recorder("request", "one"), Recorder("request", "two")
    tally.begin(under_way)
    tally.begin(settled)
    tally.settle(settled)
    tally.settle(settled)  # who settles it twice counts it once
    del settled
    gc.collect()
    assert (tally.begun, tally.lost) == (2, 0)


def test_stranger_is_nothing_to_settle():
    """A Recorder of another runtime, or of the parent process, changes nothing."""
    tally = Tally()
    tally.settle(Recorder("request", "foreign"))
    assert (tally.begun, tally.lost) == (0, 0)


def test_dead_recorder_is_lost_also_in_a_cycle():
    """The frames of an error hold what they hold of, until garbage is collected."""
    tally = Tally()
    for in_cycle in (False, True):
        recorder = Recorder("request", "dead")
        tally.begin(recorder)
        if in_cycle:
            recorder.link = recorder
        del recorder
    gc.collect()
    assert (tally.begun, tally.lost) == (2, 2)


def test_clearing_forgets_those_under_way():
    """In a forked child they are the parent's."""
    tally = Tally()
    recorder = Recorder("request", "parent's")
    tally.begin(recorder)
    tally.clear()
    del recorder
    gc.collect()
    assert (tally.begun, tally.lost) == (0, 0)


def told(force):
    """Record one more block; return how many Traces it says were lost."""
    recorder = force.recorder("block", "next")
    recorder.open()
    recorder.close()
    force.finished(recorder)
    assert force.flush()
    return force.ring.newest(1)[0].trace.dropped.get("traces", 0)


def test_finished_nested_and_dropped_traces_count_once(force):
    """What is in the ring is not lost; what a full queue drops is lost once, as it always was."""
    recorder = force.recorder("block", "outer")
    recorder.open()
    inner = force.recorder("block", "inner")
    inner.open()
    inner.close()
    force.finished(inner)
    recorder.close()
    force.finished(recorder)
    del recorder, inner
    assert told(force) == 0
    force.writer.dropped += 1  # as if there had been no room
    assert force.lost == 1
    assert told(force) == 1


def test_ended_trace_that_nobody_took_is_told_by_the_next(force):
    """Ended, and interrupted before it waited to be written: the next one says it is gone."""
    recorder = force.recorder("request", "GET /")
    recorder.open()
    recorder.close()
    del recorder
    assert force.lost == 1
    assert [told(force), told(force)] == [1, 0]


class InterruptionError(BaseException):
    """What a signal handler raises."""


def interrupted_in(function, action):
    """Call ``action`` and raise at the first line of ``function``, as a signal handler may."""

    def trace(frame, event, argument):
        if frame.f_code is function.__code__:
            sys.settrace(None)
            raise InterruptionError

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("where", [runtime.Finished.__init__, Runtime.finished, Recorder.leave])
def test_interrupted_end_of_a_request_is_counted(force, where):
    """Whatever comes after the clock stopped and before the Trace waits to be written."""
    recorder = requests.begin(force, {"PATH_INFO": "/"})
    with pytest.raises(InterruptionError) as raised:
        interrupted_in(where, partial(requests.end, force, recorder, {}))
    del recorder, raised
    ACTIVE.set(None)  # as the middleware does, wherever it is interrupted
    gc.collect()
    assert told(force) == 1


def test_interrupted_end_after_the_queue_is_no_loss(force):
    """The Trace waits already: it is written, and not counted besides."""
    recorder = requests.begin(force, {"PATH_INFO": "/"})
    with pytest.raises(InterruptionError) as raised:
        interrupted_in(Tally.settle, partial(requests.end, force, recorder, {}))
    del recorder, raised
    gc.collect()
    assert told(force) == 0
    assert len(force.ring.newest(5)) == 2
    assert force.lost == 0


def test_inner_trace_whose_end_was_interrupted_hangs_under_the_outer(force):
    """A closed Recorder that did not get to its outer one is taken along by that one's end."""
    outer = force.recorder("block", "outer")
    outer.open()
    inner = force.recorder("block", "inner")
    inner.open()
    with pytest.raises(InterruptionError) as raised:
        interrupted_in(Recorder._hang, inner.close)
    del raised
    outer.close()
    assert outer.children == [inner]
    force.finished(outer)
    del outer, inner
    assert force.flush()
    gc.collect()
    assert [child.name for child in force.ring.newest(1)[0].trace.children] == ["inner"]
    assert force.lost == 0


def test_failing_judge_counts_the_trace(force, monkeypatch):
    """A Trace that cannot be frozen is lost, too."""
    monkeypatch.setattr(runtime, "freeze", lambda *_: 1 / 0)
    recorder = force.recorder("block", "damaged")
    recorder.open()
    recorder.close()
    force.finished(recorder)
    assert force.flush()
    assert force.unstored == 1


def test_blocks_of_the_user_are_settled():
    """A profiled block goes to the sinks."""
    runtime.reset()
    try:
        with queryscope.profile("block"):
            pass
        assert runtime.get().flush()
        gc.collect()
        assert runtime.get().tally.begun == 1
        assert runtime.get().lost == 0
    finally:
        runtime.reset()


def test_nested_trace_goes_with_the_outer_one(force):
    """Ended in an outer one that is lost, it is lost, too; and no longer when that one is told."""
    outer = force.recorder("block", "outer")
    outer.open()
    inner = force.recorder("block", "inner")
    inner.open()
    inner.close()
    force.finished(inner)
    outer.leave()
    assert force.lost == 0
    del outer, inner
    gc.collect()
    assert told(force) == 2
    assert force.lost == 2


def test_nested_traces_beyond_those_kept_are_not_lost(force, monkeypatch):
    """The outer one says how many children it dropped; they are not counted twice."""
    monkeypatch.setattr(recorders, "MAX_CHILDREN", 1)
    outer = force.recorder("block", "outer")
    outer.open()
    for _ in range(3):
        inner = force.recorder("block", "inner")
        inner.open()
        inner.close()
        force.finished(inner)
    outer.close()
    force.finished(outer)
    assert outer.dropped == {"children": 2}
    del outer, inner
    gc.collect()
    assert told(force) == 0
    assert force.lost == 0
