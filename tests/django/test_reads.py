"""What is read of the rows of Django's statements: columns, relations, and what cannot be seen."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from django.core import serializers
from django.db.models import Count, Prefetch
from django.forms.models import model_to_dict

from queryscope.django import hooks
from queryscope.trace import guard
from tests.django.library.models import Author, Book, BookDetail, Genre, Publisher, Review
from tests.django.recorded import recorded

pytestmark = pytest.mark.django_db


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


def reads_of(work):
    """Return what was read of each statement's rows, by class and path, after ``work``."""
    with recorded(reads=True) as found:
        work()
    return {(read.model, read.path): read for read in found.trace.reads}


def read(found, model, path=""):
    """Return the attributes that were read, without the keys."""
    one = found[model, path]
    return set(one.read) - set(one.keys)


def test_columns_that_are_read_are_noted_for_their_statement(books):
    """Two statements of one class are kept apart."""

    def work():
        [book.title for book in Book.objects.all()]
        [book.pk for book in Book.objects.order_by("-title")]

    with recorded(reads=True) as found:
        work()
    first, second = found.trace.reads
    assert (first.query, second.query) == (0, 1)
    assert first.rows == second.rows == 6
    assert first.columns == ("id", "title", "publisher_id", "editor_id", "sequel_of_id")
    assert first.keys == ("id", "publisher_id", "editor_id", "sequel_of_id")
    assert "title" in first.read
    assert second.read == ("id",)
    assert first.known
    assert not first.alive
    assert not first.opaque


def test_sizes_are_measured_on_the_first_rows(books):
    """Bytes of a text, eight of a number."""
    found = reads_of(lambda: list(Review.objects.all()))
    sizes = dict(zip(*found["library.Review", ""][4:6], strict=True))
    assert sizes["text"] == len("Good.")
    assert sizes["stars"] == 8


def test_joined_rows_have_a_record_of_their_own(books):
    """select_related: the relation and its class's columns are told apart from the parent's."""
    found = reads_of(lambda: [b.publisher.name for b in Book.objects.select_related("publisher")])
    assert read(found, "library.Book") == {"publisher"}
    assert read(found, "library.Publisher", "publisher") == {"name"}


def test_joined_relation_that_nobody_reads_is_unread(books):
    """The parents are read, the relation is not."""
    found = reads_of(lambda: [book.title for book in Book.objects.select_related("publisher")])
    assert read(found, "library.Book") == {"title"}
    assert set(found["library.Publisher", "publisher"].read) == set()


def test_joined_relation_tested_for_truth_is_read(books):
    """No column of it is, but it was asked for."""
    found = reads_of(lambda: [bool(book.editor) for book in Book.objects.select_related("editor")])
    assert read(found, "library.Book") == {"editor"}


def test_reverse_one_to_one_keeps_its_label(books):
    """Installed again, as by a middleware, the frames that mean something are still Django's."""
    hooks.install(full=True, track=True)
    details = list(BookDetail.objects.all())
    with recorded(reads=True) as found:
        for book in Book.objects.filter(pk__in=[detail.book_id for detail in details]):
            assert book.detail.pk
    lazy = found.trace.queries[1:]
    assert len(lazy) == len(details) > 0
    assert {(query.load.relation, query.load.attribute) for query in lazy} == {
        ("reverse_one_to_one", "detail")
    }


def test_reverse_one_to_one_and_nested_joins_have_paths(books):
    """The path leads through every relation."""

    def work():
        for detail in BookDetail.objects.select_related("book__publisher"):
            str(detail.book.publisher.name)
        for book in Book.objects.select_related("detail"):
            str(book.detail.isbn)

    found = reads_of(work)
    assert read(found, "library.Publisher", "book.publisher") == {"name"}
    assert read(found, "library.BookDetail", "detail") == {"isbn"}


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("reviews", "library.Review"),
        ("genres", "library.Genre"),
        ("publisher", "library.Publisher"),
        ("tags", "library.Tag"),
        ("detail", "library.BookDetail"),
    ],
)
def test_prefetch_that_nobody_reads_is_unread(books, name, model):
    """What Django reads to join the rows does not count, on either side."""
    found = reads_of(lambda: [book.title for book in Book.objects.prefetch_related(name)])
    assert read(found, "library.Book") == {"title"}
    assert set(found[model, ""].read) == set()
    assert found[model, ""].rows


@pytest.mark.parametrize(
    "use",
    [
        lambda book: list(book.genres.all()),
        lambda book: len(book.genres.all()),
        lambda book: book.genres.count(),
        lambda book: book.genres.exists(),
        lambda book: [genre.name for genre in book.genres.all()],
    ],
    ids=["list", "len", "count", "exists", "attribute"],
)
def test_prefetch_that_is_used_is_read(books, use):
    """Also where only the number of rows is looked at."""
    found = reads_of(lambda: [use(book) for book in Book.objects.prefetch_related("genres")])
    assert "genres" in found["library.Book", ""].read


def test_nested_prefetch_reads_nothing_by_itself(books):
    """The walk along the path is Django's."""
    queryset = Publisher.objects.prefetch_related("books__reviews")
    found = reads_of(lambda: [publisher.name for publisher in queryset])
    assert read(found, "library.Publisher") == {"name"}
    assert set(found["library.Book", ""].read) == set()
    assert set(found["library.Review", ""].read) == set()


def test_to_attr_is_told_by_its_rows(books):
    """The list itself is a plain attribute."""
    lookup = Prefetch("reviews", to_attr="all_reviews")

    def work():
        for book in Book.objects.prefetch_related(lookup):
            [review.stars for review in book.all_reviews]

    found = reads_of(work)
    assert read(found, "library.Review") == {"stars"}
    assert "reviews" in found["library.Book", ""].read  # it may have been: nobody can tell


@pytest.mark.parametrize(
    "use",
    [
        model_to_dict,
        lambda book: serializers.serialize("json", [book]),
        lambda book: book.save(),
    ],
    ids=["model_to_dict", "serialize", "save"],
)
def test_serializers_and_save_read_every_column(books, use):
    """They ask for the attributes."""
    found = reads_of(lambda: [use(book) for book in Book.objects.all()])
    assert "title" in found["library.Book", ""].read


@pytest.mark.parametrize(
    "use",
    [
        lambda book: dict(vars(book)),
        lambda book: {**book.__dict__},
        lambda book: [value for name, value in vars(book).items() if name != "_state"],
        lambda book: book.__dict__["title"],
        lambda book: book.__dict__.get("title"),
        lambda book: vars(book).copy(),
        lambda book: json.dumps({k: v for k, v in vars(book).items() if k != "_state"}),
        lambda book: vars(book) | {},
        lambda book: {} | vars(book),
        lambda book: "%(title)s" % vars(book),  # noqa: UP031 - the way under test
        lambda book: str.format_map("{title}", vars(book)),
        pickle.dumps,
        lambda book: pickle.dumps([book]),
        lambda book: copy.deepcopy(vars(book)),
    ],
    ids=[f"way {n}" for n in range(14)],
)
def test_values_read_past_the_attributes_are_unknown(books, use):
    """vars(), __dict__ and pickles hand out everything: nothing is called unread."""
    found = reads_of(lambda: [use(book) for book in Book.objects.all()])
    assert not found["library.Book", ""].known


def test_reads_of_a_copy_count(books):
    """A copy has the values of the row, and shares its record."""

    def work():
        for book in Book.objects.all():
            str(copy.copy(book).title)
            str(copy.deepcopy(book).publisher_id)

    found = reads_of(work)["library.Book", ""]
    assert set(found.read) == {"title", "publisher_id"}
    assert found.known


def test_rows_with_annotations_are_opaque(books):
    """An annotation is a plain attribute: reading it is not seen."""
    queryset = Publisher.objects.annotate(many=Count("books"))
    assert reads_of(lambda: [p.many for p in queryset])["library.Publisher", ""].opaque


def test_values_and_tuples_have_no_record(books):
    """What is read of them cannot be seen: no record, no verdict."""

    def work():
        list(Book.objects.values("title"))
        list(Book.objects.values_list("title", flat=True))
        Book.objects.count()

    assert reads_of(work) == {}


def test_instances_that_are_still_there_are_said_to_be(books):
    """A list that outlives the block may be read later."""
    kept = []
    found = reads_of(lambda: kept.extend(Book.objects.all()))
    assert found["library.Book", ""].alive
    assert not reads_of(lambda: list(Book.objects.all()))["library.Book", ""].alive


def test_deferred_column_is_not_said_to_have_come(books):
    """It is loaded by a statement of its own, and read there."""

    def work():
        book = Book.objects.only("publisher").first()
        str(book.title)

    with recorded(reads=True) as found:
        work()
    first, second = found.trace.reads
    assert "title" not in first.columns
    assert "title" in second.read


def test_nothing_is_noted_without_the_setting_or_in_light_recording(books):
    """The hooks are in, the Recorder does not ask."""
    for recording, wanted in (("full", False), ("light", True)):
        with recorded(recording, reads=wanted) as found:
            [book.title for book in Book.objects.all()]
        assert found.trace.reads == ()


def test_parent_set_by_django_is_no_joined_row(books):
    """A reverse manager puts its own parent on each row: no statement loaded it."""

    def work():
        for review in Publisher.objects.first().books.select_related("editor"):
            str(review.title)

    found = reads_of(work)
    assert ("library.Publisher", "publisher") not in found
    assert ("library.Author", "editor") in found


def test_records_beyond_the_cap_are_counted(books, monkeypatch):
    """What is not kept is counted, and judged by nobody."""
    monkeypatch.setattr("queryscope.django.reads.MAX_READS", 1)
    with recorded(reads=True) as found:
        [book.title for book in Book.objects.all()]
        [genre.name for genre in Genre.objects.all()]
        [author.name for author in Author.objects.all()]
    assert len(found.trace.reads) == 1
    assert found.trace.dropped["reads"] == 2


def test_rows_that_a_column_is_read_on_are_told(books):
    """All rows are looked at for their stars, every tenth for its text."""
    Review.objects.all().delete()
    book = Book.objects.first()
    Review.objects.bulk_create(Review(book=book, stars=n % 10) for n in range(600))

    def work():
        [review.text for review in Review.objects.all() if review.stars == 3]

    found = reads_of(work)["library.Review", ""]
    rows = dict(zip(found.read, found.read_rows, strict=True))
    assert rows["stars"] == found.rows == 600
    assert 20 < rows["text"] < 150


def test_joined_row_of_many_is_counted_once(books):
    """All books of one publisher bring it along again and again."""
    Book.objects.update(publisher=Publisher.objects.first())

    def work():
        [book.publisher.name for book in Book.objects.select_related("publisher")]

    found = reads_of(work)["library.Publisher", "publisher"]
    assert (found.rows, found.distinct) == (Book.objects.count(), 1)


@pytest.mark.parametrize("touch", [False, True])
def test_refresh_names_the_statement_before(books, touch):
    """What is read after it is its own; what was set before is thrown away on purpose."""
    key = Book.objects.first().pk

    def work():
        book = Book.objects.get(pk=key)
        if touch:
            book.title = "set"
        book.refresh_from_db()
        book.publisher_id  # noqa: B018 - read
        book.refresh_from_db()
        book.title  # noqa: B018 - read

    with recorded(reads=True) as result:
        work()
    first, second, third = result.trace.reads
    assert (first.before, second.before, third.before) == (None, None if touch else 0, 1)
    assert [set(one.read) for one in (first, second, third)] == [set(), {"publisher_id"}, {"title"}]
    assert {one.read_rows for one in (second, third)} == {(1,)}


def test_refresh_of_some_columns_keeps_the_first_statement(books):
    """The rest of the row is still what was loaded first."""

    def work():
        book = Book.objects.get(pk=Book.objects.first().pk)
        book.refresh_from_db(fields=["title"])
        book.publisher_id  # noqa: B018 - read

    with recorded(reads=True) as result:
        work()
    assert "publisher_id" in result.trace.reads[1].read
