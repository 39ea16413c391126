"""The adapter on the databases that applications use: the same facts from each driver."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.pool import QueuePool

from tests.recording import recorded
from tests.services import mariadb_url, postgresql_url
from tests.sqlalchemy.shop import Author, Base, Book, Tag, fill

DRIVERS = {
    "postgresql": lambda: postgresql_url().replace("postgresql:", "postgresql+psycopg:"),
    "mysql": lambda: mariadb_url().replace("mysql:", "mysql+pymysql:"),
}


@pytest.fixture(params=["postgresql", "mysql"])
def server(request):
    """Make an engine on a server that answers, with the shop filled."""
    url = DRIVERS[request.param]()
    engine = create_engine(url, poolclass=QueuePool)
    fill(engine)
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()


def test_statements_and_rows(server):
    """Statements carry vendor, database, rows of selects and of writes."""
    with recorded() as run, Session(server) as session:
        session.scalars(select(Author).options(selectinload(Author.books))).all()
        session.execute(update(Book).values(title="x").execution_options(synchronize_session=False))
        session.execute(insert(Tag), [{"name": "a"}, {"name": "b"}])
        session.execute(text("UPDATE shop_tag SET name = 'c' WHERE id < 3"))
        session.commit()
    assert {query.vendor for query in run.queries} == {server.dialect.name}
    assert {query.database for query in run.queries} == {
        f"{server.url.database}@{server.url.host}:{server.url.port}"
    }
    assert run.operations == ["iterate", "select_in", "update", "bulk_create", "raw"]
    assert [query.rows for query in run.queries] == [3, 7, 7, 2, 2]
    assert [query.many for query in run.queries] == [0, 0, 0, 2, 0]
    assert run.trace.transactions[0].outcome == "commit"


def test_password_is_nowhere(server):
    """Names of pools and databases hold no credentials."""
    hidden = server.url.set(password="secret")
    assert hidden.password == "secret"
    with recorded() as run, server.connect():
        pass
    (checkout,) = run.trace.checkouts
    assert "secret" not in checkout.pool
    assert (server.url.username or "root") not in checkout.pool


def test_error_is_the_drivers(server):
    """The driver's error is on the one Query that failed, and the next one works."""
    with recorded() as run, Session(server) as session:
        with pytest.raises(DBAPIError):
            session.execute(text("SELECT nonsense"))
        session.rollback()
        session.add(Tag(id=1, name="taken"))
        with pytest.raises(IntegrityError):
            session.flush()
    failed = [query.error for query in run.queries]
    assert len(failed) == 2
    module = {"postgresql": "psycopg.errors.", "mysql": "pymysql.err."}[server.dialect.name]
    assert all(error.startswith(module) for error in failed)


def test_streamed_rows_are_counted(server):
    """Rows of a server-side cursor are counted as they are handed out."""
    with recorded() as run, Session(server) as session:
        asked = select(Book).execution_options(stream_results=True, yield_per=2)
        result = session.scalars(asked)
        assert len(result.fetchmany(2)) == 2
        result.close()
        list(session.scalars(asked))
    assert [query.rows for query in run.queries] == [2, 7]


def test_first_connection_is_clean(server):
    """What SQLAlchemy asks a server before its first connection is connect time, no Query."""
    fresh = create_engine(server.url)
    with recorded() as run, fresh.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Author)) == 3
    fresh.dispose()
    assert len(run.trace.queries) == 1
    (checkout,) = run.trace.checkouts
    assert 0 < checkout.connect_ns < checkout.got_ns - checkout.asked_ns


def test_inserted_rows_are_counted(server):
    """An insert that returns rows has one row per parameter set."""
    if not server.dialect.insert_returning:
        with recorded() as run, Session(server) as session:
            session.add(Tag(name="one"))
            session.flush()
        assert run.queries[0].rows == 1
        return
    with recorded() as run, Session(server) as session:
        rows = [{"name": f"n {n}"} for n in range(5)]
        assert len(session.scalars(insert(Tag).returning(Tag.id), rows).all()) == 5
    assert [query.rows for query in run.queries] == [5]
