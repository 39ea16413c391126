"""Columns that are quiet while their reading would tell nothing: nothing that is told changes."""

from __future__ import annotations

from itertools import count, islice

import pytest
from django.db.models.query_utils import DeferredAttribute
from django.test.utils import isolate_apps

from queryscope.django import hooks, quiet
from queryscope.django.columns import Column, columns_of
from queryscope.trace import guard
from queryscope.trace.reads import WATCHED_ROWS
from tests.django.library.models import Book, Publisher, Review
from tests.django.recorded import recorded

pytestmark = pytest.mark.django_db

ROWS = 100
"""Rows of a result that has quiet stretches between the rows that are watched."""
QUIET = WATCHED_ROWS + 1
"""Index of a row that is not watched."""


@pytest.fixture(autouse=True)
def tracked():
    """Track reads during the test; no hook may have failed."""
    guard.clear()
    hooks.install(full=True, track=True)
    yield
    hooks.uninstall()
    failures = guard.failures()
    guard.clear()
    assert failures == ()


@pytest.fixture
def reviews(books):
    """Many reviews of one book, the first half with five stars."""
    Review.objects.all().delete()
    Review.objects.bulk_create(
        Review(book=books[0], text=f"text {number}", stars=5 if number < ROWS // 2 else 1)
        for number in range(ROWS)
    )


def reads_in(work):
    """Return what was read of each statement's rows, in their order, after ``work``."""
    with recorded(reads=True) as found:
        work()
    return found.trace.reads


def rows_read(read, name):
    """Return on about how many rows a name was read."""
    return dict(zip(read.read, read.read_rows, strict=True)).get(name, 0)


def noting(model):
    """Return the columns of a class that note what is read."""
    return {column.name for column in columns_of(model) if isinstance(column, Column)}


EVERY = {"id", "book_id", "text", "stars"}


def test_columns_that_were_read_are_quiet_between_watched_rows(reviews):
    """Those that were not, note on."""
    found = []

    def work():
        for review in Review.objects.all():
            assert review.text
            found.append(noting(Review))

    reads_in(work)
    assert found[0] == EVERY
    assert found[QUIET] == EVERY - {"text"}
    assert noting(Review) == EVERY


def test_rows_that_are_no_instances_come_as_they_are(reviews):
    """Mappings and tuples have no columns, and what was loaded elsewhere has no record."""
    elsewhere = Review.objects.all()
    assert len(elsewhere) == ROWS

    def work():
        assert sum(row["stars"] for row in Review.objects.values("stars")) == 3 * ROWS
        assert sum(stars for (stars,) in Review.objects.values_list("stars")) == 3 * ROWS
        assert sum(Review.objects.values_list("stars", flat=True)) == 3 * ROWS
        assert sum(review.stars for review in elsewhere) == 3 * ROWS

    assert reads_in(work) == ()


def test_column_first_read_in_a_quiet_stretch_is_noted(reviews):
    """One row of many, and not one that is watched."""

    def work():
        for number, review in enumerate(Review.objects.all()):
            assert review.text
            assert number != QUIET or review.stars

    (read,) = reads_in(work)
    assert set(read.read) == {"text", "stars"}


def test_column_that_another_result_lacks_is_noted(reviews):
    """Rows of a statement before, read within the loop over those of a second."""

    def work():
        before = list(Review.objects.order_by("pk")[:3])
        for number, review in enumerate(Review.objects.all()):
            assert review.text
            assert number != QUIET or before[1].text

    first, second = reads_in(work)
    assert first.read == second.read == ("text",)


def test_column_of_rows_loaded_in_a_quiet_stretch_is_noted(reviews):
    """Who loads rows within the loop reads their columns as seen as anybody's."""

    def work():
        for number, review in enumerate(Review.objects.all()):
            assert review.text
            if number == QUIET:
                assert Review.objects.get(pk=review.pk).text
                assert next(Review.objects.filter(pk=review.pk).iterator()).text

    assert all("text" in read.read for read in reads_in(work))


def test_column_of_an_outer_trace_is_noted(reviews):
    """A test reads what it loaded before the request, within the request's loop."""
    with recorded(reads=True) as outer:
        before = list(Review.objects.all()[:3])
        with recorded(reads=True):
            for number, review in enumerate(Review.objects.all()):
                assert review.text
                assert number != QUIET or before[1].text
    assert outer.trace.reads[0].read == ("text",)


@isolate_apps("tests.django.library")
def test_column_of_a_base_class_is_noted_for_each(reviews):
    """Rows of a proxy share the columns of its class."""

    class Shown(Review):
        class Meta:
            proxy = True
            app_label = "library"

    def work():
        before = list(Shown.objects.all()[:3])
        for number, review in enumerate(Review.objects.all()):
            assert review.text
            assert number != QUIET or before[1].text

    first, _ = reads_in(work)
    assert first.read == ("text",)


@pytest.mark.parametrize("ordering", ["pk", "-pk"])
def test_rows_that_a_column_is_read_on_are_told(reviews, ordering):
    """Also where all rows that are taken come first, or last."""

    def work():
        for review in Review.objects.order_by(ordering):
            assert review.stars != 5 or review.text

    (read,) = reads_in(work)
    assert rows_read(read, "stars") == ROWS
    assert abs(rows_read(read, "text") - ROWS / 2) <= ROWS / 10


def test_joined_rows_are_quiet_and_noted_alike(books):
    """A relation's columns are as quiet as the rows' own, and what is read of it is noted."""
    publisher = Publisher.objects.create(name="one")
    Book.objects.bulk_create(Book(title=f"{number}", publisher=publisher) for number in range(50))
    quietest = []

    def work():
        for book in Book.objects.select_related("publisher"):
            assert book.publisher.name
            quietest.append(noting(Publisher))

    own, joined = reads_in(work)
    assert set(own.read) == {"publisher"}
    assert joined.read == ("name",)
    assert joined.rows == own.rows
    assert min(quietest, key=len) == {"id"}
    assert noting(Publisher) == {"id", "name"}


def test_rows_behave_the_same_in_a_quiet_stretch(reviews):
    """What is set, saved, deferred and asked of the class."""

    def work():
        for number, review in enumerate(Review.objects.select_related("book")):
            assert review.text
            assert review.book_id
            if number == QUIET:
                assert not isinstance(vars(Review)["text"], Column)
                assert isinstance(Review.text, DeferredAttribute)
                assert review.get_deferred_fields() == set()
                review.book_id = 0
                assert "book" not in review._state.fields_cache
                review.refresh_from_db()
                review.text = "changed"
                review.save()
        assert Review.objects.get(text="changed").stars == 5

    reads_in(work)


def test_half_an_iteration_leaves_every_column_noting(reviews):
    """A loop that ends early, and an iterator that is kept while other rows are loaded."""

    def work():
        for number, review in enumerate(Review.objects.all()):
            assert review.text
            if number == QUIET:
                break
        assert noting(Review) == EVERY
        kept = iter(Review.objects.all())
        assert [review.text for review in islice(kept, QUIET)]
        assert noting(Review) == EVERY - {"text"}
        list(Review.objects.all())
        assert noting(Review) == EVERY

    reads_in(work)


def test_rows_come_as_a_list_gives_them(reviews):
    """Also those put into the result while it is gone through, as often as it is."""

    def work():
        found = Review.objects.all()
        pairs = [(one.pk, other.pk) for one, other in zip(found, found, strict=True)]
        assert pairs == [(review.pk, review.pk) for review in list(found)]
        seen = count()
        for review in found:
            if next(seen) == QUIET:
                found._result_cache.append(review)
        assert next(seen) == ROWS + 1

    reads_in(work)


def test_loading_is_quiet_and_what_is_read_of_its_rows_is_noted(reviews):
    """No column is set by a call of ours, nor by that of a result which has it already."""
    quietest = []

    class Watching(list):
        def __iter__(self):
            quietest.append(noting(Review))
            return super().__iter__()

    with recorded(reads=True) as found:
        assert quiet.loaded(Review.objects.all(), Watching(), related=False) == []
        rows = list(Review.objects.all())
        assert noting(Review) == EVERY
        assert rows[-1].text
        assert quiet.loaded(Review.objects.all(), Watching(), related=False) == []
    assert quietest == [set(), EVERY - {"text"}]
    assert found.trace.reads[0].read == ("text",)


def test_many_records_leave_every_column_noting(reviews):
    """To look through all of them would cost more than it saves."""

    def work():
        for review in Review.objects.all()[: quiet.MAX_RECORDS]:
            assert Review.objects.get(pk=review.pk).text
        assert all(review.text for review in Review.objects.all())
        found = [noting(Review) for review in Review.objects.all() if review.text]
        assert all(names == EVERY for names in found)

    reads = reads_in(work)
    assert len(reads) == quiet.MAX_RECORDS + 3


def test_uninstalling_within_a_loop_puts_the_columns_back(reviews):
    """The rest of the rows comes, and no column of ours stays."""

    def work():
        seen = 0
        for review in Review.objects.all():
            seen += bool(review.text)
            if seen == QUIET:
                hooks.uninstall()
        assert seen == ROWS

    reads_in(work)
    assert not any(hasattr(value, "noting") for value in vars(Review).values())


def test_interpreter_sees_each_step_of_a_column():
    """It caches no attribute behind a descriptor of a class that can change."""

    class Row:
        def __init__(self):
            self.value = 1

    class Plain:
        def __get__(self, instance, cls=None):
            return instance.__dict__["value"]

    class Noting(Plain):
        def __get__(self, instance, cls=None):
            noted.append("read")
            return instance.__dict__["value"]

        def __set__(self, instance, value):
            noted.append("set")
            instance.__dict__["value"] = value

    def used(row):
        row.value = 2
        return row.value

    noted = []
    column = Row.value = Plain()
    row = Row()
    for _ in range(3):
        for _ in range(1_000):
            used(row)
        assert not noted
        column.__class__ = Noting
        for _ in range(1_000):
            used(row)
        assert noted == ["set", "read"] * 1_000
        noted.clear()
        column.__class__ = Plain
