"""Statements laid out, coloured and shortened."""

from __future__ import annotations

import time

import pytest

from queryscope.report import sql

WIDE = (
    'SELECT "a"."one", "a"."two", "a"."three", "a"."four", "a"."five" FROM "a" WHERE "a"."id" = %s'
)


def test_statement_is_laid_out_on_lines():
    """Clauses begin lines of their own."""
    lines = sql.laid_out(WIDE).splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "SELECT",
        "FROM",
        "WHERE",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'it''s', \"a\"\"b\", `c` -- rest\nFROM t /* open",
        "SELECT " + "(" * 3_000 + "1",
        "\x00\ud800 '",
        "",
        "CASE WHEN " * 500,
    ],
)
def test_odd_statement_keeps_its_words(statement):
    """Broken or deep statements come out whole, and never raise."""
    assert "".join(sql.laid_out(statement).split()).count("(") == statement.count("(")


def test_parts_join_to_the_text():
    """Colouring drops nothing and marks keywords and values."""
    text = sql.laid_out(WIDE + " AND x = 'from' AND y IN (1, 2.5) -- SELECT")
    parts = sql.parts(text)
    assert "".join(part.text for part in parts) == text
    kinds = {part.text: part.kind for part in parts}
    assert kinds["SELECT"] == "keyword"
    assert kinds["%s"] == kinds["'from'"] == kinds["2.5"] == "value"
    assert kinds["-- SELECT"] == "comment"


def test_head_leaves_out_a_long_select_list():
    """One line names the table and the condition, not each column."""
    assert sql.head(WIDE) == "SELECT … FROM a WHERE a.id = %s"


def test_head_finds_the_outer_from():
    """A FROM inside a select list is not the statement's."""
    statement = "SELECT (SELECT max(x) FROM inner_table), a_long_column_name_here FROM t"
    assert sql.head(statement) == "SELECT … FROM t"


def test_huge_statement_is_not_laid_out():
    """A statement of 1 MB is cut, in no time."""
    huge = "SELECT " + "x, " * 350_000 + "y FROM t"
    start = time.perf_counter()
    assert len(sql.laid_out(huge)) == sql.MAX_FORMATTED_CHARS
    assert len(sql.head(huge)) <= sql.MAX_HEAD_CHARS
    assert time.perf_counter() - start < 0.5
