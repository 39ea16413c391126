"""Threads: their Traces do not mix, and what they share does not either."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

import queryscope
from queryscope import runtime, wsgi
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE
from tests.faults.serving import served

THREADS = 8
REQUESTS = 40
"""Requests of each thread."""
SETTINGS = {"mode": "tests", "store": False, "ring_traces": THREADS * REQUESTS}


@pytest.fixture
def engine(tmp_path):
    """An engine whose pool is smaller than the number of threads."""
    made = create_engine(
        f"sqlite:///{tmp_path / 'threads.db'}", poolclass=QueuePool, pool_size=3, max_overflow=0
    )
    yield made
    made.dispose()


def test_traces_of_threads_do_not_mix(engine):
    """Eight threads on a pool of three: each Trace has its own statements, sessions, checkouts."""

    def app(environ, start_response):
        start_response("200 OK", [])
        path = environ["PATH_INFO"]
        with queryscope.stage(f"stage of {path}"), Session(engine) as session:
            for n in range(3):
                session.execute(text(f"SELECT '{path}', {n}"))
        with engine.connect() as connection:
            connection.execute(text(f"SELECT '{path}', 'core'"))
        yield path.encode()

    queryscope.install()
    middleware = wsgi.Middleware(app, SETTINGS)
    together = threading.Barrier(THREADS)

    def work(thread):
        together.wait()
        for number in range(REQUESTS):
            path = f"/{thread}/{number}"
            assert served(middleware, path).body.endswith(path.encode())
        return ACTIVE.get()

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(work, range(THREADS))) == [None] * THREADS
    found = runtime.get()
    assert found.flush(30)
    traces = [judged.trace for judged in found.ring.newest()]
    assert len({trace.id for trace in traces}) == len(traces) == THREADS * REQUESTS
    for trace in traces:
        path = trace.attributes["path"]
        assert {query.statement.split("'")[1] for query in trace.queries} == {path}
        assert (trace.statements, len(trace.sessions), len(trace.checkouts)) == (4, 1, 2)
        assert len({query.thread for query in trace.queries}) == 1
        assert f"stage of {path}" in {stage.name for stage in trace.stages}
        assert not trace.orphans
    assert guard.failures() == ()


def test_one_stage_object_is_shared_by_threads():
    """A module's ``stage`` object, entered by threads at a time, is each thread's own."""
    shared = queryscope.stage("shared")
    inside, leave = threading.Barrier(2), threading.Event()
    left = []

    def first():
        with queryscope.profile("first") as run:
            with shared:
                inside.wait(10)
                leave.wait(10)
            left.append(ACTIVE.get().stage)
        return run

    def second():
        with queryscope.profile("second") as run:
            with shared:
                inside.wait(10)
            left.append(ACTIVE.get().stage)
            leave.set()
        return run

    with ThreadPoolExecutor(2) as pool:
        runs = [future.result() for future in [pool.submit(first), pool.submit(second)]]
        assert list(pool.map(lambda _: ACTIVE.get(), range(2))) == [None, None]
    assert left == [-1, -1]
    assert [[stage.name for stage in run.trace.stages] for run in runs] == [["shared"], ["shared"]]


def test_one_profile_object_is_shared_by_threads():
    """A module's ``profile`` object ends, in each thread, the Trace that this thread began."""
    shared = queryscope.profile("shared")
    inside, leave = threading.Barrier(2), threading.Event()

    def first():
        with shared as run:
            inside.wait(10)
            leave.wait(10)
            assert ACTIVE.get().recorder.closed is False
        return run

    def second():
        with shared as run:
            inside.wait(10)
        leave.set()
        return run

    with ThreadPoolExecutor(2) as pool:
        runs = [future.result() for future in [pool.submit(first), pool.submit(second)]]
        assert list(pool.map(lambda _: ACTIVE.get(), range(2))) == [None, None]
    assert runs[0].trace.id != runs[1].trace.id
    assert runs[0].trace.duration_ns >= runs[1].trace.duration_ns


def test_profile_within_itself():
    """One object entered twice in one thread makes a Trace and a nested one."""
    shared = queryscope.profile("shared")
    with shared as outer, shared as inner:
        pass
    assert [child.id for child in outer.trace.children] == [inner.trace.id]


def test_bare_decorator_keeps_methods_methods():
    """``@profile`` without a call, and with one, on functions, methods and coroutine functions."""

    class Exporter:
        @queryscope.profile
        def bare(self, value):
            """Return it."""
            return self, value

        @queryscope.profile("named")
        def named(self, value):
            return self, value

        @queryscope.profile
        async def later(self, value):
            return self, value

    exporter = Exporter()
    assert exporter.bare(7) == exporter.named(7) == (exporter, 7)
    assert exporter.bare.__doc__ == "Return it."
    coroutine = exporter.later(7)
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    assert stopped.value.value == (exporter, 7)
    assert runtime.get().flush()
    names = [judged.trace.name.rpartition(".")[2] for judged in runtime.get().ring.newest()]
    assert names == ["later", "named", "bare"]
