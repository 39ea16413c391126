"""QS301: columns that nobody reads, by their bytes."""

from __future__ import annotations

import pytest

from tests.builders import a_query, a_read, a_session, a_trace
from tests.detectors.judging import said


def books(*reads, number=1, **facts):
    """Return a Trace of one line that loads books."""
    queries = [a_query("SELECT * FROM book", rows=20, model="library.Book")] * number
    return a_trace(*queries, reads=reads, **facts)


@pytest.mark.parametrize(
    "trace",
    [
        books(a_read(read=("title", "body"))),
        books(a_read(sizes=(8, 20, 500))),
        books(a_read(rows=2)),
        books(a_read(sizes=(8, 9_000, 8_000))),
        books(a_read(known=False)),
        books(a_read(alive=True), kind="block"),
        books(a_read(read=())),
        books(a_read(keys=("id", "body"))),
        books(a_read(), a_read(1, read=("body",)), number=2),
        books(a_read(), error="ValueError: x"),
        books(a_read(), attributes={"status": "500"}),
        books(a_read(path="book", read=()), a_read(columns=("id",), sizes=(8,), read=("id",))),
        books(),
    ],
    ids=[
        "read", "small", "few rows", "less than half", "went out whole", "still there",
        "all unread", "keys", "read in the second run", "failed", "status 500",
        "unread eager load", "not tracked",
    ],
)  # fmt: skip
def test_columns_that_are_read_or_small_are_clean(trace):
    """Nothing is said where it is not certain, or not worth a line."""
    assert said(trace, "QS301") == []


def test_long_column_that_nobody_reads_is_named_with_its_bytes():
    """20 rows of 8,000 bytes."""
    (finding,) = said(books(a_read()), "QS301")
    assert finding.severity == "info"
    assert finding.mend.write == '.defer("body")'
    assert finding.evidence["unread bytes, about"] == 160_000
    assert "body of Book: 160 KB came with 20 rows" in finding.message


def test_bytes_of_all_runs_of_a_line_are_added():
    """A megabyte in all is a warning."""
    (finding,) = said(books(*(a_read(n) for n in range(7)), number=7), "QS301")
    assert finding.severity == "warning"
    assert finding.count == 7


def test_column_of_a_joined_row_has_its_path():
    """The relation is read, its long column is not."""
    joined = a_read(path="sequel_of", read=("title",))
    plain = a_read(columns=("id", "title"), sizes=(8, 20))
    (finding,) = said(books(plain, joined), "QS301")
    assert finding.mend.write == '.defer("sequel_of__body")'


def test_sqlalchemy_gets_words_of_its_own():
    """The option instead of the method."""
    query = a_query("SELECT * FROM book", rows=20, model="Book", session=0)
    trace = a_trace(query, reads=(a_read(model="Book"),), sessions=[a_session()])
    (finding,) = said(trace, "QS301")
    assert finding.mend.write == "defer(Book.body)"


def test_thresholds_are_settings():
    """A user may want to hear of less."""
    assert said(books(a_read(rows=2)), "QS301", unused_columns_min_bytes=1_000)
