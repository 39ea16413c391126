"""Log calls: counted by the line that makes them, no text kept, and logging does as it did."""

from __future__ import annotations

import logging
import threading
from collections import Counter

import pytest

from queryscope.stdlib import log_calls
from queryscope.trace import calls
from queryscope.trace.recorder import Recorder
from tests.overhead.measured import counted
from tests.recording import trace_of

log = logging.getLogger("tests.log_calls")
SECRET = "4711-secret"


class Kept(logging.Handler):
    """Keeps the records that come through."""

    def __init__(self):
        """Start with none."""
        super().__init__()
        self.records = []

    def emit(self, record):
        """Keep one."""
        self.records.append(record)


@pytest.fixture(autouse=True)
def handler():
    """A handler on the tests' logger, which lets INFO pass."""
    log_calls.install()
    found = Kept()
    log.addHandler(found)
    log.setLevel(logging.INFO)
    log.propagate = False
    yield found
    log.removeHandler(found)
    log_calls.uninstall()


def log_rows(count):
    """Log a line for each row."""
    for row in range(count):
        log.info("row %s of %s", row, SECRET)


def test_light_recording_has_no_log_calls():
    """Production pays nothing for them."""
    assert trace_of(lambda: log_rows(3), full=False).log_calls == ()


def test_level_that_is_off_is_no_call():
    """What is not logged costs nothing."""
    assert trace_of(lambda: log.debug("no")).log_calls == ()


def test_calls_of_one_line_are_one_fact_with_a_count(handler):
    """The line, the logger and the level, and how often."""
    (call,) = trace_of(lambda: log_rows(1_500)).log_calls
    assert (call.count, call.ways, call.logger, call.level) == (1_500, 1, log.name, logging.INFO)
    assert call.is_own
    assert call.origin.frame.function == "log_rows"
    assert 0 <= call.first_ns < call.last_ns
    assert call.duration_ns > 0
    assert len(handler.records) == 1_500


def test_no_text_of_a_message_is_kept():
    """Neither the message nor its arguments are in the Trace."""
    assert SECRET not in repr(trace_of(lambda: log_rows(3)))


def test_record_is_what_it_was_without_us(handler):
    """File, line and function of the record are the caller's, ours do not show."""
    trace_of(lambda: log_rows(1))
    log_calls.uninstall()
    log_rows(1)
    ours, bare = handler.records
    assert ours.getMessage() == bare.getMessage()
    for name in ("pathname", "lineno", "funcName", "levelno", "name"):
        assert getattr(ours, name) == getattr(bare, name)


def test_ways_of_several_callers_are_told_apart():
    """A helper that is called from several lines has several ways."""

    def helper():
        log.info("x")

    def run():
        helper()
        helper()
        helper()
        helper()

    (call,) = trace_of(run).log_calls
    assert (call.count, call.ways) == (4, 3)  # the first, the second and the fourth are looked at


def test_line_that_a_helper_names_is_own():
    """``stacklevel`` names the helper's caller; both are the user's."""

    def helper():
        log.info("x", stacklevel=2)

    (call,) = trace_of(helper).log_calls
    assert call.is_own


def test_library_that_logs_is_not_own():
    """Asyncio's own line is not the user's, whoever made it run."""
    library = {"log": log}
    code = compile("def speak():\n    log.info('x')\n", "/usr/lib/site-packages/lib.py", "exec")
    exec(code, library)
    (call,) = trace_of(library["speak"]).log_calls
    assert not call.is_own


def test_handler_that_raises_raises_as_before(handler, monkeypatch):
    """What a handler raises reaches the caller, and the call is counted."""
    monkeypatch.setattr(handler, "emit", lambda _: 1 / 0)
    found = []

    def run():
        with pytest.raises(ZeroDivisionError):
            log.info("x")
        found.append(True)

    (call,) = trace_of(run).log_calls
    assert (call.count, found) == (1, [True])


def test_lines_over_the_bound_are_counted(monkeypatch):
    """Memory stays bounded, and silence is told from health."""
    monkeypatch.setattr(calls, "MAX_LOG_LINES", 1)

    def run():
        log.info("x")
        log.info("y")
        log.info("z")

    trace = trace_of(run)
    assert len(trace.log_calls) == 1
    assert trace.dropped == {"log_calls": 2}


def test_calls_of_several_threads_are_counted_in_their_trace():
    """A thread that the Trace started logs into it."""

    def run():
        threads = [threading.Thread(target=log_rows, args=(50,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    (call,) = trace_of(run).log_calls
    assert call.count == 200


def test_call_after_the_end_is_counted_as_orphan():
    """A closed Recorder takes nothing more."""
    recorder = Recorder("block", "x", full=True)
    calls.add_log_call(recorder, "f", 1, "l", 20, 0, 1, None)
    recorder.closed = True
    calls.add_log_call(recorder, "f", 1, "l", 20, 0, 1, None)
    assert (recorder.orphans, len(recorder.log_calls)) == (1, 1)


def calls_of_ours(first, last):
    """Return the calls and frames of ours of one log call more."""
    few: Counter = counted(lambda: log_rows(first))
    more: Counter = counted(lambda: log_rows(last))
    return {name: (more[name] - few[name]) / (last - first) for name in ("calls", "frames")}


def test_log_call_makes_one_call_of_ours_without_a_recorder():
    """Idle, it is a look at a context variable."""
    assert calls_of_ours(10, 20) == {"calls": 1, "frames": 0}


def test_log_call_makes_five_calls_of_ours_in_a_recorder():
    """The stack is walked at powers of two only, and none lies among these calls."""
    found = []

    def run():
        log_rows(300)
        found.append(calls_of_ours(10, 60))

    trace_of(run)
    assert found == [{"calls": 5, "frames": 1}]


def test_uninstall_puts_the_function_back():
    """``Logger.handle`` is what it was."""
    log_calls.uninstall()
    assert "queryscope" not in logging.Logger.handle.__code__.co_filename
