"""``query_growth`` on Django: views, templates, prefetches, pages, and a batch's limits."""

from __future__ import annotations

import re

import pytest
from django.core.paginator import Paginator
from django.db.models import Count

from queryscope.pytest_plugin import growth
from tests.django.conftest import make_books
from tests.django.library.models import Book, Genre, Publisher


@pytest.fixture
def grown(budget, tmp_path, db):
    """Measure work on 2, 4 and 8 books; return the growth and the text of the failure."""

    def measured(run, make=make_books, law="1", sizes=(2, 4, 8)):
        found = growth.Measured(budget, sizes, law, with_make=make is not None)
        growth.measure(found, run, make)
        return found.verdict(tmp_path)

    return measured


def titles():
    """Read books alone."""
    return [book.title for book in Book.objects.all()]


def joined():
    """Read books with their publishers by a join."""
    return [book.publisher.name for book in Book.objects.select_related("publisher")]


def prefetched():
    """Read books with their genres in batches."""
    books = Book.objects.prefetch_related("genres", "tags")
    return [(len(book.genres.all()), len(book.tags.all())) for book in books]


def annotated():
    """Count in the statement."""
    return [book.number for book in Book.objects.annotate(number=Count("genres"))]


def by_key():
    """Read keys that are in the row."""
    return [book.publisher_id for book in Book.objects.all()]


def a_page():
    """Count, and read one page."""
    return list(Paginator(Book.objects.order_by("pk"), 3).page(1))


def constant_slots():
    """Ask the same for each of five genres' names, whatever the data."""
    return [Genre.objects.filter(name=f"g{n}").count() for n in range(5)]


@pytest.mark.parametrize(
    "run", [titles, joined, prefetched, annotated, by_key, a_page, constant_slots]
)
def test_work_without_growth_passes(grown, run):
    """Joins, batches, annotations, pages and loops of constant length stay level."""
    found, text = grown(run)
    assert (text, found.law) == ("", "1")
    assert found.at(10_000) == found.statements[-1]


@pytest.mark.parametrize("path", ["/books/", "/page/"])
def test_view_with_a_loop_fails(grown, client, path):
    """The view's loop, in Python or in a template, is named with what to write."""
    found, text = grown(lambda: client.get(path))
    assert found.statements == (3, 5, 9)
    assert found.at(10_000) == 10_001
    assert text.startswith("3, 5, 9 statements for 2, 4, 8 rows: O(n), asserted O(1); 10,001 for")
    assert re.search(r'QS101 n-plus-one: try: \.select_related\("publisher"\)  at ', text)


def test_genres_of_books_of_publishers_are_a_product(grown):
    """Two books a publisher: genres are asked for once for each of n x m books."""

    def make(more):
        for _ in range(more):
            publisher = Publisher.objects.create(name="p")
            for _ in range(2):
                Book.objects.create(title="b", publisher=publisher).genres.set(
                    [Genre.objects.create(name="g")]
                )

    def run():
        for publisher in Publisher.objects.all():
            for book in publisher.books.all():
                list(book.genres.all())

    found, text = grown(run, make=make, law="n")
    assert found.statements == (7, 13, 25)
    assert found.law == "n*m"
    assert "4, 8, 16 (2 rows of library.Publisher.books for each parent)" in text
    assert found.at(10_000) == 30_001


def test_loop_on_a_page_ends_with_the_page(grown):
    """A page of 50 rows grows within the page: the foretold number stops there."""

    def run():
        return [book.publisher.name for book in Book.objects.order_by("pk")[:50]]

    found, text = grown(run)
    assert "O(n)" in text
    assert "as far as LIMIT 50 lets it" in text
    assert found.at(10_000) == 51


def test_writes_one_by_one_grow(grown):
    """A loop that saves each row is named, though it reads nothing row by row."""

    def run():
        for book in Book.objects.all():
            book.save()

    found, text = grown(run)
    assert found.at(10_000) == 10_001
    assert "2, 4, 8; 10,000 for 10,000 rows" in text
    assert "UPDATE library_book" in text
