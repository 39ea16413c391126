"""QS315: questions that ask for too much, and those that do not."""

from __future__ import annotations

import pytest

from tests.builders import a_load, a_query, a_session, a_trace, an_origin
from tests.detectors.judging import Source, said

COUNT = 'SELECT COUNT(*) AS "__count" FROM "book"'
ROWS = 'SELECT "book"."id", "book"."title", "book"."author_id" FROM "book"'


@pytest.fixture
def judged(tmp_path):
    """Return what is said of a statement that ``ask()`` in a line of a function sent."""

    def judge(line, statement=ROWS, snippet="ask()", sessions=(), **facts):
        source = Source(tmp_path, f"def view():\n    {line}\n")
        facts = {"rows": 3, "origin": an_origin(source.frame(snippet)), **facts}
        return said(a_trace(a_query(statement, **facts), sessions=sessions), "QS315")

    return judge


# -- innocent -------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["return ask()", "if ask() > 10: pass", "total += ask()"])
def test_number_that_is_wanted_is_clean(judged, line):
    """It is shown, or compared with another."""
    assert judged(line, COUNT, rows=1) == []


@pytest.mark.parametrize(
    "line",
    [
        "return list(ask())",
        "for row in ask(): pass",
        "rows = ask(); return rows, len(rows)",
        "return [row for row in ask()]",
        "return [(row.id, row.title) for row in ask()]",
        "return serialize(ask())",
        "return [row.author for row in ask()]",
        "return [row.full_title for row in ask()]",
    ],
)
def test_rows_that_are_used_are_clean(judged, line):
    """Iterated, returned, handed on; relations and properties need the object."""
    assert judged(line) == []


def test_one_row_by_its_key_is_clean(judged):
    """``if session.get(Book, key)``: the row or None."""
    assert judged("if ask(): pass", rows=1) == []
    assert judged("if ask(): pass", ROWS + " WHERE id = %s LIMIT 21", operation="get") == []


def test_narrow_statements_are_clean(judged):
    """Two columns are what was asked for."""
    assert judged("return [row.title for row in ask()]", 'SELECT "id", "title" FROM "book"') == []


def test_existence_and_sums_are_clean(judged):
    """They are the right questions."""
    assert judged("if ask(): pass", 'SELECT 1 AS "a" FROM "book" LIMIT 1', rows=1) == []
    assert judged("if ask(): pass", 'SELECT SUM("n") FROM "book"', rows=1) == []


def test_batch_for_others_is_clean(judged):
    """A prefetch is sent by the line that reads the parents."""
    assert judged("return len(ask())", load=a_load(batched=True)) == []


def test_page_is_clean(judged):
    """How many of a page there are is another question."""
    assert judged("return len(ask())", ROWS + " LIMIT 10") == []


# -- found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["if ask() > 0: pass", "return not ask()", "x = bool(ask())"])
def test_count_for_existence_is_found(judged, line):
    """EXISTS would stop at the first row."""
    (finding,) = judged(line, COUNT, rows=1)
    assert (finding.severity, finding.mend.write) == ("info", ".exists()")
    assert finding.mend.at.line == 2


@pytest.mark.parametrize(
    ("line", "write"),
    [
        ("return len(ask())", ".count()"),
        ("return len(ask().all())", ".count()"),
        ("if ask(): pass", ".exists()"),
        ("if len(ask()) == 0: pass", ".exists()"),
        ("return [row.title for row in ask()]", '.values_list("title", flat=True)'),
    ],
)
def test_rows_for_less_are_found(judged, line, write):
    """A number, a bit or a column was wanted."""
    (finding,) = judged(line)
    assert finding.mend.write == write


@pytest.mark.parametrize(("rows", "severity"), [(99, "info"), (100, "warning")])
def test_many_rows_for_a_number_are_a_warning(judged, rows, severity):
    """A few cost little more than the number."""
    (finding,) = judged("return len(ask())", rows=rows)
    assert finding.severity == severity


def test_words_are_those_of_sqlalchemy(judged):
    """Its sessions know."""
    (finding,) = judged(
        "return [row.title for row in ask()]", session=0, sessions=[a_session()], model="Book"
    )
    assert (finding.mend.write, finding.severity) == ("select(Book.title)", "info")
