"""QS204: answers that were known, and questions that only look like it."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_load, a_query, a_session, a_trace, a_transaction, an_origin
from tests.detectors.judging import Source, said

BOOKS = "SELECT book.id FROM book WHERE "
SHOP = 'FROM "book" WHERE "book"."shop_id" = %s'
ROWS = f'SELECT "book"."id" {SHOP}'
EXISTS = f'SELECT 1 AS "a" {SHOP} LIMIT 1'


def judged(*queries, **facts):
    """Return what is said of known answers."""
    return said(a_trace(*queries, **facts), "QS204", "QS207", "QS203", "QS201")


def nothing(condition, **facts):
    """Return a SELECT that returned no row."""
    return a_query(BOOKS + condition, rows=0, **facts)


# -- innocent -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        "book.id = ?",
        "book.sold = false",
        "(book.id NOT IN (SELECT 1 FROM (SELECT 1) WHERE 1!=1))",
        "book.id = ? OR (1 != 1)",
        "(book.id = ? OR 0 = 1)",
        "1 = 1 AND book.id = ?",
        "1 != 0",
        "NOT (0 = 1)",
        "book.title = '1 = 0'",
        "book.id IN (SELECT sale.id FROM sale WHERE 1 = 1)",
        "book.id IN (SELECT sale.id FROM sale WHERE 0 = 1 OR sale.id > ?)",
        "book.n = (SELECT count(*) FROM sale WHERE 0 = 1)",
    ],
)
def test_condition_that_may_hold_is_clean(condition):
    """No row came, but one might have."""
    assert judged(nothing(condition)) == []


def test_names_of_columns_are_clean():
    """Raw SQL with LIMIT 0 asks for the description of a table."""
    assert judged(nothing("true LIMIT 0", operation="cursor")) == []


def test_library_is_clean():
    """The user has no line to change."""
    assert judged(nothing("0 = 1", origin=an_origin()._replace(steps=()))) == []


def test_existence_before_the_rows_is_left_to_its_own_code():
    """QS207 speaks of it."""
    found = judged(a_query(EXISTS, origin=50), a_query(ROWS, origin=51, rows=3))
    assert [finding.code for finding in found] == ["QS207"]


@pytest.mark.parametrize(
    "between",
    [
        'DELETE FROM "book" WHERE "id" = %s',
        'UPDATE "book" SET "shop_id" = %s',
    ],
)
def test_existence_after_a_write_is_clean(between):
    """The rows may be gone."""
    queries = [a_query(ROWS, origin=50, rows=3), a_query(between), a_query(EXISTS, origin=51)]
    assert judged(*queries) == []


def test_existence_of_others_is_clean():
    """Another shop, a narrower filter, only a page of the rows."""
    other = a_query(EXISTS, origin=51, parameters=(2,))
    assert judged(a_query(ROWS, origin=50, rows=3), other) == []
    narrower = a_query(EXISTS.replace("%s", "%s AND sold = %s"), origin=51, parameters=(1, 2))
    assert judged(a_query(ROWS, origin=50, rows=3), narrower) == []
    page = a_query(ROWS + " ORDER BY 1 LIMIT 5", origin=50, rows=5)
    assert judged(page, a_query(EXISTS, origin=51)) == []


TABLE = 'SELECT "book"."id", "book"."title" FROM "book"'
ONE = TABLE + ' WHERE "book"."id" = %s'


def then_one(statement=ONE, *, before=TABLE, line=51, **facts):
    """Return what is said of a row that is asked for after five of its table were fetched."""
    fetched = a_query(before, origin=50, rows=5, parameters=(7,) * before.count("%s"))
    parameters = facts.pop("parameters", (3, 7)[: statement.count("%s")])
    between = facts.pop("between", ())
    asked = a_query(statement, origin=line, parameters=parameters, **facts)
    sessions, transactions = [a_session(), a_session()], [a_transaction(), a_transaction()]
    trace = a_trace(fetched, *between, asked, sessions=sessions, transactions=transactions)
    return said(trace, "QS204")


@pytest.mark.parametrize(
    "facts",
    [
        {"rows": 0},
        {"session": 1},
        {"transaction": 1},
        {"operation": "refresh"},
        {"load": a_load(relation="expired")},
        {"load": a_load(relation="forward")},
        {"between": (a_query('UPDATE "book" SET "title" = %s'),)},
        {"line": an_origin(a_frame(51, function="another"))},
        {"line": an_origin(a_frame(51, module="lib"))._replace(steps=())},
    ],
)
def test_row_of_another_session_time_or_function_is_clean(facts):
    """It may have changed, or nobody has it at hand."""
    assert then_one(**facts) == []


@pytest.mark.parametrize(
    ("statement", "before"),
    [
        (ONE.replace('"title"', '"isbn"'), TABLE),
        (ONE.replace('"id" = %s', '"shelf_id" = %s'), TABLE),
        (ONE, TABLE + " LIMIT 5"),
        (ONE, TABLE + ' WHERE "book"."shop_id" = %s'),
        (ONE + " FOR UPDATE", TABLE),
        (ONE, TABLE.replace("SELECT", "SELECT DISTINCT")),
        (ONE, TABLE.replace("book", "author")),
        (ONE, TABLE.replace("FROM ", 'FROM "tenant_2".')),
    ],
)
def test_row_that_the_set_may_not_have_is_clean(statement, before):
    """Other columns, another key, a page, a part of the table, a lock."""
    assert then_one(statement, before=before) == []


def test_one_row_and_very_many_are_no_set():
    """One row may be all that was taken of more, thousands are not kept."""
    for rows in (1, 1_001):
        asked = a_query(ONE, origin=51, parameters=(3,))
        assert judged(a_query(TABLE, origin=50, rows=rows, parameters=()), asked) == []


def test_row_before_the_set_is_clean():
    """Nobody knew then."""
    fetched = a_query(TABLE, origin=51, rows=5, parameters=())
    assert judged(a_query(ONE, origin=50, parameters=(3,)), fetched) == []


def test_row_that_is_watched_is_clean():
    """Asked for again until it has changed."""
    fetched = a_query(TABLE, origin=50, rows=5, parameters=())
    polls = [a_query(ONE, origin=line, parameters=(3,)) for line in (51, 52)]
    found = said(a_trace(fetched, *polls), "QS204")
    assert found == []


def test_rows_that_are_read_in_pieces_are_clean(tmp_path):
    """They are gone when the one is asked for."""
    source = Source(tmp_path, "def view():\n    for row in ask().iterator(): use(row)\n    one()\n")
    fetched = a_query(TABLE, origin=an_origin(source.frame("ask().iterator()")), rows=5,
                      parameters=())  # fmt: skip
    asked = a_query(ONE, origin=an_origin(source.frame("one()")), parameters=(3,))
    assert judged(fetched, asked) == []


# -- found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "vendor"),
    [
        ("book.id IN (SELECT 1 FROM (SELECT 1) WHERE 1!=1)", "sqlite"),
        ("book.id IN (NULL) AND (1 != 1)", "postgresql"),
        ("book.shop = ? AND book.id IN (SELECT CAST(NULL AS INTEGER) WHERE 1!=1)", "postgresql"),
        ("0 = 1", "sqlite"),
        ("false", "postgresql"),
        ("false = 1", "mysql"),
        ("(book.shop = ? AND 0 = 1)", "mysql"),
    ],
)
def test_condition_that_never_holds_is_found(condition, vendor):
    """As SQLAlchemy writes an empty list and ``false()``."""
    (finding,) = judged(nothing(condition, vendor=vendor))
    assert (finding.code, finding.severity, finding.cost.avoidable) == ("QS204", "warning", 1)


def test_limit_of_zero_is_found():
    """Written out or as a parameter."""
    query = nothing("true LIMIT ? OFFSET ?", parameters=(0, 0), operation="iterate", model="Book")
    (finding,) = judged(query)
    assert "LIMIT is 0" in finding.message


def test_existence_after_the_rows_is_found():
    """The rows tell it."""
    (finding,) = judged(a_query(ROWS, origin=50, rows=3), a_query(EXISTS, origin=51))
    assert (finding.code, finding.cost.avoidable, finding.count) == ("QS204", 1, 2)
    assert finding.mend.at.line == 51


def test_exists_of_a_subquery_is_found():
    """As SQLAlchemy writes it."""
    asked = "SELECT EXISTS (SELECT * FROM book WHERE book.shop_id = ?) AS anon_1"
    rows = "SELECT book.id FROM book WHERE book.shop_id = ?"
    (finding,) = judged(a_query(rows, origin=50, rows=0), a_query(asked, origin=51))
    assert finding.code == "QS204"


@pytest.mark.parametrize(
    ("statement", "before"),
    [
        (ONE, TABLE),
        (ONE + " LIMIT 21", TABLE + " ORDER BY 1"),
        ('SELECT "book"."id" FROM "book" WHERE "book"."id" = %s', TABLE),
        (ONE + ' AND "book"."shop_id" = %s', TABLE + ' WHERE "book"."shop_id" = %s'),
        (ONE + "::INTEGER", TABLE),
        (ONE.replace('"book"."id" = %s', "id = %s"), TABLE),
        (ONE.replace('"book"', '"shop"."book"'), TABLE.replace('"book"', '"shop"."book"')),
    ],
)
def test_row_of_a_set_at_hand_is_found(statement, before):
    """Asked for by its key, in the function that has the set."""
    (finding,) = then_one(statement, before=before)
    assert (finding.code, finding.severity, finding.count) == ("QS204", "warning", 1)
    assert (finding.mend.at.line, finding.cost.avoidable) == (51, 1)
    assert "with 5 rows" in finding.message


def test_row_of_a_set_is_taken_from_the_session_of_sqlalchemy():
    """It looks among its own rows first."""
    table = TABLE.replace('"', "")
    sessions = [a_session()]
    rows = a_query(table, origin=50, rows=5, parameters=(), session=0, model="shop.Book")
    one = a_query(table + " WHERE book.id = ?", origin=51, session=0, model="shop.Book")
    (finding,) = judged(rows, one, sessions=sessions)
    assert finding.mend.write == "session.get(Book, ...)"
