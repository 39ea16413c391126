"""Findings on real SQLAlchemy code: each loop dirty and repaired, and the traps that stay silent.

A dirty function names its finding; the comment ``# ran`` marks the line that the finding has to
name, ``# mend`` the line to edit. All of it runs in light and in full recording.
"""

# The names of the scenarios say what they are, and reading an attribute is what they do.
# ruff: noqa: B018, D103

from __future__ import annotations

from contextvars import copy_context
from threading import Thread
from typing import NamedTuple

import jinja2
import pytest
from sqlalchemy import create_engine, delete, event, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import (
    Session,
    contains_eager,
    defer,
    joinedload,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    undefer,
    with_parent,
)

from tests.detectors import on_sqlalchemy
from tests.detectors.judging import check_clean, check_found, said
from tests.detectors.on_sqlalchemy import run
from tests.detectors.scenarios import Scenarios, marked
from tests.sqlalchemy.shop import Author, Book, Letter, Note, Novel, Portrait, Tag, fill


class Dirty(NamedTuple):
    """A function and what has to be said about it."""

    function: object
    code: str
    count: int
    write: str | None = None
    confidence: str = "high"


recording = on_sqlalchemy.recording
engine = on_sqlalchemy.engine
SCENARIOS = Scenarios(Dirty)
dirty, clean = SCENARIOS.dirty, SCENARIOS.clean


# -- relations ----------------------------------------------------------------


@dirty("QS101", 3, "selectinload(Author.books)")
def collection(session):
    for author in session.scalars(select(Author)):  # mend
        author.books  # ran


@clean
def collection_repaired(session):
    for author in session.scalars(select(Author).options(selectinload(Author.books))):
        author.books


@clean
def collection_by_subquery(session):
    for author in session.scalars(select(Author).options(subqueryload(Author.books))):
        author.books


@clean
def collection_by_join(session):
    statement = select(Author).join(Author.books).options(contains_eager(Author.books))
    for author in session.scalars(statement).unique():
        author.books


@dirty("QS101", 3, "selectinload(Author.books)")
def collection_of_list(session):
    statement = select(Author).order_by(Author.id)  # mend
    authors = session.scalars(statement).all()
    return [author.books for author in authors]  # ran


@dirty("QS101", 3, "selectinload(Author.books)")
def collection_of_legacy_query(session):
    for author in session.query(Author):  # mend
        author.books  # ran


@dirty("QS101", 3, "joinedload(Book.author)")
def many_to_one(session):
    for book in session.scalars(select(Book)):  # mend
        book.author.name  # ran


@clean
def many_to_one_repaired(session):
    for book in session.scalars(select(Book).options(joinedload(Book.author))):
        book.author.name


@clean
def many_to_one_in_identity_map(session):
    authors = session.scalars(select(Author)).all()
    books = session.scalars(select(Book))
    return [book.author in authors for book in books]


@clean
def foreign_key_value(session):
    for book in session.scalars(select(Book)):
        book.author_id


@dirty("QS101", 7, "selectinload(Book.tags)")
def secondary(session):
    for book in session.scalars(select(Book)):  # mend
        book.tags  # ran


@dirty("QS101", 3, "joinedload(Author.portrait)")
def reverse_one_to_one(session):
    for author in session.scalars(select(Author)):  # mend
        author.portrait  # ran


@dirty("QS101", 3, "joinedload(Portrait.author)")
def one_to_one(session):
    for portrait in session.scalars(select(Portrait)):  # mend
        portrait.author.name  # ran


@dirty("QS101", 3, "joinedload(Portrait.author).selectinload(Author.books)")
def two_hops_with_the_first_joined(session):
    statement = select(Portrait).options(joinedload(Portrait.author))  # mend
    for portrait in session.scalars(statement):
        portrait.author.books  # ran


@dirty("QS101", 7, "selectinload(Author.books).selectinload(Book.tags)")
def second_hop_behind_select_in(session):
    statement = select(Author).options(selectinload(Author.books))  # mend
    for author in session.scalars(statement):
        for book in author.books:
            book.tags  # ran


@clean
def second_hop_repaired(session):
    books = selectinload(Author.books).selectinload(Book.tags)
    for author in session.scalars(select(Author).options(books)):
        for book in author.books:
            book.tags


@clean
def detail_page(session):
    author = session.get(Author, 1)
    return author.books, author.portrait, author.books[0].tags


@dirty("QS101", 3, "select(Book).where(Book.key.in_(keys))")
def select_with_parent(session):
    for author in session.scalars(select(Author)):  # mend
        session.scalars(select(Book).where(with_parent(author, Author.books))).all()  # ran


@dirty("QS101", 3, "select(Letter).where(Letter.key.in_(keys))")
def dynamic(session):
    for author in session.scalars(select(Author)):  # mend
        author.letters.all()  # ran


@dirty("QS101", 3, "select(Letter).where(Letter.key.in_(keys))")
def dynamic_filtered(session):
    for author in session.scalars(select(Author)):  # mend
        author.letters.filter(Letter.id > 1).all()  # ran


@dirty("QS101", 3, "select(Note).where(Note.key.in_(keys))")
def write_only(session):
    for author in session.scalars(select(Author)):  # mend
        session.scalars(author.notes.select()).all()  # ran


@dirty("QS101", 3, "selectinload(Author.books)")
def relation_in_jinja(session):
    authors = session.scalars(select(Author)).all()  # mend
    page = "{% for author in authors %}\n{{ author.books|length }}\n{% endfor %}"
    jinja2.Environment(autoescape=True).from_string(page).render(authors=authors)


@dirty("QS101", 3, "selectinload(Author.books)")
def relation_in_property(session):
    class Card:
        def __init__(self, author):
            self.author = author

        @property
        def titles(self):
            return [book.title for book in self.author.books]  # ran

    for author in session.scalars(select(Author)):  # mend
        Card(author).titles


@clean
def rows_in_chunks(session):
    statement = select(Author).options(selectinload(Author.books))
    for author in session.scalars(statement.execution_options(yield_per=2)):
        author.books


@clean
def polymorphic_load(session):
    statement = select(Book).options(selectin_polymorphic(Book, [Novel]))
    for book in session.scalars(statement):
        getattr(book, "pages", None)


# -- columns ------------------------------------------------------------------


@dirty("QS104", 7, "undefer(Book.blurb)")
def deferred_column(session):
    session.add(Book(title="plain", author_id=1))
    session.commit()
    for book in session.scalars(select(Book).where(Book.kind == "book")):  # mend
        book.blurb  # ran


@clean
def deferred_column_repaired(session):
    for book in session.scalars(select(Book).options(undefer(Book.blurb))):
        book.blurb


@clean
def deferred_column_that_is_not_read(session):
    for book in session.scalars(select(Book).options(defer(Book.title))):
        book.id


@dirty("QS104", 3, "expire_on_commit=False")
def expired_by_commit(session):
    authors = session.scalars(select(Author)).all()
    session.commit()
    for author in authors:
        author.name  # ran


@clean
def expired_by_commit_repaired(session):
    authors = session.scalars(select(Author)).all()
    authors[0].name = "changed"
    session.commit()
    session.scalars(select(Author)).all()
    for author in authors:
        author.name


@clean
def one_object_after_each_commit(session):
    author = session.get(Author, 1)
    for _ in range(4):
        session.commit()
        author.name


@dirty("QS104", 3, "selectin_polymorphic(Book, [Novel])")
def columns_of_subclass(session):
    session.add_all([Novel(title=f"n{n}", pages=n, author_id=1) for n in range(2)])
    session.commit()
    session.expunge_all()
    statement = select(Book).where(Book.kind == "novel")  # mend
    for book in session.scalars(statement):
        book.pages  # ran


# -- look-ups and aggregates --------------------------------------------------


@dirty("QS102", 3, "select(Author).where(Author.key.in_(keys))", confidence="medium")
def get_by_key(session):
    for key in (1, 2, 3):  # mend
        session.get(Author, key)  # ran


@clean
def get_from_identity_map(session):
    authors = session.scalars(select(Author)).all()
    return [session.get(Author, author.id) for author in authors]


@dirty("QS102", 3, "select(Author).where(Author.key.in_(keys))", confidence="medium")
def select_by_key(session):
    for key in (1, 2, 3):  # mend
        session.scalars(select(Author).where(Author.id == key)).one()  # ran


@dirty("QS102", 3, "select(Author).where(Author.key.in_(keys))", confidence="medium")
def legacy_query_by_key(session):
    for number in range(3):  # mend
        session.query(Author).filter(Author.name == f"author {number}").first()  # ran


@dirty("QS102", 3, "WHERE key IN (...)", confidence="medium")
def core_by_key(session):
    table = Author.__table__
    for key in (1, 2, 3):  # mend
        session.execute(select(table).where(table.c.id == key)).all()  # ran


@dirty("QS102", 3, "WHERE key IN (...)", confidence="medium")
def text_by_key(session):
    statement = text("SELECT * FROM shop_author WHERE id = :key")
    for key in (1, 2, 3):  # mend
        session.execute(statement, {"key": key}).all()  # ran


@dirty("QS102", 3, "WHERE key IN (...)", confidence="medium")
def driver_by_key(session):
    connection = session.connection()
    for key in (1, 2, 3):  # mend
        connection.exec_driver_sql("SELECT * FROM shop_author WHERE id = ?", (key,)).all()  # ran


@dirty("QS102", 3, "WHERE key IN (...)", confidence="medium")
def literal_by_key(session):
    connection = session.connection()
    for key in (1, 2, 3):  # mend
        connection.exec_driver_sql(f"SELECT * FROM shop_author WHERE id = {key}").all()  # ran


@dirty("QS102", 3, "select(Author).where(Author.key.in_(keys))", confidence="medium")
def refresh_of_each_row(session):
    authors = session.scalars(select(Author)).all()
    for author in authors:  # mend
        session.refresh(author)  # ran


@dirty("QS102", 3, "select(Author).where(Author.key.in_(keys))", confidence="medium")
def merge_of_each_row(session):
    authors = session.scalars(select(Author)).all()
    session.expunge_all()
    for author in authors:  # mend
        session.merge(author)  # ran


@dirty("QS102", 3, "select(Author).where(Author.key.in_(keys))", confidence="medium")
def session_for_each_item(session):
    for key in (1, 2, 3):  # mend
        with Session(session.get_bind()) as own:
            own.get(Author, key)  # ran


@clean
def lookup_in_chunks(session):
    for start in (1, 4):
        session.scalars(select(Book).where(Book.id.in_(range(start, start + 3)))).all()


@clean
def pages_by_offset(session):
    for start in range(0, 6, 2):
        session.scalars(select(Book).order_by(Book.id).limit(2).offset(start)).all()


@clean
def pages_by_key(session):
    last, page = 0, [None]
    while page:
        page = session.scalars(select(Book).where(Book.id > last).order_by(Book.id).limit(2)).all()
        last = page[-1].id if page else last


@dirty("QS103", 3, "GROUP BY", confidence="medium")
def count_by_key(session):
    authors = session.scalars(select(Author)).all()
    for author in authors:  # mend
        session.scalar(select(func.count()).where(Book.author_id == author.id))  # ran


@dirty("QS103", 3, "select(Letter.<key>, func.count(...)).group_by(Letter.<key>)")
def count_of_dynamic_relation(session):
    for author in session.scalars(select(Author)):  # mend
        author.letters.count()  # ran


@dirty("QS103", 3, "GROUP BY", confidence="medium")
def existence_by_key(session):
    for key in (1, 2, 3):  # mend
        session.scalar(select(select(Book).where(Book.author_id == key).exists()))  # ran


@clean
def count_repaired(session):
    counts = select(Book.author_id, func.count()).group_by(Book.author_id)
    dict(session.execute(counts).all())


@clean
def count_and_page(session):
    session.scalar(select(func.count()).select_from(Book))
    session.scalars(select(Book).order_by(Book.id).limit(2)).all()


# -- duplicates ---------------------------------------------------------------


@dirty("QS202", 3, confidence="medium")
def same_row_on_every_turn(session):
    for _ in range(3):  # mend
        session.scalars(select(Tag).where(Tag.name == "tag 1")).all()  # ran


@dirty("QS201", 2)
def same_row_on_two_lines(session):
    session.scalars(select(Tag).where(Tag.name == "tag 1")).one()
    session.scalars(select(Tag).where(Tag.name == "tag 1")).one()  # mend, ran


@dirty("QS208", 2, "session")
def same_row_in_two_sessions(session):
    session.get(Author, 1)
    with Session(session.get_bind()) as other:  # mend
        other.get(Author, 1)  # ran


@clean
def read_write_read(session):
    tag = session.scalars(select(Tag).where(Tag.name == "tag 1")).one()
    tag.name = "tag 9"
    session.flush()
    session.scalars(select(Tag).where(Tag.name == "tag 1")).all()


@clean
def polling(session):
    author = session.get(Author, 1)
    for _ in range(4):
        session.refresh(author)


@clean
def retry(session):
    for _ in range(3):
        session.scalars(select(Tag).where(Tag.name == "tag 1")).all()
        session.add(Book(title="no author", author_id=None))
        try:
            session.flush()
        except IntegrityError:
            session.rollback()


# -- writes -------------------------------------------------------------------


@dirty("QS107", 6, "session.add_all(objects)", confidence="medium")
def flush_of_each_object(session):
    for number in range(6):  # mend
        session.add(Tag(name=f"new {number}"))
        session.flush()  # ran


@dirty("QS507", 6, "session.commit()")
def commit_of_each_object(session):
    for number in range(6):  # mend
        session.add(Tag(name=f"new {number}"))
        session.commit()  # ran


@dirty("QS511", 6, "with session.no_autoflush:", confidence="medium")
def autoflush_of_each_object(session):
    for number in range(6):  # mend
        session.add(Tag(name=f"new {number}"))
        session.scalar(select(func.count()).select_from(Tag))  # ran


@dirty("QS107", 6, "session.execute(insert(Tag), rows)", confidence="medium")
def insert_of_each_row(session):
    for number in range(6):  # mend
        session.execute(insert(Tag).values(name=f"new {number}"))  # ran


@dirty("QS107", 6, "session.execute(update(Tag), rows)", confidence="medium")
def update_of_each_row(session):
    for number in range(6):  # mend
        session.execute(update(Tag).where(Tag.id == number).values(name="new"))  # ran


@dirty("QS107", 6, "delete(Tag).where(Tag.key.in_(keys))", confidence="medium")
def delete_of_each_row(session):
    for number in range(100, 106):  # mend
        session.execute(delete(Tag).where(Tag.id == number))  # ran


@dirty("QS107", 6, "executemany", confidence="medium")
def driver_insert_of_each_row(session):
    connection = session.connection()
    for number in range(6):  # mend
        connection.exec_driver_sql("INSERT INTO shop_tag (name) VALUES (?)", (f"{number}",))  # ran


@clean
def writes_in_one_flush(session):
    session.add_all([Tag(name=f"new {number}") for number in range(12)])
    for author in session.scalars(select(Author)):
        author.name += "!"
    session.flush()
    for note in session.scalars(select(Note)):
        session.delete(note)
    session.commit()


@clean
def cascade_of_one_flush(session):
    session.add_all(
        [Author(name="new", books=[Book(title=f"b{n}") for n in range(3)]) for _ in range(4)]
    )
    session.commit()


@clean
def insert_of_many_rows(session):
    for start in range(6):
        session.execute(insert(Tag), [{"name": f"{start}.{n}"} for n in range(3)])


@clean
def savepoint_around_each_row(session):
    # The driver's own way of beginning would lose the savepoints.
    for number in range(6):
        with session.begin_nested():
            session.add(Tag(name=f"new {number}"))


# -- the tests ----------------------------------------------------------------


@pytest.mark.parametrize("case", SCENARIOS.cases, ids=lambda case: case.function.__name__)
def test_dirty_code_is_found(case, engine, recording):
    """One finding: the right code, count, lines and words."""
    finding = check_found(run(case.function, engine, recording), case.code, case.count)
    assert finding.confidence == case.confidence
    assert finding.severity == "warning"
    if case.write is not None:
        assert finding.mend.write == case.write
    ran, mend = marked(case.function, "ran"), marked(case.function, "mend")
    if ran:
        assert [finding.origin.first.line] == ran
    if mend:
        assert [finding.mend.at.line] == mend


@pytest.mark.parametrize("function", SCENARIOS.innocent, ids=lambda function: function.__name__)
def test_clean_code_is_silent(function, engine, recording):
    """Repaired code and what only looks like a loop: not even an info."""
    check_clean(run(function, engine, recording))


def test_nested_loops_are_one_tree(engine, recording):
    """Two findings, one a relation: the inner one names the product and the whole path."""

    def nested(session):
        for author in session.scalars(select(Author)):
            for book in author.books:
                book.tags

    found = said(run(nested, engine, recording), "QS101")
    outer, inner = sorted(found, key=lambda finding: finding.count)
    assert (outer.count, inner.count) == (3, 7)
    assert "inside Author.books (3 x 2.3)" in inner.message
    assert inner.mend.write == "selectinload(Author.books).selectinload(Book.tags)"
    assert outer.mend.write == "selectinload(Author.books)"
    assert outer.evidence["around"] == "Book.tags, 7 statements"


def test_row_and_its_relation_for_each_key_are_two_findings(engine, recording):
    """A session an item: the look-up is one loop, the relation of what it found another."""

    def each(session):
        for key in (1, 2, 3):
            with Session(session.get_bind()) as own:
                own.get(Author, key).books

    found = {finding.code: finding for finding in said(run(each, engine, recording))}
    assert found.keys() == {"QS101", "QS102"}
    assert "inside get Author (3 x 1)" in found["QS101"].message


def test_select_in_for_each_row_is_found(engine, recording):
    """A batch of one row, run once a row, is no batch."""

    def each(session):
        for key in (1, 2, 3):
            by_key = select(Author).where(Author.id == key)
            session.scalars(by_key.options(selectinload(Author.books))).one()

    found = {finding.code: finding for finding in said(run(each, engine, recording))}
    assert found.keys() == {"QS101", "QS102"}
    assert "batches of one row" in found["QS101"].message


def test_relation_loaded_in_threads_is_found(engine, recording):
    """Each thread's chain is its own function; the parents tell the loop."""

    def threads(session):
        def books_of(key):
            with Session(engine) as own:
                own.get(Author, key).books

        for key in (1, 2, 3):
            thread = Thread(target=copy_context().run, args=(books_of, key))
            thread.start()
            thread.join()

    found = said(run(threads, engine, recording), "QS101")
    assert [finding.count for finding in found] == [3]


def test_second_engine_is_judged_by_itself(engine, recording, tmp_path):
    """Two loads in each of two databases are two loops of two."""
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    fill(other)

    def both(session):
        for author in session.scalars(select(Author)):
            author.books
        with Session(other) as second:
            for author in second.scalars(select(Author)):
                author.books

    found = said(run(both, engine, recording), "QS101")
    other.dispose()
    assert [finding.count for finding in found] == [3, 3]


def test_foreign_connection_events_do_not_hide_the_loop(engine, recording):
    """A user's own listener on the engine changes nothing."""
    seen = []
    event.listen(engine, "before_cursor_execute", lambda *facts: seen.append(facts))
    check_found(run(collection, engine, recording), "QS101", 3)
    assert seen
