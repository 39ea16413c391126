"""What a signal handler raises into our frames reaches the application: every one, as itself."""

from __future__ import annotations

import signal

import pytest

from tests.faults.child import finished

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")

TIMES = 150
"""Errors raised into our frames, of each class; ten times as many tries hit other frames."""

ALARM = f"""
import random, signal, sys, time, traceback

TIMES = {TIMES}


class Alarm(Exception):
    pass


def swallowed(frame):
    '''Tell whether SQLAlchemy cleans up after a connection that was lost: it logs all errors.'''
    while frame is not None and frame.f_code.co_name != "_finalize_fairy":
        frame = frame.f_back
    return frame is not None


class Alarms:
    '''Raises into the frames of queryscope, once each time it is set.'''

    def __init__(self, kind):
        self.kind = kind
        self.raised = self.seen = self.tries = 0
        signal.signal(signal.SIGALRM, self.handle)

    def handle(self, number, frame):
        ours = frame.f_globals.get("__name__", "").startswith("queryscope.")
        if ours and not swallowed(frame):
            self.raised += 1
            self.stack = "".join(traceback.format_stack(frame, 6))
            raise self.kind(f"alarm {{self.raised}}")

    def go(self, work, after=lambda: None):
        deadline = time.monotonic() + 30
        while self.raised < TIMES and time.monotonic() < deadline:
            self.tries += 1
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-5, 4e-4))
                work()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except self.kind as error:
                self.seen += 1
                if str(error).strip("'") != f"alarm {{self.raised}}":
                    raise
            if self.raised != self.seen:
                raise SystemExit(f"lost: alarm {{self.raised}} in\\n{{self.stack}}")
            after()
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(f"{{self.tries}} tries, raised {{self.raised}}, seen {{self.seen}}", file=sys.stderr)
        print("all seen" if self.raised == self.seen >= TIMES else "not all")
"""

DJANGO = (
    ALARM
    + """
from tests.faults.child import django_project

django_project()
from django.db import connection
from queryscope.django import hooks
from queryscope.trace import guard
from tests.django.library.models import Book
from tests.django.recorded import recorded

hooks.install(full=True)


def work():
    for book in Book.objects.order_by("pk")[:2]:
        book.publisher.name
        book.genres.count()


for kind in (Alarm, ValueError, KeyError, KeyboardInterrupt):
    with recorded(max_queries=1_000_000):
        Alarms(kind).go(work)
print([failure for failure in guard.failures() if "alarm" in failure.error])
"""
)

SQLALCHEMY = (
    ALARM
    + """
import queryscope
from queryscope.trace import guard
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
from tests.recording import recorded
from tests.sqlalchemy.shop import Author, fill

engine = create_engine("sqlite:///shop.db")
fill(engine)
queryscope.install()

for kind in (Alarm, ValueError, KeyError, KeyboardInterrupt):
    # One session for all: what is raised while a connection goes back to its pool, the pool
    # itself swallows and logs.
    with recorded(full=True), Session(engine) as session:

        def work():
            for author in session.scalars(select(Author)).all():
                author.books
            session.expire_all()

        # After a KeyboardInterrupt the connection is gone, and the session wants a rollback.
        Alarms(kind).go(work, session.rollback)
print([failure for failure in guard.failures() if "alarm" in failure.error])
"""
)

WSGI = (
    ALARM
    + """
import gc

import queryscope
from queryscope import wsgi
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE
from tests.faults.serving import environ_of

settings = {"mode": "development", "console": False, "store": False}


def app(environ, start_response):
    start_response("200 OK", [])
    with queryscope.stage("inner"):
        yield b"x"


middleware = wsgi.Middleware(app, settings)


def work():
    for _ in range(3):
        body = middleware(environ_of(), lambda *_: None)
        try:
            for _ in body:
                pass
        finally:
            body.close()


def after():
    if ACTIVE.get() is not None:
        raise SystemExit("this thread is left in a Recorder")
    # A body that the alarm left unclosed goes now, not in the middle of the next alarm: Python
    # itself loses what is raised in a __del__.
    gc.collect()


for kind in (Alarm, ValueError, KeyboardInterrupt):
    Alarms(kind).go(work, after)
print([failure for failure in guard.failures() if "alarm" in failure.error])
"""
)


@pytest.mark.parametrize(
    ("code", "kinds"),
    [pytest.param(DJANGO, 4, id="django"), pytest.param(SQLALCHEMY, 4, id="sqlalchemy")],
)
def test_alarm_in_a_hook_reaches_the_application(code, kinds):
    """Raised between any two instructions of a hook, an error comes out of the query, none lost."""
    assert finished(code) == "all seen\n" * kinds + "[]\n"


def test_alarm_in_the_middleware_leaves_the_thread_clean():
    """Raised in the middleware, an error passes, and the next request starts with no Recorder."""
    assert finished(WSGI) == "all seen\n" * 3 + "[]\n"
