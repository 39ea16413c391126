"""Transactions in two phases: one Transaction, with the outcome that it had."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from queryscope.trace import guard
from tests.databases.drivers import url_of
from tests.recording import recorded
from tests.sqlalchemy.conftest import hooks
from tests.sqlalchemy.shop import Base, Tag, fill

__all__ = ["hooks"]


@pytest.fixture(scope="module", params=["pymysql", "mysqlclient", "psycopg", "psycopg2"])
def engine(request):
    """Make an engine on a server; where PostgreSQL prepares no transactions, say so."""
    engine = create_engine(url_of(request.param))
    fill(engine)
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()


def prepares(engine):
    """Tell whether the server can prepare transactions: PostgreSQL is delivered without."""
    if engine.dialect.name != "postgresql":
        return True
    with engine.connect() as connection:
        return connection.scalar(text("SHOW max_prepared_transactions")) != "0"


def test_commit_in_two_phases_is_one_transaction(engine):
    """A session in two phases has one transaction; what it sends for that counts in no budget."""
    able = prepares(engine)
    with recorded() as run, Session(engine, twophase=True) as session:
        session.execute(text("UPDATE shop_tag SET name = 'x' WHERE id = 1"))
        if able:
            session.commit()
        else:
            with pytest.raises(DBAPIError):
                session.commit()
    assert [query.statement[:6] for query in run.queries if query.counts] == ["UPDATE"]
    (found,) = run.trace.transactions
    assert found.outcome == ("commit" if able else "rollback")
    assert found.ended_ns <= run.trace.checkouts[0].returned_ns
    assert run.queries[0].transaction == 0


def test_rollback_in_two_phases(engine):
    """A rollback before the first phase, and what follows on the same connection."""
    with recorded() as run, Session(engine, twophase=True) as session:
        session.add(Tag(name="never"))
        session.flush()
        session.rollback()
        session.execute(text("SELECT 1"))
        session.rollback()
    assert [item.outcome for item in run.trace.transactions] == ["rollback", "rollback"]
    assert [query.transaction for query in run.queries] == [0, 1]


def test_prepared_by_hand(engine):
    """A Core transaction that is prepared and rolled back, then one that is committed at once."""
    if not prepares(engine):
        with recorded() as run, engine.connect() as connection:
            transaction = connection.begin_twophase()
            connection.execute(text("SELECT 1"))
            transaction.commit()  # one phase after all: nothing was prepared
        assert [item.outcome for item in run.trace.transactions] == ["commit"]
        return
    with recorded() as run, engine.connect() as connection:
        transaction = connection.begin_twophase()
        connection.execute(text("UPDATE shop_tag SET name = 'y' WHERE id = 2"))
        transaction.prepare()
        transaction.rollback()
        transaction = connection.begin_twophase()
        connection.scalar(text("SELECT 1"))
        transaction.commit()
    assert [item.outcome for item in run.trace.transactions] == ["rollback", "commit"]
    assert [query.rows for query in run.queries] == [1, 1]


def test_statement_that_fails_ends_in_a_rollback(engine):
    """A transaction that fails before its first phase is rolled back with its connection."""
    with recorded() as run, engine.connect() as connection:
        connection.begin_twophase()
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT nonsense"))
    assert [item.outcome for item in run.trace.transactions] == ["rollback"]
    assert guard.failures() == ()
