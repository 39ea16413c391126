"""What happens to a process: forks, clocks, recursion, tracers, builtins and wrappers of others."""

from __future__ import annotations

import builtins
import gc
import itertools
import os
import sys
import threading
import time
from functools import wraps

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.pool import QueuePool

import queryscope
from queryscope import runtime, wsgi
from queryscope.detectors.registry import Judged
from queryscope.store.file import Store
from queryscope.trace import guard
from tests.builders import a_query, a_trace
from tests.faults.facts import facts_of
from tests.faults.serving import environ_of, served

SETTINGS = {"mode": "development", "console": False, "store": False}
STORED = {**SETTINGS, "store": True}
DAY_NS = 86_400 * 10**9


@pytest.fixture
def engine(tmp_path):
    """An engine on a file."""
    made = create_engine(f"sqlite:///{tmp_path / 'process.db'}", poolclass=QueuePool)
    yield made
    made.dispose()


def asking(engine, before=lambda: None):
    """Return a WSGI application that asks, does something else, and asks again."""

    def app(environ, start_response):
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        before()
        with engine.connect() as connection:
            found = connection.execute(text("SELECT 2")).scalar()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(found).encode()]

    return app


def both(app, settings=SETTINGS):
    """Serve a request without us and with us; the client must get the same."""
    bare = served(app)
    profiled = served(wsgi.Middleware(app, settings))
    assert profiled.bytes == bare.bytes
    return profiled


# -- forks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("child", ["exits at once", "goes on"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_fork_within_a_request(engine, tmp_path, child):
    """The parent's Trace is what it is without a fork; a child's is one of its own, if any."""
    middleware = wsgi.Middleware(asking(engine), STORED)
    served(middleware, "/before")
    codes = []

    def forks():
        pid = os.fork()
        if pid == 0:
            if child == "exits at once":
                os._exit(0)
            engine.dispose(close=False)
            children.append(os.getpid())
            return
        codes.append(os.waitpid(pid, 0)[1])

    children = []
    profiled = wsgi.Middleware(asking(engine, forks), STORED)
    try:
        answer = served(profiled, "/forks")
    finally:
        if children:
            os._exit(0 if runtime.get().flush() and answer.status == 200 else 1)
    assert codes == [0]
    assert runtime.get().flush()
    store = Store(tmp_path / ".queryscope" / "traces.db")
    traces = {path: [] for path in ("/before", "/forks")}
    for item in store.list():
        traces[item.path].append(store.get(item.id).trace)
    store.close()
    own = [trace for trace in traces["/forks"] if trace.process == os.getpid()]
    assert len(traces["/forks"]) == (2 if child == "goes on" else 1)
    (before,) = traces["/before"]
    (after,) = own
    statements = [[query.statement for query in trace.queries] for trace in (before, after)]
    assert statements == [["SELECT ?", "SELECT ?"]] * 2  # literals are not written
    assert guard.failures() == ()


# -- clocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_ns", [DAY_NS, -DAY_NS], ids=["forwards", "backwards"])
def test_clock_that_steps_within_a_request(engine, traces, monkeypatch, step_ns):
    """The Trace has the start that the clock said, and durations of which the step is no part."""
    offset_ns = 0
    real = time.time_ns

    def step():
        nonlocal offset_ns
        offset_ns += step_ns

    monkeypatch.setattr(time, "time_ns", lambda: real() + offset_ns)
    monkeypatch.setattr(time, "time", lambda: (real() + offset_ns) / 1e9)
    started_ns = real()
    both(asking(engine, step))
    (trace,) = traces()
    assert abs(trace.started_at_ns - started_ns - step_ns) < 60 * 10**9  # bare has stepped, too
    assert 0 < trace.duration_ns < 60 * 10**9
    assert [query.statement for query in trace.queries] == ["SELECT 1", "SELECT 2"]
    assert all(0 <= query.start_ns < query.end_ns < trace.duration_ns for query in trace.queries)


def test_full_store_keeps_the_newest_after_a_step_back(tmp_path):
    """What came last stays, although what was there seems to be of tomorrow."""
    now_ns = 1_700_000_000 * 10**9
    store = Store(tmp_path / "traces.db", max_mib=0.5, clock=lambda: now_ns)

    def add(name, start_ns):
        query = a_query(os.urandom(20_000).hex())
        store.add([Judged(a_trace(query, id=name, started_at_ns=start_ns), ())])

    for number in range(30):
        add(f"tomorrow{number}", now_ns + DAY_NS + number)
    for number in range(5):
        add(f"today{number}", now_ns + number)
    kept = [item.id for item in store.list(100)]
    store.close()
    assert {f"today{number}" for number in range(5)} < set(kept)
    assert len(kept) < 30


def test_store_forgets_by_the_clock_it_has(tmp_path):
    """A day forwards and back deletes nothing that is younger than the limit by either clock."""
    now_ns = 1_700_000_000 * 10**9
    offset_ns = 0
    store = Store(tmp_path / "traces.db", max_age_days=3, clock=lambda: now_ns + offset_ns)
    for number, offset_ns in enumerate([0, DAY_NS, 0, -DAY_NS, 0]):
        trace = a_trace(id=f"t{number}", started_at_ns=now_ns + offset_ns)
        store.add([Judged(trace, ())])
    assert len(store.list()) == 5
    store.close()


# -- a writer that stands still ----------------------------------------------------------------


def test_blocked_writer_holds_up_nobody(engine, monkeypatch):
    """While the disk answers nothing requests are served as ever; what has no room is counted."""
    entered, goes_on = threading.Event(), threading.Event()
    original = Store.add

    def add(self, batch):
        entered.set()
        assert goes_on.wait(60)
        original(self, batch)

    monkeypatch.setattr(Store, "add", add)
    middleware = wsgi.Middleware(asking(engine), {**STORED, "queue_traces": 20})
    try:
        served(middleware)
        assert entered.wait(20)
        start = time.monotonic()
        for _ in range(100):
            assert served(middleware).body == b"2"
        assert time.monotonic() - start < 50
        writer = runtime.get().writer
        assert writer.dropped >= 100 - 20 - 1
    finally:
        goes_on.set()
    assert runtime.get().flush(30)
    stored = runtime.get().store.list(1_000)
    assert len(stored) + writer.dropped + writer.failed == 101
    assert guard.failures() == ()


# -- recursion and memory ----------------------------------------------------------------------


def test_recursion_near_its_limit(engine):
    """A query as deep as it can be: it fails one or two calls earlier than without us, cleanly."""

    def at(depth):
        if depth:
            return at(depth - 1)
        return connection.exec_driver_sql("SELECT 1").scalar()

    def deepest():
        for depth in range(limit, 0, -1):
            try:
                assert at(depth) == 1
            except RecursionError:
                connection.rollback()
                continue
            return depth
        return 0

    limit = sys.getrecursionlimit()
    with engine.connect() as connection:
        at(1)
        bare = deepest()
        queryscope.install()
        with queryscope.profile("deep") as run:
            at(1)
            profiled = deepest()
            at(1)
    assert 0 <= bare - profiled <= 4
    queries = run.trace.queries
    assert queries[0].origin == queries[-1].origin or queries[0].statement == "SELECT 1"
    assert [query.error for query in (queries[0], queries[-1])] == [None, None]


@pytest.mark.parametrize("kind", [MemoryError, RecursionError, GeneratorExit, KeyboardInterrupt])
def test_error_of_the_machine_passes_and_is_noted(engine, traces, kind):
    """What is raised between two statements comes out as it is, and is the Trace's error."""

    def fails():
        raise kind("no more")

    middleware = wsgi.Middleware(asking(engine, fails), SETTINGS)
    with pytest.raises(kind, match="no more"):
        middleware(environ_of(), lambda *_: None)
    assert served(wsgi.Middleware(asking(engine), SETTINGS)).status == 200
    first, second = traces()
    assert first.error == f"{kind.__name__}: no more"
    assert second.error is None
    assert engine.pool.checkedout() == 0


# -- what others do to Python ------------------------------------------------------------------


@pytest.mark.parametrize("which", ["settrace", "setprofile"])
def test_tracer_and_we_do_not_meet(engine, traces, which):
    """Under a debugger's or coverage's tracer the Trace is the same, and the tracer stays."""
    app = asking(engine)
    middleware = wsgi.Middleware(app, SETTINGS)
    served(middleware)
    served(middleware)
    events = []

    def tracer(frame, event, argument):
        events.append(event)
        return tracer

    before = getattr(sys, which.replace("set", "get"))()
    getattr(sys, which)(tracer)
    try:
        served(middleware)
        kept = getattr(sys, which.replace("set", "get"))()
    finally:
        getattr(sys, which)(before)
    assert kept is tracer
    assert len(events) > 100
    _, second, third = [facts_of(trace) for trace in traces()]
    assert third == second


def test_builtins_and_clocks_replaced_by_a_test(engine, traces, monkeypatch):
    """``open`` and ``print`` that raise and clocks that stand still cost no Trace."""

    def refuse(*_, **__):
        raise AssertionError("not in this test")

    middleware = wsgi.Middleware(asking(engine), {**STORED, "console": True})
    with monkeypatch.context() as patched:
        for name in ("open", "print", "input"):
            patched.setattr(builtins, name, refuse)
        for name in ("time", "monotonic", "perf_counter"):
            patched.setattr(time, name, lambda: 1_000.0)
        for name in ("time_ns", "perf_counter_ns"):
            patched.setattr(time, name, lambda: 10**12)
        assert served(middleware).body == b"2"
    assert served(middleware).body == b"2"
    assert len(traces()) == 2


# -- wrappers of others ------------------------------------------------------------------------


class Other:
    """Another library that wraps a function that we wrap."""

    def __init__(self):
        """Count calls."""
        self.calls = 0

    def install(self):
        """Wrap."""
        self.original = DefaultDialect.do_execute

        @wraps(self.original)
        def do_execute(*args, **kwargs):
            self.calls += 1
            return self.original(*args, **kwargs)

        DefaultDialect.do_execute = do_execute

    def uninstall(self):
        """Put back what was there."""
        DefaultDialect.do_execute = self.original


ORDERS = [
    steps
    for steps in itertools.permutations(["+us", "+other", "-us", "-other"])
    if steps.index("+us") < steps.index("-us") and steps.index("+other") < steps.index("-other")
]


@pytest.mark.parametrize("steps", ORDERS, ids=" ".join)
def test_wrappers_come_and_go_in_any_order(engine, steps):
    """In each state the other counts a statement once; installed again, so do we."""
    before = vars(DefaultDialect)["do_execute"]
    other = Other()
    doing = {
        "+us": queryscope.install,
        "-us": queryscope.uninstall,
        "+other": other.install,
        "-other": other.uninstall,
    }
    inside = False
    try:
        for step in steps:
            doing[step]()
            inside = step == "+other" or (inside and step != "-other")
            calls = other.calls
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
            assert other.calls - calls == inside
            if "-us" in steps[: steps.index(step) + 1]:
                with queryscope.profile("again") as run, engine.connect() as connection:
                    connection.exec_driver_sql("SELECT 1")
                assert run.trace.statements == 1
                queryscope.uninstall()
        assert vars(DefaultDialect)["do_execute"] is before or steps[-1] == "-other"
        queryscope.install()
        queryscope.uninstall()
        assert vars(DefaultDialect)["do_execute"] is before
    finally:
        DefaultDialect.do_execute = before
        gc.collect()
