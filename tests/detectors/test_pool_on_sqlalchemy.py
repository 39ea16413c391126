"""The detectors of sessions and pools on what SQLAlchemy does: real engines, sessions, threads."""

from __future__ import annotations

import contextvars
import gc
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, QueuePool

import queryscope.sqlalchemy as adapter
from queryscope.detectors.registry import judge
from queryscope.trace.freeze import freeze
from queryscope.trace.pool import most_held
from queryscope.trace.recorder import Recorder
from tests.recording import hooked

IDLE_S = 0.12
ASK = text("SELECT 1 FROM book WHERE id = 1")


@pytest.fixture(autouse=True)
def hooks():
    """The adapter's hooks, put in and taken out around every test."""
    with hooked(adapter.install, adapter.uninstall):
        yield


@pytest.fixture
def make_engine(tmp_path):
    """Make engines on SQLite files with one small table."""
    engines = []

    def make(name="shop.db", **options):
        options.setdefault("poolclass", QueuePool)
        if options["poolclass"] is QueuePool:
            options = {"pool_size": 5, "max_overflow": 0, **options}
        engine = create_engine(f"sqlite:///{tmp_path / name}", **options)
        engines.append(engine)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS book (id INTEGER, title TEXT)"))
        return engine

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def engine(make_engine):
    """One engine with a pool of five."""
    return make_engine()


class Run:
    """The Trace of a block and its findings of this family, by code."""

    def __init__(self):
        self.trace = None
        self.findings = ()

    def codes(self):
        """Return the codes found, in order, without information."""
        return sorted(item.code for item in self.findings if item.severity != "info")

    def only(self, code):
        """Return the one finding of a code."""
        (finding,) = [item for item in self.findings if item.code == code]
        return finding


@contextmanager
def recorded(kind="request"):
    """Record a block as a Trace and judge it."""
    run = Run()
    recorder = Recorder(kind, "GET /books/", mode="tests")
    recorder.open()
    try:
        yield run
    finally:
        recorder.close()
        run.trace = freeze(recorder)
        run.findings = tuple(item for item in judge(run.trace) if item.code.startswith("QS5"))


def marked(mark):
    """Return the line of this file that ends with ``# <mark>``."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {mark}")]
    return found


def is_allowed(engine):
    """Ask on a session of its own, as a helper should not."""
    with Session(engine) as session:  # helper opens
        return session.execute(ASK).first() is None  # helper asks


# -- clean -----------------------------------------------------------------------------------


def test_one_session_per_request_is_clean(engine):
    """One session, also over a commit and a second transaction, is right."""
    with recorded() as run, Session(engine) as session:
        session.execute(ASK)
        session.commit()
        session.execute(ASK)
    assert len(run.trace.checkouts) == 2
    assert run.findings == ()


def test_session_per_engine_is_clean(make_engine):
    """A session for each engine, at the same time, takes one connection of each pool."""
    first, replica = make_engine("shop.db"), make_engine("replica.db")
    with recorded() as run, Session(first) as one, Session(replica) as other:
        one.execute(ASK)
        other.execute(ASK)
    assert len(run.trace.sessions) == 2
    assert run.findings == ()


def test_session_given_to_the_helpers_is_clean(engine):
    """Helpers that take the session do not open another."""

    def allowed(session):
        return session.execute(ASK).first() is None

    with recorded() as run, Session(engine) as session:
        assert all(allowed(session) for _ in range(5))
    assert run.findings == ()


def test_session_closed_before_the_work_is_clean(engine):
    """What is held only while something is asked holds nothing up."""
    with recorded() as run:
        with Session(engine) as session:
            session.execute(ASK)
        time.sleep(IDLE_S)
    assert run.findings == ()


def test_connections_in_turn_are_clean(engine):
    """Core connections one after the other are one at a time."""
    with recorded() as run:
        for _ in range(4):
            with engine.connect() as connection:
                connection.execute(ASK)
    assert len(run.trace.checkouts) == 4
    assert run.findings == ()


def test_pre_ping_is_clean(make_engine):
    """A pool that tests its connections before handing them out does nothing wrong."""
    engine = make_engine(pool_pre_ping=True)
    with recorded() as run, Session(engine) as session:
        session.execute(ASK)
    assert run.findings == ()


def test_block_inside_an_open_session_is_clean(engine):
    """A block neither leaks nor idles a connection that was out before it began."""
    with Session(engine) as session:
        session.execute(ASK)
        with recorded("block") as run:
            session.execute(ASK)
            time.sleep(IDLE_S)
    assert len(run.trace.queries) == 1
    assert run.findings == ()


def test_nested_block_that_uses_the_connection_is_clean(engine):
    """The request's connection is busy with what a block inside it sends."""
    with engine.connect() as warm:
        warm.connection.create_function("pause", 0, lambda: time.sleep(IDLE_S))
    with recorded() as run, engine.connect() as connection:
        connection.execute(ASK)
        with recorded("block") as inner:
            connection.execute(text("SELECT pause()")).all()
    assert len(inner.trace.queries) == 1
    assert run.findings == ()
    assert most_held(run.trace) == 1


def test_unbounded_pool_cannot_deadlock(make_engine):
    """Nested sessions on NullPool are two sessions, and no deadlock."""
    engine = make_engine(poolclass=NullPool)
    with recorded() as run, Session(engine) as session:
        session.execute(ASK)
        is_allowed(engine)
    assert run.codes() == ["QS501"]
    assert run.only("QS501").severity == "warning"


def test_time_for_connecting_is_no_waiting(make_engine, tmp_path):
    """A new connection that takes long to open was not waited for in the pool."""

    def slow():
        time.sleep(0.05)
        return sqlite3.connect(tmp_path / "shop.db", check_same_thread=False)

    engine = make_engine(creator=slow)
    engine.dispose()
    with recorded() as run, Session(engine) as session:
        session.execute(ASK)
    assert run.trace.checkouts[0].connect_ns > 40_000_000
    assert run.findings == ()


# -- dirty -----------------------------------------------------------------------------------


def test_helper_with_a_session_of_its_own_is_found(engine):
    """Two sessions, two connections at once: the helper's line, the call, and the bound."""
    with recorded() as run, Session(engine) as session:
        session.execute(ASK)
        is_allowed(engine)  # view calls
    assert run.codes() == ["QS501", "QS505"]
    many, nested = run.only("QS501"), run.only("QS505")
    for finding in (many, nested):
        assert finding.origin.frame.line == marked("helper opens")
        assert finding.mend.at.line == marked("view calls")
        assert finding.severity == "critical"
    assert nested.evidence["deadlock_from_requests"] == 5
    assert nested.evidence["capacity"] == 5
    assert run.trace.checkouts[1].held_before == 1


def test_helper_called_per_item_is_one_finding(engine):
    """Sessions in turn: ten of one line, of which one would do."""
    with recorded() as run:
        for _ in range(10):
            is_allowed(engine)
    assert run.codes() == ["QS501"]
    finding = run.only("QS501")
    assert (finding.count, finding.evidence["sessions"]) == (10, 10)
    assert finding.origin.frame.line == marked("helper opens")


def test_work_with_the_connection_in_hand_is_found(engine):
    """The session is held while nothing is asked, after the line that asked last."""
    with recorded() as run, Session(engine) as session:
        session.execute(ASK)  # asks last
        time.sleep(IDLE_S)
    assert run.codes() == ["QS502"]
    finding = run.only("QS502")
    assert finding.mend.at.line == marked("asks last")
    assert finding.mend.write == "session.close()"
    assert finding.cost.connection_ns >= 0.9 * IDLE_S * 1e9
    assert finding.cost.connection_ns <= run.trace.duration_ns


def test_session_never_closed_is_found(engine):
    """A session that somebody still refers to keeps its connection."""
    kept = []

    def keep():
        session = Session(engine)  # opens and keeps
        session.execute(ASK)
        kept.append(session)

    with recorded() as run:
        keep()
    try:
        assert run.codes() == ["QS503"]
        finding = run.only("QS503")
        assert finding.origin.frame.line == marked("opens and keeps")
        assert finding.severity == "critical"
    finally:
        kept.pop().close()


@pytest.mark.parametrize(
    "ask",
    [lambda engine: Session(engine).execute(ASK), lambda engine: engine.connect().execute(ASK)],
    ids=["session", "connection"],
)
def test_what_is_left_to_garbage_collection_is_found(engine, ask):
    """Sessions and connections are cycles of references: they come back when the collector runs."""
    gc.disable()
    try:
        with recorded() as run:
            ask(engine)
    finally:
        gc.enable()
        gc.collect()
    assert run.codes() == ["QS503"]
    assert engine.pool.checkedout() == 0


def test_waiting_for_another_holder_is_found(make_engine):
    """The wait, its line, and the line of who held the only connection."""
    engine = make_engine(pool_size=1)
    taken = threading.Event()

    def hold():
        with recorded(), engine.connect() as connection:  # holds the only one
            connection.execute(ASK)
            taken.set()
            time.sleep(IDLE_S)

    other = threading.Thread(target=hold)
    other.start()
    assert taken.wait(10)
    with recorded() as run, engine.connect() as connection:  # waits for it
        connection.execute(ASK)
    other.join()
    assert run.codes() == ["QS504"]
    finding = run.only("QS504")
    assert finding.origin.frame.line == marked("waits for it")
    assert finding.cost.duration_ns > 0.5 * IDLE_S * 1e9
    assert f":{marked('holds the only one')} in " in finding.evidence["holder_1"]
    assert run.trace.pool_wait_ns == finding.cost.duration_ns


def test_time_out_names_the_deadlock_with_itself(make_engine):
    """A nested session on a pool of one waits for the connection that it holds itself."""
    engine = make_engine(pool_size=1, pool_timeout=0.05)
    with recorded() as run, Session(engine) as session:
        session.execute(ASK)
        with pytest.raises(PoolTimeoutError):
            is_allowed(engine)
    wait, nested = run.only("QS504"), run.only("QS505")
    assert wait.severity == "critical"
    assert wait.evidence["timed_out"] == 1
    assert wait.evidence["held_by_this_request"] == 1
    assert nested.evidence["deadlock_from_requests"] == 1
    # The session never got its connection, so only the line that asked is known.
    assert nested.origin.frame.line == wait.origin.frame.line == marked("helper asks")


def test_nested_core_connections_are_found(make_engine):
    """Connections without a session nest just as well; overflow belongs to the capacity."""
    engine = make_engine(pool_size=2, max_overflow=2)
    with (
        recorded() as run,
        engine.connect() as one,
        engine.connect() as two,
        engine.connect() as three,  # the innermost
    ):
        for connection in (one, two, three):
            connection.execute(ASK)
    assert run.codes() == ["QS505"]
    finding = run.only("QS505")
    assert (finding.count, finding.evidence["capacity"]) == (3, 4)
    assert finding.evidence["deadlock_from_requests"] == 2
    assert finding.origin.frame.line == marked("the innermost")


def test_threads_with_a_session_each_are_information(engine):
    """One session a thread is right; what they take together is said, and the bound with it."""
    both = threading.Barrier(2)

    def work():
        with Session(engine) as session:
            session.execute(ASK)
            both.wait(10)

    with recorded() as run, ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(contextvars.copy_context().run, work) for _ in range(2)]:
            future.result()
    assert run.only("QS501").severity == "info"
    assert run.only("QS505").confidence == "medium"


@pytest.mark.parametrize(("fewer", "deadlock"), [(1, False), (0, True)], ids=["below", "at"])
def test_bound_of_a_recorded_request_holds_on_its_engine(make_engine, fewer, deadlock):
    """As many requests as the finding says deadlock on that engine, one less do not."""
    engine = make_engine(pool_size=2, max_overflow=1, pool_timeout=1.0)

    def request(before_nesting=lambda: None):
        with Session(engine) as session:
            session.execute(ASK)
            before_nesting()
            is_allowed(engine)

    with recorded() as run:
        request()
    number = run.only("QS505").evidence["deadlock_from_requests"] - fewer
    all_hold_one = threading.Barrier(number)

    def attempt(_):
        try:
            request(lambda: all_hold_one.wait(10))
        except PoolTimeoutError:
            return 1
        return 0

    with ThreadPoolExecutor(number) as threads:
        gave_up = sum(threads.map(attempt, range(number)))
    assert (gave_up > 0) is deadlock
