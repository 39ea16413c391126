"""QS113, QS114, QS205, QS302, QS305 and QS306 on real Django code, each beside what looks alike.

A dirty function names its code; the comment ``# mend`` marks the line to edit.
"""

# The names of the scenarios say what they are.
# ruff: noqa: D103

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from queryscope.django import hooks
from tests.detectors.judging import said
from tests.detectors.scenarios import Scenarios, marked
from tests.django.conftest import make_books
from tests.django.library.models import Book, Review
from tests.django.recorded import recorded
from tests.recording import hooked

pytestmark = pytest.mark.django_db

CODES = ("QS113", "QS114", "QS205", "QS302", "QS305", "QS306")
OTHERS = ("QS112", "QS201", "QS206", "QS304", "QS307", "QS315")
"""Codes that could speak of the same line."""
SCENARIOS = Scenarios(lambda function, code: (function, code))
dirty, clean = SCENARIOS.dirty, SCENARIOS.clean


@pytest.fixture(autouse=True)
def tracked():
    """Track reads during the test; no hook may have failed."""
    with hooked(partial(hooks.install, full=True, track=True), hooks.uninstall):
        yield


def run(function):
    """Return the Trace of a function, as a request, with 300 reviews of one book."""
    make_books()
    Review.objects.all().delete()
    book = Book.objects.first()
    Book.objects.filter(pk=book.pk).update(title="t" * 200)
    Review.objects.bulk_create(Review(book=book, stars=n % 5, text=f"text {n}") for n in range(300))
    with recorded(reads=True) as result:
        function()
    return replace(result.trace, kind="request")


@dirty("QS302")
def condition_in_a_comprehension():
    return [review.text for review in Review.objects.all() if review.stars == 1]  # mend


@dirty("QS302")
def condition_in_a_loop():
    found = []
    for review in Review.objects.order_by("pk"):  # mend
        if review.stars != 1:
            continue
        found.append(review.text)
    return found


@dirty("QS302")
def condition_in_a_lambda():
    reviews = Review.objects.all()  # mend
    return [one.text for one in filter(lambda review: review.stars == 1, reviews)]


@clean
def condition_in_the_statement():
    return [review.text for review in Review.objects.filter(stars=1)]


@clean
def condition_that_keeps_most():
    return [review.text for review in Review.objects.all() if review.stars != 1]


@clean
def condition_of_a_method():
    return [review.text for review in Review.objects.all() if str(review.stars) == "1"]


@clean
def two_halves():
    reviews = list(Review.objects.all())
    good = [review.text for review in reviews if review.stars > 2]
    return good, [review.text for review in reviews if review.stars <= 2]


@clean
def condition_after_all_were_shown():
    reviews = list(Review.objects.all())
    shown = [review.text for review in reviews]
    return shown, [review.pk for review in reviews if review.stars == 1]


@dirty("QS305")
def sum_of_a_column():
    return sum(review.stars for review in Review.objects.all())  # mend


@dirty("QS305")
def count_of_some():
    reviews = Review.objects.order_by("pk")  # mend
    return len([review for review in reviews if review.stars == 1])


@dirty("QS305")
def sum_in_a_loop():
    total = 0
    for review in Review.objects.all():  # mend
        total += review.stars
    return total


@clean
def sum_and_list():
    reviews = Review.objects.all()
    return sum(review.stars for review in reviews), [review.text for review in reviews]


@clean
def sum_of_values():
    return sum(Review.objects.values_list("stars", flat=True))


@clean
def sum_of_a_page():
    return sum(review.stars for review in Review.objects.order_by("pk")[:200])


@dirty("QS306")
def sorted_by_a_column():
    reviews = Review.objects.all()  # mend
    return [one.text for one in sorted(reviews, key=lambda review: review.stars)]


@dirty("QS306")
def sorted_in_place():
    reviews = list(Review.objects.all())  # mend
    reviews.sort(key=lambda review: -review.stars)
    return [review.text for review in reviews]


@clean
def sorted_by_a_computed_value():
    return [r.text for r in sorted(Review.objects.all(), key=lambda review: len(review.text))]


@clean
def sorted_of_two():
    one, other = Review.objects.filter(stars=1), Review.objects.filter(stars=2)
    return [r.text for r in sorted([*one, *other], key=lambda review: review.stars)]


@dirty("QS114")
def wide_row_joined_again_and_again():
    reviews = Review.objects.select_related("book")  # mend
    return [(review.stars, review.book.title) for review in reviews]


@clean
def wide_row_prefetched():
    return [(review.stars, review.book.title) for review in Review.objects.prefetch_related("book")]


@dirty("QS114")
def row_of_one_row_prefetched():
    book = Book.objects.prefetch_related("publisher").order_by("pk").first()  # mend
    return book.title, book.publisher.name


@clean
def row_of_one_row_joined():
    book = Book.objects.select_related("publisher").order_by("pk").first()
    return book.title, book.publisher.name


@clean
def rows_of_some_rows_prefetched():
    return [book.publisher.name for book in Book.objects.prefetch_related("publisher")]


@dirty("QS205")
def refreshed_unread():
    review = Review.objects.get(pk=Review.objects.values_list("pk", flat=True)[0])
    review.refresh_from_db()  # mend
    return review.text


@dirty("QS205")
def overwritten_unread():
    reviews = list(Review.objects.filter(stars=1))  # mend
    reviews = list(Review.objects.filter(stars=2))
    return [review.text for review in reviews]


@clean
def refreshed_after_a_write():
    review = Review.objects.first()
    Review.objects.filter(stars=0).update(text="written")
    review.refresh_from_db()
    return review.text


@clean
def refreshed_to_discard():
    review = Review.objects.first()
    review.text = "not meant"
    review.refresh_from_db()
    return review.text


@clean
def refreshed_after_it_was_read():
    review = Review.objects.first()
    before = review.text
    review.refresh_from_db()
    return before, review.text


@pytest.mark.parametrize(
    ("function", "code"), SCENARIOS.cases, ids=lambda one: getattr(one, "__name__", one)
)
def test_dirty_function_is_found_at_its_line(function, code):
    """One finding, at the line to edit, and no other of the same cause."""
    chosen = {"wrong_eager_strategy_min_bytes": 30_000}
    findings = said(run(function), *CODES, *OTHERS, **chosen)
    assert {finding.code for finding in findings} == {code}, [f.message for f in findings]
    assert [finding.mend.at.line for finding in findings[:1]] == marked(function)


@pytest.mark.parametrize("function", SCENARIOS.innocent, ids=lambda function: function.__name__)
def test_clean_function_is_clean(function):
    """Needed, done by the database, or not certain: nothing is said."""
    chosen = {"wrong_eager_strategy_min_bytes": 30_000}
    assert [finding.message for finding in said(run(function), *CODES, **chosen)] == []
