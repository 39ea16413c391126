"""Several engines, schemas and databases in one Trace, and cursors of the drivers' own."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, select, text
from sqlalchemy.orm import Session

from queryscope.detectors.registry import judge_all
from tests.databases.drivers import engine_on, url_of
from tests.databases.servers import mariadb
from tests.recording import recorded
from tests.sqlalchemy.conftest import hooks
from tests.sqlalchemy.shop import Base, Tag, fill

__all__ = ["hooks"]


@pytest.fixture(scope="module")
def postgresql():
    """An engine on PostgreSQL: the shop in ``public``, its tags in a second schema, too."""
    engine = create_engine(url_of("psycopg"))
    fill(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS tenant CASCADE"))
        connection.execute(text("CREATE SCHEMA tenant"))
        connection.execute(text("CREATE TABLE tenant.shop_tag AS SELECT * FROM shop_tag LIMIT 1"))
    yield engine
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA tenant CASCADE"))
    Base.metadata.drop_all(engine)
    engine.dispose()


def test_schema_translate_map(postgresql):
    """One statement for two schemas is two statements as sent, each with its own rows."""
    tags = Table("shop_tag", MetaData(schema="per_tenant"), Column("id", Integer))
    with recorded() as run, postgresql.connect() as connection:
        for schema in (None, "tenant"):
            mapped = connection.execution_options(schema_translate_map={"per_tenant": schema})
            mapped.execute(select(tags.c.id)).all()
    assert [query.rows for query in run.queries] == [2, 1]
    first, second = (query.statement for query in run.queries)
    assert "tenant.shop_tag" in second
    assert "tenant.shop_tag" not in first
    assert "QS201" not in {finding.code for finding in judge_all(run.trace)}


def test_search_path(postgresql):
    """The session's own search path: one database, one session, no statement that counts more."""
    with recorded() as run, Session(postgresql) as session:
        session.execute(select(Tag.id)).all()
        session.execute(text("SET LOCAL search_path TO tenant"))
        session.execute(select(Tag.id)).all()
    assert [query.rows for query in run.queries] == [2, 1]
    assert len({query.database for query in run.trace.queries}) == 1
    assert len(run.trace.sessions) == 1


def test_engines_on_four_databases(postgresql, tmp_path):
    """PostgreSQL, two databases of MariaDB, SQLite: each has its name, vendor, pool, session."""
    url = url_of("pymysql")
    other = mariadb("queryscope_databases_archive")
    with (
        engine_on(url) as first,
        engine_on("mysql+pymysql" + other[other.index("://") :]) as second,
        engine_on(f"sqlite:///{tmp_path / 'lite.db'}") as lite,
        recorded() as run,
        Session(postgresql) as one,
        Session(first) as two,
        Session(second) as three,
        Session(lite) as four,
    ):
        for session in (one, two, three, four, one):
            session.scalar(text("SELECT 1"))
    assert [query.vendor for query in run.queries] == [
        "postgresql", "mysql", "mysql", "sqlite", "postgresql",
    ]  # fmt: skip
    names = [query.database for query in run.queries]
    assert names[0] == names[4]
    assert len(set(names)) == 4
    assert [query.session for query in run.queries] == [0, 1, 2, 3, 0]
    assert [query.checkout for query in run.queries] == [0, 1, 2, 3, 0]
    assert len({checkout.pool_number for checkout in run.trace.checkouts}) == 4
    assert not {"QS501", "QS505"} & {finding.code for finding in judge_all(run.trace)}


def test_one_session_with_two_binds(postgresql, tmp_path):
    """A session that is bound to two engines uses both: one session, two databases."""
    file = tmp_path / "lite.db"
    with engine_on(f"sqlite:///{file}") as lite, recorded() as run, Session() as session:
        session.scalar(text("SELECT 1"), bind_arguments={"bind": postgresql})
        session.scalar(text("SELECT 2"), bind_arguments={"bind": lite})
    (session,) = run.trace.sessions
    assert len(session.databases) == 2
    assert [query.session for query in run.queries] == [0, 0]
    assert len(run.trace.transactions) == 2


@pytest.mark.parametrize("driver", ["pymysql", "mysqlclient"])
def test_unbuffered_cursors(driver):
    """SSCursor knows no row count; rows are counted as they are fetched, also of a part."""
    with engine_on(url_of(driver)) as engine:
        fill(engine)
        with recorded() as run, engine.connect() as connection:
            streamed = connection.execution_options(stream_results=True)
            result = streamed.execute(select(Base.metadata.tables["shop_book"].c.id))
            assert len(result.fetchmany(3)) == 3
            result.close()
            assert len(streamed.execute(text("SELECT id FROM shop_book")).all()) == 7
            assert streamed.execute(text("UPDATE shop_book SET title = 'x'")).rowcount == 7
            connection.rollback()
        Base.metadata.drop_all(engine)
    assert [query.rows for query in run.queries] == [3, 7, 7]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_drivers_own_cursor_is_beside_the_orm(driver):
    """What goes through a raw cursor is the driver's: no Query, but the Checkout is known."""
    with engine_on(url_of(driver)) as engine, recorded() as run:
        connection = engine.raw_connection()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        finally:
            connection.close()
    assert run.trace.queries == ()
    (checkout,) = run.trace.checkouts
    assert checkout.returned_ns is not None
