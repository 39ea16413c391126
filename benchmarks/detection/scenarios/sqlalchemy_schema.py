"""SQLAlchemy: statements that the keys of the schema or a plan have to judge (QS3 and QS4)."""

from __future__ import annotations

from sqlalchemy import func, select

from benchmarks.detection.scenario import dirty, innocent, repaired
from benchmarks.detection.sqlalchemy_shelf.data import Session
from benchmarks.detection.sqlalchemy_shelf.models import (
    Author,
    Book,
    Loan,
    Reading,
    Review,
    Shelfmark,
)

# -- QS310 -------------------------------------------------------------------------------------


@dirty("QS310", table="book")
def rows_ordered_to_be_counted():
    with Session() as session:
        books = select(Book.id).where(Book.price > 1).order_by(Book.title).subquery()
        return session.scalar(select(func.count()).select_from(books))  # mend


@repaired(rows_ordered_to_be_counted)
def rows_counted():
    with Session() as session:
        return session.scalar(select(func.count(Book.id)).where(Book.price > 1))


@innocent("QS310")
def first_rows_counted():
    with Session() as session:
        books = select(Book.price).order_by(Book.title, Book.id).limit(2).subquery()
        return session.scalar(select(func.sum(books.c.price)).select_from(books))


@innocent("QS310")
def distinct_authors_of_reviews():
    with Session() as session:
        authors = select(Author.id).join(Book, Book.author_id == Author.id).join(Review)
        return sorted(session.scalars(authors.distinct()).all())


# -- QS317 -------------------------------------------------------------------------------------


@dirty("QS317", table="reading", at_least=6, also=("QS401",))
def subquery_for_each_author():
    count = (
        select(func.count(Reading.id))
        .where(Reading.taken == Author.id)
        .correlate(Author)
        .scalar_subquery()
    )
    with Session() as session:
        rows = session.execute(select(Author.id, count).order_by(Author.id)).all()  # mend
        return [tuple(row) for row in rows]


@repaired(subquery_for_each_author)
def grouped_once_and_joined():
    counts = (
        select(Reading.taken, func.count(Reading.id).label("n")).group_by(Reading.taken).subquery()
    )
    authors = select(Author.id, func.coalesce(counts.c.n, 0)).outerjoin(
        counts, counts.c.taken == Author.id
    )
    with Session() as session:
        return [tuple(row) for row in session.execute(authors.order_by(Author.id)).all()]


@innocent("QS317")
def books_counted_for_each_author():
    """A small table: there is nothing to save."""
    count = select(func.count(Book.id)).where(Book.author_id == Author.id).scalar_subquery()
    with Session() as session:
        rows = session.execute(select(Author.id, count).order_by(Author.id)).all()
        return [tuple(row) for row in rows]


@innocent("QS317")
def list_that_the_database_joins():
    taken = select(Reading.taken).where(Reading.value > 90)
    with Session() as session:
        return session.scalar(select(func.count(Author.id)).where(Author.id.in_(taken)))


# -- QS403, QS405 ------------------------------------------------------------------------------


@dirty("QS403", table="shelfmark")
def index_that_another_has_as_its_prefix():
    with Session() as session:
        return session.scalars(select(Shelfmark.place).where(Shelfmark.room == "a")).all()


@repaired(index_that_another_has_as_its_prefix)
def table_with_the_indexes_it_needs():
    with Session() as session:
        return session.scalars(select(Review.stars).where(Review.book_id == 0)).all()


@innocent("QS403")
def index_of_a_filter():
    with Session() as session:
        return session.scalar(select(func.count(Reading.id)).where(Reading.sensor == 7))


@innocent("QS403")
def index_for_uniqueness():
    with Session() as session:
        return session.scalars(select(Book.title).where(Book.isbn == "isbn-1")).one()


@dirty("QS405", table="loan")
def key_without_a_constraint():
    with Session() as session:
        return session.scalars(select(Loan.day).where(Loan.book_id == 1)).all()


@repaired(key_without_a_constraint)
def key_with_a_constraint():
    with Session() as session:
        return session.scalars(select(Shelfmark.place).where(Shelfmark.book_id == 1)).all()


@innocent("QS405")
def unique_in_both():
    with Session() as session:
        return session.scalars(select(Book).where(Book.isbn == "isbn-1")).one().title


@innocent("QS405")
def nullable_in_both():
    with Session() as session:
        return session.scalar(select(func.count(Book.id)).where(Book.editor_id.is_(None)))
