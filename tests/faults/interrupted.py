"""Applications that are interrupted again and again, run by tests in processes of their own."""

# A child speaks to its test by printing, and stands whatever an interrupted ORM raises.
# ruff: noqa: T201, BLE001

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import random
import signal
import sys
import threading
import time

import queryscope
from queryscope import runtime, wsgi
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE
from queryscope.trace.walk import CAUSE
from tests.faults.child import django_project
from tests.faults.facts import facts_of
from tests.faults.serving import environ_of
from tests.faults.sweep import AlarmError, HardAlarmError

SETTINGS = {"mode": "development", "console": False, "store": True, "recording": "full"}


FEWEST = 10
"""Interruptions that a busy machine reaches, too, until the time is up."""
FAST = "PRAGMA synchronous = OFF"
"""No commit waits for the disk."""


def django_application(**settings):
    """Return a WSGI application with queryscope, and what cleans up after an interruption."""
    django_project(
        QUERYSCOPE={**SETTINGS, **settings},
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["queryscope.django.Middleware"],
        LOGGING_CONFIG=None,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": "library.db",
                "OPTIONS": {"init_command": FAST},
            }
        },
    )
    import logging

    logging.disable()
    from django.core.handlers.wsgi import WSGIHandler
    from django.db import connections

    def clean():
        # What an interruption leaves of a transaction in Django's own object goes with the object.
        if hasattr(connections._connections, "default"):
            with contextlib.suppress(Exception):  # it has none, or a closed one
                connections["default"].connection.close()
            del connections["default"]

    return WSGIHandler(), "/busy/", clean


def sqlalchemy_application(**settings):
    """Return a WSGI application with queryscope, and what cleans up after an interruption."""
    from sqlalchemy import create_engine, event, select
    from sqlalchemy.orm import Session
    from sqlalchemy.pool import QueuePool

    from tests.sqlalchemy.shop import Author, fill

    engine = create_engine("sqlite:///shop.db", poolclass=QueuePool, pool_size=2)
    event.listen(engine, "connect", lambda connection, _: connection.execute(FAST))
    fill(engine)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        with Session(engine) as session:
            for author in session.scalars(select(Author)):
                yield f"{len(author.books)}\n".encode()
            author.name = "changed"
            session.flush()
            with session.begin_nested(), queryscope.stage("inner"):
                session.get(Author, 1)

    return wsgi.Middleware(app, {**SETTINGS, **settings}), "/busy/", engine.dispose


def serve(app, path):
    """Serve one request as the plainest server does, which has nothing to clean up itself."""
    started = []
    environ = environ_of(path, **{"wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http"})
    body = app(environ, lambda *arguments: started.append(arguments[0]))
    try:
        chunks = list(body)
    finally:
        body.close()
    return started, chunks


def trace_of(app, path):
    """Serve one request; return its answer and the facts of its Trace."""
    answer = serve(app, path)
    # From another thread: this one may hold a lock that it never gives back.
    flushed = []
    waits = threading.Thread(target=lambda: flushed.append(runtime.get().flush(20)), daemon=True)
    waits.start()
    waits.join(25)
    assert flushed == [True], "the writer is stuck"
    trace = runtime.get().ring.newest(1)[0].trace
    return answer, facts_of(trace)


def difference(place, before, after):
    """Return what two answers and Traces differ in."""
    lines = [f"interrupted in {place}:"]
    for name in before[1]:
        if before[1][name] != after[1][name]:
            lines += [name, f"  before {before[1][name]}", f"  after  {after[1][name]}"]
    return "\n".join([*lines, f"{before[0]}", f"{after[0]}"])[:8000]


def interrupted(make, interrupt, seed, times, limit_s=40):
    """Interrupt requests ``times`` times; afterwards a request is as one was before.

    Args:
        make: One of the functions above.
        interrupt: Called with the random numbers in use; arms one interruption and returns what
            disarms it.
        seed: Of the random numbers.
        times: Interruptions.
        limit_s: Seconds after which it is enough.
    """
    rng = random.Random(seed)
    print("seed", seed, file=sys.stderr)
    app, path, clean = make()
    for _ in range(3):
        trace_of(app, path)
    clean()
    trace_of(app, path)
    before = trace_of(app, path)
    hits = 0
    deadline = time.monotonic() + limit_s
    while hits < times and time.monotonic() < deadline:
        disarm = None
        try:
            disarm = interrupt(rng)
            serve(app, path)
            disarm()
        except (AlarmError, HardAlarmError, Exception):  # the ORM itself may stumble over the first
            hits += 1
            clean()
        assert ACTIVE.get() is None, "this thread is left in a Recorder"
        assert CAUSE.get() == ()
    if disarm is not None:
        disarm()
    print(hits, "interruptions", file=sys.stderr)
    clean()
    gc.collect()
    trace_of(app, path)
    after = trace_of(app, path)
    assert after == before, difference("", before, after)
    store = runtime.get().store
    stored = {item.id for item in store.list(1_000_000)}
    ids = {item.trace.id for item in runtime.get().ring.newest(1_000)}
    assert ids <= stored, (len(ids), len(stored))
    ours = [failure for failure in guard.failures() if "larm" not in failure.error]
    print(ours)
    print([failure for failure in guard.failures() if "larm" in failure.error])
    print("enough" if hits >= min(times, FEWEST) else f"only {hits}")


def alarms(rng):
    """Have a signal handler raise soon, wherever the program is then."""
    kind = rng.choice((AlarmError, HardAlarmError))

    def handle(number, frame):
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise kind("alarm")

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 8e-3))
    return lambda: signal.setitimer(signal.ITIMER_REAL, 0)


def thrown(rng):
    """Have another thread throw into this one soon, as debuggers and watchdogs do."""
    sys.setswitchinterval(1e-4)
    kind = rng.choice((AlarmError, HardAlarmError))
    target = threading.get_ident()
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    delay_s = rng.uniform(1e-5, 3e-3)
    done = threading.Event()

    def watch():
        if not done.wait(delay_s):
            throw(ctypes.c_ulong(target), ctypes.py_object(kind))

    thread = threading.Thread(target=watch)
    thread.start()

    def disarm():
        done.set()
        thread.join()
        throw(ctypes.c_ulong(target), None)

    return disarm
