"""Installing, limiting and taking out; and what a hook that fails does to the application."""

from __future__ import annotations

import gc
import weakref
from contextlib import nullcontext

import pytest
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.engine import CursorResult
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import Query, RelationshipProperty, Session, loading
from sqlalchemy.pool import Pool, SingletonThreadPool
from sqlalchemy.pool import base as pool_base
from sqlalchemy.util import queue

import queryscope.sqlalchemy as adapter
from queryscope.errors import InstallError
from queryscope.sqlalchemy import hooks as adapter_hooks
from queryscope.sqlalchemy import labels
from queryscope.trace import codes, guard
from queryscope.trace.patches import uses_only
from tests.recording import recorded
from tests.sqlalchemy.shop import Author

PATCHED = [
    Pool,
    SingletonThreadPool,
    pool_base._ConnectionFairy,
    pool_base._ConnectionRecord,
    queue.Queue,
    queue.AsyncAdaptedQueue,
    Session,
    loading,
    RelationshipProperty,
    Query,
    CursorResult,
]


def snapshot():
    """Return every attribute of everything that the hooks may touch."""
    dialects = [DefaultDialect, *adapter_hooks._subclasses(DefaultDialect)]
    return {
        (owner, name): value
        for owner in [*PATCHED, *dialects]
        for name, value in vars(owner).items()
        if callable(value)
    }


def test_uninstall_restores_everything():
    """After uninstall every patched object, listener and known frame is as it was before."""
    adapter.uninstall()
    before, known = snapshot(), dict(codes._registered)
    adapter.install()
    patched = {key for key, value in snapshot().items() if before.get(key) is not value}
    assert len(patched) >= 20
    assert {owner for owner, _ in patched} >= {*PATCHED, DefaultDialect}
    assert event.contains(Session, "after_begin", adapter_hooks.sessions.after_begin)
    adapter.uninstall()
    assert snapshot() == before
    assert not event.contains(Session, "after_begin", adapter_hooks.sessions.after_begin)
    assert codes._registered == known
    assert not adapter.installed()
    adapter.uninstall()
    assert snapshot() == before


def test_install_twice_changes_nothing():
    """A second install leaves the first one's wrappers."""
    before = snapshot()
    adapter.install()
    assert snapshot() == before
    assert adapter.installed()


def test_engines_stay_off_the_slow_path(engine):
    """No engine or connection gets an event of ours: events of theirs cost every statement."""
    later = create_engine("sqlite://")
    assert (engine._has_events, later._has_events) == (False, False)
    assert engine.dialect._has_events is False
    with engine.connect() as connection:
        assert connection._has_events is False
    later.dispose()


def test_uninstalled_records_nothing(engine):
    """Without the hooks a Recorder sees nothing, and pools carry no mark of ours."""
    with recorded(), engine.connect():
        pass
    adapter.uninstall()
    assert "_queryscope" not in engine.pool.__dict__
    with recorded() as run, Session(engine) as session:
        session.get(Author, 1)
    assert (run.trace.queries, run.trace.checkouts, run.trace.sessions) == ((), (), ())


def test_limited_to_one_engine(engine, make_engine):
    """install(engine) records that engine only; a further call adds one, install() all."""
    second, third = make_engine(logging_name="second"), make_engine(logging_name="third")

    def seen():
        with recorded() as run:
            for each in (engine, second, third):
                with Session(each) as session:
                    session.get(Author, 1)
        databases = [query.database for query in run.queries]
        assert [checkout.pool for checkout in run.trace.checkouts] == databases
        assert len(run.trace.sessions) == len(run.trace.transactions) == len(databases)
        return databases

    adapter.uninstall()
    adapter.install(engine)
    assert seen() == ["shop.db"]
    adapter.install(second)
    assert seen() == ["shop.db", "second"]
    engine.dispose()
    assert seen() == ["shop.db", "second"]
    adapter.install()
    assert seen() == ["shop.db", "second", "third"]
    adapter.install(second)
    assert seen() == ["shop.db", "second", "third"]


def test_engine_made_before_is_recorded():
    """An engine, a session and a connection from before install() are recorded after it."""
    adapter.uninstall()
    engine = create_engine("sqlite://")
    session = Session(engine)
    session.execute(select(1))
    adapter.install()
    with recorded() as run:
        session.execute(select(2))
    session.close()
    engine.dispose()
    assert len(run.queries) == 1
    assert len(run.trace.checkouts) == 1


@pytest.mark.parametrize("wrong", ["sqlite://", 7, Session])
def test_no_engine_is_refused(wrong):
    """install() says what it takes when it gets something else."""
    with pytest.raises(InstallError, match=r"takes an Engine of SQLAlchemy, not (str|int|type)"):
        adapter.install(wrong)


def test_old_sqlalchemy_is_refused(monkeypatch):
    """A SQLAlchemy that is too old is an error at install, which names both versions."""
    monkeypatch.setattr("sqlalchemy.__version__", "1.4.52")
    with pytest.raises(InstallError, match=r"1\.4\.52 is installed; queryscope needs 2\.0"):
        adapter.install()


def test_missing_function_is_counted(monkeypatch):
    """A function that a SQLAlchemy does not have is counted, and the rest still recorded."""
    adapter.uninstall()
    monkeypatch.delattr(Session, "refresh")
    monkeypatch.delattr(RelationshipProperty, "_with_parent")
    adapter.install()
    places = {failure.place for failure in guard.failures()}
    assert places == {"sqlalchemy.labels", "sqlalchemy.install"}
    guard.clear()
    engine = create_engine("sqlite://")
    with recorded() as run, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()
    assert len(run.queries) == 1
    adapter.uninstall()


def test_failing_hook_is_counted_and_the_statement_runs(engine):
    """An execution context that our hook cannot read fails our hook, not the statement."""
    with recorded() as run, engine.connect() as connection:
        cursor = connection.connection.cursor()
        engine.dialect.do_execute(cursor, "SELECT 7", (), object())
        assert cursor.fetchone() == (7,)
        cursor.close()
        connection.execute(text("SELECT 1"))
    (failure,) = guard.failures()
    assert failure.place == "sqlalchemy.execute"
    assert failure.error == "AttributeError: 'object' object has no attribute '_dbapi_connection'"
    assert len(run.queries) == 1
    guard.clear()


def test_failing_pool_hook_gives_the_connection_all_the_same(engine):
    """A pool that our hook cannot mark works as before, and the failure is counted."""
    engine.pool.__dict__["_queryscope"] = 7  # another's attribute under our name
    with recorded(), engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    assert {failure.place for failure in guard.failures()} >= {"sqlalchemy.pool.connect"}
    del engine.pool.__dict__["_queryscope"]
    guard.clear()


def test_unknown_frame_shape_is_counted(engine):
    """A known ORM function with other locals than we know gives no label, and is counted."""

    def of_a_later_version(connection):
        connection.execute(text("SELECT 1"))

    codes.register(of_a_later_version, labels.Executed())
    with recorded() as run, engine.connect() as connection:
        of_a_later_version(connection)
    codes.unregister([of_a_later_version])
    assert run.trace.unlabelled == 1
    assert run.operations == [""]


def test_errors_of_users_callbacks_pass(engine):
    """What a user's own listener raises inside our hooks reaches the user as it was."""

    class StopError(BaseException):
        pass

    def stop(*_):
        raise StopError

    event.listen(engine.dialect, "do_execute", stop)
    event.listen(Session, "after_begin", stop)
    try:
        with recorded() as run, engine.connect() as connection, pytest.raises(StopError):
            connection.execute(text("SELECT 1"))
        with recorded(), Session(engine) as session, pytest.raises(StopError):
            session.execute(text("SELECT 1"))
    finally:
        event.remove(Session, "after_begin", stop)
        event.remove(engine.dialect, "do_execute", stop)
    assert run.trace.queries == ()


def test_nothing_keeps_an_engine_alive():
    """Engines, pools and sessions that the user drops are collected."""
    engine = create_engine("sqlite://")
    session = Session(engine)
    with recorded():
        session.execute(select(1))
    session.close()
    engine.dispose()
    gone = [weakref.ref(engine), weakref.ref(engine.pool), weakref.ref(session)]
    del engine, session
    gc.collect()
    assert [item() for item in gone] == [None, None, None]


def test_method_that_another_tool_replaced_is_called(engine, monkeypatch):
    """What is not SQLAlchemy's own one line is not said in its place."""
    adapter.uninstall()
    assert uses_only(DefaultDialect.do_execute, "execute")
    assert uses_only(CursorResult._fetchall_impl, "cursor_strategy", "fetchall", "cursor")
    sent, fetched = [], []
    fetchall = CursorResult._fetchall_impl

    def do_execute(self, cursor, statement, parameters, context=None):
        sent.append(statement)
        cursor.execute(statement, parameters)

    def _fetchall_impl(self):
        found = fetchall(self)
        fetched.extend(found)
        return found

    monkeypatch.setattr(DefaultDialect, "do_execute", do_execute)
    monkeypatch.setattr(CursorResult, "_fetchall_impl", _fetchall_impl)
    adapter.install()
    try:
        for record in (False, True):
            sent.clear()
            fetched.clear()
            with recorded() if record else nullcontext(), engine.connect() as connection:
                assert connection.execute(text("SELECT :n"), {"n": 7}).all() == [(7,)]
            assert len(sent) == 1
            assert fetched == [(7,)]
    finally:
        adapter.uninstall()
