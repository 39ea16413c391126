"""What Django's frames say about a statement: relation, owner, attribute, parents, their query."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models import Count, Manager, Prefetch, QuerySet
from django.forms import modelform_factory
from django.template import Context, Template

from queryscope.trace.events import Origin
from tests.django.library.models import (
    Author,
    Book,
    BookDetail,
    Genre,
    Publisher,
    Review,
    Tag,
)
from tests.django.recorded import here, recorded


def forward():
    """Read a foreign key of every book."""
    return [book.publisher.name for book in Book.objects.all()]


def reverse():
    """Read the reverse side of a foreign key."""
    return [list(publisher.books.all()) for publisher in Publisher.objects.all()]


def many_to_many():
    """Read a many-to-many relation."""
    return [list(book.genres.all()) for book in Book.objects.all()]


def many_to_many_back():
    """Read a many-to-many relation from its far end."""
    return [list(genre.books.all()) for genre in Genre.objects.all()]


def one_to_one():
    """Read a one-to-one relation forwards."""
    return [detail.book.title for detail in BookDetail.objects.all()]


def reverse_one_to_one():
    """Read a one-to-one relation backwards."""
    return [book.detail.isbn for book in Book.objects.all()]


def generic():
    """Read a generic foreign key."""
    return [tag.target.title for tag in Tag.objects.all()]


def generic_reverse():
    """Read a generic relation."""
    return [list(book.tags.all()) for book in Book.objects.all()]


def column():
    """Read a deferred column."""
    return [book.title for book in Book.objects.only("pk")]


@pytest.mark.parametrize(
    ("work", "relation", "owner", "attribute", "parents"),
    [
        (forward, "forward", "library.Book", "publisher", 6),
        (reverse, "reverse", "library.Publisher", "books", 3),
        (many_to_many, "many_to_many", "library.Book", "genres", 6),
        (many_to_many_back, "many_to_many", "library.Genre", "books", 2),
        (one_to_one, "one_to_one", "library.BookDetail", "book", 6),
        (reverse_one_to_one, "reverse_one_to_one", "library.Book", "detail", 6),
        (generic, "generic", "library.Tag", "target", 6),
        (generic_reverse, "generic_reverse", "library.Book", "tags", 6),
        (column, "column", "library.Book", "title", 6),
    ],
)
def test_relation_is_named_with_its_parents(
    books, hooked, work, relation, owner, attribute, parents
):
    """Each kind of relation is a Load of its class and attribute, one distinct parent a row."""
    with recorded(hooked) as run:
        work()
    loads = [query.load for query in run.queries if query.load is not None]
    assert {(load.relation, load.owner, load.attribute) for load in loads} == {
        (relation, owner, attribute)
    }
    assert len({load.parent for load in loads}) == parents
    assert not any(load.batched or load.narrowed for load in loads)


@pytest.mark.parametrize("work", [forward, reverse, many_to_many, reverse_one_to_one, column])
def test_parent_query_is_known_in_full_recording(books, hooked, work):
    """In full recording each Load names the statement that loaded its parent row."""
    with recorded(hooked) as run:
        work()
    known = {query.load.parent_query for query in run.queries if query.load is not None}
    assert known == ({0} if hooked == "full" else {None})


class Tenants:
    """A router that asks the database which alias to read from, before the statement itself."""

    def db_for_read(self, model, **hints):
        """Read from the alias in force."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def test_parent_query_is_not_what_came_before_it(books, hooked, settings):
    """What a router asks, or Django sends on connecting, loaded no instance."""
    settings.DATABASE_ROUTERS = [Tenants()]
    with recorded(hooked) as run:
        book = Book.objects.all()[0]
        settings.DATABASE_ROUTERS = []
        assert book.publisher.name
    *_, parent, lazy = run.queries
    assert (parent.model, lazy.load.attribute) == ("library.Book", "publisher")
    assert lazy.load.parent_query == (parent.number if hooked == "full" else None)


def test_parent_query_reaches_through_select_related(books, hooked):
    """An instance that a join loaded names the joining statement as its parent query."""
    with recorded(hooked) as run:
        for book in Book.objects.select_related("publisher"):
            book.publisher.books.count()
    load = run.queries[1].load
    assert (load.owner, load.attribute, load.narrowed) == ("library.Publisher", "books", True)
    assert load.parent_query == (0 if hooked == "full" else None)


@pytest.mark.parametrize(
    ("narrow", "operation"),
    [
        (lambda books: list(books.filter(title="x")), "iterate"),
        (lambda books: list(books.order_by("title")), "iterate"),
        (lambda books: list(books.all()[:2]), "iterate"),
        (lambda books: books.first(), "first"),
        (lambda books: books.count(), "count"),
        (lambda books: books.exists(), "exists"),
        (lambda books: books.aggregate(Count("pk")), "aggregate"),
        (lambda books: books.get(title="book 0"), "get"),
        (lambda books: list(books.values_list("title", flat=True)), "values"),
    ],
    ids=["filter", "order", "slice", "first", "count", "exists", "aggregate", "get", "values"],
)
def test_narrowed_manager_keeps_its_relation(books, hooked, narrow, operation):
    """A filtered, ordered, sliced or counted relation is narrowed, and still that relation."""
    publisher = Publisher.objects.get(name="p0")
    with recorded(hooked) as run:
        narrow(publisher.books)
    query = run.queries[-1]
    assert query.operation == operation
    assert (query.load.attribute, query.load.narrowed) == ("books", True)


def test_prefetch_is_one_batch_for_its_instances(books, hooked):
    """A prefetch names its relation and how many instances it served."""
    with recorded(hooked) as run:
        list(
            Book.objects.prefetch_related(
                "publisher", Prefetch("genres", to_attr="kinds"), "genres__books"
            )
        )
    loads = [query.load for query in run.queries[1:]]
    assert [(load.attribute, load.parents) for load in loads[:2]] == [
        ("publisher", 6),
        ("genres", 6),
    ]
    assert all(load.batched and load.parent is None for load in loads[:2])
    assert {query.operation for query in run.queries[1:]} == {"prefetch"}
    assert [query.model for query in run.queries[1:3]] == ["library.Publisher", "library.Genre"]


@pytest.mark.parametrize(
    ("work", "operation", "model"),
    [
        (lambda: Book.objects.get(title="book 1"), "get", "library.Book"),
        (Book.objects.first, "first", "library.Book"),
        (lambda: Book.objects.in_bulk([1]), "in_bulk", "library.Book"),
        (lambda: list(Book.objects.iterator()), "iterate", "library.Book"),
        (lambda: list(Book.objects.raw("SELECT * FROM library_book")), "raw", "library.Book"),
        (lambda: Book.objects.update(title="x"), "update", "library.Book"),
        (lambda: Author(name="new").save(), "save", "library.Author"),
        (lambda: Author.objects.create(name="new"), "create", "library.Author"),
        (lambda: Author.objects.bulk_create([Author(name="n")]), "bulk_create", "library.Author"),
        (lambda: Author.objects.get().refresh_from_db(), "refresh", "library.Author"),
        (lambda: Book.objects.first().genres.remove(1, 2), "m2m_write", "library.Genre"),
    ],
)
def test_verb_and_model_are_named(books, hooked, work, operation, model):
    """The outermost ORM call names the verb."""
    with recorded(hooked) as run:
        work()
    query = run.queries[-1]
    assert (query.operation, query.model) == (operation, model)


def test_cursor_statement_has_no_verb_of_the_orm(books, hooked):
    """A statement sent past the ORM is a cursor statement."""
    with recorded(hooked) as run, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one FROM library_book")
    assert [query.operation for query in run.trace.queries] == ["cursor"]


def test_queryset_line_is_where_it_was_created(books, hooked):
    """In full recording a query names the line that created its queryset."""
    chosen = Book.objects.filter(title="book 1")  # created here
    with recorded(hooked) as run:
        list(chosen.order_by("title"))
    created = run.queries[0].created
    if hooked == "light":
        assert created is None
    else:
        with open(created.file, encoding="utf-8") as file:  # noqa: PTH123 - one line
            assert "# created here" in file.read().splitlines()[created.line - 1]


def test_manager_that_narrows_for_everybody_did_not_create_it(books, hooked):
    """The line that asks the manager counts; a view's method of the same name is such a line."""

    class Shown(Manager):
        def get_queryset(self):
            return super().get_queryset().exclude(title="")

    class View:
        def get_queryset(self):
            return shown.all()  # by the view

    shown = Shown()
    shown.model = Book
    with recorded(hooked) as run:
        list(shown.filter(title="book 1"))  # by the test
        list(View().get_queryset())
    if hooked == "full":
        one, other = run.queries
        assert here(Origin((one.created,)), "# by the test")
        assert here(Origin((other.created,)), "# by the view")


def test_constructor_of_queryset_class_did_not_create_it(books, hooked):
    """A queryset class of the user's with attributes of its own: the line that calls it counts."""

    class Shelf(QuerySet):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.name = ""

    class Form:
        def __init__(self):
            self.choices = Book.objects.all()  # by the form

    def make():
        return Shelf(Book)  # by make

    with recorded(hooked) as run:
        list(make().filter(title="book 1"))
        list(Form().choices)
    if hooked == "full":
        one, other = run.queries
        assert here(Origin((one.created,)), "# by make")
        assert here(Origin((other.created,)), "# by the form")


def test_template_node_is_the_origin(books, hooked):
    """A statement that a template asked for names template, line and tag."""
    template = Template(
        "{% for book in books %}\n{{ book.publisher.name }}\n{% endfor %}", name="list.html"
    )
    with recorded(hooked) as run:
        template.render(Context({"books": Book.objects.all()}))  # rendered
    loop, lazy = run.queries[:2]
    assert (loop.origin.first.line, loop.origin.first.source) == (1, "for book in books")
    assert (lazy.origin.first.line, lazy.origin.first.source) == (2, "book.publisher.name")
    assert here(lazy.origin, "# rendered")
    if hooked == "full":
        assert "for book in books" in [getattr(step, "source", "") for step in lazy.origin.steps]


def test_two_tags_of_one_template_have_two_origins(books, hooked):
    """Two tags with identical frames differ by their node."""
    template = Template("{{ book.publisher.name }}{{ book.editor.name }}")
    with recorded(hooked) as run:
        template.render(Context({"book": Book.objects.get(title="book 1")}))
    assert len({query.origin for query in run.queries[1:]}) == 2


def test_row_identity_does_not_leave_the_process(books, hooked):
    """Parents are numbered within the Trace: no key of a row can be read back."""
    with recorded(hooked) as run:
        forward()
    assert [query.load.parent for query in run.queries[1:]] == list(range(6))


def test_form_field_is_named_by_the_users_tag(books, hooked):
    """A form renders through templates of Django's own; the origin is the tag that asked."""
    form_class = modelform_factory(Book, fields=["publisher"])
    template = Template("\n{{ form }}", name="edit.html")
    with recorded(hooked) as run:
        template.render(Context({"form": form_class()}))
    (query,) = run.queries
    if hooked == "full":  # light recording reads the innermost node only
        assert (query.origin.first.line, query.origin.first.source) == (2, "form")
    assert query.origin.frame.function == "test_form_field_is_named_by_the_users_tag"


def test_one_line_that_reads_two_keys_to_one_table_names_both(hooked, books):
    """The statements are equal and come the same way; only the frames tell the keys apart."""
    book = books[0]
    children = [
        found
        for _ in range(2)
        for found in (Review.objects.get(book=book), BookDetail.objects.get(book=book))
    ]
    with recorded(hooked) as run:
        for child in children:
            assert child.book == book
    assert len({query.statement for query in run.queries}) == 1
    assert [query.load.owner.rpartition(".")[2] for query in run.queries] == [
        "Review",
        "BookDetail",
    ] * 2


def test_one_line_that_counts_several_rows_children_tells_their_parents(hooked, books):
    """A manager's label is not remembered with the first parent's row in it."""
    with recorded(hooked) as run:
        for book in books[:3]:
            assert len(book.reviews.all()) == 1
    assert [query.load.attribute for query in run.queries] == ["reviews"] * 3
    assert len({query.load.parent for query in run.queries}) == 3
