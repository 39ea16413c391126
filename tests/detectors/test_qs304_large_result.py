"""QS304: very many rows at once, and who may have them."""

from __future__ import annotations

import pytest

from tests.builders import a_query, a_trace, an_origin
from tests.detectors.judging import Source, said

BOOKS = 'SELECT "book"."id" FROM "book"'
VIEW = """\
def view():
    for book in Book.objects.iterator(chunk_size=500):
        ...
    for book in session.scalars(select(Book).execution_options(yield_per=100)).partitions():
        ...
    for book in Book.objects.all():
        ...
"""


def judged(*queries, **facts):
    """Return what is said of large results."""
    return said(a_trace(*queries, **facts), "QS304")


def test_page_is_clean():
    """Fifty rows are read by somebody."""
    assert judged(a_query(BOOKS, rows=50), a_query(BOOKS, rows=999)) == []


@pytest.mark.parametrize("kind", ["script", "task"])
def test_export_is_clean(kind):
    """It has to read everything."""
    assert judged(a_query(BOOKS, rows=9_000), kind=kind) == []


@pytest.mark.parametrize("line", ["Book.objects.iterator(", "session.scalars("])
def test_rows_in_pieces_are_clean(tmp_path, line):
    """They are never there all at once."""
    source = Source(tmp_path, VIEW)
    text = VIEW[VIEW.index(line) :].partition(":\n")[0]
    assert judged(a_query(BOOKS, rows=9_000, origin=an_origin(source.frame(text)))) == []


def test_write_and_unknown_rows_are_clean():
    """Neither handed out rows, as far as is known."""
    assert judged(a_query('DELETE FROM "book"', rows=9_000), a_query(BOOKS, rows=None)) == []


def test_many_rows_are_found(tmp_path):
    """With how many, and where to make it less."""
    frame = Source(tmp_path, VIEW).frame("Book.objects.all()")
    (finding,) = judged(a_query(BOOKS, rows=1_000, origin=an_origin(frame), model="library.Book"))
    assert (finding.severity, finding.cost.rows) == ("warning", 1_000)
    assert "1,000 rows of Book" in finding.message
    assert finding.mend.at.line == frame.line


def test_very_many_rows_are_critical():
    """Ten times the threshold."""
    (finding,) = judged(a_query(BOOKS, rows=10_000))
    assert finding.severity == "critical"


def test_large_page_that_was_asked_for_is_an_info():
    """Somebody wanted that many."""
    (finding,) = judged(a_query(BOOKS + " LIMIT 1000", rows=1_000))
    assert finding.severity == "info"


def test_threshold_is_a_setting():
    """Rows of a wide table are dearer."""
    assert len(said(a_trace(a_query(BOOKS, rows=60)), "QS304", large_result_min_rows=60)) == 1
