"""One piece of work through every driver of SQLAlchemy: the same Trace."""

from __future__ import annotations

import contextlib

import pytest
from sqlalchemy import create_engine, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import selectinload

from tests.databases.drivers import SCHEMES, SERVERS, sync_url, url_of, within
from tests.recording import recorded
from tests.sqlalchemy.conftest import hooks
from tests.sqlalchemy.shop import Author, Base, Book, Tag, fill

__all__ = ["hooks"]

ON_SERVERS = {"stream_results": True, "yield_per": 2}


@pytest.fixture(scope="module", params=SCHEMES)
def driver(request, tmp_path_factory):
    """A driver, and a function that runs work in a session on the filled shop."""
    name = request.param
    folder = tmp_path_factory.mktemp("databases")
    url_of(name, folder)  # skips where the driver or the server is missing
    engine = create_engine(sync_url(name, folder))
    fill(engine)

    def run(work, **options):
        return within(name, work, folder, **options)

    yield name, run
    Base.metadata.drop_all(engine)
    engine.dispose()


def read(session):
    """Read through the ORM, Core and the driver: whole, in part, streamed."""
    session.scalars(select(Author).options(selectinload(Author.books))).all()
    session.execute(text("SELECT id FROM shop_book ORDER BY id")).fetchmany(2)
    session.execute(text("SELECT id FROM shop_book WHERE id < 0")).first()
    list(session.scalars(select(Book).execution_options(**ON_SERVERS)))
    list(session.execute(select(Book.id).execution_options(stream_results=True, max_row_buffer=3)))
    session.connection().exec_driver_sql("SELECT id FROM shop_author").all()
    session.execute(text("WITH x AS (SELECT 1 AS a) SELECT a FROM x")).all()


READ = [
    ("iterate", 3), ("select_in", 7), ("raw", 2), ("raw", 0), ("iterate", 7), ("values", 7),
    ("cursor", 3), ("raw", 1),
]  # fmt: skip


def test_reading_is_alike(driver):
    """Verbs and rows of what is read, by every driver, server-side cursors among them."""
    _, run = driver
    with recorded() as found:
        run(read)
    assert [(query.operation, query.rows) for query in found.queries] == READ
    assert {query.many for query in found.queries} == {0}
    (transaction,) = found.trace.transactions
    assert transaction.outcome == "rollback"


def write(session):
    """Write one row, several, and none, in every way, and take it back."""
    session.execute(update(Book).values(title="x").execution_options(synchronize_session=False))
    session.execute(text("UPDATE shop_tag SET name = 'c' WHERE id < 3"))
    session.execute(delete(Tag).where(Tag.id > 1000))
    session.execute(
        text("UPDATE shop_tag SET name = :name WHERE id = :id"),
        [{"name": "a", "id": 1}, {"name": "b", "id": 2}, {"name": "c", "id": 2}],
    )
    session.execute(insert(Tag), [{"name": "a"}, {"name": "b"}])
    session.execute(text("INSERT INTO shop_tag (name) VALUES ('last')"))
    with session.begin_nested():
        session.execute(text("DELETE FROM shop_tag WHERE name = 'last'"))
    taken_back = session.begin_nested()
    session.execute(text("UPDATE shop_author SET name = 'nobody'"))
    taken_back.rollback()
    session.commit()


WRITTEN = [
    ("update", 0, 7), ("raw", 0, 2), ("delete", 0, 0), ("raw", 3, 3), ("bulk_create", 2, 2),
    ("raw", 0, 1), ("raw", 0, 1), ("raw", 0, 3),
]  # fmt: skip


def test_writing_is_alike(driver):
    """Verbs, batches and the driver's row counts of what is written, with two savepoints."""
    name, run = driver
    with recorded() as found:
        run(write)
    expected = list(WRITTEN)
    if name == "asyncpg":  # it tells no count for a batch
        expected[3:5] = [("raw", 3, None), ("bulk_create", 2, None)]
    if name == "psycopg2":  # SQLAlchemy writes the batch out as one statement
        expected[4] = ("bulk_create", 0, 2)
    assert [(query.operation, query.many, query.rows) for query in found.queries] == expected
    (transaction,) = found.trace.transactions
    assert (transaction.outcome, transaction.savepoints) == ("commit", 2)
    assert {query.transaction for query in found.trace.queries} == {0}


def returning(session):
    """Write rows and have them back, in one statement and in batches of two."""
    rows = [{"name": f"n {n}"} for n in range(5)]
    assert len(session.scalars(insert(Tag).returning(Tag.id), rows).all()) == 5
    session.execute(text("INSERT INTO shop_tag (name) VALUES ('r') RETURNING id")).all()
    if session.bind.dialect.update_returning:
        session.execute(update(Tag).where(Tag.id == 1).values(name="u").returning(Tag.id)).all()
        session.execute(delete(Tag).where(Tag.id < 0).returning(Tag.id)).all()
    session.rollback()


def test_returned_rows_are_counted(driver):
    """What RETURNING gives is counted once, batch by batch; MariaDB's UPDATE gives none."""
    name, run = driver
    with recorded() as found:
        run(returning, insertmanyvalues_page_size=2)
    counts = [query.rows for query in found.queries]
    assert counts == [2, 2, 1, 1] + ([] if name in ("pymysql", "mysqlclient") else [1, 0])


def fail(session):
    """Fail twice, and go on each time."""
    for statement in ("SELECT nonsense", "INSERT INTO shop_tag (id, name) VALUES (1, 'taken')"):
        with contextlib.suppress(DBAPIError):
            session.execute(text(statement))
        session.rollback()
    session.add(Tag(id=1, name="taken"))
    with contextlib.suppress(IntegrityError):
        session.flush()
    session.rollback()
    session.execute(text("SELECT 1")).all()


CLASSES = {
    "psycopg": ("psycopg.errors.UndefinedColumn", "psycopg.errors.UniqueViolation"),
    "psycopg_async": ("psycopg.errors.UndefinedColumn", "psycopg.errors.UniqueViolation"),
    "psycopg2": ("psycopg2.errors.UndefinedColumn", "psycopg2.errors.UniqueViolation"),
    # SQLAlchemy wraps asyncpg's errors; since 2.1 some have a class of their own there.
    "asyncpg": ("AsyncAdapt_asyncpg_dbapi.ProgrammingError", "UniqueViolationError"),
    "pymysql": ("pymysql.err.OperationalError", "pymysql.err.IntegrityError"),
    "mysqlclient": ("MySQLdb.OperationalError", "MySQLdb.IntegrityError"),
    "sqlite": ("sqlite3.OperationalError", "sqlite3.IntegrityError"),
    "aiosqlite": ("sqlite3.OperationalError", "sqlite3.IntegrityError"),
}


def test_errors_are_counted_once(driver):
    """Each failing statement is one Query with the driver's class, and its transaction ends."""
    name, run = driver
    with recorded() as found:
        run(fail)
    undefined, taken = CLASSES[name]
    errors = [query.error for query in found.queries]
    assert [error is not None for error in errors] == [True, True, True, False]
    assert undefined in errors[0]
    assert taken in errors[1]
    assert taken in errors[2]
    assert [item.outcome for item in found.trace.transactions] == ["rollback"] * 4
    assert [query.transaction for query in found.queries] == [0, 1, 2, 3]


@pytest.mark.parametrize("level", ["AUTOCOMMIT", "SERIALIZABLE"])
def test_isolation_levels(driver, level):
    """In autocommit there is no transaction; other levels have one, and send nothing of ours."""
    _, run = driver
    with recorded() as found:
        run(lambda session: session.execute(text("SELECT 1")).all(), isolation_level=level)
    assert [query.rows for query in found.queries] == [1]
    expected = [] if level == "AUTOCOMMIT" else ["rollback"]
    assert [item.outcome for item in found.trace.transactions] == expected
    assert found.queries[0].transaction == (0 if expected else None)


def test_database_and_connection_are_told(driver):
    """Vendor and database of the statement; the connection is out once, and goes back."""
    name, run = driver
    with recorded() as found:
        run(lambda session: session.execute(text("SELECT 1")).all())
    (query,) = found.queries
    assert query.vendor == SCHEMES[name].partition("+")[0]
    assert query.database.startswith("queryscope_databases@" if name in SERVERS else "shop.db")
    (checkout,) = found.trace.checkouts
    assert checkout.returned_ns is not None
    assert query.connection == checkout.connection
