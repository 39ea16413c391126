"""Applications that are interrupted again and again, run by tests in processes of their own."""

# A child speaks to its test by printing, and stands whatever an interrupted ORM raises.
# ruff: noqa: T201, BLE001

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import opcode
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

SETTINGS = {"mode": "development", "console": False, "store": True, "recording": "full"}


FEWEST = 10
"""Interruptions that a busy machine reaches, too, until the time is up."""
COLD = 0.25
"""How many of the requests that are interrupted have to connect first."""
FAST = "PRAGMA synchronous = OFF"
"""No commit waits for the disk."""


class AlarmError(Exception):
    """An error that comes at any moment."""


class HardAlarmError(BaseException):
    """One that nobody catches."""


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


class Sweep:
    """Raises at the n-th place in our frames where Python looks for signals, as a handler would.

    It looks after a call of C code, at the start of a function and where a loop jumps back.
    Counted are frames of queryscope, and those of the standard library that they call.

    Attributes:
        seen: Places passed so far.
        place: Where it raised, once it has.
        collected: Whether that was while SQLAlchemy took back a connection that was dropped.
    """

    def __init__(self, number, kind=HardAlarmError):
        """Choose the place, and what is raised there."""
        self.number = number
        self.kind = kind
        self.seen = 0
        self.place = None
        self.collected = False
        self._before = {}

    def forget(self):
        """Keep no frame, and nothing of what it has, alive."""
        self._before.clear()

    def trace(self, frame, event, argument):
        """Trace one frame."""
        if event == "call":
            self._before.pop(frame.f_back, None)  # CALL has begun a frame of Python's
            if not _is_ours(frame) and not _is_called_by_us(frame):
                return None
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            return self.trace
        if event != "opcode":
            self._before.pop(frame, None)
            return self.trace
        if _looks(self._before.get(frame)):
            self.seen += 1
            if self.seen == self.number:
                self.place = f"{frame.f_code.co_qualname} at {frame.f_lineno}"
                self.collected = "_finalize_fairy" in _functions(frame)
                sys.settrace(None)
                raise self.kind("alarm")
        self._before[frame] = opcode.opname[frame.f_code.co_code[frame.f_lasti]]
        return self.trace


def _looks(operation):
    return operation is not None and operation.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))


def _functions(frame):
    """Yield the names of the functions under way, the innermost first."""
    while frame is not None:
        yield frame.f_code.co_name
        frame = frame.f_back


def _top(frame):
    return (frame.f_globals.get("__name__") or "").partition(".")[0]


def _is_ours(frame):
    return frame is not None and _top(frame) == "queryscope"


def _is_called_by_us(frame):
    """Tell whether a frame is Python's own that we call; not where an object died in our frame."""
    top = _top(frame)
    dying = top in ("weakref", "_weakrefset")
    return top in sys.stdlib_module_names and not dying and _is_ours(frame.f_back)


def swept(make, seed, times, limit_s=25):
    """Interrupt a request at places chosen by chance, each once; all must come out and harm none.

    By chance what is raised is an ``Exception`` or not, and the request has to connect to its
    database first or not.

    Args:
        make: One of the functions above.
        seed: Of the random numbers.
        times: Interruptions at most.
        limit_s: Seconds after which it is enough.
    """
    print("seed", seed, file=sys.stderr)
    rng = random.Random(seed)
    app, path, clean = make(store=False)  # else each Trace waits for the disk
    for _ in range(3):
        trace_of(app, path)
    # An interrupted session leaves a cycle, so that garbage is collected after each: without all
    # that was there before.
    gc.collect()
    gc.freeze()
    clean()
    before = trace_of(app, path)
    clean()
    places = _interrupted_at(0, HardAlarmError, app, path)[0].seen
    trace_of(app, path)
    tries = lost = 0
    deadline = time.monotonic() + limit_s
    for number in rng.sample(range(1, places + 1), min(times, places)):
        if time.monotonic() > deadline:
            break
        if rng.random() < COLD:
            clean()
        count = Count()
        kind = rng.choice((AlarmError, HardAlarmError))
        sweep, raised, answer = _interrupted_at(number, kind, app, path)
        if sweep.place is None:  # one that only a request has that connects
            trace_of(app, path)
            continue
        tries += 1
        assert _came_out(sweep, raised, answer), f"lost: {sweep.place} {raised!r} {answer}"
        raised = None
        sweep.forget()
        assert ACTIVE.get() is None, f"left in a Recorder: {sweep.place}"
        assert CAUSE.get() == (), sweep.place
        gc.collect()
        clean()
        try:
            after = trace_of(app, path)
        except Exception as error:
            raise AssertionError(f"after {sweep.place}") from error
        lost += count.check(sweep.place, after[1]["counts"][1].pop("traces", 0))
        assert after == before, difference(sweep.place, before, after)
    print(tries, "of", places, "places,", lost, "Traces lost and counted", file=sys.stderr)
    print(guard.failures())
    print("enough" if tries >= min(times, FEWEST) else f"only {tries}")


def _interrupted_at(number, kind, app, path):
    """Serve a request that is interrupted; return the Sweep, what came out, and the answer."""
    sweep = Sweep(number, kind)
    sys.settrace(sweep.trace)
    try:
        answer = serve(app, path)
    except BaseException as error:
        return sweep, error, None
    finally:
        sys.settrace(None)
    return sweep, None, answer


def _came_out(sweep, raised, answer):
    """Tell whether the application got what was raised, as it is or as the cause of its own."""
    if raised is None:
        # Django makes an answer of every Exception, and SQLAlchemy's garbage collection a line of
        # its log; of other errors neither does.
        handled = answer[0][-1:] == ["500 Internal Server Error"] or sweep.collected
        return issubclass(sweep.kind, Exception) and handled
    while raised is not None and type(raised) is not sweep.kind:
        raised = raised.__cause__ or raised.__context__
    return raised is not None


class Count:
    """Where the Traces of some requests went: one that began is in the ring, or counted as lost."""

    def __init__(self):
        """Start now."""
        self._force = runtime.get()
        self._begun = self._force.tally.begun
        self._lost = self._force.lost
        self._known = self._ids()

    def _ids(self):
        return {judged.trace.id for judged in self._force.ring.newest(10)}

    def check(self, place, told):
        """See where they are, all being in the ring or dead by now; return how many were lost.

        Args:
            place: What to say of an error.
            told: How many of them the last one says were lost.
        """
        begun = self._force.tally.begun - self._begun
        lost = self._force.lost - self._lost
        new = len(self._ids() - self._known)
        assert begun == new + lost, f"{begun} begun, {new} recorded, {lost} counted: {place}"
        assert told == lost, f"{told} told, {lost} counted: {place}"
        return lost
