"""What is recorded of transactions: begin, end, outcome, savepoints."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.recording import recorded
from tests.sqlalchemy.shop import Author, Tag, line_of


def outcomes(run):
    """Return how the transactions ended."""
    return [transaction.outcome for transaction in run.trace.transactions]


def test_commit_and_rollback(engine):
    """Transactions end as they were ended, and know their statements and their line."""
    with recorded() as run:
        with Session(engine) as session:
            session.get(Author, 1)  # begins it
            session.commit()
            session.get(Author, 1)
            session.rollback()
        with engine.begin() as connection:
            connection.execute(text("SELECT 1"))
    assert outcomes(run) == ["commit", "rollback", "commit"]
    assert [query.transaction for query in run.queries] == [0, 1, 2]
    first = run.trace.transactions[0]
    assert first.opener.frame.line == line_of(__file__, "begins it")
    assert 0 < first.started_ns < first.ended_ns
    assert first.connection == run.queries[0].connection
    assert first.database == "shop.db"


def test_close_inside_a_transaction_rolls_back(engine):
    """A session closed with its transaction open rolls it back, once."""
    with recorded() as run, Session(engine) as session:
        session.get(Author, 1)
    assert outcomes(run) == ["rollback"]


def test_reset_of_a_returned_connection_is_no_transaction(engine):
    """The pool's own rollback of each connection that comes back counts for nothing."""
    with recorded() as run:
        with engine.begin() as connection:
            connection.execute(text("SELECT 1"))
        connection = engine.raw_connection()
        connection.close()
    assert outcomes(run) == ["commit"]


def test_open_transaction_has_no_end(engine):
    """A transaction that is open at the end of the Trace is open."""
    session = Session(engine)
    with recorded() as run:
        session.get(Author, 1)
    session.close()
    (transaction,) = run.trace.transactions
    assert (transaction.outcome, transaction.ended_ns) == ("open", None)


def test_savepoints_are_counted(engine):
    """Savepoints belong to their transaction; their statements do not count as queries."""
    with recorded() as run, Session(engine) as session:
        for number in range(2):
            with session.begin_nested():
                session.add(Tag(id=60 + number, name="x"))
        with session.begin_nested() as third:
            session.add(Tag(id=70, name="x"))
            session.flush()
            third.rollback()
        session.commit()
    (transaction,) = run.trace.transactions
    assert (transaction.savepoints, transaction.outcome) == (3, "commit")
    kinds = [query.shape.kind for query in run.trace.queries]
    assert kinds.count("savepoint") == 6
    assert run.trace.statements == 3
    assert {query.transaction for query in run.trace.queries} == {0}


def test_error_rolls_back(engine):
    """A user's error inside ``begin()`` passes, and the transaction was rolled back."""

    def fail():
        with engine.begin() as connection:
            connection.execute(text("SELECT 1"))
            raise ZeroDivisionError

    with recorded() as run, pytest.raises(ZeroDivisionError):
        fail()
    assert outcomes(run) == ["rollback"]


def test_autocommit_begins_nothing(make_engine):
    """With the isolation level AUTOCOMMIT there is no transaction."""
    engine = make_engine(isolation_level="AUTOCOMMIT")
    with recorded() as run:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        own = engine.execution_options(isolation_level="AUTOCOMMIT")
        with own.connect() as connection:
            connection.execute(text("SELECT 1"))
    assert run.trace.transactions == ()
    assert len(run.queries) == 2


def test_transaction_from_before_is_known(engine):
    """A transaction that began before the Trace is in it, with its age and its end."""
    with Session(engine) as session:
        session.get(Author, 1)
        with recorded() as run:
            session.get(Author, 2)
            session.commit()
            session.get(Author, 3)
    first, second = run.trace.transactions
    assert first.started_ns < 0 < first.ended_ns < second.started_ns
    assert first.outcome == "commit"
    assert [query.transaction for query in run.queries] == [0, 1]


def test_dropped_connection_ends_its_transaction(engine):
    """A connection that is dropped inside a transaction is rolled back by its pool."""
    import gc

    with recorded() as run:
        engine.connect().execute(text("SELECT 1"))
        gc.collect()
    assert outcomes(run) == ["rollback"]
