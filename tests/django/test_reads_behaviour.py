"""Models behave the same tracked as untracked: each behaviour runs on both, results are equal."""

from __future__ import annotations

import copy
import inspect
import json
import pickle

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import connection, models, transaction
from django.db.models import F, Prefetch
from django.db.models.query_utils import DeferredAttribute
from django.forms import modelform_factory
from django.forms.models import model_to_dict
from django.template import Context, Template
from django.test.utils import CaptureQueriesContext, isolate_apps
from rest_framework.serializers import ModelSerializer

from queryscope.django import hooks
from queryscope.django.columns import Column
from queryscope.trace import guard
from tests.django.library.models import Author, Book, BookDetail, Publisher, Review
from tests.django.recorded import recorded


@pytest.fixture(autouse=True)
def untracked():
    """Other folders leave the hooks in; here both ways of a behaviour start without."""
    hooks.uninstall()


def behaviour(function):
    """Collect a behaviour: a function that gives what can be compared."""
    BEHAVIOURS[function.__name__] = function
    return function


BEHAVIOURS = {}


def plain(instance):
    """Return an instance's values without its state."""
    return {name: value for name, value in vars(instance).items() if name != "_state"}


@behaviour
def get_deferred_fields():
    """Columns that were not asked for are the deferred ones, all others are not."""
    whole = Book.objects.first().get_deferred_fields()
    only = Book.objects.only("title").first().get_deferred_fields()
    deferred = Book.objects.defer("title").first().get_deferred_fields()
    return whole, only, deferred


@behaviour
def save_writes_all_columns():
    """save() sends every column, update_fields the chosen ones, deferred ones stay out."""
    with CaptureQueriesContext(
        connection,
    ) as sent:
        book = Book.objects.first()
        book.title = "new"
        book.save()
        book.save(update_fields=["title"])
        partial = Book.objects.only("title").first()
        partial.title = "newer"
        partial.save()
    return [query["sql"] for query in sent.captured_queries], plain(Book.objects.first())


@behaviour
def refresh_from_db():
    """Values come back, cached relations go."""
    book = Book.objects.select_related("publisher").first()
    Book.objects.filter(pk=book.pk).update(title="changed", publisher=Publisher.objects.last())
    book.refresh_from_db()
    partial = Book.objects.first()
    partial.refresh_from_db(fields=["title"])
    return plain(book), book._state.fields_cache.keys(), plain(partial), book.publisher.name


@behaviour
def delete_attribute_defers_it():
    """``del instance.column`` makes it a deferred one, which the next read loads."""
    book = Book.objects.first()
    del book.title
    deferred = book.get_deferred_fields()
    with CaptureQueriesContext(connection) as sent:
        title = book.title
    twice = None
    del book.title
    try:
        del book.title
    except AttributeError as error:
        twice = str(error)
    key = None
    try:
        del book.publisher_id
    except AttributeError as error:
        key = str(error)
    return deferred, title, len(sent), twice, key


@behaviour
def foreign_key_column_forgets_the_cached_row():
    """Setting the column drops the cached instance, setting the instance sets the column."""
    book = Book.objects.select_related("publisher").first()
    other = Publisher.objects.last()
    book.publisher_id = other.pk
    cached = "publisher" in book._state.fields_cache
    name = book.publisher.name
    book.publisher = Publisher.objects.first()
    return cached, name, book.publisher_id, plain(book)


@behaviour
def pickle_and_copy():
    """Pickles and copies have the same values, state and class."""
    book = Book.objects.select_related("publisher").prefetch_related("genres").first()
    results = [
        (
            type(made) is Book, plain(made).keys(), made == book, hash(made) == hash(book),
            made._state.db, made._state.adding, made.publisher.name, made.title,
            made.get_deferred_fields(),
        )
        for made in (pickle.loads(pickle.dumps(book)), copy.copy(book), copy.deepcopy(book))
    ]  # fmt: skip
    queryset = pickle.loads(pickle.dumps(Book.objects.order_by("pk")))
    return results, [book.title for book in queryset]


@behaviour
def pickled_values_are_plain():
    """A pickle of an instance or of its values names no class of ours."""
    book = Book.objects.first()
    data = pickle.dumps(book) + pickle.dumps(plain(book)) + pickle.dumps(dict(vars(book)))
    return b"queryscope.trace" in data, b"queryscope.django" in data


@behaviour
def vars_are_a_dict():
    """vars() is a dict with the values, equal, printable and serialisable."""
    book = Book.objects.first()
    values = plain(book)
    return (
        isinstance(vars(book), dict), vars(book) is book.__dict__, values, json.dumps(values),
        list(vars(book)), len(vars(book)), "title" in vars(book), repr(plain(book)),
        vars(Book.objects.first()).keys() == vars(book).keys(),
    )  # fmt: skip


@behaviour
def writing_through_the_dict_is_seen():
    """What is put into ``__dict__`` is what the attribute gives, and what is saved."""
    book = Book.objects.first()
    book.__dict__["title"] = "by dict"
    vars(book).update(editor_id=None)
    book.save()
    return book.title, plain(Book.objects.get(pk=book.pk))


@behaviour
def replacing_the_dict():
    """A ``__dict__`` that the user puts in its place is the one that counts."""
    book = Book.objects.first()
    book.__dict__ = {**vars(book), "title": "other"}
    return book.title, plain(book)


@behaviour
def class_access():
    """The class gives Django's own descriptor, static look-ups one of its kind."""
    return (
        type(Book.title) is DeferredAttribute, Book.title.field.name,
        isinstance(inspect.getattr_static(Book, "title"), DeferredAttribute),
        isinstance(Book.publisher_id, DeferredAttribute), hasattr(Book, "title"),
        Book._meta._property_names,
    )  # fmt: skip


@behaviour
def model_to_dict_and_forms():
    """Forms show, check and save the values."""
    book = Book.objects.first()
    form_class = modelform_factory(Book, fields=["title", "publisher", "genres"])
    unbound = form_class(instance=book)
    genres = [genre.pk for genre in book.genres.all()]
    data = {"title": "form", "publisher": book.publisher_id, "genres": genres}
    bound = form_class(data, instance=book)
    return (
        model_to_dict(book, exclude=["genres"]), unbound["title"].value(), bound.is_valid(),
        bound.changed_data, bound.save().title,
    )  # fmt: skip


@behaviour
def serialize_and_back():
    """Fixtures are written and read."""
    text = serializers.serialize("json", Book.objects.order_by("pk"))
    made = [item.object for item in serializers.deserialize("json", text)]
    return text, [plain(book) for book in made]


@behaviour
def rest_framework():
    """Serializers give the same data and save what they are given."""

    class BookSerializer(ModelSerializer):
        class Meta:
            model = Book
            fields = ["id", "title", "publisher", "editor"]
            depth = 1

    many = BookSerializer(Book.objects.select_related("publisher", "editor"), many=True).data
    change = BookSerializer(Book.objects.first(), data={"title": "by rest"}, partial=True)
    return json.dumps(many), change.is_valid(), change.save().title


@behaviour
def full_clean():
    """Validation says the same."""
    book = Book.objects.first()
    book.title = ""
    try:
        book.full_clean()
    except ValidationError as error:
        return error.message_dict
    return None


@behaviour
def templates():
    """Rendered text is the same."""
    text = (
        "{% for b in books %}{{ b }} {{ b.publisher.name }} {{ b.genres.all|length }} {% endfor %}"
    )
    books = Book.objects.select_related("publisher").prefetch_related("genres").order_by("pk")
    return Template(text).render(Context({"books": books}))


@behaviour
def constructor_and_from_db():
    """Instances made by hand, by position and by ``from_db``."""
    by_name = Author(name="x")
    by_position = Author(7, "y")
    loaded = Author.from_db("default", ["id", "name"], [8, "z"])
    missing = Author.from_db("default", ["id"], [9])
    return [
        plain(a) for a in (by_name, by_position, loaded, missing)
    ], missing.get_deferred_fields()


@behaviour
def bulk_and_expressions():
    """Bulk writes, F() and get_or_create."""
    Author.objects.bulk_create([Author(name="a"), Author(name="b")])
    authors = list(Author.objects.order_by("pk"))
    for author in authors:
        author.name += "!"
    Author.objects.bulk_update(authors, ["name"])
    review = Review.objects.first()
    review.stars = F("stars") + 1
    review.save()
    review.refresh_from_db()
    made, created = Author.objects.update_or_create(name="a!", defaults={"name": "c"})
    return [a.name for a in Author.objects.order_by("pk")], review.stars, made.name, created


@behaviour
def relations():
    """Every relation gives the same rows with the same number of statements."""
    queryset = Book.objects.select_related("publisher", "detail").prefetch_related(
        "genres", "tags__target", Prefetch("reviews", to_attr="seen"), "sequels"
    )
    with CaptureQueriesContext(connection) as sent:
        rows = [
            (
                book.publisher.name, book.detail.isbn, [g.name for g in book.genres.all()],
                [t.name for t in book.tags.all()], [r.stars for r in book.seen],
                [s.pk for s in book.sequels.all()], book.editor and book.editor.name,
            )
            for book in queryset.order_by("pk")
        ]  # fmt: skip
    return rows, len(sent)


@behaviour
def equality_and_order():
    """Equality, hashes, membership and sorting go by the key and the values."""
    books = list(Book.objects.order_by("pk"))
    again = list(Book.objects.order_by("-pk"))
    ordered = [book.title for book in sorted(books, key=lambda book: book.title, reverse=True)]
    return sorted(map(books.index, again)), len({*books, *again}), ordered


@behaviour
def deletion():
    """Collecting and deleting rows with what hangs on them."""
    book = Book.objects.first()
    deleted = book.delete()
    return deleted, book.pk, Book.objects.count(), BookDetail.objects.count()


@behaviour
def subclasses_of_models():
    """Inherited columns, proxies and an attribute of the class that is no column."""
    with isolate_apps("tests.django.library"):

        class Base(models.Model):
            name = models.CharField(max_length=10, default="n")
            label = "a class attribute"

            class Meta:
                app_label = "library"

        class Child(Base):
            extra = models.IntegerField(default=3)

            class Meta:
                app_label = "library"

        class Proxy(Child):
            class Meta:
                app_label = "library"
                proxy = True

        made = Proxy(pk=4, name="proxy")
        made.extra += 1
        return plain(made), made.label, made.base_ptr_id, Child(id=2).pk, Child.name.field.name


def run(function, *, record):
    """Run a behaviour on fresh rows, recorded or not."""
    if not record:
        return function()
    with recorded(reads=True):
        return function()


@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
@pytest.mark.django_db
def test_tracked_model_behaves_like_an_untracked_one(name, books, django_db_blocker):
    """The same calls on the same rows give the same results."""
    function = BEHAVIOURS[name]
    results = []
    for tracked in (False, True):
        guard.clear()
        if tracked:
            hooks.install(full=True, track=True)
            assert isinstance(vars(Book)["title"], Column)
        try:
            with transaction.atomic():
                results.append(run(function, record=tracked))
                transaction.set_rollback(True)
        finally:
            hooks.uninstall()
        assert guard.failures() == ()
    assert results[0] == results[1]


def test_uninstall_puts_every_descriptor_back():
    """Also on classes that were made meanwhile."""
    before = {name: vars(Book)[name] for name in ("title", "publisher_id", "id")}
    hooks.install(full=True, track=True)
    assert all(isinstance(vars(Book)[name], Column) for name in before)
    hooks.uninstall()
    assert {name: vars(Book)[name] for name in before} == before
    assert all(vars(Book)[name] is value for name, value in before.items())


def test_light_recording_leaves_the_classes_alone():
    """In production nothing stands before the values."""
    before = vars(Book)["title"]
    hooks.install(full=False, track=True)
    assert vars(Book)["title"] is before
    hooks.uninstall()
