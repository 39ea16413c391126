"""How statements of real Django code are written: dirty, repaired, and what only looks alike.

A dirty function names its finding; the comment ``# mend`` marks the line that it has to name. All
of it runs in light and in full recording.
"""

# The names of the scenarios say what they are, and reading an attribute is what they do.
# ruff: noqa: D103

from __future__ import annotations

import pytest
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Q, Sum
from django.template import engines

from queryscope.trace.events import TemplateNode
from tests.detectors import on_django
from tests.detectors.judging import said
from tests.detectors.on_django import run
from tests.detectors.scenarios import Scenarios, marked
from tests.django.library.models import Book, Genre, Publisher

pytestmark = pytest.mark.django_db

OURS = (
    "QS203", "QS204", "QS207", "QS208", "QS304", "QS307", "QS308", "QS309", "QS311", "QS313",
    "QS315",
)  # fmt: skip
LOW = {
    "QS304": {"large_result_min_rows": 6},
    "QS308": {"deep_offset_min_rows": 4},
    "QS311": {"too_many_joins_min_joins": 4},
}
"""Thresholds that six books reach."""


recording = on_django.recording
SCENARIOS = Scenarios(lambda function, *codes: (function, codes))
dirty, clean = SCENARIOS.dirty, SCENARIOS.clean


def some():
    """Return a queryset of five of the six books."""
    return Book.objects.filter(title__lt="book 5")


# -- sets -----------------------------------------------------------------------------------------


@dirty("QS207")
def count_then_rows():
    books = some().order_by("title")
    total = books.count()  # mend
    return total, list(books)


@dirty("QS207")
def rows_then_count():
    books = list(some())
    return some().count(), books  # mend


@dirty("QS207")
def exists_then_rows_with_join():
    if some().exists():  # mend
        return list(some().select_related("publisher", "editor").order_by("-title"))
    return []


@dirty("QS207")
def count_of_a_relation_then_rows():
    publisher = Publisher.objects.order_by("pk").first()
    return publisher.books.count(), list(publisher.books.all())  # mend


@dirty("QS204")
def exists_after_rows():
    books = list(some())
    return some().exists(), books  # mend


@dirty("QS203")
def other_order():
    cheapest = list(some().order_by("title"))
    return cheapest, list(some().order_by("-title"))  # mend


@dirty("QS203")
def other_columns():
    books = list(some())
    return books, list(some().values_list("title", flat=True))  # mend


@dirty("QS203")
def first_of_rows():
    books = list(some())
    return books, some().order_by("-title").first()  # mend


@clean
def rows_once():
    books = list(some().order_by("title"))
    return len(books), bool(books), books[0], sorted(books, key=lambda book: book.pk)


@clean
def exists_alone():
    return some().exists()


@clean
def evaluated_queryset():
    books = some()
    return len(books), list(books), books.count(), books.exists(), books[0]


@clean
def count_plus_page():
    page = Paginator(some().order_by("pk"), 2).page(2)
    return page.paginator.count, list(page)


@clean
def pages_of_one_set():
    books = some().order_by("pk")
    return list(books[:2]), list(books[2:4]), list(books[4:6])


@clean
def read_write_read():
    before = list(some().order_by("title"))
    some().update(title="changed")
    return before, list(some().order_by("pk"))


@clean
def prefetch_and_rows():
    publishers = list(Publisher.objects.prefetch_related("books"))
    return [list(publisher.books.all()) for publisher in publishers]


@clean
def refresh_after_get():
    book = Book.objects.get(title="book 1")
    book.refresh_from_db()
    return book


@clean
def deferred_column():
    book = Book.objects.only("title").get(title="book 1")
    return book.editor_id


@clean
def two_purposes():
    return menu(), list(Genre.objects.values_list("pk", flat=True))


def menu():
    return list(Genre.objects.order_by("name"))


@clean
def sums_beside_rows():
    return list(some()), some().aggregate(n=Sum("pk"))


@clean
def empty_list():
    return list(Book.objects.filter(pk__in=[])), list(Book.objects.none()), Book.objects.all()[:0]


@clean
def get_or_create_of_one():
    return Genre.objects.get_or_create(name="g0")


@clean
def locked_after_read():
    return Genre.objects.get(name="g0"), Genre.objects.select_for_update().get(name="g0")


# -- one statement --------------------------------------------------------------------------------


@dirty("QS304")
def all_rows():
    return list(Book.objects.all())  # mend


@clean
def rows_in_pieces():
    return [book for book in Book.objects.iterator(chunk_size=2)]  # noqa: C416 - as applications write it


@dirty("QS307")
def sliced_list():
    return list(some())[1:3]  # mend


@dirty("QS307")
def paginator_of_a_list():
    books = list(some())  # mend
    return Paginator(books, 2)


@clean
def chunks_of_keys():
    keys = list(Book.objects.values_list("pk", flat=True))
    parts = [keys[start : start + 2] for start in range(0, len(keys), 2)]
    return [list(Book.objects.filter(pk__in=part)) for part in parts]


@dirty("QS308")
def page_far_behind():
    return list(Book.objects.order_by("pk")[4:6])  # mend


@dirty("QS309")
def page_in_no_order():
    return list(Book.objects.all()[:3])  # mend


@clean
def page_in_order():
    return list(Book.objects.order_by("title", "pk")[:3])


@clean
def one_row():
    return Book.objects.first(), Book.objects.get(title="book 1"), Book.objects.all()[0]


@clean
def keyset_page():
    return list(Book.objects.filter(pk__gt=2).order_by("pk")[:2])


@clean
def batch_of_work():
    keys = list(Book.objects.values_list("pk", flat=True)[:3])
    Book.objects.filter(pk__in=keys).delete()


@dirty("QS311")
def many_joins():
    path = "publisher", "editor", "detail", "sequel_of__publisher"
    return list(Book.objects.select_related(*path))  # mend


@clean
def joins_of_a_detail_page():
    return list(some().select_related("publisher", "editor", "detail"))


@dirty("QS313")
def values_in_the_text():
    with connection.cursor() as cursor:
        for key in (1, 2, 3):
            cursor.execute(f"SELECT title FROM library_book WHERE id = {key}")  # mend


@clean
def values_as_parameters():
    with connection.cursor() as cursor:
        for key in (1, 2, 3):
            cursor.execute("SELECT title FROM library_book WHERE id = %s", [key])
        for _ in range(2):
            cursor.execute("SELECT title FROM library_book WHERE id = 1 AND title <> 'x 1'")


@clean
def constants_of_the_orm():
    for number in range(1, 5):
        Book.objects.filter(pk__in=range(number), sequel_of=None).exists()
        list(Book.objects.filter(Q(pk__lt=number) | Q(editor=None)).order_by("pk")[:number])


@dirty("QS315")
def count_for_existence():
    return "some" if some().count() > 0 else "none"  # mend


@dirty("QS315")
def rows_for_a_number():
    return len(some())  # mend


@dirty("QS315")
def rows_for_existence():
    if some():  # mend
        return "some"
    return "none"


@dirty("QS315")
def rows_for_one_field():
    return [book.title for book in some()]  # mend


@clean
def right_questions():
    total = some().count()
    titles = Book.objects.values_list("title", flat=True)
    return total, some().filter(editor=None).exists(), [title.upper() for title in titles]


# -- the tests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "codes"), SCENARIOS.cases, ids=lambda item: getattr(item, "__name__", "")
)
def test_dirty_code_is_found(function, codes, recording):
    """The right codes, and the line to mend."""
    found = said(run(function, recording), *OURS, **LOW.get(codes[0], {}))
    assert [finding.code for finding in found] == list(codes), [item.message for item in found]
    assert [found[0].mend.at.line] == marked(function)


@pytest.mark.parametrize("function", SCENARIOS.innocent, ids=lambda function: function.__name__)
def test_clean_code_is_silent(function, recording):
    """Repaired code and what only looks alike: not even an info."""
    found = said(run(function, recording), *OURS)
    assert [f"{finding.code}: {finding.message}" for finding in found] == []


def test_template_that_counts_and_loops_is_found(recording):
    """The tag that counts is the place, where the template is the user's own."""
    template = engines["django"].from_string(
        "{% if books.exists %}{% for book in books %}{{ book.title }}{% endfor %}{% endif %}"
    )

    def render():
        template.render({"books": some()})

    found = said(run(render, recording), *OURS)
    assert [finding.code for finding in found] == ["QS207"]
    assert isinstance(found[0].origin.first, TemplateNode)
