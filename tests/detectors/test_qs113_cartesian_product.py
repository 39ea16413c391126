"""QS113: collections that multiply each other in one join, and joins that do not."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_query, a_read, a_trace
from tests.detectors.judging import said

JOINED = "SELECT * FROM book LEFT OUTER JOIN review ON book.id = review.book_id"
AUTHORS = 'SELECT "a"."name", "t"."name", "u"."name" FROM "a"'
ONE = ' JOIN "a_t" ON ("a"."id" = "a_t"."a_id") JOIN "t" ON ("a_t"."t_id" = "t"."id")'
OTHER = ' JOIN "a_u" ON ("a"."id" = "a_u"."a_id") JOIN "u" ON ("a_u"."u_id" = "u"."id")'


def collection(path, rows, distinct=None, **facts):
    """Return what was read of a collection that came by a join."""
    facts = {"read": ("name",), "columns": ("id", "name"), "sizes": (8, 12), **facts}
    return a_read(path=path, model=path.title(), rows=rows, distinct=distinct or rows, **facts)


def joined(*reads, rows=1_000, own=20, **facts):
    """Return a Trace of books with joined collections."""
    book = a_read(rows=own, model="Book", read=("title",), distinct=own)
    query = a_query(JOINED, rows=rows, model="Book", created=a_frame(30))
    return a_trace(query, reads=(book, *reads), **facts)


def values(statement, **facts):
    """Return what is said of a statement whose rows are plain values."""
    facts = {"rows": 150, "parameters": (), **facts}
    return said(a_trace(a_query(statement, **facts)), "QS113")


@pytest.mark.parametrize(
    "trace",
    [
        joined(collection("tags", 1_000)),
        joined(collection("tags", 1_000), collection("publisher", 20, 3)),
        joined(collection("tags", 1_000), collection("stock", 20)),
        joined(collection("tags", 600), collection("tags.books", 1_000)),
        joined(collection("tags", 100), collection("reviews", 700)),
        joined(collection("tags", 40), collection("reviews", 40), rows=19, own=5),
        joined(collection("tags", 99), collection("reviews", 99), attributes={"status": "500"}),
        joined(collection("tags", 100, known=False), collection("reviews", 100)),
        joined(collection("tags", 100), collection("reviews", 100), recording="light"),
    ],
    ids=["one", "key", "one each", "chain", "hardly", "few", "failed", "unknown", "light"],
)  # fmt: skip
def test_joins_that_multiply_nothing_are_clean(trace):
    """Each row came once, or nearly, or it is not known."""
    assert said(trace, "QS113") == []


def test_collections_that_were_not_counted_apart_are_clean():
    """An older Trace does not tell how many rows are different ones."""
    reads = (collection("tags", 1_000), collection("reviews", 1_000))
    unknown = [read._replace(distinct=None) for read in reads]
    book = a_read(rows=1_000, model="Book", read=("title",))
    trace = a_trace(a_query(JOINED, rows=1_000), reads=(book, *unknown))
    assert said(trace, "QS113") == []


def test_two_joined_collections_are_found():
    """With the rows of each, and what was sent again."""
    (finding,) = said(joined(collection("tags", 100), collection("reviews", 200)), "QS113", "QS304")
    assert (finding.severity, finding.confidence) == ("warning", "high")
    assert "tags and reviews of Book multiply each other" in finding.message
    assert "1,000 rows for 20 of Book with 100 and 200" in finding.message
    assert finding.mend.write == "selectinload(Book.reviews)"
    assert finding.mend.at.line == 30
    assert finding.subject == "Book: tags, reviews"


def test_few_narrow_rows_are_an_info():
    """Two rows of two children each cost little."""
    trace = joined(collection("tags", 40), collection("reviews", 40), rows=80, own=20)
    (finding,) = said(trace, "QS113")
    assert finding.severity == "info"


def test_unread_collection_is_named_once():
    """QS112 would name it as well, and QS114 the parent: one cause, one finding."""
    reads = (collection("tags", 100), collection("reviews", 100, read=()))
    (finding,) = said(joined(*reads, rows=900), "QS112", "QS113", "QS114", "QS304")
    assert finding.code == "QS113"
    assert "Nobody reads reviews" in finding.mend.how


@pytest.mark.parametrize(
    "statement",
    [
        AUTHORS + ONE,
        AUTHORS.replace('"t"."name", ', "") + ONE + OTHER,
        AUTHORS.replace("SELECT", "SELECT DISTINCT") + ONE + OTHER,
        AUTHORS.replace('"t"."name", "u"."name"', 'COUNT("t"."id")') + ONE + OTHER + " GROUP BY 1",
        AUTHORS + ONE + OTHER + " LIMIT 200",
        AUTHORS + ONE + OTHER.replace('"a_u"', '"profile"'),
        AUTHORS + ONE + OTHER.replace('"a"."id"', '"t"."id"'),
        "INSERT INTO x " + AUTHORS + ONE + OTHER,
    ],
    ids=["one", "filters only", "distinct", "groups", "limited", "one to one", "behind", "write"],
)
def test_values_that_may_be_no_product_are_clean(statement):
    """One table of links, or one behind the other, or a key that may be unique."""
    assert values(statement) == []


def test_few_rows_of_values_are_clean():
    """Whatever multiplied them."""
    assert values(AUTHORS + ONE + OTHER, rows=12) == []


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql", "mysql"])
def test_values_of_two_tables_of_links_are_found(vendor):
    """The statement alone tells; how often it cannot say."""
    statement = AUTHORS + ONE + OTHER
    if vendor == "mysql":
        statement = statement.replace('"', "`")
    (finding,) = values(statement, vendor=vendor)
    assert (finding.severity, finding.confidence) == ("info", "medium")
    assert "a_t and a_u side by side" in finding.message
