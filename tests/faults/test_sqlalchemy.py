"""SQLAlchemy with all hooks: the same objects, the same events, the same pools; nothing kept."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import pytest
from sqlalchemy import create_engine, event, inspect, select, text
from sqlalchemy.exc import InvalidRequestError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, scoped_session, selectinload, sessionmaker
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

import queryscope
from queryscope.trace import guard
from tests.recording import recorded
from tests.sqlalchemy.shop import Author, Book, fill


@pytest.fixture
def engine(tmp_path):
    """A pool of two on a file with the shop in it, and the hooks; afterwards none has failed."""
    made = create_engine(
        f"sqlite:///{tmp_path / 'shop.db'}", poolclass=QueuePool, pool_size=2, max_overflow=0,
        pool_timeout=0.2,
    )  # fmt: skip
    fill(made)
    queryscope.install()
    yield made
    made.dispose()
    assert guard.failures() == ()


EVENTS = {
    "engine": ["before_execute", "after_execute", "before_cursor_execute", "after_cursor_execute",
               "begin", "commit", "rollback", "savepoint", "release_savepoint"],
    "pool": ["connect", "first_connect", "checkout", "checkin", "reset"],
    "dialect": ["do_execute", "do_executemany", "do_execute_no_params"],
    "session": ["after_begin", "before_commit", "after_commit", "after_rollback", "before_flush",
                "after_flush", "do_orm_execute", "after_transaction_create",
                "after_transaction_end", "loaded_as_persistent"],
    "instance": ["load", "refresh", "expire"],
}  # fmt: skip


def use(engine):
    """Use an engine and a session in many ways; return what came out."""
    with Session(engine) as session:
        author = session.get(Author, 1)
        titles = [book.title for book in author.books]
        session.expire(author)
        name = author.name
        with session.begin_nested():
            session.add(Author(name="new"))
        session.rollback()
        session.execute(text("SELECT 1"))
        session.execute(
            Book.__table__.insert(), [{"title": "a", "kind": "book", "author_id": 1}] * 2
        )
        loaded = session.scalars(select(Author).options(selectinload(Author.books))).all()
        counts = [len(item.books) for item in loaded]
        session.commit()
    with engine.connect() as connection:
        connection.exec_driver_sql("DELETE FROM shop_book WHERE title = 'a'")
        connection.commit()
    return titles, name, counts


def listened(engine):
    """Return the names of all events that ``use`` fires, in their order, and its outcome."""
    heard = []
    targets = {
        "engine": engine, "pool": engine.pool, "dialect": engine, "session": Session,
        "instance": Author,
    }  # fmt: skip
    listeners = []
    for kind, names in EVENTS.items():
        for name in names:

            def listen(*_, _name=name, **__):
                heard.append(_name)

            event.listen(targets[kind], name, listen)
            listeners.append((targets[kind], name, listen))
    try:
        outcome = use(engine)
    finally:
        for listener in listeners:
            if listener[1] not in EVENTS["dialect"]:
                event.remove(*listener)
    return tuple(heard), outcome


def test_users_listeners_hear_the_same(engine):
    """Every event reaches every listener as often and in the same order as without us."""
    queryscope.uninstall()
    fill(engine)
    engine.dispose()
    bare = listened(engine)
    fill(engine)
    engine.dispose()
    queryscope.install()
    with recorded(full=True):
        profiled = listened(engine)
    assert profiled == bare
    assert set(profiled[0]) >= {"checkout", "do_execute", "after_begin", "load", "savepoint"}


def test_listener_that_executes_itself(engine):
    """A ``do_execute`` listener that sends the statement on its own is not in our way."""

    def own(cursor, statement, parameters, context):
        cursor.execute(statement, parameters)
        return True

    event.listen(engine, "do_execute", own)
    with recorded(), engine.connect() as connection:
        assert connection.execute(text("SELECT 7")).scalar() == 7
    event.remove(engine, "do_execute", own)


class Later(Session):
    """A session whose ``__init__`` and ``close`` are its own."""

    closed = 0

    def __init__(self, *args, **kwargs):
        """Set attributes before the base class is ready."""
        self.note = "before"
        super().__init__(*args, **kwargs)

    def close(self):
        """Count."""
        self.closed += 1
        super().close()


def test_subclassed_and_scoped_sessions(engine):
    """Subclasses, factories and scoped sessions open, close and are counted once."""
    factory = sessionmaker(engine, class_=Later)
    scoped = scoped_session(factory)
    with recorded() as run:
        with factory() as session:
            session.execute(text("SELECT 1"))
        assert (session.note, session.closed) == ("before", 1)
        scoped.execute(text("SELECT 2"))
        scoped.remove()
    assert len(run.trace.sessions) == 2
    assert all(session.closed_ns is not None for session in run.trace.sessions)
    assert engine.pool.checkedout() == 0


def test_session_bound_to_a_connection(engine):
    """A session on a connection of the test's, with savepoints, leaves it as tests expect."""
    with recorded() as run, engine.connect() as connection:
        outer = connection.begin()
        connection.execute(text("UPDATE shop_author SET name = 'x' WHERE id = 1"))
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            session.add(Author(name="temporary"))
            session.commit()
        assert connection.execute(text("SELECT count(*) FROM shop_author")).scalar() == 4
        outer.rollback()
        assert connection.execute(text("SELECT count(*) FROM shop_author")).scalar() == 3
    assert len(run.trace.sessions) == len(run.trace.checkouts) == 1


def test_dropped_sessions_are_collected(engine):
    """A session that nobody closes is collected, and its connection goes back to the pool."""
    with recorded(full=True):
        session = Session(engine)
        author = session.get(Author, 1)
        _ = author.books
        gone = [weakref.ref(session), weakref.ref(author)]
        del session, author
        gc.collect()
        assert [item() for item in gone] == [None, None]
        assert engine.pool.checkedout() == 0


def test_instances_are_free_as_soon_as_they_are_dropped(engine):
    """Nothing of ours holds an instance, a statement or a result while recording."""
    with recorded(full=True), Session(engine) as session:
        book = session.get(Book, 1)
        _ = book.blurb
        statement = select(Book).where(Book.id == 2)
        result = session.execute(statement)
        other = result.scalar_one()
        gone = [weakref.ref(item) for item in (book, other, result, statement)]
        del book, other, result, statement
        gc.collect()  # SQLAlchemy's own statements point at themselves
        assert [item() for item in gone[:3]] == [None, None, None]


def test_instances_pickle_merge_and_inspect(engine):
    """Pickles hold nothing of ours; copies and merged instances are whole."""
    with recorded(full=True), Session(engine) as session:
        author = session.get(Author, 1, options=[selectinload(Author.books)])
        kept = pickle.dumps(author)
        options = inspect(author).load_options
        query = session.query(Author).filter_by(id=1)
        copied = copy.copy(query)
        assert copied.one() is author
    assert b"queryscope" not in kept
    assert not [item for item in options if type(item).__module__.startswith("queryscope")]
    queryscope.uninstall()
    loaded = pickle.loads(kept)
    assert [book.title for book in loaded.books] == [book.title for book in author.books]
    with Session(engine) as session:
        assert session.merge(loaded).name == author.name


def test_compiled_cache_is_used_as_without_us(engine):
    """A statement recorded and not recorded is compiled once."""
    cache = {}
    cached = engine.execution_options(compiled_cache=cache)

    def ask():
        with Session(cached) as session:
            for author in session.scalars(select(Author).order_by(Author.id)):
                _ = author.books

    ask()
    size = len(cache)
    assert size >= 2
    for full in (False, True):
        with recorded(full=full):
            ask()
    assert len(cache) == size


def test_pool_timeout_is_the_pools_own(engine):
    """A pool that is empty raises SQLAlchemy's own error, and has all connections afterwards."""
    with recorded() as run:
        first, second = engine.connect(), engine.connect()
        with pytest.raises(PoolTimeoutError, match="QueuePool limit of size 2 overflow 0"):
            engine.connect()
        first.close()
        second.close()
    assert [checkout.error is None for checkout in run.trace.checkouts] == [True, True, False]
    assert engine.pool.checkedout() == 0


def test_detached_and_invalidated_connections(engine):
    """Connections that leave their pool, or break, are replaced as without us."""
    with recorded() as run:
        connection = engine.connect()
        connection.detach()
        connection.execute(text("SELECT 1"))
        assert engine.pool.checkedout() == 0
        connection.close()
        with engine.connect() as broken:
            broken.execute(text("SELECT 2"))
            broken.rollback()
            broken.invalidate()
            assert broken.execute(text("SELECT 3")).scalar() == 3
        pool = engine.pool
        with engine.connect() as other:
            other.execute(text("SELECT 4"))
            engine.dispose()
            other.execute(text("SELECT 5"))
        pool.dispose()  # the connection went back to the pool that it is from
    assert [query.statement for query in run.queries] == [f"SELECT {n}" for n in range(1, 6)]
    assert engine.pool.checkedout() == 0


def test_dispose_without_closing_leaves_connections_alone(engine):
    """``dispose(close=False)``, as after a fork, closes nothing behind the user's back."""
    pool = engine.pool
    with recorded(), engine.connect() as connection:
        engine.dispose(close=False)
        assert connection.execute(text("SELECT 1")).scalar() == 1
    pool.dispose()  # the connection went back to the pool that it is from


def test_static_pool_is_shared_by_threads(tmp_path):
    """One connection for all threads, as tests use it: each Trace has its own checkouts."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    queryscope.install()
    lock = threading.Lock()
    traces = []

    def work(number):
        with recorded() as run:
            for _ in range(20):
                with lock, Session(engine) as session:
                    session.execute(text(f"SELECT {number}"))
        traces.append((number, run))

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(traces) == 4
    for number, run in traces:
        assert {query.statement for query in run.queries} == {f"SELECT {number}"}
        assert len(run.trace.sessions) == len(run.trace.checkouts) == len(run.queries) == 20
    engine.dispose()
    assert guard.failures() == ()


def test_failing_connections_raise_as_they_are(tmp_path):
    """A database that is not there raises the driver's error, once, out of every door."""
    engine = create_engine(f"sqlite:///{tmp_path / 'no' / 'such.db'}", poolclass=NullPool)
    queryscope.install()
    with recorded() as run:
        for door in (engine.connect, lambda: Session(engine).execute(text("SELECT 1"))):
            with pytest.raises(OperationalError, match="unable to open"):
                door()
    assert [checkout.connection for checkout in run.trace.checkouts] == [None, None]
    assert guard.failures() == ()


def test_session_in_a_wrong_state_says_so(engine):
    """Errors of SQLAlchemy's own about misuse are not ours to change."""
    with recorded(), Session(engine) as session:
        session.begin()
        with pytest.raises(InvalidRequestError, match="already begun"):
            session.begin()
        with pytest.raises(OperationalError):
            session.execute(text("SELECT nothing FROM nowhere"))
        assert session.scalar(text("SELECT 1")) == 1
