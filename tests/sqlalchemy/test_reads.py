"""What is read of the rows of SQLAlchemy's statements, and what cannot be seen."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.orm import (
    Session,
    contains_eager,
    joinedload,
    load_only,
    selectinload,
    subqueryload,
)

import queryscope.sqlalchemy as adapter
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder
from tests.sqlalchemy.shop import Author, Book, Novel, Portrait

AUTHORS = select(Author).order_by(Author.id)
BOOKS = select(Book).where(Book.kind == "book").order_by(Book.id)


@pytest.fixture(autouse=True)
def tracked(hooks):
    """Track reads during the test."""
    adapter.track()


def trace_of(work, engine, *, reads=True):
    """Return the Trace of ``work``, which is given a session."""
    recorder = Recorder("block", "test", full=True, reads=reads)
    recorder.open()
    try:
        with Session(engine) as session:
            work(session)
    finally:
        recorder.close()
    return freeze(recorder)


def reads_of(work, engine):
    """Return what was read of each statement's rows, by class and path."""
    return {(read.model, read.path): read for read in trace_of(work, engine).reads}


def test_columns_that_are_read_are_noted_for_their_statement(engine):
    """Two statements of one class are kept apart; sizes are those of the values."""

    def work(session):
        [author.name for author in session.scalars(AUTHORS)]
        session.expunge_all()
        [author.id for author in session.scalars(AUTHORS)]

    first, second = trace_of(work, engine).reads
    assert (first.query, second.query) == (0, 1)
    assert first.rows == second.rows == 3
    assert first.columns == ("id", "name")
    assert first.sizes == (8, len("author 0"))
    assert first.keys == ("id",)
    assert first.read == ("name",)
    assert second.read == ("id",)
    assert first.known
    assert not first.alive


def test_rows_that_nobody_reads_are_unread(engine):
    """The ORM's own work reads past the attributes."""
    found = reads_of(lambda session: session.scalars(AUTHORS).all() and None, engine)
    assert found["Author", ""].read == ()


@pytest.mark.parametrize(
    ("load", "path"),
    [(joinedload, "author"), (selectinload, ""), (subqueryload, ""), (contains_eager, "author")],
)
def test_relation_loaded_along_is_told_apart(engine, load, path):
    """Unread unless somebody asks; then the parent's attribute and the column are."""

    def work(session, *, use):
        statement = BOOKS.options(load(Book.author))
        if load is contains_eager:
            statement = statement.join(Book.author)
        for book in session.scalars(statement).unique():
            str(book.title)
            if use:
                str(book.author.name)

    found = reads_of(lambda session: work(session, use=False), engine)
    assert found["Book", ""].read == ("title",)
    assert found["Author", path].read == ()
    found = reads_of(lambda session: work(session, use=True), engine)
    assert found["Book", ""].read == ("author", "title")
    assert found["Author", path].read == ("name",)


def test_collection_of_a_join_has_its_path(engine):
    """Each row makes a child; the parent repeats and is one instance."""

    def work(session):
        for author in session.scalars(AUTHORS.options(joinedload(Author.books))).unique():
            len(author.books)

    found = reads_of(work, engine)
    assert found["Author", ""].rows == 3
    assert found["Author", ""].read == ("books",)
    assert found["Book", "books"].rows == 6
    assert found["Novel", "books"].rows == 1
    assert found["Book", "books"].read == ()


def test_subclasses_have_records_of_their_own(engine):
    """An inherited attribute is read of the class that the row has."""
    found = reads_of(lambda session: [b.title for b in session.scalars(select(Book))], engine)
    assert found["Book", ""].read == ("title",)
    assert found["Novel", ""].read == ("title",)
    found = reads_of(lambda session: [n.pages for n in session.scalars(select(Novel))], engine)
    assert found["Novel", ""].read == ("pages",)


@pytest.mark.parametrize(
    "use",
    [
        lambda author: dict(vars(author)),
        lambda author: {**author.__dict__},
        lambda author: [value for name, value in vars(author).items() if name[0] != "_"],
        lambda author: author.__dict__["name"],
        lambda author: author.__dict__.get("name"),
        lambda author: json.dumps({k: v for k, v in vars(author).items() if k[0] != "_"}),
        lambda author: dict(inspect(author).dict),
        pickle.dumps,
        lambda author: pickle.dumps([author]),
        copy.copy,
    ],
    ids=[f"way {n}" for n in range(10)],
)
def test_values_read_past_the_attributes_are_unknown(engine, use):
    """vars(), __dict__ and pickles hand out everything: nothing is called unread."""
    found = reads_of(lambda session: [use(a) for a in session.scalars(AUTHORS)] and None, engine)
    assert not found["Author", ""].known


@pytest.mark.parametrize("place", [0, 1, -1])
def test_one_row_that_is_read_whole_is_seen(engine, place):
    """The first rows are all watched, later ones here and there."""

    def work(session):
        authors = session.scalars(AUTHORS).all()
        dict(vars(authors[place]))

    assert not reads_of(work, engine)["Author", ""].known


def test_deferred_column_and_expired_row_keep_the_first_statement_read(engine):
    """A load that gives the same instance more does not take its reading away."""

    def work(session):
        book = session.scalars(BOOKS.options(load_only(Book.title))).first()
        str(book.blurb)
        str(book.title)
        session.commit()
        str(book.kind)

    trace = trace_of(work, engine)
    first = trace.reads[0]
    assert {"blurb", "kind", "title"} <= set(first.read)
    assert "blurb" not in first.columns


def test_rows_of_the_identity_map_make_the_result_unknown(engine):
    """Their reading counts for the statement that made them."""

    def work(session):
        first = session.scalars(AUTHORS.limit(1)).one()
        everybody = session.scalars(AUTHORS).all()
        str(first.name)
        del everybody

    first, second = trace_of(work, engine).reads
    assert first.known
    assert not second.known


def test_rows_of_core_have_no_record(engine):
    """What is read of them is not seen."""

    def work(session):
        session.execute(select(Author.name)).all()
        session.execute(text("SELECT * FROM shop_author")).all()
        session.connection().execute(select(Author.__table__)).mappings().all()

    assert reads_of(work, engine) == {}


def test_instances_that_are_still_there_are_said_to_be(engine):
    """A list that outlives the block may be read later."""
    kept = []
    found = reads_of(lambda session: kept.extend(session.scalars(AUTHORS)), engine)
    assert found["Author", ""].alive


def test_nothing_is_noted_without_the_setting(engine):
    """The hooks are in, the Recorder does not ask."""
    assert trace_of(lambda session: session.scalars(AUTHORS).all(), engine, reads=False).reads == ()


def test_flush_merge_and_history_read_nothing(engine):
    """They look into the instance's state."""

    def work(session):
        author = session.scalars(AUTHORS).first()
        author.name = "new"
        session.flush()
        inspect(author).attrs.name.history  # noqa: B018 - the look-up
        session.merge(author)
        session.rollback()

    found = trace_of(work, engine).reads[0]
    assert "name" not in found.read


def test_records_beyond_the_cap_are_counted(engine, monkeypatch):
    """What is not kept is counted."""
    monkeypatch.setattr("queryscope.sqlalchemy.reads.MAX_READS", 1)

    def work(session):
        session.scalars(AUTHORS).all()
        session.scalars(select(Portrait)).all()

    trace = trace_of(work, engine)
    assert len(trace.reads) == 1
    assert trace.dropped["reads"] == 1


def test_rows_that_a_column_is_read_on_are_told(engine):
    """All rows are looked at for their number, few for their text."""

    def work(session):
        session.add_all(Book(title=f"t{n}", author_id=1) for n in range(594))
        session.flush()
        session.expunge_all()
        [book.title for book in session.scalars(BOOKS) if book.author_id != 1 or book.id < 90]

    read = reads_of(work, engine)["Book", ""]
    rows = dict(zip(read.read, read.read_rows, strict=True))
    assert rows["author_id"] == read.rows
    assert rows["id"] > 0.8 * read.rows
    assert 40 < rows["title"] < 200


def test_rows_of_two_joined_collections_are_told_apart(engine):
    """Each collection's own rows, however often they were sent."""

    def work(session):
        options = joinedload(Author.books).joinedload(Book.tags)
        for author in session.scalars(AUTHORS.options(options)).unique():
            len(author.books)

    with Session(engine) as session:
        links = [len(book.tags) for book in session.scalars(select(Book))]
    found = reads_of(work, engine)
    assert found["Author", ""].distinct == 3
    assert found["Tag", "books.tags"].rows == sum(links)
    assert found["Tag", "books.tags"].distinct <= sum(links)


def test_joined_row_of_many_is_counted_once(engine):
    """Several books of one author."""

    def work(session):
        [book.author.name for book in session.scalars(BOOKS.options(joinedload(Book.author)))]

    found = reads_of(work, engine)
    assert found["Author", "author"].distinct < found["Book", ""].rows
    assert found["Book", ""].distinct is None


@pytest.mark.parametrize("touch", [False, True])
def test_refresh_names_the_statement_before(engine, touch):
    """What is read after it is its own; what was set before is thrown away on purpose."""

    def work(session):
        book = session.get(Book, 1)
        if touch:
            book.title = "set"
        with session.no_autoflush:
            session.refresh(book)
        book.title  # noqa: B018 - read

    first, second = trace_of(work, engine).reads
    assert (first.before, second.before) == (None, 0)
    assert first.read == (("*",) if touch else ())
    assert second.read == ("title",)
