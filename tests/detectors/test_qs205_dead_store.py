"""QS205: rows that are loaded again before anything was read, and rows that had to be."""

from __future__ import annotations

import pytest

from tests.builders import MS, a_frame, a_query, a_read, a_trace, an_external_call, an_origin
from tests.detectors.judging import Source, said

BOOK = 'SELECT "book"."id", "book"."title" FROM "book" WHERE "book"."id" = %s'
ONE = {"rows": 1, "columns": ("id", "title"), "sizes": (8, 20), "keys": ("id",)}


def load(line=30, **facts):
    """Return the statement that loads a book."""
    return a_query(BOOK, **{"origin": line, "model": "library.Book", "operation": "get", **facts})


def refreshed(*between, first=(), second=("title",), reads=(), again=None, **facts):
    """Return a Trace of a book that is loaded, and refreshed after some statements."""
    number = 1 + len(between)
    found = (
        a_read(0, read=first, **ONE),
        a_read(number, read=second, before=0, **ONE),
    )
    again = again or load(31, operation="refresh")
    return a_trace(load(), *between, again, reads=reads or found, **facts)


@pytest.mark.parametrize(
    "trace",
    [
        refreshed(first=("title",)),
        refreshed(first=("id",)),
        refreshed(first=("*",)),
        refreshed(a_query("UPDATE book SET title = %s", origin=40)),
        refreshed(a_query("UPDATE other SET title = %s", origin=40)),
        refreshed(a_query("CALL refresh()", origin=40)),
        refreshed(again=load(31, transaction=0)),
        refreshed(again=load(31, start_ns=2_000 * MS)),
        refreshed(again=load(31, error="OperationalError")),
        refreshed(again=a_query(BOOK + " FOR UPDATE", origin=31)),
        refreshed(again=load(origin=an_origin()._replace(steps=()))),
        refreshed(external_calls=[an_external_call(start_ns=MS * 7 // 4, duration_ns=1)]),
        refreshed(reads=(a_read(0, read=(), known=False, **ONE), a_read(1, before=0, **ONE))),
        refreshed(reads=(a_read(0, read=(), **{**ONE, "rows": 2}), a_read(1, before=0, **ONE))),
        refreshed(reads=(a_read(0, read=(), **ONE), a_read(1, **ONE))),
        refreshed(reads=(a_read(1, before=0, **ONE),)),
        refreshed(children=(a_trace(id="in", started_at_ns=1_700_000_000_000_000_000 + MS),)),
        refreshed(attributes={"status": "404"}),
        refreshed(recording="light"),
    ],
    ids=[
        "read", "key read", "used", "written", "other table written", "procedure", "transaction",
        "a second later", "failed", "locked", "library", "http call", "went out whole",
        "one of two rows", "another row", "not tracked", "client of a test", "not found", "light",
    ],
)  # fmt: skip
def test_row_that_may_have_changed_is_clean(trace):
    """Somebody may have written it, or its first values were of use."""
    assert said(trace, "QS205") == []


def test_refresh_in_a_loop_is_clean(tmp_path):
    """It asks until something has changed."""
    source = Source(tmp_path, "def view(book):\n    while waiting:\n        book.refresh()\n")
    again = load(origin=an_origin(source.frame("book.refresh()")))
    assert said(refreshed(again=again), "QS205") == []


def test_row_refreshed_unread_is_found():
    """One finding; that the statements are equal follows from it."""
    (finding,) = said(refreshed(), "QS205", "QS201", "QS206")
    assert (finding.code, finding.severity, finding.count) == ("QS205", "info", 1)
    assert finding.mend.at == a_frame(31)
    assert finding.queries == (0, 1)
    assert finding.cost.avoidable == 1


def test_row_refreshed_again_and_again_is_one_finding():
    """Of three loads only the last was read."""
    reads = (
        a_read(0, read=(), **ONE),
        a_read(1, read=(), before=0, **ONE),
        a_read(2, read=("title",), before=1, **ONE),
    )
    (finding,) = said(a_trace(load(), load(31), load(32), reads=reads), "QS205", "QS201")
    assert (finding.code, finding.count) == ("QS205", 2)
    assert finding.queries == (0, 1, 2)
    assert finding.message.endswith(", 2 times.")


# -- names that are given another value -------------------------------------------------------


@pytest.fixture
def judged(tmp_path):
    """Return what is said of a book that ``ask()`` in some lines of a function loads."""

    def judge(lines, read=(), **facts):
        body = "\n    ".join(lines.split("; "))
        source = Source(tmp_path, f"def view(n):\n    {body}\n")
        query = load(origin=an_origin(source.frame("ask()")))
        return said(a_trace(query, reads=(a_read(0, read=read, **{**ONE, **facts}),)), "QS205")

    return judge


@pytest.mark.parametrize(
    "lines",
    [
        "book = ask(); return book",
        "book = ask(); use(book); book = other()",
        "book = ask(); book = change(book); return book",
        "book = ask(); if n: book = other()",
        "book = ask(); f = lambda: book; book = other()",
        "book = ask(); book += other()",
        "ask(); book = other()",
        "self.book = ask(); self.book = other()",
        "book, n = ask(); book = other()",
        "if n: book = ask(); book = other()",
    ],
)
def test_name_that_may_be_read_is_clean(judged, lines):
    """It is used before, or the other value is given elsewhere."""
    assert judged(lines) == []


@pytest.mark.parametrize("facts", [{"read": ("title",)}, {"opaque": True}, {"known": False}])
def test_result_that_may_be_used_is_clean(judged, facts):
    """Another name may have it."""
    assert judged("book = ask(); book = other()", **facts) == []


@pytest.mark.parametrize("rows", [1, 20])
def test_name_given_another_value_is_found(judged, rows):
    """Nothing of the rows was read, and nothing can be."""
    (finding,) = judged("book = ask(); n += 1; book = other()", rows=rows)
    assert finding.mend.at.line == 2
    assert finding.cost.rows == rows
    assert "gives its name another value" in finding.message
