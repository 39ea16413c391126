"""What is recorded of pools: waiting, connecting, holding, holders, every kind of pool."""

from __future__ import annotations

import gc
import sys
import threading
import time

import pytest
from sqlalchemy import create_engine, event, pool, select, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import AssertionPool, NullPool, QueuePool, SingletonThreadPool, StaticPool

from queryscope.trace.facts import clock
from tests.recording import recorded
from tests.sqlalchemy.shop import Author, fill, line_of


def test_checkout_has_pool_and_opener(engine):
    """A checkout knows its pool, its limits, the line that asked and how long it was out."""
    with recorded() as run, engine.connect() as connection:  # the opener
        connection.execute(text("SELECT 1"))
        time.sleep(0.005)
    (checkout,) = run.trace.checkouts
    assert (checkout.pool, checkout.size, checkout.max_overflow) == ("shop.db", 5, 10)
    assert checkout.opener.frame.line == line_of(__file__, "the opener")
    assert checkout.returned_ns - checkout.got_ns > 5_000_000
    assert checkout.busy_ns == run.queries[0].duration_ns
    assert (checkout.waited_ns, checkout.overflow, checkout.error) == (0, False, None)
    assert checkout.thread == threading.get_ident()
    assert checkout.session is None
    assert checkout.connection == run.queries[0].connection


def test_new_connection_costs_connect_time(make_engine):
    """Opening a connection is connect time; taking one from the pool is none."""
    engine = make_engine()
    with recorded() as run:
        for _ in range(2):
            engine.connect().close()
    first, second = run.trace.checkouts
    assert 0 < first.connect_ns <= first.got_ns - first.asked_ns
    assert second.connect_ns == 0
    assert first.connection == second.connection
    assert (first.waited_ns, second.waited_ns) == (0, 0)


def test_replaced_connection_has_a_new_number(engine):
    """A connection that the pool opens anew is another one."""
    with recorded() as run, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.invalidate()
        connection.rollback()
        connection.execute(text("SELECT 2"))
    one, two = run.queries
    assert one.connection != two.connection
    assert [checkout.returned_ns is not None for checkout in run.trace.checkouts] == [True, True]
    assert run.trace.checkouts[1].connect_ns > 0


def test_waiting_names_the_holder(make_engine):
    """A full pool: the time that was waited, and the line that held its connection."""
    engine = make_engine(pool_size=1, max_overflow=0)
    fill(engine)
    held, asked = threading.Event(), threading.Event()
    runs = {}

    def hold():
        with recorded() as run, engine.connect() as connection:  # the holder
            connection.execute(text("SELECT 1"))
            held.set()
            asked.wait(5)
            time.sleep(0.05)
        runs["holder"] = run

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5)
    with recorded() as run:
        threading.Timer(0.01, asked.set).start()
        with Session(engine) as session:
            session.get(Author, 1)
    thread.join()
    (checkout,) = run.trace.checkouts
    assert checkout.waited_ns > 40_000_000
    assert checkout.waited_ns <= checkout.got_ns - checkout.asked_ns
    assert run.trace.pool_wait_ns == checkout.waited_ns
    (holder,) = checkout.holders
    assert f"test_checkouts.py:{line_of(__file__, 'the holder')} in " in holder
    assert f"thread {thread.ident}" in holder
    assert checkout.connect_ns == 0
    assert runs["holder"].trace.checkouts[0].waited_ns == 0
    assert runs["holder"].trace.checkouts[0].connection == checkout.connection


def test_nested_session_on_a_pool_of_one_times_out(make_engine):
    """Two connections at once from a pool of one: a time-out, with its error and its holder."""
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=0.05)
    fill(engine)
    with recorded() as run, Session(engine) as outer:
        outer.get(Author, 1)
        with Session(engine) as inner, pytest.raises(PoolTimeoutError):
            inner.get(Author, 1)
    first, second = run.trace.checkouts
    assert second.error.startswith("sqlalchemy.exc.TimeoutError: QueuePool limit of size 1")
    assert second.got_ns is None
    assert second.waited_ns >= 50_000_000
    assert second.held_before == 1
    assert len(second.holders) == 1
    assert first.error is None
    assert len(run.trace.sessions) == 1


def test_overflow_is_told(make_engine):
    """A connection beyond the pool's size is overflow."""
    engine = make_engine(pool_size=1, max_overflow=1)
    with recorded() as run, engine.connect(), engine.connect():
        pass
    assert [checkout.overflow for checkout in run.trace.checkouts] == [False, True]
    assert [checkout.held_before for checkout in run.trace.checkouts] == [0, 1]


def test_free_pool_makes_nobody_wait(make_engine):
    """A pool whose overflow is used up but that has a connection to give makes nobody wait."""
    engine = make_engine(pool_size=1, max_overflow=0)
    engine.connect().close()
    with recorded() as run, engine.connect():
        pass
    assert (run.trace.checkouts[0].waited_ns, run.trace.checkouts[0].holders) == (0, ())


def test_holder_outside_of_traces_is_told(make_engine):
    """A holder that nobody records is named as that."""
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=0.02)
    with engine.connect(), recorded() as run, pytest.raises(PoolTimeoutError):
        engine.connect()
    (holder,) = run.trace.checkouts[0].holders
    assert holder.startswith("asked for outside every Trace in thread ")


def test_leaked_connection_is_never_returned(engine):
    """A connection that is not given back in time has no return; dropping it later is no error."""
    with recorded() as run:
        leaked = engine.connect()
        leaked.execute(text("SELECT 1"))
    assert run.trace.checkouts[0].returned_ns is None
    del leaked
    gc.collect()
    assert engine.pool.checkedout() == 0


def test_dropped_connection_returns_by_itself(engine):
    """A connection nobody refers to goes back to its pool; that is its return."""
    with recorded() as run:
        engine.connect().execute(text("SELECT 1"))
        gc.collect()
        engine.connect().close()
    first, second = run.trace.checkouts
    assert first.returned_ns <= second.asked_ns
    assert second.held_before == 0


def test_last_dropped_connection_returns_when_it_was_dropped(engine):
    """Where nobody asks for another one, its return is the moment at which it died."""
    with recorded() as run:
        engine.connect().execute(text("SELECT 1"))
        gc.collect()
        died_ns = clock()
        time.sleep(0.01)
    assert run.trace.checkouts[0].returned_ns is not None
    assert run.recorder.checkouts[0].returned_ns <= died_ns


def test_death_of_a_connection_runs_no_python_of_ours(engine):
    """What a signal handler raises into a callback of the garbage collector would be lost."""
    seen = []

    def trace(frame, event, argument):
        seen.append(frame.f_globals.get("__name__"))

    with recorded() as run:
        connection = engine.raw_connection()
        link = connection.__dict__["_queryscope"]
        raw = connection.dbapi_connection
        # Without SQLAlchemy's own callback, which calls hooks of ours.
        connection._connection_record.fairy_ref = None
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            del connection
            gc.collect()
        finally:
            sys.settrace(before)
        assert link.fairy() is None
        raw.close()  # nobody else does: Python 3.13 says so
    assert [name for name in seen if (name or "").startswith("queryscope")] == []
    assert run.trace.checkouts[0].returned_ns is not None


def test_connection_from_before_the_hooks_is_learnt(engine):
    """A connection that was out when the hooks went in is known from its first statement."""
    import queryscope.sqlalchemy as adapter

    adapter.uninstall()
    with engine.connect() as connection:
        connection.execute(text("SELECT 0"))
        adapter.install()
        with recorded() as run:
            connection.execute(text("SELECT 1"))
            connection.execute(text("SELECT 2"))
    assert [query.checkout for query in run.queries] == [0, 0]
    assert len({query.connection for query in run.queries}) == 1


@pytest.mark.parametrize(
    ("poolclass", "options", "connections"),
    [
        (NullPool, {}, 3),
        (StaticPool, {}, 1),
        (SingletonThreadPool, {}, 1),
        (QueuePool, {"pool_size": 0}, 1),
        (AssertionPool, {}, 1),
    ],
)
def test_every_kind_of_pool(tmp_path, poolclass, options, connections):
    """Every pool's checkouts are recorded and returned; who keeps connections, shows it."""
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}", poolclass=poolclass, **options)
    with recorded() as run:
        for _ in range(3):
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
    engine.dispose()
    assert len({query.connection for query in run.queries}) == connections
    assert [query.checkout for query in run.queries] == [0, 1, 2]
    for checkout in run.trace.checkouts:
        assert checkout.returned_ns is not None
        assert checkout.held_before == 0
        assert (checkout.size, checkout.overflow) == (
            (1, False) if poolclass is AssertionPool else (None, False)
        )
    assert run.trace.checkouts[0].connect_ns > 0


def test_static_pool_holds_one_connection_twice():
    """Two checkouts of a static pool overlap on one connection, and both come back."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with recorded() as run, engine.connect() as one:
        with engine.connect() as two:
            two.execute(text("SELECT 2"))
        one.execute(text("SELECT 1"))
    engine.dispose()
    first, second = run.trace.checkouts
    assert first.connection == second.connection
    assert second.returned_ns < first.returned_ns
    assert [query.checkout for query in run.queries] == [1, 0]


def test_singleton_thread_pool_gives_one_connection_to_a_thread():
    """A second checkout in the same thread is the same one, not another connection held."""
    engine = create_engine("sqlite://", poolclass=SingletonThreadPool)
    with recorded() as run, engine.connect() as one:
        with engine.connect() as two:
            two.execute(text("SELECT 2"))
        one.execute(text("SELECT 1"))
    engine.dispose()
    assert len(run.trace.checkouts) == 1
    assert [query.checkout for query in run.queries] == [0, 0]


def test_pool_without_an_engine_is_recorded(tmp_path):
    """A user's own pool, and driver-level cursors on it, give checkouts."""
    import sqlite3

    own = pool.QueuePool(lambda: sqlite3.connect(tmp_path / "own.db"), pool_size=2)
    with recorded() as run:
        connection = own.connect()
        connection.cursor().execute("SELECT 1")
        connection.close()
    own.dispose()
    (checkout,) = run.trace.checkouts
    assert checkout.size == 2
    assert checkout.returned_ns is not None
    assert run.trace.queries == ()


def test_raw_connection_is_a_checkout(engine):
    """``raw_connection()`` is a checkout; its cursors are out of sight."""
    with recorded() as run:
        connection = engine.raw_connection()  # raw
        connection.cursor().execute("SELECT 1")
        connection.close()
    assert run.trace.checkouts[0].opener.frame.line == line_of(__file__, "raw")
    assert run.trace.queries == ()


def test_detached_connection_ends_when_it_is_closed(engine):
    """A detached connection is held until it is closed, and its statements are still its own."""
    with recorded() as run, engine.connect() as connection:
        connection.detach()
        connection.execute(text("SELECT 1"))
    (checkout,) = run.trace.checkouts
    assert checkout.returned_ns is not None
    assert run.queries[0].checkout == 0


def test_refused_checkout_passes_the_listener_error(engine):
    """The error that a user's own checkout listener raises reaches the user untouched."""

    class RefusedError(Exception):
        pass

    def refuse(*_):
        raise RefusedError("not today")

    event.listen(engine, "checkout", refuse)
    with recorded() as run, pytest.raises(RefusedError, match="not today"):
        engine.connect()
    assert run.trace.checkouts[0].error.endswith("RefusedError: not today")


def test_disposed_engine_goes_on_with_a_new_pool(engine):
    """After ``dispose()`` the engine's next pool is recorded, under the same name."""
    with recorded() as run:
        engine.connect().close()
        engine.dispose()
        engine.connect().close()
    first, second = run.trace.checkouts
    assert first.pool == second.pool
    assert first.pool_number != second.pool_number


def test_pre_ping_is_no_statement(make_engine):
    """The pool's own ping of a connection is no Query."""
    engine = make_engine(pool_pre_ping=True)
    engine.connect().close()
    with recorded() as run, engine.connect() as connection:
        connection.execute(select(1))
    assert len(run.trace.queries) == 1


def test_only_those_wait_who_come_too_late(make_engine):
    """Four threads on a pool of two: two wait, in their own Traces, and name both holders."""
    engine = make_engine(pool_size=2, max_overflow=0)
    fill(engine)
    barrier, release = threading.Barrier(3), threading.Event()
    traces = {}

    def hold(name):
        with recorded() as run, engine.connect():
            barrier.wait(5)
            release.wait(5)
        traces[name] = run.trace

    def wait(name):
        with recorded() as run, engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        traces[name] = run.trace

    threads = [threading.Thread(target=hold, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    barrier.wait(5)
    threads += [threading.Thread(target=wait, args=(name,)) for name in "cd"]
    for thread in threads[2:]:
        thread.start()
    time.sleep(0.05)
    release.set()
    for thread in threads:
        thread.join()
    assert [traces[name].pool_wait_ns for name in "ab"] == [0, 0]
    for name in "cd":
        (checkout,) = traces[name].checkouts
        assert checkout.waited_ns > 20_000_000
        assert len(checkout.holders) == 2
