"""Statements by line: what is one line, and what is none."""

from __future__ import annotations

import pytest

from queryscope.growth.lines import lines_of
from tests.builders import a_node, a_query, a_trace, an_origin


def kinds(*queries):
    """Return the words for each line of a Trace."""
    return [line.what for line in lines_of(a_trace(*queries))]


@pytest.mark.parametrize(
    ("vendor", "quote"), [("sqlite", '"'), ("postgresql", '"'), ("mysql", "`"), ("mariadb", "`")]
)
def test_null_among_values_is_the_same_line(vendor, quote):
    """One loop that sets a NULL for some rows is one line, in each database's quoting."""
    table = f"{quote}book{quote}"
    queries = [
        a_query(f"UPDATE {table} SET a = {value}, b = %s", vendor=vendor)
        for value in ("NULL", "%s")
    ]
    assert kinds(*queries) == ["UPDATE book"]


def test_count_and_rows_of_one_line_are_two():
    """A count beside the page is another statement, though one line asks for both."""
    found = kinds(a_query('SELECT COUNT(*) FROM "book"'), a_query('SELECT "id" FROM "book"'))
    assert found == ["SELECT count FROM book", "SELECT FROM book"]


def test_two_tags_of_one_template_are_two_lines():
    """A template's tags are places of their own."""
    frame = an_origin().steps
    queries = [a_query(origin=an_origin(a_node(line), *frame)) for line in (3, 3, 4)]
    assert len(kinds(*queries)) == 2


def test_transactions_and_catalogue_are_no_lines():
    """What budgets do not count is not counted."""
    assert kinds(a_query("BEGIN"), a_query("SAVEPOINT a"), a_query("PRAGMA table_info(a)")) == []


def test_nested_traces_are_in():
    """The lines are those of the whole subtree."""
    inner = a_trace(a_query(), id="inner")
    assert len(lines_of(a_trace(children=(inner,)))) == 1
