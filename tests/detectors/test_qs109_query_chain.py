"""QS109: values that are fetched only to be sent back, and values that are read as well."""

from __future__ import annotations

import pytest

from tests.builders import a_load, a_query, a_trace, an_origin
from tests.detectors.judging import Source, said

VIEW = """\
def view():
    keys = fetched("author")
    books = sent(keys)
    return books

def shown():
    keys = fetched("author")
    books = sent(keys)
    return keys, books

def asked_first():
    keys = fetched("author")
    if not keys:
        return []
    return sent(keys)

def inline():
    return sent(fetched("author"))

def twice():
    keys = fetched("author")
    more = sent(keys)
    return again(more)

def other_name():
    keys = fetched("author")
    names = fetched("name")
    return sent(names), len(keys)
"""
KEYS = 'SELECT "author"."id" FROM "author" WHERE "author"."country" = %s'


@pytest.fixture
def lines(tmp_path):
    """The functions above, really there."""
    return Source(tmp_path, VIEW)


def chain(lines, function, *, fetched='fetched("author")', sent="sent(keys)", rows=4, **facts):
    """Return the SELECT of the keys and that of the books in a function."""
    after = f"def {function}"
    quote = facts.pop("quote", '"')
    places = ", ".join(["%s"] * facts.pop("length", rows))
    books = f'SELECT * FROM "book" WHERE "book"."author_id" IN ({places})'
    more = {"operation": "values", **facts}
    return [
        a_query(
            facts.pop("keys", KEYS).replace('"', quote), rows=rows, parameters=("DE",),
            origin=an_origin(lines.frame(fetched, function, after=after), 90), **more,
        ),
        a_query(
            books.replace('"', quote), rows=9, parameters=tuple(range(rows)),
            origin=an_origin(lines.frame(sent, function, after=after), 90), **more,
        ),
    ]  # fmt: skip


def found(queries, **facts):
    """Return what QS109 says."""
    return said(a_trace(*queries, **facts), "QS109")


# -- innocent -----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["shown", "asked_first"])
def test_result_that_is_read_again_is_clean(lines, function):
    """Keys that are shown as well, or looked at first, are needed."""
    assert found(chain(lines, function)) == []


def test_keys_of_another_name_are_clean(lines):
    """The list is as long by chance."""
    assert found(chain(lines, "other_name", sent="sent(names)")) == []


def test_rows_of_several_columns_are_clean(lines):
    """Who reads objects reads more than their keys."""
    first, second = chain(lines, "view")
    for columns in ('"author"."id", "author"."name"', "*", "COUNT(*)"):
        wide = first._replace(statement=KEYS.replace('"author"."id" FROM', f"{columns} FROM"))
        assert found([wide, second]) == []


def test_list_of_another_length_is_clean(lines):
    """Some values were dropped, or others added, on the way."""
    assert found(chain(lines, "view", length=3)) == []


def test_prefetch_is_clean(lines):
    """The ORM's own batches are what advice leads to."""
    first, second = chain(lines, "view")
    load = a_load("books", relation="reverse", parents=4, parent=None, batched=True)
    assert found([first, second._replace(load=load, operation="prefetch")]) == []


def test_write_in_between_is_clean(lines):
    """The subquery would see other rows."""
    first, second = chain(lines, "view")
    write = a_query('UPDATE "author" SET "country" = %s', operation="update")
    assert found([first, write, second]) == []


def test_other_database_or_lock_is_clean(lines):
    """No statement spans two databases; locked rows are locked on purpose."""
    first, second = chain(lines, "view")
    assert found([first, second._replace(database="replica")]) == []
    assert found([first._replace(statement=KEYS + " FOR UPDATE"), second]) == []


def test_source_that_is_gone_is_clean(lines):
    """Without proof it is silent."""
    queries = chain(lines, "view")
    lines.path.unlink()
    assert found(queries) == []


# -- found --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendor", "quote"), [("postgresql", '"'), ("mysql", "`"), ("sqlite", '"')]
)
def test_keys_that_are_sent_back_are_info(lines, vendor, quote):
    """How many values, from where, to where."""
    (finding,) = found(chain(lines, "view", vendor=vendor, quote=quote))
    assert (finding.severity, finding.count, finding.cost.avoidable) == ("info", 2, 1)
    assert "4 values of author are fetched only to be sent back" in finding.message
    assert finding.subject == "author -> book"
    assert lines.text_at(finding.mend.at) == 'fetched("author")'


def test_keys_written_right_into_the_next_expression_are_found(lines):
    """There is no name to read twice."""
    sent = 'sent(fetched("author"))'
    assert len(found(chain(lines, "inline", sent=sent))) == 1


def test_three_in_a_chain_are_one_finding(lines):
    """Two links, one statement in place of three."""
    first, second = chain(lines, "twice")
    second = second._replace(
        statement=second.statement.replace("*", '"book"."id"'), rows=3,
    )  # fmt: skip
    third = a_query(
        'SELECT * FROM "review" WHERE "review"."book_id" IN (%s, %s, %s)', parameters=(7, 8, 9),
        origin=an_origin(lines.frame("again(more)", "twice"), 90), operation="iterate",
    )  # fmt: skip
    (finding,) = found([first, second, third])
    assert (finding.count, finding.subject) == (3, "author -> book -> review")
    assert "7 values" in finding.message
