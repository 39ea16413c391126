"""Django: statements, indexes and constraints that a plan or the schema has to show (QS4)."""

from __future__ import annotations

from django.db import connection
from django.db.models.functions import Upper

from benchmarks.detection.django_shelf.models import Book, Loan, Reading, Shelfmark
from benchmarks.detection.scenario import dirty, innocent, repaired

# -- QS401, QS402: scans -----------------------------------------------------------------------


@dirty("QS401", table="reading")
def filter_on_a_column_without_index():
    return [one.value for one in Reading.objects.filter(taken=4_711)]  # mend


@repaired(filter_on_a_column_without_index)
def filter_on_the_key():
    first = Reading.objects.order_by("pk").values_list("pk", flat=True)[0]
    return [one.value for one in Reading.objects.filter(pk=first + 4_711)]


@innocent("QS401")
def filter_on_an_indexed_column():
    return Reading.objects.filter(sensor=7).order_by("pk").values_list("value", flat=True)[0]


@innocent("QS401")
def scan_of_a_tiny_table():
    return [book.title for book in Book.objects.filter(price=12)]


@dirty("QS402", table="reading", also=("QS312",))
def index_hidden_by_an_expression():
    readings = Reading.objects.extra(where=["sensor + 0 = 7"])  # mend
    return len([one.value for one in readings])


@repaired(index_hidden_by_an_expression)
def index_used():
    return len([one.value for one in Reading.objects.filter(sensor=7)])


@innocent("QS402")
def key_looked_up():
    return Reading.objects.filter(sensor=3).first().value


@innocent("QS402", also=("QS312",))
def expression_on_a_tiny_table():
    books = Book.objects.annotate(up=Upper("isbn")).filter(up="ISBN-1")
    return [book.title for book in books]


# -- QS403, QS405: the schema ------------------------------------------------------------------


@dirty("QS403", table="shelfmark")
def index_that_another_has_as_its_prefix():
    """The index of ``room`` is the beginning of the one of ``room, place``."""
    return [one.place for one in Shelfmark.objects.filter(room="a")]


@repaired(index_that_another_has_as_its_prefix)
def table_with_the_indexes_it_needs():
    return [one.returned for one in Loan.objects.filter(day=1)]


@innocent("QS403")
def index_of_a_key():
    return [book.title for book in Book.objects.filter(author_id=1)]


@innocent("QS403")
def index_for_uniqueness():
    return Book.objects.filter(isbn="isbn-1").exists()


@dirty("QS405", table="loan")
def key_without_a_constraint():
    """A loan points to a book, and the database does not know."""
    return [one.returned for one in Loan.objects.filter(book=1)]


@repaired(key_without_a_constraint)
def key_with_a_constraint():
    return [one.place for one in Shelfmark.objects.filter(book=1)]


@innocent("QS405")
def unique_in_both():
    return Book.objects.get(isbn="isbn-1").title


@innocent("QS405")
def nullable_in_both():
    return [book.title for book in Book.objects.filter(editor=None)]


# -- QS404: slow -------------------------------------------------------------------------------

_SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000000) "
    "SELECT count(*) > 0 FROM n",
    "postgresql": "SELECT pg_sleep(0.8) IS NOT NULL",
    "mysql": "SELECT SLEEP(0.8) = 0",
}


@dirty("QS404")
def slow_statement():
    with connection.cursor() as cursor:
        cursor.execute(_SLOW[connection.vendor])  # mend
        return bool(cursor.fetchone()[0])


@repaired(slow_statement)
def quick_statement():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone()[0])


@innocent("QS404")
def count_of_a_table():
    return Reading.objects.count()


@innocent("QS404")
def lookup_by_key():
    return Book.objects.get(pk=1).title
