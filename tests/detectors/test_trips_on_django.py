"""Blocks, selects before writes, chains and rendering on real Django code, beside what is innocent.

The comment ``# mend`` marks the line to edit. All of it runs in light and in full recording.
"""

# The names of the scenarios say what they are, and reading an attribute is what they do.
# ruff: noqa: D102, D103

from __future__ import annotations

import pytest
from django.db import transaction
from django.db.models import F

from tests.detectors import on_django
from tests.detectors.judging import said
from tests.detectors.on_django import render, run
from tests.detectors.scenarios import Scenarios, marked
from tests.django.library.models import Author, Book, Genre, Publisher, Review

pytestmark = pytest.mark.django_db

CODES = ("QS106", "QS108", "QS109", "QS110", "QS111", "QS316")


def keys():
    return list(range(1, 7))


recording = on_django.recording
SCENARIOS = Scenarios(lambda function, code, severity=None: (function, code, severity))
dirty, clean = SCENARIOS.dirty, SCENARIOS.clean


# -- QS106 --------------------------------------------------------------------------------------


def described(title):
    book = Book.objects.get(title=title)
    review = Review.objects.filter(text=title).first()
    return book.title, review


@dirty("QS106", "critical")
def block_in_a_helper():
    titles = [f"book {n}" for n in range(6)]
    for title in titles:  # mend
        described(title)


@clean
def block_in_a_helper_repaired():
    titles = [f"book {n}" for n in range(6)]
    Book.objects.in_bulk([1, 2])
    list(Review.objects.filter(text__in=titles))


@clean
def block_once():
    described("book 0")


@clean
def pages_with_their_children():
    last = 0
    while page := list(
        Book.objects.filter(pk__gt=last).prefetch_related("genres").order_by("pk")[:2]
    ):
        last = page[-1].pk


# -- QS108 --------------------------------------------------------------------------------------


@dirty("QS108", "critical")
def exists_then_create():
    for name in ("a", "b", "c", "d", "e"):  # mend
        if not Genre.objects.filter(name=name).exists():
            Genre.objects.create(name=name)


@clean
def exists_then_create_repaired():
    names = {"a", "b", "c", "d", "e"}
    names -= set(Genre.objects.filter(name__in=names).values_list("name", flat=True))
    Genre.objects.bulk_create([Genre(name=name) for name in sorted(names)])


@dirty("QS108", "critical")
def get_or_create_in_loop():
    for n in range(6):  # mend
        Genre.objects.get_or_create(name=f"new {n}")


@clean
def get_or_create_of_what_is_there():
    for name in list(Genre.objects.values_list("name", flat=True)):
        Genre.objects.get_or_create(name=name)


@clean
def one_get_or_create():
    Genre.objects.get_or_create(name="new")


@dirty("QS108", "critical")
def get_then_save():
    for title in [f"book {n}" for n in range(6)]:  # mend
        book = Book.objects.get(title=title)
        book.title = "new " + title
        book.save()


@dirty("QS108", "critical")
def get_then_delete():
    for title in [f"book {n}" for n in range(6)]:  # mend
        Review.objects.filter(book__title=title).first().delete()


@clean
def edited_form():
    book = Book.objects.get(title="book 0")
    book.title = "a new title"
    book.save()


@clean
def select_of_one_table_and_write_to_another():
    for title in [f"book {n}" for n in range(4)]:
        Author.objects.create(name=str(Book.objects.get(title=title)))


@clean
def savepoint_around_each_row():
    for title in [f"book {n}" for n in range(6)]:
        with transaction.atomic():
            book = Book.objects.get(title=title)
            book.title = "new " + title
            book.save()


@clean
def next_free_name():
    n = 0
    while Genre.objects.filter(name=f"genre {n}").exists():
        n += 1
    Genre.objects.create(name=f"genre {n}")


@dirty("QS108", "info")
def read_modify_write_of_one_row():
    review = Review.objects.first()
    review.stars += 1
    review.save()  # mend


@dirty("QS108", "info")
def read_modify_write_by_assignment():
    review = Review.objects.first()
    review.stars = review.stars + 1
    review.save(update_fields=["stars"])  # mend


@clean
def read_modify_write_repaired():
    review = Review.objects.first()
    Review.objects.filter(pk=review.pk).update(stars=F("stars") + 1)


@clean
def read_modify_write_by_expression():
    review = Review.objects.first()
    review.stars = F("stars") + 1
    review.save()


@clean
def read_modify_write_locked():
    with transaction.atomic():
        review = Review.objects.select_for_update().first()
        review.stars += 1
        review.save()


@clean
def other_object_is_stepped():
    counter = Publisher(name="x")
    counter.seen = 0
    counter.seen += 1
    review = Review.objects.first()
    review.stars = 3
    review.save()


# -- QS316 --------------------------------------------------------------------------------------


class Shown:
    """What a template is given, with a property that asks."""

    def __init__(self, book):
        self.book = book

    @property
    def reviews(self):
        return Review.objects.filter(book=self.book).first()

    def __str__(self):
        return self.book.publisher.name


@dirty("QS316", "info")
def property_that_asks():
    render("{{ shown.reviews }}", shown=Shown(Book.objects.first()))


@dirty("QS316", "info")
def text_that_loads():
    str(Shown(Book.objects.first()))


@clean
def text_of_columns():
    str(Book.objects.first())


@clean
def queryset_evaluated_by_the_template():
    books = Book.objects.select_related("publisher")
    render("{% for b in books %}{{ b.publisher.name }}{% endfor %}{{ books.count }}", books=books)


@clean
def page_of_one_object():
    render("{{ book.publisher.name }} {{ book.editor.name }}", book=Book.objects.first())


# -- QS109 --------------------------------------------------------------------------------------


@dirty("QS109", "info")
def keys_into_the_next():
    keys = list(Publisher.objects.filter(name__contains="p").values_list("pk", flat=True))  # mend
    return list(Book.objects.filter(publisher_id__in=keys))


@dirty("QS109", "info")
def three_in_a_chain():
    keys = list(Publisher.objects.filter(name__contains="p").values_list("pk", flat=True))  # mend
    books = list(Book.objects.filter(publisher_id__in=keys).values_list("pk", flat=True))
    return sorted(review.stars for review in Review.objects.filter(book_id__in=books))


@clean
def keys_in_a_subquery():
    keys = Publisher.objects.filter(name__contains="p").values_list("pk", flat=True)
    return list(Book.objects.filter(publisher_id__in=keys))


@clean
def keys_that_are_returned_too():
    keys = list(Publisher.objects.filter(name__contains="p").values_list("pk", flat=True))
    return keys, list(Book.objects.filter(publisher_id__in=keys))


@clean
def objects_whose_keys_are_sent():
    publishers = list(Publisher.objects.all())
    books = list(Book.objects.filter(publisher_id__in=[p.pk for p in publishers]))
    return [p.name for p in publishers], books


@clean
def prefetched():
    return [list(p.books.all()) for p in Publisher.objects.prefetch_related("books")]


# -- the tests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", SCENARIOS.cases, ids=lambda case: case[0].__name__)
def test_dirty_code_is_found(case, recording):
    """The code alone, the severity, and the line to mend."""
    function, code, severity = case
    findings = said(run(function, recording), *CODES)
    assert [finding.code for finding in findings] == [code], [f.message for f in findings]
    assert severity in (None, findings[0].severity)
    if marked(function):
        assert findings[0].mend.at.line in marked(function)


@pytest.mark.parametrize("function", SCENARIOS.innocent, ids=lambda function: function.__name__)
def test_innocent_code_is_clean(function, recording):
    """Not even an info."""
    found = said(run(function, recording), *CODES)
    assert [f"{finding.code}: {finding.message}" for finding in found] == []
