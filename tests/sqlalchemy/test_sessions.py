"""What is recorded of ORM sessions: opener, first use, end, databases, Recorders."""

from __future__ import annotations

import gc
import pickle
import threading

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import queryscope.sqlalchemy as adapter
from queryscope.trace.scope import ACTIVE, Scope
from tests.recording import recorded
from tests.sqlalchemy.shop import Author, Book, line_of


def test_session_has_its_opener(engine):
    """A session knows the line that opened it, whichever way it was opened."""
    factory = sessionmaker(engine)
    registry = scoped_session(factory)

    class Mine(Session):
        def __init__(self, bind):
            super().__init__(bind, autoflush=False)

    def helper():
        return Session(engine)  # in the helper

    with recorded() as run:
        with Session(engine) as one:  # the class
            one.execute(select(1))
        with factory() as two:  # the factory
            two.execute(select(1))
        with factory.begin() as three:  # the block
            three.execute(select(1))
        registry.execute(select(1))  # the registry
        registry.remove()
        with helper() as four:  # the helper
            four.execute(select(1))
        with Mine(engine) as five:  # the subclass
            five.execute(select(1))
    lines = [session.opener.frame.line for session in run.trace.sessions]
    names = ["the class", "the factory", "the block", "the registry", "in the helper"]
    assert lines[:5] == [line_of(__file__, name) for name in names]
    # A user's own __init__ is the user's code; the line that calls it is one step further out.
    steps = run.trace.sessions[5].opener.steps
    assert line_of(__file__, "the subclass") in [step.line for step in steps]
    assert [query.session for query in run.queries] == [0, 1, 2, 3, 4, 5]


def test_unused_session_is_no_session(engine):
    """A session that never used a connection is not counted."""
    with recorded() as run, Session(engine) as session:
        session.add(Author(name="never flushed"))
    assert run.trace.sessions == ()


def test_session_times(engine):
    """Opened, first used and closed, in that order, within the Trace."""
    with recorded() as run:
        with Session(engine) as session:
            session.execute(select(1))
        with Session(engine) as session:
            session.execute(select(1))
    first, second = run.trace.sessions
    assert 0 <= first.opened_ns <= first.first_used_ns <= first.closed_ns <= second.opened_ns
    assert second.closed_ns <= run.trace.duration_ns
    assert first.framework == "sqlalchemy"
    assert first.databases == ("shop.db",)
    assert first.threads == (threading.get_ident(),)


def test_session_left_open_has_no_end(engine):
    """A session that is not closed within the Trace has no end."""
    with recorded() as run:
        session = Session(engine)
        session.execute(select(1))
    assert run.trace.sessions[0].closed_ns is None
    assert run.trace.checkouts[0].returned_ns is None
    session.close()


def test_commits_and_reuse_stay_one_session(engine):
    """A session that commits, closes and goes on is one session of several checkouts."""
    with recorded() as run:
        session = Session(engine)
        for _ in range(2):
            session.execute(select(1))
            session.commit()
        session.close()
        session.execute(select(1))
        session.close()
    assert len(run.trace.sessions) == 1
    assert [checkout.session for checkout in run.trace.checkouts] == [0, 0, 0]
    assert [query.session for query in run.queries] == [0, 0, 0]
    assert run.trace.sessions[0].closed_ns is not None


def test_nested_sessions_hold_connections_at_once(engine):
    """A session in a session: two connections at once, each with its own lines."""
    with recorded() as run, Session(engine) as outer:  # the outer
        outer.execute(select(1))
        with Session(engine) as inner:  # the inner
            inner.execute(select(2))
            assert outer.get(Author, 1)
    lines = [session.opener.frame.line for session in run.trace.sessions]
    assert lines == [line_of(__file__, "the outer"), line_of(__file__, "the inner")]
    first, second = run.trace.checkouts
    assert (first.held_before, second.held_before) == (0, 1)
    assert first.got_ns < second.got_ns < second.returned_ns < first.returned_ns
    assert [query.session for query in run.queries] == [0, 1, 0]


def test_session_per_item(engine):
    """A session for each item is as many sessions, all from one line."""
    with recorded() as run:
        for number in (1, 2, 3):
            with Session(engine) as session:
                session.get(Author, number)
    assert len(run.trace.sessions) == 3
    assert len({session.opener for session in run.trace.sessions}) == 1
    assert [checkout.held_before for checkout in run.trace.checkouts] == [0, 0, 0]


def test_session_with_two_databases(engine, make_engine):
    """A session with two binds names both databases."""
    other = make_engine(logging_name="archive")
    with recorded() as run, Session(binds={Author: engine, Book: other}) as session:
        session.get(Author, 1)
        session.get(Book, 1)
    assert run.trace.sessions[0].databases == ("shop.db", "archive")
    assert [checkout.pool for checkout in run.trace.checkouts] == ["shop.db", "archive"]


def test_session_from_before_counts_where_it_is_used(engine):
    """A session opened before the Trace counts in it, with its age and its connection's."""
    session = Session(engine)
    session.execute(select(1))
    with recorded() as run:
        session.get(Author, 1)
        session.get(Author, 2)
    session.close()
    (found,) = run.trace.sessions
    assert found.opened_ns < 0 < found.first_used_ns
    (checkout,) = run.trace.checkouts
    assert checkout.asked_ns <= checkout.got_ns < 0
    assert (checkout.waited_ns, checkout.connect_ns) == (0, 0)
    assert checkout.connection == run.queries[0].connection
    assert {query.session for query in run.queries} == {0}
    assert {query.checkout for query in run.queries} == {0}


def test_session_from_an_ended_trace_counts_again(engine):
    """A session that outlives its Trace counts in the next, with the line that opened it."""
    with recorded() as first:
        session = Session(engine)  # for both
        session.get(Author, 1)
    with recorded() as second:
        session.get(Author, 2)
        session.close()
    with recorded() as third:
        pass
    assert [len(run.trace.sessions) for run in (first, second, third)] == [1, 1, 0]
    (found,) = second.trace.sessions
    assert found.opener.frame.line == line_of(__file__, "for both")
    assert found.opened_ns < 0 < found.closed_ns
    assert first.trace.sessions[0].closed_ns is None


def test_nested_trace_has_its_own_facts(engine):
    """Facts go to the innermost Trace; one session is known in both, one checkout too."""
    with recorded() as outer, Session(engine) as session:
        session.execute(text("SELECT 'before'"))
        with recorded() as inner:
            session.execute(text("SELECT 'inside'"))
        session.execute(text("SELECT 'after'"))
    assert [query.statement for query in inner.queries] == ["SELECT 'inside'"]
    assert [query.statement for query in outer.queries] == ["SELECT 'before'", "SELECT 'after'"]
    for run in (outer, inner):
        assert {query.session for query in run.queries} == {0}
        assert {query.checkout for query in run.queries} == {0}
        assert {query.transaction for query in run.queries} == {0}
        assert len(run.trace.sessions) == len(run.trace.checkouts) == 1
    assert inner.trace.checkouts[0].connection == outer.trace.checkouts[0].connection
    assert outer.trace.children[0].id == inner.trace.id


def test_session_first_used_in_a_nested_trace(engine):
    """A session opened outside and used inside counts inside, with its opener."""
    with recorded() as outer, Session(engine) as session:  # outside
        with recorded() as inner:
            session.get(Author, 1)
        assert session.get(Author, 2)
    assert inner.trace.sessions[0].opener.frame.line == line_of(__file__, "outside")
    assert len(outer.trace.sessions) == 1


def test_closed_recorder_takes_the_open_one_around_it(engine):
    """What comes to an ended inner Trace goes to the open one around it."""
    with recorded() as outer:
        with recorded() as inner:
            pass
        token = ACTIVE.set(Scope(inner.recorder, -1))
        with Session(engine) as session:
            session.execute(select(1))
        ACTIVE.reset(token)
    assert len(outer.queries) == len(outer.trace.sessions) == 1
    assert (inner.trace.queries, inner.recorder.orphans) == ((), 0)


def test_many_traces_leave_nothing_on_a_session(engine):
    """A session used by many Traces in turn keeps a few copies, and no Recorder."""
    session = Session(engine)
    for _ in range(50):
        with recorded() as run:
            session.execute(select(1))
        assert len(run.trace.sessions) == 1
    lasting = session.__dict__["_queryscope"]
    (link,) = lasting.links
    assert len(lasting.copies) <= 5
    assert len(link.out.copies) <= 5
    assert all(copy.recorder is None for copy in lasting.copies.values())
    session.close()


def test_threads_with_own_recorders_do_not_mix(make_engine, engine):
    """Each thread's Recorder has that thread's session and statements only."""
    runs = {}

    def work(name):
        with recorded() as run, Session(engine) as session:
            for _ in range(20):
                session.execute(text(f"SELECT '{name}'")).all()
        runs[name] = run.trace

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, trace in runs.items():
        assert {query.statement for query in trace.queries} == {f"SELECT '{name}'"}
        assert len(trace.queries) == 20
        assert len(trace.sessions) == len(trace.checkouts) == 1


def test_dropped_session_gives_its_connection_back(engine):
    """A session that is dropped without a close returns its connection when it is collected."""
    with recorded() as run:
        session = Session(engine)
        session.execute(select(1))
        del session
        gc.collect()
    (found,) = run.trace.sessions
    assert found.closed_ns is None
    assert run.trace.checkouts[0].returned_ns is not None


def test_session_on_a_connection_ends_before_it(engine):
    """A session on a user's connection is over when closed, its connection goes on."""
    with recorded() as run, engine.connect() as connection:
        with Session(connection) as session:
            session.execute(select(1))
        connection.execute(select(2))
    assert [query.session for query in run.queries] == [0, None]
    assert len(run.trace.checkouts) == 1


def test_instances_pickle_without_us(engine):
    """Instances loaded under a Recorder pickle and come back as they would without."""
    with recorded() as run, Session(engine) as session:
        pickled = pickle.dumps(session.get(Author, 1))
        assert b"queryscope" not in pickled
        author = pickle.loads(pickled)
        session.expunge_all()
        session.add(author)
        _ = author.books
    assert run.queries[-1].load.parent_query is None


def test_session_of_failing_begin_passes_the_error(make_engine, tmp_path):
    """The error of a database that cannot be opened reaches the user, and the checkout has it."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError

    engine = create_engine(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    with recorded() as run, Session(engine) as session, pytest.raises(OperationalError):
        session.execute(select(1))
    (checkout,) = run.trace.checkouts
    assert checkout.error == "sqlite3.OperationalError: unable to open database file"
    assert (checkout.got_ns, checkout.connection) == (None, None)
    assert checkout.connect_ns > 0
    assert run.trace.sessions == ()


def test_reinstalled_hooks_know_a_session_again(engine):
    """A session that lived through uninstall and install is recorded as one from before."""
    session = Session(engine)
    session.execute(select(1))
    adapter.uninstall()
    session.commit()
    session.execute(select(1))
    adapter.install()
    with recorded() as run:
        session.get(Author, 1)
    session.close()
    assert len(run.queries) == len(run.trace.checkouts) == 1
    assert run.queries[0].checkout == 0
