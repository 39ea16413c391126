"""QS106: several look-ups for each element, one finding; and what only looks like a block."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_load, a_query, a_trace, an_origin
from tests.detectors.judging import Source, check_clean, said

HELPER = """\
def view(keys):
    for key in keys:
        described(key)
    each_row(keys)

def described(key):
    book = get_book(key)
    stock = get_stock(key)
    shelf = get_shelf(key)
    return book, stock, shelf

def while_taken(key):
    while get_book(key) and get_stock(key):
        key += 1
"""
TABLES = ("book", "stock", "shelf")


@pytest.fixture
def lines(tmp_path):
    """A view and its helper, really there."""
    return Source(tmp_path, HELPER)


def statement(table, quote='"'):
    """Return a look-up by key in a table."""
    name = f"{quote}library_{table}{quote}"
    return f"SELECT * FROM {name} WHERE {name}.{quote}id{quote} = %s"


def block(lines, elements, tables=TABLES, call="described(key)", quote='"', **facts):
    """Return look-ups in several tables for each of several elements, in a helper."""
    found = []
    for n in range(elements):
        for table in tables:
            origin = an_origin(
                lines.frame(f"get_{table}(key)", "described"), lines.frame(call, "view")
            )
            more = {name: value(n) if callable(value) else value for name, value in facts.items()}
            query = {
                "parameters": (n,), "operation": "get", "model": f"library.{table.title()}",
                "origin": origin, **more,
            }  # fmt: skip
            found.append(a_query(statement(table, quote), **query))
    return found


def blocks(queries, **facts):
    """Return what is said about repetition."""
    return said(a_trace(*queries, **facts))


# -- innocent -----------------------------------------------------------------------------------


def test_block_once_is_clean(lines):
    """Three statements for one element are what a page needs."""
    check_clean(a_trace(*block(lines, 1), mode="tests"))


def test_few_elements_are_clean_in_development(lines):
    """Two elements are no loop worth a word there."""
    check_clean(a_trace(*block(lines, 2)))


def test_helper_called_from_several_lines_is_clean(lines):
    """Three calls on three lines are three questions."""
    queries = [
        query._replace(origin=an_origin(query.origin.steps[0], a_frame(50 + n // 3)))
        for n, query in enumerate(block(lines, 3))
    ]
    check_clean(a_trace(*queries, mode="tests"))


def test_rows_locked_one_by_one_are_clean(lines):
    """Locks are taken in order."""
    queries = [q._replace(statement=q.statement + " FOR UPDATE") for q in block(lines, 6)]
    check_clean(a_trace(*queries))


def test_next_key_that_depends_on_the_answer_is_clean(lines):
    """``while taken(key)`` cannot know the next key before."""
    queries = [
        query._replace(
            origin=an_origin(
                lines.frame(f"get_{table}(key)", "while_taken", after="def while_taken"), 90
            )
        )
        for query, table in zip(
            block(lines, 6, TABLES[:2]), TABLES[:2] * 6, strict=True
        )
    ]  # fmt: skip
    check_clean(a_trace(*queries))


def test_few_elements_without_a_loop_in_the_source_are_clean(lines):
    """Four fields of one form, each with two look-ups: the form's library calls for each."""
    check_clean(a_trace(*block(lines, 4, call="each_row(keys)"), mode="tests"))


def test_loop_of_a_test_is_clean(tmp_path):
    """A test that asks one thing after the other."""
    lines = Source(tmp_path, HELPER, "test_views.py")
    found = said(a_trace(*block(lines, 6), kind="test", mode="tests"), "QS106")
    assert found == []


# -- left to others -----------------------------------------------------------------------------


def test_one_statement_is_a_lookup(lines):
    """A block has two members or more."""
    assert [f.code for f in blocks(block(lines, 6, TABLES[:1]))] == ["QS102"]


def test_same_statement_from_two_lines_is_a_lookup(lines):
    """Two settings a turn, from two lines, by one statement."""
    queries = [q._replace(statement=statement("book")) for q in block(lines, 6, TABLES[:2])]
    assert {f.code for f in blocks(queries)} == {"QS102"}


def test_relations_are_the_orms_to_name(lines):
    """What loads a relation is QS101's, with the loader to write."""
    load = a_load("publisher")
    queries = [
        query._replace(load=load._replace(parent=n // 3, attribute=TABLES[n % 3]), operation="lazy")
        for n, query in enumerate(block(lines, 6))
    ]
    assert {f.code for f in blocks(queries)} == {"QS101"}


def test_one_that_is_sent_for_some_elements_is_told_by_itself(lines):
    """The block is what every element has; a conditional look-up stands beside it."""
    queries = [q for n, q in enumerate(block(lines, 8)) if n % 3 != 2 or n < 15]
    found = {f.code: f for f in blocks(queries)}
    assert set(found) == {"QS106", "QS102"}
    assert (found["QS106"].count, found["QS102"].count) == (16, 5)


def test_nine_statements_are_told_line_by_line(tmp_path):
    """A block of more than eight is no block any more."""
    names = [f"t{n}" for n in range(9)]
    text = "def view(keys):\n    for key in keys:\n        described(key)\n\ndef described(key):\n"
    lines = Source(tmp_path, text + "".join(f"    get_{name}(key)\n" for name in names))
    assert {f.code for f in blocks(block(lines, 6, names))} == {"QS102"}


# -- found --------------------------------------------------------------------------------------


@pytest.mark.parametrize("quote", ['"', "`"])
def test_block_is_one_finding_with_the_product(lines, quote):
    """In place of three: what repeats, how often, and the product."""
    vendor = "mysql" if quote == "`" else "postgresql"
    (finding,) = blocks(block(lines, 4, quote=quote, vendor=vendor))
    assert (finding.code, finding.count, finding.severity) == ("QS106", 12, "critical")
    assert "3 statements (Book, Stock, Shelf) are sent for each of 4 elements" in finding.message
    assert finding.message.endswith("4 x 3 = 12.")
    assert finding.cost.avoidable == 9
    assert lines.text_at(finding.mend.at) == "keys"
    assert finding.evidence["statements"].count(" at ") == 3


@pytest.mark.parametrize(("mode", "least"), [("tests", 2), ("development", 3), ("production", 5)])
def test_elements_from_which_on_it_is_one(lines, mode, least):
    """The threshold is that of the other loops."""
    assert len(said(a_trace(*block(lines, least), mode=mode), "QS106")) == 1
    assert said(a_trace(*block(lines, least - 1), mode=mode), "QS106") == []


def test_library_that_calls_for_each_row_is_found(lines):
    """Without a loop in the source, from five elements on."""
    (finding,) = blocks(block(lines, 5, call="each_row(keys)"))
    assert (finding.code, finding.count) == ("QS106", 15)
    assert "from one place" in finding.message


def test_statements_without_an_orm_are_found(lines):
    """A cursor of the driver's has tables, no classes."""
    (finding,) = blocks(block(lines, 6, operation="cursor", model=""))
    assert "library_book, library_stock, library_shelf" in finding.message
    assert finding.mend.write == "WHERE key IN (...)"
