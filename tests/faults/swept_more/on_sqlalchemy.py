"""What more is done with SQLAlchemy while it is interrupted, and how to clean up after it."""

# The names say what is done.
# ruff: noqa: D103

from __future__ import annotations

import pickle

from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session, with_parent

from tests.contract_suite.on_sqlalchemy import engines, project
from tests.contract_suite.on_sqlalchemy.models import FIRST_ID, Author, Book, Tag
from tests.contract_suite.scenarios import Scenarios
from tests.faults.swept_more import anywhere

SCENARIOS = Scenarios()
scenario = SCENARIOS.add


def prepare(plan):
    """Do nothing: the engines have pools already."""


def clean():
    """Empty the pools."""
    project.close()


def _work():
    with Session(engines.sync) as session:
        assert session.get(Book, FIRST_ID)


anywhere.scenarios(scenario, _work)


@scenario()
def fetched():
    with engines.sync.connect() as connection:
        result = connection.execute(select(Book.title))
        assert len([result.fetchone(), *result.fetchmany(2), *result.fetchall()]) == 6
        assert len(list(connection.execute(select(Book.title)).partitions(4))) == 2
        plain = connection.execution_options(no_parameters=True)
        assert plain.exec_driver_sql("SELECT 1").scalar() == 1


@scenario()
def asked_as_of_old():
    with Session(engines.sync) as session:
        author = session.query(Author).filter_by(id=FIRST_ID).one()
        assert session.query(Book).filter(with_parent(author, Author.books)).count() == 2
        assert session.query(Book).filter(Book.id == FIRST_ID).exists() is not None


@scenario()
def taken_along():
    with Session(engines.sync) as session:
        book = session.get(Book, FIRST_ID)
        assert book.author.name
        text_of = pickle.dumps(book)
    with Session(engines.sync) as session:
        assert session.merge(pickle.loads(text_of), load=False).author.name
        assert vars(session.get(Book, FIRST_ID + 1)).get("title")


@scenario(writes=True)
def assigned():
    with Session(engines.sync) as session:
        author = session.get(Author, FIRST_ID)
        author.books.append(Book(id=1, title="new", year=1, summary=""))
        author.name = author.name
        author.mentor = session.get(Author, FIRST_ID + 1)
        session.flush()
        with session.begin_nested():
            author.books.remove(author.books[0])
        session.add_all([Tag(id=1, name="one"), Tag(id=2, name="two")])
        session.commit()
        session.refresh(author)
        session.delete(session.get(Tag, 1))
        session.commit()


@scenario()
def made_an_engine():
    engine = create_engine(engines.sync.url, pool_size=1)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


@scenario(writes=True, only=("mariadb",))
def in_two_phases():
    with Session(engines.sync, twophase=True) as session:
        session.execute(text("UPDATE contract_tag SET name = 'x' WHERE name = 'tag 1'"))
        session.commit()
        session.execute(text("UPDATE contract_tag SET name = 'y' WHERE name = 'tag 2'"))
        session.rollback()
