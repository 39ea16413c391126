"""What is raised into our frames from outside, anywhere in a task, as a soft time limit is."""

from __future__ import annotations

import signal

import pytest

from tests.faults.child import finished
from tests.faults.test_signals import ALARM

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")

EAGER = (
    ALARM
    + """
import celery.app.trace
import queryscope
from celery import Celery
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE

TIMES = 40
app = Celery("eager", broker="memory://", backend="cache+memory://", set_as_current=False)
queryscope.celery.install({"mode": "production", "store": False})


@app.task(name="task", ignore_result=True)
def task():
    with queryscope.stage("inner"):
        return 1


# Errors are raised to whoever runs it, none is Celery's to handle.
run = celery.app.trace.build_tracer("task", task, app=app, eager=True, propagate=True)


def work():
    for _ in range(4):
        run("an id", (), {}, {"id": "an id", "is_eager": True})


def left():
    if ACTIVE.get() is not None:
        raise SystemExit("a Recorder was left behind")


for kind in (Alarm, ValueError, KeyError, KeyboardInterrupt):
    Alarms(kind).go(work, left)
print([failure for failure in guard.failures() if "alarm" in failure.error])
"""
)


def test_alarms_in_our_frames_reach_who_runs_the_task(tmp_path):
    """Every one, as itself; and what runs next is in no Trace of a task before it."""
    assert finished(EAGER, cwd=tmp_path).splitlines() == ["all seen"] * 4 + ["[]"]
