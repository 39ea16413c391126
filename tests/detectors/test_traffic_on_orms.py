"""QS209, QS303 and QS314 on what Django and SQLAlchemy really send, as the store gives it back."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from django.core.paginator import Paginator
from sqlalchemy import ForeignKey, create_engine, insert, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    selectinload,
)

import queryscope.sqlalchemy as adapter
from queryscope.django import hooks
from queryscope.trace import codec
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder
from queryscope.trace.scope import ACTIVE
from queryscope.trace.values import without_values
from tests import services
from tests.detectors.judging import found_over
from tests.django.library.models import Book, Genre, Publisher, Review

CODES = ("QS209", "QS303", "QS314")
GROWING = (100, 220, 260, 300)
"""Rows that each request adds: more than a tenth, and over 200 in all."""
TIMES = 10
MANY = 260
"""Keys of the longest list here; the threshold is set below it."""


def traffic(run, grow, recording, times):
    """Return the Traces of a request that was made again and again, as they come out of a store."""
    found = []
    for number in range(times):
        grow(number)
        recorder = Recorder("request", "GET /r/<int:n>", full=recording == "full")
        recorder.attributes.update(method="GET", route="r/<int:n>", path=f"/r/{number}")
        recorder.open()
        try:
            run()
        finally:
            recorder.close()
        trace = without_values(freeze(recorder, key=b"tests"))
        stored = codec.decode(codec.encode(trace))
        found.append(replace(stored, started_at_ns=number))
    return found


def said(traces):
    """Return the codes said about the traffic."""
    return [
        code
        for code in CODES
        for _ in found_over(traces, code, in_list_max_keys=MANY, unbounded_result_min_rows=200)
    ]


# -- Django --------------------------------------------------------------------------------


@pytest.fixture(params=["light", "full"])
def recording(request):
    """Both recordings, with the hooks of both ORMs put in for the test."""
    token = ACTIVE.set(None)
    hooks.install(full=request.param == "full")
    adapter.install()
    yield request.param
    adapter.uninstall()
    hooks.uninstall()
    ACTIVE.reset(token)


def add_books(number):
    """Add books, reviews and publishers."""
    publisher = Publisher.objects.create(name=f"p{number}")
    more = GROWING[number] if number < len(GROWING) else 30
    books = Book.objects.bulk_create(Book(title="b", publisher=publisher) for _ in range(more))
    Review.objects.bulk_create(Review(book=book, text="r", stars=1) for book in books[:3])


def all_books():
    """Read the table whole."""
    return list(Book.objects.all())


def some_pages():
    """Count, read a page, one book's row, and in batches what belongs to it."""
    page = Paginator(Book.objects.order_by("pk"), 25).page(1)
    books = list(Book.objects.filter(pk__in=[book.pk for book in page]))
    return len(books), list(Book.objects.prefetch_related("genres")[:500])


def by_keys():
    """Ask for reviews by the keys of books."""
    keys = [book.pk for book in Book.objects.order_by("pk")[:MANY]]
    return list(Review.objects.filter(book_id__in=keys))


def in_chunks():
    """Ask for reviews by the keys of books, a hundred at a time."""
    keys = list(Book.objects.order_by("pk").values_list("pk", flat=True)[:MANY])
    keys = [*keys, *range(-MANY, 0)]
    return [
        list(Review.objects.filter(book_id__in=keys[start : start + MANY]))
        for start in range(0, 2 * MANY, MANY)
    ]


def by_subquery():
    """Let the database have the keys."""
    return list(Review.objects.filter(book__in=Book.objects.all())[:50])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("run", "code"),
    [
        (all_books, "QS303"),
        (by_keys, "QS314"),
        (some_pages, ""),
        (in_chunks, ""),
        (by_subquery, ""),
    ],
)
def test_growth_of_results_and_lists_on_django(recording, run, code):
    """A table read whole and a list of its keys are found; pages, batches and chunks are not."""
    assert said(traffic(run, add_books, recording, len(GROWING))) == [code] * bool(code)


@pytest.mark.django_db
def test_table_read_by_every_request_is_found_on_django(recording):
    """Genres are read by every request, and no request writes them."""
    Genre.objects.bulk_create(Genre(name=f"g{number}") for number in range(4))

    def run():
        return list(Genre.objects.all()), Book.objects.count()

    (finding,) = found_over(traffic(run, add_books, recording, TIMES), "QS209")
    assert finding.message.startswith("Genre is read with the same parameters and 4 rows by 10 ")
    assert finding.origin.first.function.endswith("run")


# -- SQLAlchemy, on each database ----------------------------------------------------------


class Base(DeclarativeBase):
    """Where the tables belong; their names are of this process alone."""


class Shelf(Base):
    """Has slots."""

    __tablename__ = f"traffic_shelf_{os.getpid()}"
    id: Mapped[int] = mapped_column(primary_key=True)
    slots: Mapped[list[Slot]] = relationship()


class Slot(Base):
    """Belongs to a shelf."""

    __tablename__ = f"traffic_slot_{os.getpid()}"
    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey(Shelf.id))


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def engine(request, tmp_path):
    """An engine of each database, with empty tables."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'it.sqlite3'}"
    elif request.param == "postgresql":
        url = services.postgresql_url().replace("postgresql://", "postgresql+psycopg://")
    else:
        url = services.mariadb_url().replace("mysql://", "mysql+pymysql://")
    made = create_engine(url)
    Base.metadata.create_all(made)
    yield made
    Base.metadata.drop_all(made)
    made.dispose()


def whole(session):
    """Read the table whole."""
    return session.scalars(select(Shelf)).all()


def a_page(session):
    """Read a page, with its slots in a batch."""
    query = select(Shelf).order_by(Shelf.id).limit(250).options(selectinload(Shelf.slots))
    return session.scalars(query).all()


def listed(session):
    """Ask for slots by the keys of shelves."""
    keys = session.scalars(select(Shelf.id).order_by(Shelf.id).limit(MANY)).all()
    return session.scalars(select(Slot).where(Slot.shelf_id.in_(keys))).all()


def joined(session):
    """Ask by a join, and read a page of it."""
    return session.scalars(select(Slot).join(Shelf, Slot.shelf_id == Shelf.id).limit(50)).all()


@pytest.mark.parametrize(
    ("run", "code"), [(whole, "QS303"), (listed, "QS314"), (a_page, ""), (joined, "")]
)
def test_growth_of_results_and_lists_on_sqlalchemy(recording, engine, run, code):
    """A table read whole and a list of its keys are found; pages, batches and joins are not."""

    def grow(number):
        first = sum(GROWING[:number])
        keys = range(first + 1, first + 1 + GROWING[number])
        with Session(engine) as session, session.begin():
            session.execute(insert(Shelf), [{"id": key} for key in keys])

    def request():
        with Session(engine) as session:
            run(session)

    assert said(traffic(request, grow, recording, len(GROWING))) == [code] * bool(code)
