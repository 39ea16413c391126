"""QS405: what models promise and databases do not keep, on each of them."""

from __future__ import annotations

import pytest

from queryscope.plans.declared import Model, Rule
from tests.builders import a_query
from tests.detectors.judging import Source
from tests.plans.empty import VENDORS, empty
from tests.plans.studied import said_of

RULES = (
    Rule("unique", ("isbn",), "isbn", "CharField(unique=True)"),
    Rule("unique", ("shelf", "place"), "", "unique_together = ('shelf', 'place')"),
    Rule("not null", ("isbn",), "isbn", "null=False"),
    Rule("not null", ("title",), "title", "null=False"),
    Rule("foreign key", ("author_id",), "author", "ForeignKey", refers="author"),
)
SOURCE = """\
class Book(Model):
    isbn = CharField(unique=True)
    author: Author = ForeignKey(Author)
"""
AUTHOR = "CREATE TABLE author (id INTEGER PRIMARY KEY)"
KEPT = (
    AUTHOR,
    (
        "CREATE TABLE book (id INTEGER PRIMARY KEY, isbn VARCHAR(20) NOT NULL UNIQUE, "
        "title VARCHAR(20) NOT NULL, shelf INTEGER, place INTEGER, author_id INTEGER, "
        "UNIQUE (place, shelf), FOREIGN KEY (author_id) REFERENCES author (id))"
    ),
)
NOT_KEPT = (
    AUTHOR,
    (
        "CREATE TABLE book (id INTEGER PRIMARY KEY, isbn VARCHAR(20), title VARCHAR(20), "
        "shelf INTEGER, place INTEGER, author_id INTEGER)"
    ),
    "CREATE INDEX book_isbn ON book (isbn)",
)
READ = "SELECT b.id FROM book b WHERE b.id = 3"


@pytest.fixture(params=VENDORS)
def place(request):
    """An empty place in each database."""
    with empty(request.param, "queryscope_qs405") as found:
        yield found


@pytest.fixture
def book(tmp_path):
    """A model with a source file."""
    source = Source(tmp_path, SOURCE, "models.py")
    return Model("shop.Book", "book", "", str(source.path), "shop.models", "Book", RULES)


def said(place, model, *statements):
    """Return what is said of a model after some statements."""
    queries = [a_query(one, parameters=(), rows=1) for one in statements or (READ,)]
    return [item for item in said_of(place, *queries, models=[model]) if item.code == "QS405"]


# -- innocent -------------------------------------------------------------------------------------


def test_table_that_keeps_what_is_promised_is_clean(place, book):
    """In any order of the columns."""
    place.run(*KEPT)
    assert said(place, book) == []


def test_index_in_place_of_a_constraint_is_clean(place, book):
    """It keeps the rows apart as well."""
    place.run(*NOT_KEPT, "CREATE UNIQUE INDEX one_isbn ON book (isbn)")
    assert said(place, book._replace(rules=RULES[:1])) == []


def test_table_of_no_statement_is_clean(place, book):
    """What was recorded does not touch it."""
    place.run(*NOT_KEPT)
    assert said(place, book, "SELECT a.id FROM author a") == []


def test_table_without_a_model_is_clean(place):
    """Nobody promised anything."""
    place.run(*NOT_KEPT)
    other = Model("shop.Author", "author", "", "", "", "", ())
    assert said(place, other) == []


def test_table_to_come_is_clean(place, book):
    """Its migration was not run yet; nor that of a column."""
    place.run(AUTHOR, "CREATE TABLE book (id INTEGER PRIMARY KEY, author_id INTEGER)")
    assert said(place, book._replace(rules=RULES[:4])) == []
    assert said(place, book._replace(table="later")) == []


def test_key_to_another_database_is_clean(place, book):
    """No constraint reaches so far."""
    place.run(*NOT_KEPT)
    rule = RULES[-1]._replace(refers="elsewhere")
    assert said(place, book._replace(rules=(rule,))) == []


def test_model_of_a_library_is_clean(place, book):
    """Its migrations are not the user's."""
    import django.contrib.auth.models as library

    place.run(*NOT_KEPT)
    model = book._replace(file=library.__file__, module=library.__name__)
    assert said(place, model) == []


# -- found ----------------------------------------------------------------------------------------


def test_each_kind_of_promise_is_one_finding(place, book):
    """With all columns of it, and the line of the first."""
    place.run(*NOT_KEPT)
    found = {item.evidence["promised"]: item for item in said(place, book)}
    assert set(found) == {"unique", "not null", "foreign key"}
    assert found["unique"].evidence["columns"] == "isbn; shelf, place"
    assert found["not null"].message == (
        "shop.Book promises not null for isbn; title (null=False), and table book has no such "
        "constraint: it lets in NULL."
    )
    assert {item.severity for item in found.values()} == {"warning"}
    assert (found["unique"].mend.at.line, found["foreign key"].mend.at.line) == (2, 3)
    assert found["unique"].origin.first.module == "shop.models"
    assert found["foreign key"].subject == "shop.Book foreign key"


def test_what_the_model_left_out_is_an_info(place, book):
    """It says so itself."""
    place.run(*NOT_KEPT)
    rule = RULES[-1]._replace(text="db_constraint=False", on_purpose=True)
    (finding,) = said(place, book._replace(rules=(rule,)))
    assert (finding.severity, finding.mend.write) == ("info", "db_constraint=True")


def test_repaired_table_is_clean(place, book):
    """The migration that was missing."""
    place.run(*NOT_KEPT)
    book = book._replace(rules=RULES[:1])
    assert said(place, book)
    place.run("CREATE UNIQUE INDEX one_isbn ON book (isbn)")
    assert said(place, book) == []


def test_unique_for_some_rows_needs_partial_indexes():
    """MariaDB has none: Django leaves the constraint out."""
    rule = Rule("unique", ("isbn",), "", "UniqueConstraint('one')", partial=True, name="one")
    model = Model("shop.Book", "book", "", "", "", "", (rule,))
    for vendor in VENDORS:
        with empty(vendor, "queryscope_qs405") as place:
            place.run(*NOT_KEPT)
            if vendor != "mysql":
                place.run("CREATE UNIQUE INDEX one ON book (isbn) WHERE shelf > 1")
            assert len(said(place, model)) == (vendor == "mysql")
