"""QS114: relations loaded along in the dearer of two ways, and those that are not."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_load, a_query, a_read, a_session, a_trace, an_origin
from tests.detectors.judging import Source, said

WIDE = {"columns": ("id", "summary"), "sizes": (8, 2_000), "read": ("summary",)}
NARROW = {"columns": ("id", "name"), "sizes": (8, 20), "read": ("name",)}


def to_one(rows=400, distinct=3, own=None, **facts):
    """Return a Trace of reviews with their books, which came by a join."""
    own = own or a_read(model="library.Review", rows=rows, **NARROW)
    facts = {**WIDE, "distinct": distinct, **facts}
    book = a_read(model="library.Book", path="book", rows=rows, **facts)
    return a_trace(a_query("SELECT * FROM review JOIN book", rows=rows), reads=(own, book))


def to_many(rows=100, own=50, **facts):
    """Return a Trace of books with their reviews, which came by a join."""
    book = a_read(model="Book", rows=own, **{**WIDE, "distinct": own, **facts})
    reviews = a_read(model="Review", path="reviews", rows=rows, distinct=rows, **NARROW)
    query = a_query("SELECT * FROM book LEFT JOIN review", rows=rows, model="Book", session=0)
    return a_trace(query, reads=(book, reviews), sessions=[a_session()])


@pytest.mark.parametrize(
    "trace",
    [
        to_one(**NARROW),
        to_one(distinct=400),
        to_one(rows=20),
        to_one(distinct=None),
        to_one(read=()),
        to_one(columns=("id", "summary", "name"), sizes=(8, 2_000, 8), read=("name",)),
        to_one(known=False),
        to_one(own=a_read(rows=400, columns=("id", "text"), sizes=(8, 9_000), read=("text",))),
        to_many(**NARROW),
        to_many(rows=52),
    ],
    ids=[
        "narrow", "own each", "few", "not counted", "unread", "wide one unread", "unknown",
        "wider itself", "narrow parent", "hardly repeated",
    ],
)  # fmt: skip
def test_join_that_repeats_little_is_clean(trace):
    """A round trip more would cost as much, or it is not known."""
    assert said(trace, "QS114") == []


def test_wide_row_of_a_key_is_found():
    """Four hundred reviews of three books."""
    (finding,) = said(to_one(), "QS114")
    assert finding.severity == "info"
    assert "397 rows of Book that had come already" in finding.message
    assert finding.mend.write == '.prefetch_related("book")'
    assert finding.subject == "library.Review.book"


def test_wide_parent_of_a_collection_is_found():
    """Two reviews each bring the book twice."""
    (finding,) = said(to_many(), "QS114")
    assert "50 rows of Book" in finding.message
    assert finding.mend.write == "selectinload(Book.reviews)"
    assert "joinedload(Book.reviews)" in finding.mend.how


def test_very_much_is_a_warning():
    """From a mebibyte on."""
    (finding,) = said(to_one(rows=1_000), "QS114")
    assert finding.severity == "warning"


# -- one row for one row ----------------------------------------------------------------------


@pytest.fixture
def judged(tmp_path):
    """Return what is said of an author that was loaded for one book, by a statement of its own."""

    def judge(
        line=None,
        *,
        rows=1,
        parents=1,
        relation="forward",
        times=1,
        read=("name",),
        made=None,
        **facts,
    ):
        line = line or 'Book.objects.prefetch_related("author").get(pk=1)'
        frame = Source(tmp_path, f"def view():\n    return {line}\n").frame(line)
        origin = an_origin(frame)
        root = a_query(
            "SELECT * FROM book", rows=rows, model="library.Book", operation="get", origin=origin,
            created=made or frame,
        )  # fmt: skip
        load = a_load("author", relation=relation, parents=parents, parent_query=0, batched=True)
        batch = a_query(
            "SELECT * FROM author", rows=1, operation="prefetch", load=load, origin=origin, **facts
        )
        reads = [a_read(rows=rows, **NARROW)]
        reads += [a_read(n + 1, model="library.Author", rows=1, **{**NARROW, "read": read})
                  for n in range(times)]  # fmt: skip
        return said(a_trace(root, *[batch] * times, reads=tuple(reads)), "QS114")

    return judge


@pytest.mark.parametrize(
    "facts",
    [
        {"parents": 2, "rows": 2},
        {"rows": 2},
        {"relation": "reverse"},
        {"relation": "generic"},
        {"times": 2},
        {"read": ()},
        {"line": "Book.objects.get(pk=1)"},
        {"made": a_frame(9, function="get_queryset")},
        {"error": "OperationalError"},
    ],
    ids=[
        "two",
        "one of two",
        "collection",
        "generic",
        "several",
        "unread",
        "by peers",
        "made elsewhere",
        "failed",
    ],
)
def test_statement_that_a_join_does_not_replace_is_clean(judged, facts):
    """Several rows, several kinds, or nobody asked for it."""
    assert judged(**facts) == []


def test_one_row_for_one_row_is_an_info(judged):
    """The join saves a round trip."""
    (finding,) = judged()
    assert (finding.severity, finding.cost.avoidable) == ("info", 1)
    assert finding.mend.write == '.select_related("author")'
