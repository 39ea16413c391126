"""How statements of real SQLAlchemy code are written: dirty, repaired, and what only looks alike.

A dirty function names its finding; the comment ``# mend`` marks the line that it has to name. All
of it runs in light and in full recording, and on each database that answers.
"""

# The names of the scenarios say what they are, and reading an attribute is what they do.
# ruff: noqa: D103

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from sqlalchemy import create_engine, exists, false, func, select, text, update
from sqlalchemy.orm import Session, joinedload, selectinload

from tests.detectors import on_sqlalchemy
from tests.detectors.judging import said
from tests.detectors.on_sqlalchemy import run
from tests.detectors.scenarios import Scenarios, marked
from tests.services import mariadb_url, postgresql_url
from tests.sqlalchemy.shop import Author, Book, Novel, Tag, fill

OURS = (
    "QS203", "QS204", "QS207", "QS208", "QS304", "QS307", "QS308", "QS309", "QS311", "QS313",
    "QS315",
)  # fmt: skip
LOW = {"QS304": {"large_result_min_rows": 6}, "QS308": {"deep_offset_min_rows": 4}}
"""Thresholds that seven books reach."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def engine(request, tmp_path_factory):
    """An engine with the shop, in a schema or file of its own: 3 authors, 7 books."""
    name = f"statements_{os.getpid()}"
    if request.param == "sqlite":
        made = create_engine(f"sqlite:///{tmp_path_factory.mktemp('shop') / 'shop.db'}")
        fill(made)
        yield made
        made.dispose()
        return
    if request.param == "postgresql":
        url = postgresql_url().replace("postgresql:", "postgresql+psycopg:")
    else:
        url = mariadb_url().replace("mysql:", "mysql+pymysql:")
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    made = create_engine(server.url.set(database=name))
    try:
        fill(made)
        yield made
    finally:
        made.dispose()
        with server.connect() as connection, suppress(Exception):
            connection.execute(text(f"DROP DATABASE {name}"))
        server.dispose()


recording = on_sqlalchemy.recording
SCENARIOS = Scenarios(lambda function, *codes: (function, codes))
dirty, clean = SCENARIOS.dirty, SCENARIOS.clean


def some():
    """Return a select of some of the books."""
    return select(Book).where(Book.title > "a")


# -- sets -----------------------------------------------------------------------------------------


@dirty("QS207")
def count_then_rows(session):
    total = session.scalar(select(func.count()).select_from(Book).where(Book.title > "a"))  # mend
    return total, session.scalars(some().order_by(Book.title)).all()


@dirty("QS207")
def legacy_count_then_rows(session):
    books = session.query(Book).filter(Book.title > "a")
    return books.count(), books.all()  # mend


@dirty("QS207")
def exists_then_rows_with_join(session):
    if session.scalar(select(exists().where(Book.title > "a"))):  # mend
        return session.scalars(some().options(joinedload(Book.author))).all()
    return []


@dirty("QS204")
def exists_after_rows(session):
    books = session.scalars(some()).all()
    return books, session.query(some().exists()).scalar()  # mend


@dirty("QS204")
def empty_list(session):
    return session.scalars(select(Book).where(Book.id.in_([]))).all()  # mend


@dirty("QS204")
def never(session):
    return session.scalars(some().where(false())).all()  # mend


@dirty("QS204")
def limit_of_zero(session):
    return session.scalars(some().order_by(Book.id).limit(0)).all()  # mend


@dirty("QS203")
def other_order(session):
    books = session.scalars(some().order_by(Book.title)).all()
    return books, session.scalars(some().order_by(Book.title.desc())).all()  # mend


@dirty("QS203")
def other_columns(session):
    books = session.scalars(some()).all()
    return books, session.execute(select(Book.title).where(Book.title > "a")).all()  # mend


@dirty("QS203")
def first_of_rows(session):
    books = session.scalars(some()).all()
    newest = some().order_by(Book.id.desc()).limit(1)
    return books, session.scalars(newest).first()  # mend


@dirty("QS208")
def row_in_second_session(session):
    author = session.get(Author, 1)
    with Session(session.get_bind()) as other:  # mend
        return author, other.scalars(select(Author).where(Author.id == 1)).one()


@clean
def rows_once(session):
    books = session.scalars(some().order_by(Book.title)).all()
    return len(books), bool(books), books[0], sorted(books, key=lambda book: book.id)


@clean
def exists_alone(session):
    return session.scalar(select(exists().where(Book.title > "a")))


@clean
def count_plus_page(session):
    total = session.scalar(select(func.count()).select_from(Book).where(Book.title > "a"))
    return total, session.scalars(some().order_by(Book.id).limit(2).offset(2)).all()


@clean
def pages_of_one_set(session):
    page = some().order_by(Book.id).limit(2)
    return [session.scalars(page.offset(n)).all() for n in (0, 2)], session.scalars(page).first()


@clean
def read_write_read(session):
    before = session.scalars(some().order_by(Book.title)).all()
    session.execute(update(Book).values(title="changed"))
    return before, session.scalars(some().order_by(Book.id)).all()


@clean
def other_values(session):
    return [
        session.scalars(some().where(Book.author_id == key).order_by(order)).all()
        for key, order in ((1, Book.id), (2, Book.title))
    ]


@clean
def identity_map(session):
    return session.get(Author, 1), session.get(Author, 1), session.get(Author, 2)


@clean
def refreshed_row(session):
    author = session.get(Author, 1)
    session.refresh(author)
    return author


@clean
def select_in_and_rows(session):
    authors = session.scalars(select(Author).options(selectinload(Author.books))).all()
    return [author.books for author in authors]


@clean
def rows_that_were_there_in_a_second_session(session):
    session.get(Author, 1)
    with Session(session.get_bind()) as other:
        other.get(Author, 2)


@clean
def nothing_in_a_list(session):
    return session.scalars(select(Book).where(Book.id.not_in([])).order_by(Book.id)).all()


# -- one statement --------------------------------------------------------------------------------


@dirty("QS304")
def all_rows(session):
    return session.scalars(select(Book)).all()  # mend


@dirty("QS307")
def sliced_list(session):
    return session.scalars(some()).all()[1:3]  # mend


@dirty("QS308")
def page_far_behind(session):
    return session.scalars(some().order_by(Book.id).limit(2).offset(4)).all()  # mend


@dirty("QS309")
def page_in_no_order(session):
    return session.scalars(some().limit(3)).all()  # mend


@dirty("QS309")
def page_in_no_order_with_joined_collection(session):
    page = select(Author).options(joinedload(Author.books)).limit(2)  # mend
    return session.scalars(page).unique().all()


@clean
def page_in_order(session):
    return session.scalars(some().order_by(Book.title, Book.id).limit(3)).all()


@clean
def page_in_order_with_joined_collection(session):
    page = select(Author).options(joinedload(Author.books)).order_by(Author.id).limit(2)
    return session.scalars(page).unique().all()


@clean
def one_row(session):
    book = session.query(Book).filter(Book.title > "a").first()
    return book, session.scalars(some().limit(1)).first(), session.get(Author, 1)


@clean
def joined_inheritance(session):
    return session.scalars(select(Novel)).all()


@dirty("QS313")
def values_in_the_text(session):
    for key in (1, 2, 3):
        session.execute(text(f"SELECT title FROM shop_book WHERE id = {key}"))  # mend


@clean
def values_as_parameters(session):
    for key in (1, 2, 3):
        session.execute(text("SELECT title FROM shop_book WHERE id = :key"), {"key": key})
        session.scalars(select(Book).where(Book.id.in_(range(key))).order_by(Book.id)).all()
        session.scalars(select(Tag).order_by(Tag.id).limit(key)).all()


@dirty("QS315")
def count_for_existence(session):
    return "some" if session.query(Book).count() > 0 else "none"  # mend


@dirty("QS315")
def rows_for_a_number(session):
    return len(session.scalars(some()).all())  # mend


@dirty("QS315")
def rows_for_one_field(session):
    return [book.title for book in session.scalars(some())]  # mend


@clean
def rows_that_fill_the_identity_map(session):
    authors = session.scalars(select(Author)).all()
    return [book.author.name for book in session.scalars(some())], len(authors)


@clean
def right_questions(session):
    total = session.scalar(select(func.count()).select_from(Book))
    return total, [title.upper() for title in session.scalars(select(Author.name))]


# -- the tests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "codes"), SCENARIOS.cases, ids=lambda item: getattr(item, "__name__", "")
)
def test_dirty_code_is_found(function, codes, engine, recording):
    """The right codes, and the line to mend."""
    found = said(run(function, engine, recording), *OURS, **LOW.get(codes[0], {}))
    assert [finding.code for finding in found] == list(codes), [item.message for item in found]
    assert [found[0].mend.at.line] == marked(function)


@pytest.mark.parametrize("function", SCENARIOS.innocent, ids=lambda function: function.__name__)
def test_clean_code_is_silent(function, engine, recording):
    """Repaired code and what only looks alike: not even an info."""
    found = said(run(function, engine, recording), *OURS)
    assert [f"{finding.code}: {finding.message}" for finding in found] == []
