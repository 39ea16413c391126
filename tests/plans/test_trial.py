"""Indexes are tried on copies that nobody else sees, and what is said of them was measured."""

from __future__ import annotations

import pytest

from queryscope.plans.candidates import Candidate, candidates_for
from queryscope.plans.catalogue import schema_of
from queryscope.plans.connection import rows_of
from queryscope.plans.explain import explain
from queryscope.plans.statement import Statement
from queryscope.plans.trial import try_indexes
from tests.builders import a_query
from tests.plans import shop

LEAST_ROWS = 1_000


@pytest.fixture
def schema(connection, vendor):
    """The shop's tables."""
    found = schema_of(connection, vendor)
    connection.rollback()
    return found


def a_select(vendor, rest, *parameters, keep=True):
    """Return a SELECT of parts."""
    text = f"SELECT plan_part.id, plan_part.title FROM plan_part {rest}"
    return a_query(text, parameters=parameters, vendor=vendor, keep=keep)


@pytest.fixture
def wanted(connection, schema):
    """What returns the columns of each index that is worth trying for a statement."""

    def find(query):
        plan = explain(connection, query)
        found = candidates_for(Statement.of(query), plan, schema, LEAST_ROWS)
        return [(one.table, *one.columns) for one in found]

    return find


@pytest.mark.parametrize(
    ("rest", "parameters", "first"),
    [
        ("WHERE code = %s", ["code-7"], ("plan_part", "code")),
        ("WHERE code = %s AND price > %s", ["code-7", 3], ("plan_part", "code", "price")),
        ("WHERE kind = %s ORDER BY price LIMIT 3", [1], ("plan_part", "kind", "price")),
        ("WHERE price BETWEEN %s AND %s", [3, 4], ("plan_part", "price")),
    ],
)
def test_candidates_are_equal_columns_then_range_or_order(wanted, vendor, rest, parameters, first):
    """The way in which an index is read."""
    assert wanted(a_select(vendor, rest, *parameters))[0] == first


@pytest.mark.parametrize(
    ("rest", "parameters"),
    [
        ("WHERE id = %s", [3]),
        ("WHERE title = %s", ["title 3"]),
        ("WHERE upper(code) = %s", ["CODE-3"]),
        ("WHERE code <> %s", ["code-3"]),
        ("", []),
        (", plan_tiny WHERE plan_tiny.name = %s AND plan_tiny.id = plan_part.id", ["tiny 3"]),
    ],
)
def test_what_an_index_exists_for_or_cannot_serve_has_no_candidate(
    wanted, vendor, rest, parameters
):
    """A search that has its index, an expression, everything, and a tiny table."""
    assert wanted(a_select(vendor, rest, *parameters)) == []


def tried(database, schema, query, *columns, table="plan_part"):
    """Try one index."""
    return try_indexes(database, Statement.of(query), schema, [Candidate(table, columns)])


def contents(connection):
    """Return what of the shop a trial must not change."""
    found = [rows_of(connection, f"SELECT count(*) FROM {table}") for table in shop.TABLES]
    connection.rollback()
    return found


@pytest.mark.parametrize("keep", [True, False])
def test_index_that_helps_is_measured(shop_database, connection, schema, vendor, keep):
    """Work and time fall, by the database's own count, and the shop stays as it was."""
    before = contents(connection), schema_of(connection, vendor)
    connection.rollback()
    query = a_select(vendor, "WHERE code = %s", "code-4000", keep=keep)
    trial = tried(shop_database, schema, query, "code")
    assert trial.refusal == ""
    assert trial.used
    assert trial.saved > 0.9
    assert trial.is_better
    assert (trial.rows, trial.whole) == (shop.ROWS, True)
    assert (contents(connection), schema_of(connection, vendor)) == before


def test_index_that_nothing_uses_saves_nothing(shop_database, schema, vendor):
    """It is built, and the database goes past it."""
    query = a_select(vendor, "WHERE code = %s", "code-4000")
    trial = tried(shop_database, schema, query, "price")
    assert (trial.used, trial.saved, trial.is_better) == (False, 0.0, False)


def test_join_is_tried_with_copies_of_both_tables(shop_database, schema, vendor):
    """Each table of the statement is there under its own name."""
    query = a_select(
        vendor,
        "INNER JOIN plan_supplier s ON s.id = plan_part.supplier_id WHERE plan_part.code = %s",
        "code-9",
    )
    trial = tried(shop_database, schema, query, "code")
    assert trial.refusal == ""
    assert trial.is_better


def test_the_narrowest_of_equals_is_named(shop_database, schema, vendor):
    """An index is paid for with each write."""
    statement = Statement.of(a_select(vendor, "WHERE code = %s AND price > %s", "code-7", -1))
    wide, narrow = Candidate("plan_part", ("code", "price")), Candidate("plan_part", ("code",))
    assert try_indexes(shop_database, statement, schema, [wide, narrow]).columns == ("code",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("UPDATE plan_part SET price = 1 WHERE code = 'a'", "only a select"),
        ("SELECT id FROM elsewhere.plan_part WHERE code = 'a'", "schema"),
        ("SELECT id FROM plan_part WHERE code = nonsense(1)", "calls nonsense()"),
        ("SELECT id FROM plan_part WHERE code = pg_catalog.lower('A')", "calls pg_catalog.lower()"),
        ("SELECT id FROM plan_part WHERE code = 'a' FOR UPDATE", "only a select"),
        ("SELECT id INTO outfile FROM plan_part WHERE code = 'a'", "only a select"),
        ("SELECT nothing FROM plan_part WHERE code = 'a'", "nothing"),
    ],
)
def test_what_cannot_be_tried_says_why(shop_database, schema, vendor, text, reason):
    """A trial that fails is no error, and no finding that an index helps."""
    query = a_query(text, parameters=None, vendor=vendor)
    trial = tried(shop_database, schema, query, "code")
    assert trial.refusal
    assert reason in trial.refusal.lower()
    assert trial.saved == 0.0


@pytest.mark.parametrize(
    "condition",
    [
        "upper(title) = 'TITLE 7' AND code = 'a'",
        "code IN ('a', 'b') AND (price > 3 OR price < 2)",
        "CAST(price AS decimal(10, 2)) > 2 AND code = 'a'",
        "price > (SELECT avg(price) FROM plan_part) AND code = 'a'",
    ],
)
def test_what_calls_harmless_functions_is_tried(shop_database, schema, vendor, condition):
    """Of parentheses that are no calls, and of functions that change nothing."""
    trial = tried(shop_database, schema, a_select(vendor, f"WHERE {condition}"), "code")
    assert trial.refusal == ""


def test_part_of_a_large_table_is_said_to_be_one(shop_database, schema, vendor, monkeypatch):
    """The copy has a bound."""
    monkeypatch.setattr("queryscope.plans.copies.MAX_ROWS", 2_000)
    query = a_select(vendor, "WHERE code = %s", "code-400")
    trial = tried(shop_database, schema, query, "code")
    assert (trial.rows, trial.whole) == (2_000, False)


def test_no_candidate_is_no_trial(shop_database, schema, vendor):
    """Nothing is copied then."""
    statement = Statement.of(a_select(vendor, "WHERE id = %s", 3))
    assert try_indexes(shop_database, statement, schema, []) is None
