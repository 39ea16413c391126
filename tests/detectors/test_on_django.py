"""Findings on real Django code: each loop dirty and repaired, and the traps that stay silent.

A dirty function names its finding; the comment ``# ran`` marks the line that the finding has to
name, ``# mend`` the line to edit. All of it runs in light and in full recording.
"""

# The names of the scenarios say what they are, and reading an attribute is what they do.
# ruff: noqa: B018, D102, D103

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import NamedTuple

import pytest
from django import forms
from django.core.paginator import Paginator
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from django.db.models import Count, F, Prefetch, Sum, prefetch_related_objects
from django.db.models.signals import post_save
from rest_framework import serializers

from queryscope.trace.events import TemplateNode
from tests.detectors import on_django
from tests.detectors.judging import check_clean, check_found, said
from tests.detectors.on_django import render, run
from tests.detectors.scenarios import Scenarios, marked
from tests.django.conftest import make_books
from tests.django.library.models import Author, Book, BookDetail, Genre, Publisher, Review, Tag
from tests.django.recorded import recorded

pytestmark = pytest.mark.django_db


class Dirty(NamedTuple):
    """A function and what is said; without ``light``, light recording cannot know the line."""

    function: object
    code: str
    count: int
    write: str | None = None
    light: bool = True
    confidence: str = "high"


recording = on_django.recording
SCENARIOS = Scenarios(Dirty)
dirty, clean = SCENARIOS.dirty, SCENARIOS.clean


# -- relations --------------------------------


@dirty("QS101", 6, '.select_related("publisher")')
def foreign_key():
    for book in Book.objects.filter(title__contains="book").order_by("pk"):  # mend
        book.publisher.name  # ran


@clean
def foreign_key_repaired():
    for book in Book.objects.select_related("publisher"):
        book.publisher.name


@clean
def foreign_key_value():
    for book in Book.objects.all():
        book.publisher_id


@clean
def foreign_key_that_is_null():
    for book in Book.objects.filter(sequel_of=None):
        book.sequel_of


@clean
def foreign_key_set_in_memory():
    publisher = Publisher(pk=77, name="new")
    for book in Book.objects.all():
        book.publisher = publisher
        book.publisher.name


@dirty("QS101", 6, '.prefetch_related("publisher__books")', confidence="high or medium")
def relation_of_rows_joined_to_a_managers_rows():
    editor = Author.objects.get()
    for book in editor.edited.select_related("publisher"):  # mend
        list(book.publisher.books.all())  # ran


@dirty("QS101", 6, '.select_related("editor")')
def foreign_key_with_one_value():
    for book in Book.objects.all():  # mend
        book.editor.name  # ran


@dirty("QS101", 6, '.select_related("publisher")')
def foreign_key_in_helper():
    def name_of(book):
        return book.publisher.name  # ran

    books = Book.objects.all()  # mend
    return [name_of(book) for book in books]


@dirty("QS101", 6, '.select_related("publisher")')
def foreign_key_through_map():
    books = Book.objects.all()  # mend
    list(map(lambda book: book.publisher.name, books))  # noqa: C417 # ran


@dirty("QS101", 6, '.select_related("publisher")')
def foreign_key_of_iterator():
    for book in Book.objects.iterator():  # mend
        book.publisher.name  # ran


@dirty("QS101", 3, '.prefetch_related("books")')
def reverse():
    for publisher in Publisher.objects.all():  # mend
        list(publisher.books.all())  # ran


@clean
def reverse_repaired():
    for publisher in Publisher.objects.prefetch_related("books"):
        list(publisher.books.all())


@dirty("QS101", 6, '.prefetch_related("genres")')
def many_to_many():
    for book in Book.objects.all():  # mend
        list(book.genres.all())  # ran


@clean
def many_to_many_repaired():
    for book in Book.objects.prefetch_related("genres"):
        list(book.genres.all())


@dirty("QS101", 2, '.prefetch_related("books")')
def many_to_many_from_the_other_side():
    for genre in Genre.objects.all():  # mend
        list(genre.books.all())  # ran


@dirty("QS101", 6, '.select_related("book")')
def one_to_one():
    for detail in BookDetail.objects.all():  # mend
        detail.book.title  # ran


@dirty("QS101", 6, '.select_related("detail")')
def reverse_one_to_one():
    for book in Book.objects.all():  # mend
        book.detail.isbn  # ran


@dirty("QS101", 6, '.select_related("detail")')
def reverse_one_to_one_that_is_missing():
    BookDetail.objects.all().delete()
    for book in Book.objects.all():  # mend
        getattr(book, "detail", None)  # ran


@clean
def reverse_one_to_one_repaired():
    for book in Book.objects.select_related("detail"):
        book.detail.isbn


@dirty("QS101", 8, '.prefetch_related("target")')
def generic_foreign_key_over_two_types():
    for author in Publisher.objects.all()[:2]:
        Tag(name="house", target=author).save()
    for tag in Tag.objects.all():  # mend
        str(tag.target)  # ran


@clean
def generic_foreign_key_repaired():
    for tag in Tag.objects.prefetch_related("target"):
        str(tag.target)


@dirty("QS101", 6, '.prefetch_related("tags")')
def generic_relation():
    for book in Book.objects.all():  # mend
        list(book.tags.all())  # ran


@dirty("QS101", 5, '.select_related("sequel_of")')
def self_relation_up():
    for book in Book.objects.all():  # mend
        book.sequel_of  # ran


@dirty("QS101", 6, '.prefetch_related("sequels")')
def self_relation_down():
    for book in Book.objects.all():  # mend
        list(book.sequels.all())  # ran


@clean
def walk_to_the_first_volume():
    book = Book.objects.order_by("-pk")[0]
    while book is not None:
        book = book.sequel_of


@dirty("QS101", 7, '.prefetch_related("sequels")', light=False)
def tree():
    first = Book.objects.first()  # mend
    Book.objects.exclude(pk=first.pk).update(sequel_of=first)
    Book(title="last", publisher_id=first.publisher_id, sequel_of=first).save()

    def walk(book):
        for sequel in book.sequels.all():  # ran
            walk(sequel)

    walk(first)


@dirty("QS101", 6, '.select_related("book__publisher")', confidence="high or medium")
def two_hops_with_the_first_joined():
    for review in Review.objects.select_related("book"):  # mend
        review.book.publisher.name  # ran


@clean
def two_hops_repaired():
    for review in Review.objects.select_related("book__publisher"):
        review.book.publisher.name


@dirty("QS101", 6, '.prefetch_related("books__editor")', confidence="high or medium")
def second_hop_behind_prefetch():
    for publisher in Publisher.objects.prefetch_related("books"):  # mend
        for book in publisher.books.all():
            book.editor.name  # ran


@clean
def second_hop_behind_prefetch_repaired():
    books = Prefetch("books", queryset=Book.objects.select_related("editor"))
    for publisher in Publisher.objects.prefetch_related(books):
        for book in publisher.books.all():
            book.editor.name


@dirty("QS101", 2, '.select_related("editor")')
def relation_of_one_managers_rows():
    publisher = Publisher.objects.first()
    for book in publisher.books.all():  # mend
        book.editor.name  # ran


@dirty("QS101", 6, '.prefetch_related("genres")')
def prefetch_for_each_row():
    for book in Book.objects.all():  # mend
        prefetch_related_objects([book], "genres")  # ran


@clean
def prefetch_of_all_rows():
    books = list(Book.objects.all())
    prefetch_related_objects(books, "genres", "reviews")


@clean
def prefetch_in_chunks():
    for book in Book.objects.prefetch_related("genres").iterator(chunk_size=4):
        list(book.genres.all())


@clean
def prefetch_to_attribute():
    good = Prefetch("reviews", queryset=Review.objects.filter(stars__gt=2), to_attr="good")
    for book in Book.objects.prefetch_related(good):
        list(book.good)


@clean
def detail_page():
    book = Book.objects.get(title="book 1")
    return book.publisher.name, book.editor.name, book.detail.isbn, list(book.genres.all())


@clean
def three_calls_of_a_helper():
    def name_of(book):
        return book.publisher.name

    one, two, three = Book.objects.all()[:3]
    name_of(one)
    name_of(two), name_of(three)


@dirty("QS101", 6, '.select_related("publisher")')
def relation_in_property():
    class Shelf:
        def __init__(self, book):
            self.book = book

        @property
        def label(self):
            return self.book.publisher.name  # ran

    for book in Book.objects.all():  # mend
        Shelf(book).label


@dirty("QS101", 6, '.select_related("publisher")', light=False)
def relation_in_generator():
    def names(books):
        for book in books:
            yield book.publisher.name  # ran

    books = Book.objects.all()  # mend
    ", ".join(names(books))


# -- nothing of the user's asks --------------------------------


@dirty("QS101", 6, '.select_related("publisher")')
def relation_in_template():
    books = Book.objects.all()  # mend
    render("{% for book in books %}{{ book.publisher.name }}{% endfor %}", books=books)


@clean
def relation_in_template_repaired():
    books = Book.objects.select_related("publisher")
    render("{% for book in books %}{{ book.publisher.name }}{% endfor %}", books=books)


@dirty("QS101", 6, '.prefetch_related("genres")')
def relation_in_loop_of_template():
    books = Book.objects.all()  # mend
    text = "{% for b in books %}{% for genre in b.genres.all %}{{ genre }}{% endfor %}{% endfor %}"
    render(text, books=books)


@clean
def relations_of_one_object_in_template():
    book = Book.objects.first()
    render("{{ book.publisher }} {{ book.editor }} {{ book.detail }}", book=book)


@dirty("QS102", 3, confidence="medium")
def lookup_that_is_retried():
    def patiently(name):
        for _attempt in range(3):
            try:
                return Publisher.objects.get(name=name)  # ran
            except OperationalError:
                time.sleep(1)
        return None

    for name in [f"p{n}" for n in range(3)]:  # mend
        patiently(name)


@clean
def name_that_is_free():
    number = 0
    while True:
        if not Publisher.objects.filter(name=f"p{number}").exists():
            break
        number += 1


class BookSerializer(serializers.ModelSerializer):
    publisher = serializers.StringRelatedField()

    class Meta:
        model = Book
        fields = ["title", "publisher"]


@dirty("QS101", 6, '.select_related("publisher")')
def relation_in_serializer():
    books = Book.objects.all()  # mend
    return BookSerializer(books, many=True).data  # ran


@clean
def relation_in_serializer_repaired():
    books = Book.objects.select_related("publisher")
    return BookSerializer(books, many=True).data


class MethodSerializer(serializers.Serializer):
    reviews = serializers.SerializerMethodField()

    def get_reviews(self, book):
        return book.reviews.count()


@dirty("QS103", 6, '.annotate(reviews_count=Count("reviews"))')
def count_in_serializer_method():
    books = Book.objects.all()  # mend
    return MethodSerializer(books, many=True).data


@dirty("QS201", 3)
def form_that_evaluates_one_queryset_three_times():
    class Form(forms.Form):
        a = forms.ModelChoiceField(Genre.objects.all())
        b = forms.ModelChoiceField(Genre.objects.all())
        c = forms.ModelChoiceField(Genre.objects.all())

    render("{{ form }}", form=Form())  # ran


# -- columns, aggregates, narrowed relations --------------------------------


@dirty("QS104", 6, ".defer(...)")
def deferred_column():
    for book in Book.objects.defer("title"):  # mend
        book.title  # ran


@dirty("QS104", 6, '.only(..., "title")')
def column_left_out_by_only():
    for book in Book.objects.only("pk"):  # mend
        book.title  # ran


@clean
def deferred_column_that_is_not_read():
    for book in Book.objects.defer("title"):
        book.pk


@clean
def deferred_column_of_one_object():
    Book.objects.defer("title").first().title


@dirty("QS103", 6, '.annotate(reviews_count=Count("reviews"))')
def count_of_relation():
    for book in Book.objects.all():  # mend
        book.reviews.count()  # ran


@dirty("QS103", 6, '.annotate(genres_count=Count("genres"))')
def count_of_many_to_many():
    for book in Book.objects.all():  # mend
        book.genres.count()  # ran


@dirty("QS103", 6, ".annotate(has_reviews=Exists(...))")
def existence_of_relation():
    for book in Book.objects.all():  # mend
        book.reviews.exists()  # ran


@dirty("QS103", 6, '.annotate(reviews_sum=Sum("reviews__..."))')
def sum_of_relation():
    for book in Book.objects.all():  # mend
        book.reviews.aggregate(Sum("stars"))  # ran


@dirty("QS103", 6, "GROUP BY", confidence="medium")
def count_by_key():
    for key in [book.pk for book in Book.objects.all()]:  # mend
        Review.objects.filter(book_id=key).count()  # ran


@clean
def count_repaired():
    for book in Book.objects.annotate(reviews_count=Count("reviews")):
        book.reviews_count


@clean
def count_of_prefetched_relation():
    for book in Book.objects.prefetch_related("genres", "reviews"):
        book.genres.count(), book.reviews.count(), book.reviews.exists()


@clean
def count_and_page():
    pages = Paginator(Book.objects.order_by("pk"), 2)
    list(pages.page(1)), pages.count


@clean
def all_pages():
    pages = Paginator(Book.objects.order_by("pk"), 2)
    for number in pages.page_range:
        list(pages.page(number))


@clean
def pages_by_key():
    last, page = 0, [None]
    while page:
        page = list(Book.objects.filter(pk__gt=last).order_by("pk")[:2])
        last = page[-1].pk if page else last


@clean
def length_then_rows():
    books = Book.objects.all()
    if len(books):
        list(books)


@dirty("QS207", 2, "if rows:")
def existence_then_rows():
    books = Book.objects.filter(title__contains="book")
    if books.exists():  # mend, ran
        list(books)


@clean
def existence_alone():
    return "some" if Book.objects.filter(title__contains="book").exists() else "none"


PREFETCH = 'Prefetch("reviews", queryset=Review.objects.filter(...), to_attr="wanted_reviews")'


@dirty("QS105", 6, PREFETCH)
def filter_on_prefetched_relation():
    for book in Book.objects.prefetch_related("reviews"):  # mend
        list(book.reviews.filter(stars__gt=2))  # ran


@dirty("QS105", 6, PREFETCH)
def first_of_prefetched_relation():
    for book in Book.objects.prefetch_related("reviews"):  # mend
        book.reviews.order_by("-stars").first()  # ran


@dirty("QS105", 6, PREFETCH)
def values_of_prefetched_relation():
    for book in Book.objects.prefetch_related("reviews"):  # mend
        list(book.reviews.values_list("stars"))  # ran


@dirty("QS101", 6, f".prefetch_related({PREFETCH})")
def filter_on_relation():
    for book in Book.objects.all():  # mend
        list(book.reviews.filter(stars__gt=2))  # ran


# -- look-ups --------------------------------


def keys():
    """Return the keys of all books."""
    return list(Book.objects.values_list("pk", flat=True))


@dirty("QS102", 6, "Book.objects.in_bulk(keys)", confidence="medium")
def get_by_key():
    for key in keys():  # mend
        Book.objects.get(pk=key)  # ran


@dirty("QS102", 6, "Book.objects.in_bulk(keys)", confidence="medium")
def get_by_natural_key():
    for number in range(6):  # mend
        Book.objects.get(title=f"book {number}", editor__name="Ada")  # ran


@dirty("QS102", 6, "Book.objects.filter(key__in=keys)", confidence="medium")
def first_by_filter():
    for key in keys():  # mend
        Book.objects.filter(pk=key).first()  # ran


@dirty("QS102", 6, "Book.objects.filter(key__in=keys)", confidence="medium")
def list_of_one_key():
    for key in keys():  # mend
        list(Book.objects.filter(pk__in=[key]))  # ran


@dirty("QS102", 6, "WHERE key IN (...)", confidence="medium")
def raw_by_key():
    for key in keys():  # mend
        list(Book.objects.raw("SELECT * FROM library_book WHERE id = %s", [key]))  # ran


@dirty("QS102", 6, "WHERE key IN (...)", confidence="medium")
def cursor_by_key():
    with connection.cursor() as cursor:
        for key in keys():  # mend
            cursor.execute("SELECT * FROM library_book WHERE id = %s", [key])  # ran


@dirty("QS102", 6, "Genre.objects.in_bulk(keys)", confidence="medium")
def get_or_create_that_is_there():
    Genre.objects.bulk_create(Genre(name=f"new {n}") for n in range(6))
    for number in range(6):  # mend
        Genre.objects.get_or_create(name=f"new {number}")  # ran


@clean
def lookup_repaired():
    books = Book.objects.in_bulk(keys())
    [books[key].title for key in books]


@clean
def lookup_in_chunks():
    found = keys()
    for start in range(0, 6, 2):
        list(Book.objects.filter(pk__in=found[start : start + 2]))


@clean
def rows_locked_in_order():
    # SQLite has no row locks; Django leaves FOR UPDATE out, so the loop is two rows short of one.
    with transaction.atomic():
        Book.objects.select_for_update().get(title="book 1")
        Book.objects.select_for_update().get(title="book 2")


@clean
def get_or_create_twice():
    Genre.objects.get_or_create(name="g0")
    Genre.objects.get_or_create(name="g0")


@clean
def three_names_on_three_lines():
    def genre(name):
        return Genre.objects.filter(name=name).first()

    genre("g0")
    genre("g1")
    genre("g2")


# -- duplicates --------------------------------


@dirty("QS202", 4, confidence="medium")
def same_row_on_every_turn():
    for _ in range(4):  # mend
        Genre.objects.get(name="g1")  # ran


@dirty("QS202", 3, confidence="medium")
def same_existence_on_every_turn():
    turns = 0
    while turns < 3 and Genre.objects.filter(name="g1").exists():  # mend, ran
        turns += 1


@dirty("QS201", 2)
def same_row_on_two_lines():
    Genre.objects.get(name="g1")
    return Genre.objects.get(name="g1")  # mend, ran


@dirty("QS201", 3)
def same_row_three_times_on_one_line():
    genre = Genre.objects.get
    return [genre(name="g1"), genre(name="g1"), genre(name="g1")]  # mend, ran


@clean
def read_write_read():
    genre = Genre.objects.get(name="g1")
    Genre.objects.filter(pk=genre.pk).update(name="g9")
    Genre.objects.filter(name="g1").exists()
    Genre.objects.get(name="g9")
    genre.save()
    Genre.objects.filter(name="g1").exists()


@clean
def polling():
    book = Book.objects.first()
    for _ in range(4):
        book.refresh_from_db()


@clean
def retry():
    for _ in range(3):
        try:
            with transaction.atomic():
                Genre.objects.get(name="g1")
                Review.objects.create(text="no book", stars=1)
        except IntegrityError:
            pass


@clean
def queryset_kept_and_read_again():
    genres = Genre.objects.all()
    for _ in range(3):
        list(genres)


# -- writes --------------------------------


@dirty("QS107", 6, "Genre.objects.bulk_create(objects)", confidence="medium")
def create():
    for number in range(6):  # mend
        Genre.objects.create(name=f"new {number}")  # ran


@dirty("QS107", 6, "Book.objects.bulk_update(objects, fields)", confidence="medium")
def save():
    books = Book.objects.all()
    for book in books:  # mend
        book.save()  # ran


@dirty("QS107", 6, "Review.objects.filter(pk__in=keys).delete()", confidence="medium")
def delete():
    reviews = Review.objects.all()
    for review in reviews:  # mend
        review.delete()  # ran


@dirty("QS107", 6, "Book.genres.through.objects.bulk_create(links)", confidence="medium")
def add_to_many_to_many():
    genre = Genre.objects.create(name="new")
    books = Book.objects.all()
    for book in books:  # mend
        book.genres.add(genre)  # ran


@dirty("QS107", 6, "Review.objects.bulk_update(objects, fields)", confidence="medium")
def update_one_row_each():
    found = keys()
    for key in found:  # mend
        Review.objects.filter(book_id=key).update(stars=F("stars") + 1)  # ran


@dirty("QS107", 6, "executemany", confidence="medium")
def insert_by_cursor():
    with connection.cursor() as cursor:
        for number in range(6):  # mend
            cursor.execute("INSERT INTO library_genre (name) VALUES (%s)", [f"{number}"])  # ran


@clean
def writes_repaired():
    Genre.objects.bulk_create([Genre(name=f"new {number}") for number in range(12)], batch_size=2)
    genres = list(Genre.objects.all())
    Genre.objects.bulk_update(genres, ["name"], batch_size=2)
    Genre.objects.filter(name__startswith="new").delete()


@clean
def four_writes():
    for number in range(4):
        Genre.objects.create(name=f"new {number}")


@clean
def savepoint_around_each_row():
    with transaction.atomic():
        for number in range(6):
            with transaction.atomic():
                Genre.objects.create(name=f"new {number}")


@clean
def many_rows_in_one_executemany():
    with connection.cursor() as cursor:
        for start in range(6):
            rows = [[f"{start}.{number}"] for number in range(3)]
            cursor.executemany("INSERT INTO library_genre (name) VALUES (%s)", rows)


# -- the tests --------------------------------


@pytest.mark.parametrize("case", SCENARIOS.cases, ids=lambda case: case.function.__name__)
def test_dirty_code_is_found(case, recording):
    """One finding: the right code, count, lines and words."""
    trace = run(case.function, recording)
    finding = check_found(trace, case.code, case.count)
    assert finding.confidence in case.confidence.split(" or ")
    assert finding.severity == "warning"
    if case.write is not None:
        assert finding.mend.write == case.write
    ran, mend = marked(case.function, "ran"), marked(case.function, "mend")
    first = finding.origin.first
    if not isinstance(first, TemplateNode) and ran:
        assert [first.line] == ran
    if mend and (case.light or recording == "full"):
        assert [finding.mend.at.line] == mend


@pytest.mark.parametrize("function", SCENARIOS.innocent, ids=lambda function: function.__name__)
def test_clean_code_is_silent(function, recording):
    """Repaired code and what only looks like a loop: not even an info."""
    check_clean(run(function, recording))


def test_nested_loops_are_one_tree(recording):
    """Two findings, one a relation: the inner one names the product and the whole path."""

    def nested():
        for publisher in Publisher.objects.all():
            for book in publisher.books.all():
                list(book.genres.all())

    outer, inner = sorted(said(run(nested, recording), "QS101"), key=lambda found: found.count)
    assert (inner.count, outer.count) == (6, 3)
    assert "inside library.Publisher.books (3 x 2)" in inner.message
    assert inner.mend.write == '.prefetch_related("books__genres")'
    assert outer.mend.write == '.prefetch_related("books")'
    assert outer.evidence["around"] == "library.Book.genres, 6 statements"


def test_nested_loops_of_a_template_name_the_tags(recording):
    """In templates, too: both tags are named, both mends are the view's queryset."""

    def view():
        publishers = Publisher.objects.all()
        text = (
            "{% for p in publishers %}{% for book in p.books.all %}"
            "{{ book.editor }}{% endfor %}{% endfor %}"
        )
        render(text, publishers=publishers)

    outer, inner = sorted(said(run(view, recording), "QS101"), key=lambda found: found.count)
    assert inner.origin.node.source == "book.editor"
    assert outer.origin.node.source == "for book in p.books.all"
    assert inner.mend.write == '.prefetch_related("books__editor")'
    assert inner.mend.at == outer.mend.at


def test_queryset_that_a_tag_makes_is_mended_there(recording):
    """The line that renders made no queryset: the tag did."""

    def view():
        render("{% for book in books.all %}{{ book.publisher }}{% endfor %}", books=Book.objects)

    finding = check_found(run(view, recording), "QS101", 6)
    if recording == "full":
        assert finding.mend.at.source == "for book in books.all"


def test_lookup_in_serializer_method_is_found(recording):
    """The loop is the serializer's; ten rows tell it from the few fields of a form."""

    class Serializer(serializers.Serializer):
        stars = serializers.SerializerMethodField()

        def get_stars(self, book):
            return [review.stars for review in Review.objects.filter(book=book)]

    make_books(12)
    with recorded(recording) as result:
        Serializer(Book.objects.all(), many=True).data
    finding = check_found(result.trace, "QS102", 12)
    assert finding.severity == "critical"
    assert finding.origin.first.function.endswith("get_stars")


def test_loop_that_turned_is_named_not_one_of_one_turn(recording):
    """The helper loops over one name at a time; the caller's loop is what turns."""

    def publishers(names):
        Genre.objects.get(name="g0")
        return [Publisher.objects.get(name=name) for name in names]

    def view():
        for name in [f"p{n}" for n in range(3)]:  # turned
            publishers([name])

    lookup, invariant = sorted(said(run(view, recording)), key=lambda found: found.code)
    assert (lookup.code, invariant.code) == ("QS102", "QS202")
    assert [lookup.mend.at.line] == [invariant.mend.at.line] == marked(view, "turned")


def test_relation_loaded_in_thread_pool_is_found(recording):
    """Each worker's chain is the submitted function; the parents tell the loop."""

    def publisher_of(book):
        return book.publisher.name

    make_books()
    with recorded(recording) as result:
        books = list(Book.objects.all())
        shared = connections["default"]
        shared.inc_thread_sharing()
        try:
            with ThreadPoolExecutor(
                1, initializer=connections.__setitem__, initargs=("default", shared)
            ) as pool:
                jobs = [pool.submit(copy_context().run, publisher_of, book) for book in books]
                [job.result() for job in jobs]
        finally:
            shared.dec_thread_sharing()
    finding = check_found(result.trace, "QS101", 6)
    assert finding.origin.first.function.endswith("publisher_of")


def test_view_without_line_of_the_users_is_found(recording):
    """A generic view with a library's serializer: rows side by side, and no line to name."""
    make_books()
    library = {"__name__": "rest_framework.generated", "Book": Book}
    source = "def serve():\n    for book in Book.objects.all():\n        book.publisher.name\n"
    exec(compile(source, "/usr/lib/python3/site-packages/generated.py", "exec"), library)
    serve = library["serve"]
    with recorded(recording, max_frames=30) as result:
        serve()
    finding = check_found(result.trace, "QS101", 6)
    assert finding.mend.write == '.select_related("publisher")'


@pytest.mark.django_db(databases=["default", "second"])
def test_rows_of_second_alias_are_found(recording):
    """Another database is another connection, and the same loop."""
    make_books(alias="second")
    with recorded(recording) as result:
        for book in Book.objects.using("second"):
            book.publisher.name
    check_found(result.trace, "QS101", 6)


def test_signal_handler_in_loop_is_found(recording):
    """The handler that looks a row up for each save has no loop of its own."""

    def look_up(sender, instance, **_facts):
        Publisher.objects.get(pk=instance.publisher_id)

    def saves():
        books = list(Book.objects.all())
        post_save.connect(look_up, sender=Book)
        try:
            for book in books:
                book.save()
        finally:
            post_save.disconnect(look_up, sender=Book)

    found = {finding.code: finding for finding in said(run(saves, recording))}
    assert found["QS107"].count == 6
    assert found["QS102"].origin.first.function.endswith("look_up")
