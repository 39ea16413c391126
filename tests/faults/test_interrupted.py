"""Errors that come from outside, at any moment: each gets through, and none leaves a trace of us.

``interrupted`` has the applications; each of these is a process of its own.
"""

from __future__ import annotations

import ctypes
import functools
import random
import secrets
import signal
import threading
from importlib.util import find_spec

import pytest

from queryscope import requests, runtime
from queryscope.store.writer import Writer
from queryscope.trace import guard
from tests.faults.child import run
from tests.faults.sweep import Sweep, swept

MODELS = ["django", "sqlalchemy"]
TIMES = 150
"""Interruptions of each kind; by hand, thousands."""


def check(code, printed):
    """Compare what a child prints; a failing test shows the call, with its random numbers."""
    done = run(f"from tests.faults import interrupted as i\n{code}")
    assert done.stdout == printed, f"{code}\n{done.stderr[-4000:]}"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.parametrize("kind", ["alarms", "thrown"])
@pytest.mark.parametrize("model", MODELS)
def test_request_after_interruptions_is_as_before(model, kind):
    """Interrupted at random by a signal handler or another thread, the process stays whole."""
    seed = random.SystemRandom().randrange(10**6)
    call = f"i.interrupted(i.{model}_application, i.{kind}, {seed}, {TIMES})"
    check(call, "[]\n[]\nenough\n")


def test_lock_of_the_writer_is_free_wherever_put_is_interrupted():
    """A lock that a signal handler's error left taken would stop every other thread's request."""
    writer = Writer(lambda _: None, limit=100, value=lambda _: 0)
    counting = Sweep()
    swept(counting, writer.put, 0)
    assert len(counting.passed) > 5
    for place, passes in counting.passed.items():
        for number in range(1, passes + 1):
            sweep = Sweep(place, number)
            swept(sweep, writer.put, number)
            other = threading.Thread(target=writer.flush, args=[10], daemon=True)
            other.start()
            other.join(20)
            assert not other.is_alive(), sweep.where
    assert writer.close(10)


@pytest.mark.parametrize("what", ["block", "stage", "findings"])
def test_what_a_user_names_can_be_interrupted(what):
    """A block, a stage, and findings that are asked for: none is left behind, nothing is lost."""
    run(f"from tests.faults import interrupted_names as i; i.interrupted_{what}()")


class SoftTimeLimitError(Exception):
    """An error of a library's own, as Celery's for its soft time limit."""


def test_error_thrown_into_the_standard_library_passes(monkeypatch):
    """Thrown by another thread while a hook calls a function of Python's, it is none of ours."""
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    here = ctypes.c_ulong(threading.get_ident())
    thrown = functools.partial(throw, here, ctypes.py_object(SoftTimeLimitError))
    monkeypatch.setattr(secrets, "token_bytes", thrown)
    with pytest.raises(SoftTimeLimitError):
        requests.begin(runtime.get(), {})
    assert guard.failures() == ()


@pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed")
def test_gevent_timeout_at_any_switch():
    """A greenlet's own time-out comes out of the request, which is one Trace with its error."""
    seed = random.SystemRandom().randrange(10**6)
    code = (
        "from gevent import monkey; monkey.patch_all()\n"
        f"from tests.faults import timed_out as t; t.timed_out({seed}, {TIMES})"
    )
    done = run(code)
    assert done.stdout == "all True\n()\nTrue\n", f"{seed}\n{done.stderr[-4000:]}"
