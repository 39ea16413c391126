"""QS307: pages cut in Python, and slices that are not."""

from __future__ import annotations

import pytest

from tests.builders import a_load, a_query, a_trace, an_origin
from tests.detectors.judging import Source, said

ROWS = 'SELECT "book"."id", "book"."title" FROM "book"'


@pytest.fixture
def judged(tmp_path):
    """Return what is said of a statement that ``ask()`` in a line of a function sent."""

    def judge(line, statement=ROWS, **facts):
        body = "\n    ".join(line.split("; "))
        source = Source(tmp_path, f"def view():\n    {body}\n")
        facts = {"rows": 30, "origin": an_origin(source.frame("ask()")), **facts}
        return said(a_trace(a_query(statement, **facts)), "QS307")

    return judge


@pytest.mark.parametrize(
    "line",
    [
        "return list(ask())",
        "return ask()[-5:]",
        "return list(ask())[1:]",
        "rows = list(ask()); return rows[:5] if rows else rows",
        "rows = list(ask()); rows.sort(key=rank); return rows[:5]",
        "return sorted(ask(), key=rank)[:5]",
        "return cut(ask())",
        "rows = list(ask()); return [[row.id for row in rows[n : n + 9]] for n in range(0, 30, 9)]",
    ],
)
def test_rows_that_are_needed_are_clean(judged, line):
    """All of them are used, or sorted as the database cannot."""
    assert judged(line) == []


def test_limited_statement_is_clean(judged):
    """The database has cut it, and one more row tells whether there are others."""
    assert judged("return list(ask())[:10]", ROWS + " LIMIT 11") == []


def test_one_row_is_clean(judged):
    """There is nothing to cut."""
    assert judged("return list(ask())[0]", rows=1) == []


def test_batch_for_others_is_clean(judged):
    """A prefetch is sent by the line that reads the parents."""
    assert judged("return list(ask())[:5]", load=a_load(batched=True)) == []


def test_place_without_source_is_clean():
    """What is done with the rows is not known."""
    assert said(a_trace(a_query(ROWS, rows=30)), "QS307") == []


@pytest.mark.parametrize(
    "line",
    [
        "return list(ask())[:10]",
        "return ask().all()[start:stop]",
        "return list(ask())[0]",
        "return Paginator(list(ask()), 25)",
        "rows = list(ask()); return rows[start:stop], len(rows)",
        "rows = list(ask()); pages = Paginator(rows, 25); return pages",
        "rows = ask().all(); return [row.title for row in rows[start:stop]]",
    ],
)
def test_page_cut_in_python_is_found(judged, line):
    """With how many rows came."""
    (finding,) = judged(line)
    assert (finding.severity, finding.mend.write) == ("warning", "[start:stop]")
    assert "all 30 rows" in finding.message
