"""What is recorded of statements: text, time, rows, errors, batches, connection."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, delete, event, insert, select, text, update
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from queryscope.trace.flat import WIDTH
from tests.recording import recorded
from tests.sqlalchemy.shop import Author, Book, Note, Tag, line_of


def test_select_is_recorded_with_its_line(engine):
    """A select gives one Query with text, vendor, database, rows and the line that asked."""
    with recorded() as run, Session(engine) as session:
        session.scalars(select(Author)).all()  # the select
    (query,) = run.trace.queries
    assert query.statement.startswith("SELECT shop_author.id")
    assert (query.vendor, query.database) == ("sqlite", "shop.db")
    assert query.rows == 3
    assert query.origin.frame.line == line_of(__file__, "the select")
    assert query.origin.frame.function == "test_select_is_recorded_with_its_line"
    assert 0 < query.duration_ns < run.trace.duration_ns
    assert run.trace.unlabelled == 0


def test_no_recorder_records_nothing(engine):
    """Without a Recorder the hooks call through and keep nothing."""
    with Session(engine) as session:
        assert len(session.scalars(select(Author)).all()) == 3
    with recorded() as run:
        pass
    assert run.trace.queries == ()
    assert run.trace.orphans == 0


def test_failing_statement_counts_once(engine):
    """A failing statement is one Query with the driver's error, and the error passes on."""
    with (
        recorded() as run,
        Session(engine) as session,
        pytest.raises(OperationalError, match="nonsense"),
    ):
        session.execute(text("SELECT nonsense"))
    (query,) = run.trace.queries
    assert query.error == "sqlite3.OperationalError: no such column: nonsense"
    assert query.rows is None


def test_broken_constraint_counts_once(engine):
    """An insert that breaks a constraint in a flush is one Query with its error."""
    with recorded() as run, Session(engine) as session:
        session.add(Tag(id=1, name="taken"))
        with pytest.raises(IntegrityError):
            session.flush()
    (query,) = run.queries
    assert query.operation == "flush"
    assert query.error.startswith("sqlite3.IntegrityError: UNIQUE")


def test_executemany_has_its_size(engine):
    """Many parameter sets are one Query that knows how many they were."""
    with recorded() as run, engine.begin() as connection:
        connection.execute(
            Tag.__table__.insert(), [{"id": n, "name": "many"} for n in range(10, 17)]
        )
    (query,) = run.queries
    assert (query.many, query.rows, query.parameters_key) == (7, 7, "")


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        (update(Book).values(title="same").execution_options(synchronize_session=False), 7),
        (delete(Note).where(Note.id > 1).execution_options(synchronize_session=False), 2),
        (text("UPDATE shop_book SET title = 'text' WHERE id <= 4"), 4),
        (text("  delete from shop_note"), 3),
        (insert(Tag).values(id=50, name="one"), 1),
    ],
)
def test_writes_have_row_counts(engine, statement, rows):
    """A write's rows are the driver's count."""
    with recorded() as run, Session(engine) as session:
        session.execute(statement)
        session.commit()
    assert [query.rows for query in run.queries] == [rows]


def test_returning_counts_fetched_rows(engine):
    """SQLite counts rows of RETURNING when they are fetched; so do we."""
    with recorded() as run, Session(engine) as session:
        found = session.scalars(update(Book).where(Book.id < 4).values(title="x").returning(Book))
        assert len(found.all()) == 3
    assert run.queries[0].rows == 3


def test_rows_of_every_way_to_fetch(engine):
    """One row, some, all, and one by one: the rows that were fetched are counted."""
    with recorded() as run, engine.connect() as connection:
        asked = select(Book.__table__.c.id)
        connection.execute(asked).fetchone()
        connection.execute(asked).fetchmany(4)
        connection.execute(asked).fetchall()
        list(connection.execute(asked))
        connection.execute(asked).first()
        connection.execute(asked).yield_per(2).fetchmany(3)
        list(connection.execute(asked).yield_per(3).partitions())
        connection.execute(asked)
    assert [query.rows for query in run.queries] == [1, 4, 7, 7, 1, 3, 7, None]


def test_orm_first_fetches_all_rows(engine):
    """``first()`` of an ORM result fetches every row: the count shows it."""
    with recorded() as run, Session(engine) as session:
        session.scalars(select(Book)).first()
        list(session.scalars(select(Book).execution_options(yield_per=2)))
    assert [query.rows for query in run.queries] == [7, 7]


def test_no_rows_found_is_zero(engine):
    """A select without a match has 0 rows, not an unknown number."""
    with recorded() as run, Session(engine) as session:
        session.scalars(select(Book).where(Book.id < 0)).all()
        session.get(Book, -1)
    assert [query.rows for query in run.queries] == [0, 0]


def test_equal_parameters_have_equal_keys(engine):
    """Keys of parameters tell repeats from look-ups of other rows."""
    with recorded() as run, engine.connect() as connection:
        for number in (1, 2, 1):
            connection.execute(text("SELECT :n"), {"n": number})
    keys = [query.parameters_key for query in run.queries]
    assert keys[0] == keys[2] != keys[1]
    assert all(query.parameters is None for query in run.queries)


def test_changed_parameters_are_kept_as_sent(engine):
    """Parameters that the application changes later keep the digest of what was sent."""
    given = {"n": 1}
    with recorded() as run, engine.connect() as connection:
        connection.execute(text("SELECT :n"), given)
        given["n"] = 2
        connection.execute(text("SELECT :n"), {"n": 1})
    one, two = run.queries
    assert one.parameters_key == two.parameters_key


def test_several_engines_are_told_apart(engine, make_engine, tmp_path):
    """Statements carry the database and the connection of their engine."""
    other = create_engine(f"sqlite:///{tmp_path / 'reports.db'}")
    named = make_engine(logging_name="replica")
    with recorded() as run:
        for each in (engine, other, named):
            with each.connect() as connection:
                connection.execute(text("SELECT 1"))
    other.dispose()
    assert [query.database for query in run.queries] == ["shop.db", "reports.db", "replica"]
    assert len({query.connection for query in run.queries}) == 3
    assert len({checkout.pool_number for checkout in run.trace.checkouts}) == 3


def test_memory_database_has_a_name():
    """An in-memory SQLite engine is called so, whatever its pool."""
    engine = create_engine("sqlite://")
    with recorded() as run, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()
    assert run.queries[0].database == ":memory:"


def test_engine_of_a_creator_is_recorded(tmp_path):
    """An engine whose connections a function of the user's makes is recorded as any other."""
    import sqlite3

    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(tmp_path / "own.db"))
    with recorded() as run, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()
    assert len(run.queries) == 1


def test_first_connection_looks_are_not_recorded(make_engine):
    """What SQLAlchemy asks a database before its first connection is no Query of the user's."""
    engine = make_engine()
    with recorded() as run, engine.connect():
        pass
    assert run.trace.queries == ()


def test_stage_of_a_statement(engine):
    """A statement belongs to the stage in which it was sent."""
    with recorded() as run, engine.connect() as connection:
        scope_stage = run.recorder.begin_stage("load", "named", -1)
        from queryscope.trace.scope import ACTIVE, Scope

        token = ACTIVE.set(Scope(run.recorder, scope_stage))
        connection.execute(text("SELECT 1"))
        ACTIVE.reset(token)
        connection.execute(text("SELECT 2"))
    assert [query.stage for query in run.queries] == [0, -1]


def test_override_that_calls_super_counts_once(engine):
    """A dialect whose override calls the base method gives one Query, one that does not too."""

    class Calling(type(engine.dialect)):
        supports_statement_cache = True

        def do_executemany(self, cursor, statement, parameters, context=None):
            super().do_executemany(cursor, statement, parameters, context)

    class Sending(type(engine.dialect)):
        supports_statement_cache = True

        def do_execute(self, cursor, statement, parameters, context=None):
            cursor.execute(statement, parameters)

    rows = [{"id": 100, "name": "a"}, {"id": 101, "name": "b"}]
    for dialect in (Calling, Sending):
        engine.dialect.__class__ = dialect
        engine.dispose()  # a new pool: its dialect is looked at once
        with recorded() as run, engine.connect() as connection:
            connection.execute(Tag.__table__.insert(), rows)
            connection.execute(text("SELECT 1"))
        assert [query.many for query in run.queries] == [2, 0]


def test_user_listener_sees_what_it_saw(engine):
    """A user's own cursor events keep working beside the hooks."""
    seen = []
    event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    with recorded() as run, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert seen == ["SELECT 1"]
    assert len(run.queries) == 1


def test_statement_after_the_end_is_an_orphan(engine):
    """A statement that arrives after the Trace's end is counted, not kept."""
    with recorded() as run:
        pass
    from queryscope.trace.scope import ACTIVE, Scope

    token = ACTIVE.set(Scope(run.recorder, -1))
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    ACTIVE.reset(token)
    assert run.recorder.orphans == 1
    assert (run.recorder.queries, run.recorder.checkouts) == ([], [])


def test_caps_count_what_they_drop(engine):
    """Statements over the cap are counted and do not disturb the rows of others."""
    with recorded() as run:
        run.recorder.max_values = 2 * WIDTH
        with engine.connect() as connection:
            for _ in range(5):
                connection.execute(text("SELECT 1")).all()
    assert len(run.trace.queries) == 2
    assert run.trace.dropped["queries"] == 3
    assert run.trace.statements == 5


def test_insert_batches_have_their_own_rows(engine):
    """Inserts that SQLAlchemy sends in batches are a Query each, with the batch's rows."""
    with recorded() as run, Session(engine) as session:
        rows = [{"name": f"new {n}"} for n in range(5)]
        session.execute(insert(Tag).returning(Tag.id), rows).all()
        session.execute(
            insert(Tag).returning(Tag.id).execution_options(insertmanyvalues_page_size=2), rows
        ).all()
    assert [query.rows for query in run.queries] == [5, 2, 2, 1]
    assert [query.operation for query in run.queries] == ["bulk_create"] * 4


def test_flushed_inserts_have_one_row_each(engine):
    """What a flush inserts one by one counts one by one."""
    with recorded() as run, Session(engine) as session:
        session.add_all([Tag(name=f"new {n}") for n in range(3)])
        session.flush()
    assert sum(query.rows for query in run.queries) == 3
    assert set(run.operations) == {"flush"}


def test_base_dialect_is_wrapped_once():
    """The methods that the hooks replace are the base dialect's own."""
    assert DefaultDialect.do_execute.__wrapped__.__qualname__ == "DefaultDialect.do_execute"
