"""What nobody reads on real Django code: QS112, QS206 and QS301, each dirty, repaired and alike.

A dirty function names its finding; the comment ``# mend`` marks the line to edit.
"""

# The names of the scenarios say what they are, and reading an attribute is what they do.
# ruff: noqa: B015, B018, D103

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pytest
from django import forms
from django.core import serializers
from django.db import transaction
from django.db.models import Count, Prefetch
from django.forms.models import model_to_dict
from rest_framework.serializers import ModelSerializer

from queryscope.detectors.qs112_unused_eager_load import unused_in_all
from queryscope.django import hooks
from tests.detectors.judging import said
from tests.detectors.on_django import render
from tests.detectors.scenarios import Scenarios, marked
from tests.detectors.test_on_django import SCENARIOS as OTHERS
from tests.django.conftest import make_books
from tests.django.library.models import Author, Book, Genre, Publisher, Review, Tag
from tests.django.recorded import recorded
from tests.recording import hooked

pytestmark = pytest.mark.django_db

CODES = ("QS112", "QS206", "QS301")


@pytest.fixture(autouse=True)
def tracked():
    """Track reads during the test; no hook may have failed."""
    with hooked(partial(hooks.install, full=True, track=True), hooks.uninstall):
        yield


def run(function):
    """Return the Trace of a function, called on six books with every relation filled."""
    make_books()
    Review.objects.update(text="A long one. " * 2_000)
    with recorded(reads=True) as result:
        function()
    # A request is over when it is judged; rows that hold one another are still there.
    return replace(result.trace, kind="request")


class Dirty(NamedTuple):
    """A function and what has to be said about it."""

    function: object
    code: str
    subject: str = ""
    write: str = ""


SCENARIOS = Scenarios(Dirty)
dirty, clean = SCENARIOS.dirty, SCENARIOS.clean


# -- relations that were loaded along --------------------------------------------------------


@dirty("QS112", "library.Book.publisher", '.select_related("publisher")')
def join_unread():
    for book in Book.objects.select_related("publisher"):  # mend
        book.title


@clean
def join_read():
    for book in Book.objects.select_related("publisher"):
        book.publisher.name


@clean
def join_tested_for_truth():
    for book in Book.objects.select_related("editor"):
        book.editor is None


@clean
def join_read_on_one_row():
    books = list(Book.objects.select_related("publisher"))
    [book.title for book in books]
    books[-1].publisher.name


@clean
def join_read_by_its_text():
    render("{% for b in books %}{{ b.publisher }}{% endfor %}",
           books=Book.objects.select_related("publisher"))  # fmt: skip


@clean
def join_compared():
    publisher = Publisher.objects.first()
    [book.publisher == publisher for book in Book.objects.select_related("publisher")]


@clean
def join_assigned_to_another_row():
    for book in Book.objects.select_related("publisher"):
        Book(title=book.title, publisher=book.publisher)


@dirty("QS112", "library.Publisher.books", '.prefetch_related("books")')
def prefetch_unread():
    for publisher in Publisher.objects.prefetch_related("books"):  # mend
        publisher.name


@clean
def prefetch_read():
    for publisher in Publisher.objects.prefetch_related("books"):
        [book.title for book in publisher.books.all()]


@clean
def prefetch_counted():
    for publisher in Publisher.objects.prefetch_related("books"):
        len(publisher.books.all())


@clean
def prefetch_in_a_template():
    render("{% for b in books %}{{ b.genres.all|length }}{% endfor %}",
           books=Book.objects.prefetch_related("genres"))  # fmt: skip


@dirty("QS112", "library.Book.genres", '.prefetch_related("genres")')
def prefetch_of_many_to_many_unread():
    [book.title for book in Book.objects.prefetch_related("genres")]  # mend


@dirty("QS112", "library.Book.publisher", '.prefetch_related("publisher")')
def prefetch_of_foreign_key_unread():
    [book.title for book in Book.objects.prefetch_related("publisher")]  # mend


@dirty("QS112", "library.Book.detail", '.select_related("detail")')
def reverse_one_to_one_unread():
    [book.title for book in Book.objects.select_related("detail")]  # mend


@clean
def prefetch_walked_for_a_further_one():
    for publisher in Publisher.objects.prefetch_related("books__reviews"):
        [review.text for book in publisher.books.all() for review in book.reviews.all()]


@clean
def to_attr_that_only_has_a_length():
    for book in Book.objects.prefetch_related(Prefetch("genres", to_attr="kinds")):
        book.title, len(book.kinds)


@clean
def prefetch_of_nothing():
    Genre.objects.all().delete()
    [book.title for book in Book.objects.prefetch_related("genres")]


@clean
def generic_prefetch_read():
    for tag in Tag.objects.prefetch_related("target"):
        tag.target.title


@clean
def serializer_with_depth():
    class BookSerializer(ModelSerializer):
        class Meta:
            model = Book
            fields = ["title", "publisher", "genres"]
            depth = 1

    queryset = Book.objects.select_related("publisher").prefetch_related("genres")
    BookSerializer(queryset, many=True).data


@clean
def joined_row_that_goes_into_a_pickle():
    [pickle.dumps(book) for book in Book.objects.select_related("publisher") if book.title]


@clean
def joined_row_that_is_deeply_copied_and_read():
    [copy.deepcopy(b).publisher.name for b in Book.objects.select_related("publisher")]


# -- rows that nobody reads ------------------------------------------------------------------


@dirty("QS206")
def rows_thrown_away():
    books = list(Book.objects.order_by("title"))  # mend
    if not books:
        [book.title for book in books]


@clean
def rows_not_loaded():
    if Book.objects.exists():
        return
    [book.title for book in Book.objects.order_by("title")]


@clean
def rows_whose_keys_are_used():
    Review.objects.filter(book__in=list(Book.objects.all())).count()


@clean
def rows_that_are_saved():
    for author in Author.objects.all():
        author.save()


@clean
def rows_with_a_count():
    [publisher.many for publisher in Publisher.objects.annotate(many=Count("books"))]


@clean
def rows_shown_whole():
    [dict(vars(book)) for book in Book.objects.all()]


@clean
def rows_in_a_cache():
    pickle.dumps(list(Book.objects.all()))


@clean
def rows_as_dicts():
    [model_to_dict(book, fields=["title"]) for book in Book.objects.all()]


@clean
def rows_in_a_fixture():
    serializers.serialize("json", Book.objects.all())


@clean
def choices_of_a_form():
    class ReviewForm(forms.Form):
        book = forms.ModelChoiceField(Book.objects.all())

    str(ReviewForm())


@clean
def rows_that_are_deleted():
    Review.objects.all().delete()
    Book.objects.all().delete()


@clean
def rows_added_to_a_relation():
    Book.objects.first().genres.add(*Genre.objects.all())


@clean
def rows_locked():
    list(Book.objects.select_for_update())


@clean
def rows_by_key():
    [book.title for book in Book.objects.in_bulk().values()]


@clean
def rows_one_by_one():
    for book in Book.objects.iterator(chunk_size=2):
        book.title


# -- columns that nobody reads ---------------------------------------------------------------


@dirty("QS301", "library.Review.text", '.defer("text")')
def long_text_unread():
    [review.stars for review in Review.objects.all()]  # mend


@clean
def long_text_deferred():
    [review.stars for review in Review.objects.defer("text")]


@clean
def long_text_read_on_one_row():
    [review.stars or review.text for review in Review.objects.all()]


@clean
def long_text_in_values():
    [row["stars"] for row in Review.objects.values()]


@clean
def long_text_in_a_dict():
    [review.stars or vars(review).items() for review in Review.objects.all()]


@dirty(
    "QS301",
    "library.Review.text",
    'Prefetch("reviews", queryset=Review.objects.defer("text"))',
)
def long_text_of_a_prefetch_unread():
    for book in Book.objects.prefetch_related("reviews"):  # mend
        [review.stars for review in book.reviews.all()]


@pytest.mark.parametrize("one", SCENARIOS.cases, ids=lambda one: one.function.__name__)
def test_dirty_function_is_found_at_its_line(one):
    """One finding, with the relation or column and what to write where."""
    findings = said(run(one.function), *CODES)
    assert [finding.code for finding in findings] == [one.code], [f.message for f in findings]
    (finding,) = findings
    assert finding.severity == "info"
    if one.subject:
        assert finding.subject == one.subject
        assert finding.mend.write == one.write
    wanted = marked(one.function)
    if wanted:
        assert [finding.mend.at.line] == wanted


@pytest.mark.parametrize("function", SCENARIOS.innocent, ids=lambda function: function.__name__)
def test_clean_function_is_clean(function):
    """Read, needed, or not certain: nothing is said."""
    assert [finding.message for finding in said(run(function), *CODES)] == []


@pytest.mark.parametrize(
    "function",
    [*OTHERS.innocent, *(one.function for one in OTHERS.cases)],
    ids=lambda function: function.__name__,
)
def test_tracking_changes_no_other_finding(function):
    """All other codes say the same about the same code, tracked and not."""
    hooks.uninstall()
    hooks.install(full=True)
    others = []
    for wanted in (False, True):
        if wanted:
            hooks.install(full=True, track=True)
        with transaction.atomic():
            make_books()
            with recorded(reads=wanted) as result:
                function()
            transaction.set_rollback(True)
        others.append(
            sorted((f.code, f.count, f.message, f.subject) for f in said(result.trace)
                   if f.code not in CODES)
        )  # fmt: skip
        assert [f.message for f in said(result.trace, *CODES) if f.severity != "info"] == []
    assert others[0] == others[1]


def test_prefetch_that_one_test_of_the_run_reads_is_used():
    """The verdict over several Traces: one reads it, the other does not."""

    def show(*, whole):
        for publisher in Publisher.objects.prefetch_related("books"):
            publisher.name
            if whole:
                [book.title for book in publisher.books.all()]

    short, whole = run(lambda: show(whole=False)), run(lambda: show(whole=True))
    (finding,) = unused_in_all([short])
    assert finding.subject == "library.Publisher.books"
    assert unused_in_all([short, whole]) == []
