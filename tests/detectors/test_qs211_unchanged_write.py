"""QS211: rows written back as they were, on Traces and on real Django code."""

# The names of the scenarios say what they are.
# ruff: noqa: D103

from __future__ import annotations

import pytest
from django.db.models import F

from queryscope.django import hooks
from queryscope.trace import guard
from tests.builders import a_query, a_trace
from tests.detectors.judging import said
from tests.django.conftest import make_books
from tests.django.library.models import Author, Book, Publisher, Review
from tests.django.recorded import recorded

LOAD = a_query("SELECT * FROM author", rows=9)
UPDATE = a_query("UPDATE author SET name = 'x' WHERE id = 1", rows=1)


@pytest.mark.parametrize(
    "trace",
    [
        a_trace(LOAD, UPDATE, UPDATE, UPDATE),
        a_trace(LOAD, UPDATE, UPDATE, unchanged=((1, 0), (2, 0))),
        a_trace(LOAD, *[UPDATE._replace(error="X: y")] * 3, unchanged=((1, 0), (2, 0), (3, 0))),
        a_trace(
            LOAD,
            a_query("UPDATE author SET name = 'y'", origin=99),
            UPDATE,
            UPDATE,
            UPDATE,
            unchanged=((2, 0), (3, 0), (4, 0)),
        ),
    ],
    ids=["changed", "few", "failed", "written in between"],
)
def test_writes_that_may_be_needed_are_clean(trace):
    """Changed, few, or taking a change back."""
    assert said(trace, "QS211") == []


def test_rows_written_back_as_they_were_are_named():
    """Three of them, at one line."""
    trace = a_trace(LOAD, UPDATE, UPDATE, UPDATE, unchanged=((1, 0), (2, 0), (3, 0)))
    (finding,) = said(trace, "QS211")
    assert finding.count == 3
    assert finding.cost.avoidable == 3
    assert finding.severity == "info"


def save_all():
    for author in Author.objects.all():
        author.save()


def save_what_was_looked_at():
    for book in Book.objects.select_related("publisher"):
        if book.publisher.name == "nobody":
            book.title = "changed"
        book.save(update_fields=["title"])


def save_the_same_value():
    for book in Book.objects.all():
        book.title = str(book.title)
        book.save()


def save_changed():
    for author in Author.objects.all():
        author.name += "!"
        author.save()


def save_changed_through_the_dict():
    for author in Author.objects.all():
        author.__dict__["name"] = "by dict"
        author.save()


def save_expressions():
    for review in Review.objects.all():
        review.stars = F("stars") + 0
        review.save()


def save_twice_after_a_change():
    for author in Author.objects.all():
        author.name += "!"
        author.save()
        author.save()


def save_locked():
    for author in Author.objects.select_for_update():
        author.save()


def save_copies():
    for author in Author.objects.all():
        author.pk = None
        author.save()


def save_by_update_or_create():
    for author in list(Author.objects.values("pk", "name")):
        Author.objects.update_or_create(pk=author["pk"], defaults={"name": author["name"]})


def save_other_foreign_key():
    publisher = Publisher.objects.create(name="new")
    for book in Book.objects.all():
        book.publisher = publisher
        book.save()


def save_what_an_update_changed():
    books = list(Book.objects.all())
    Book.objects.update(title="changed")
    for book in books:
        book.save()


@pytest.fixture
def tracked(db):
    """Five authors and six books, with reads tracked."""
    make_books()
    Author.objects.bulk_create(Author(name=f"author {n}") for n in range(4))
    guard.clear()
    hooks.install(full=True, track=True)
    yield
    hooks.uninstall()
    assert guard.failures() == ()


def judged(function):
    """Return what is said about a function's writes."""
    with recorded(reads=True) as found:
        function()
    return said(found.trace, "QS211")


@pytest.mark.parametrize(
    ("function", "rows"), [(save_all, 5), (save_what_was_looked_at, 6), (save_the_same_value, 6)]
)
def test_save_of_unchanged_rows_is_found(tracked, function, rows):
    """All columns, some columns, and a value that was set to itself."""
    (finding,) = judged(function)
    assert finding.count == rows


@pytest.mark.parametrize(
    "function",
    [
        save_changed,
        save_changed_through_the_dict,
        save_expressions,
        save_twice_after_a_change,
        save_locked,
        save_copies,
        save_by_update_or_create,
        save_other_foreign_key,
        save_what_an_update_changed,
    ],
)
def test_save_that_may_change_something_is_clean(tracked, function):
    """Nothing is said."""
    assert judged(function) == []


def test_column_that_save_sets_itself_is_a_change(tracked, monkeypatch):
    """As that of ``auto_now`` is."""
    field = Author._meta.get_field("name")

    def stamp(instance, add):
        instance.name = f"stamped {instance.name}"
        return instance.name

    monkeypatch.setattr(field, "pre_save", stamp)
    assert judged(save_all) == []
