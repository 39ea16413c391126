"""Recorded statements are explained over a connection of ours, with values or without."""

from __future__ import annotations

import re

import pytest

from queryscope.plans import database as databases
from queryscope.plans.connection import CannotExplainError, rows_of
from queryscope.plans.explain import explain
from queryscope.plans.plan import READS
from tests.builders import a_query
from tests.plans import shop


def on(*vendors):
    """Run a test on some of the databases only."""
    return pytest.mark.parametrize("shop_database", vendors, indirect=True)


def asked(vendor, statement, *parameters, keep=True, **facts):
    """Return a statement as Django records it; its values are kept unless told otherwise."""
    return a_query(statement, parameters=parameters, vendor=vendor, keep=keep, **facts)


def reads(plan):
    """Return (kind, table, alias, index) of each step that reads a table."""
    return [(n.kind, n.table, n.alias, n.index) for n in plan.nodes() if n.kind in READS]


def kinds(plan):
    """Return the kinds of all steps."""
    return {node.kind for node in plan.nodes()}


def test_filter_without_index_is_a_table_scan(connection, vendor):
    """Nothing serves it, and the plan says so on every database alike."""
    plan = explain(connection, asked(vendor, "SELECT id FROM plan_part WHERE code = %s", "code-7"))
    assert reads(plan) == [("table scan", "plan_part", "plan_part", "")]
    assert plan.values == "kept"
    assert 0.8 * shop.ROWS <= plan.rows_in("plan_part") <= 1.2 * shop.ROWS


def test_filter_with_index_is_a_search(connection, vendor):
    """Its index and columns are named."""
    plan = explain(connection, asked(vendor, "SELECT * FROM plan_part WHERE title = %s", "title 9"))
    assert reads(plan) == [("index search", "plan_part", "plan_part", "plan_part_title")]
    (node,) = [node for node in plan.nodes() if node.kind in READS]
    assert node.columns == ("title",)


def test_key_is_a_search(connection, vendor):
    """The table's own key needs no index of ours."""
    plan = explain(connection, asked(vendor, "SELECT * FROM plan_part WHERE id = %s", 7))
    assert [kind for kind, *_ in reads(plan)] == ["index search"]


def test_join_names_table_and_alias(connection, vendor):
    """An alias is led back to its table, which SQLite and MariaDB do not tell."""
    text = (
        "SELECT T3.id FROM plan_part INNER JOIN plan_supplier T3 ON T3.id = plan_part.supplier_id "
        "WHERE plan_part.code = %s"
    )
    plan = explain(connection, asked(vendor, text, "code-7"))
    assert ("plan_supplier", "t3") in {(table, alias) for _, table, alias, _ in reads(plan)}


def test_sort_and_subquery_are_steps(connection, vendor):
    """What is not the reading of a table has a kind, too."""
    text = "SELECT * FROM plan_part WHERE code > %s ORDER BY price"
    assert "sort" in kinds(explain(connection, asked(vendor, text, "code-1")))


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE plan_part SET price = %s WHERE code = %s",
        "DELETE FROM plan_part WHERE price = %s AND code = %s",
        (
            "INSERT INTO plan_tiny (id, name) SELECT id + 100000, title FROM plan_part "
            "WHERE price = %s AND code = %s"
        ),
    ],
)
def test_write_is_explained_and_not_done(connection, vendor, text):
    """The plan is asked for in a read-only transaction; not a row is touched."""
    before = rows_of(connection, "SELECT count(*), sum(price) FROM plan_part")
    connection.rollback()
    plan = explain(connection, asked(vendor, text, 5, "code-7"))
    assert "table scan" in kinds(plan)
    assert rows_of(connection, "SELECT count(*), sum(price) FROM plan_part") == before
    assert rows_of(connection, "SELECT count(*) FROM plan_tiny")[0][0] == 20
    connection.rollback()


def test_values_are_sampled_where_none_were_kept(connection, vendor):
    """A value that a row of the table holds stands for the one that nobody wrote down."""
    text = "SELECT id FROM plan_part WHERE title = %s AND supplier_id IN (%s, %s) LIMIT 5"
    plan = explain(connection, asked(vendor, text, "a", 1, 2, keep=False))
    assert plan.values == "sampled"
    assert reads(plan)[0][0] in ("index search", "index only")


@pytest.mark.parametrize("keep", [True, False])
def test_steps_hold_no_values(connection, vendor, keep):
    """Neither those that were kept nor those that were read from the tables."""
    text = "SELECT id FROM plan_part WHERE code = %s AND price < %s AND title LIKE 'title 5%%'"
    plan = explain(connection, asked(vendor, text, "code-500", 96, keep=keep))
    shown = " ".join(f"{node.condition} {node.raw} {node.columns}" for node in plan.nodes())
    assert not re.search(r"code-\d|\b\d{2,}|title \d", shown), shown


def test_value_that_nothing_tells_gives_a_generic_plan(connection, vendor):
    """PostgreSQL and SQLite plan for any value; MariaDB says what to do."""
    text = "SELECT id FROM plan_part WHERE upper(code) = upper(%s)"
    query = asked(vendor, text, "a", keep=False)
    if vendor == "mysql":
        with pytest.raises(CannotExplainError, match="keep_values"):
            explain(connection, query)
    else:
        plan = explain(connection, query)
        assert plan.values == "generic"
        assert reads(plan) == [("table scan", "plan_part", "plan_part", "")]


def test_literal_that_was_folded_away_is_sampled_too(connection, vendor):
    """On disk a value in the text is a question mark beside the placeholders."""
    text = "SELECT id FROM plan_part WHERE price > ? AND title = %s"
    plan = explain(connection, asked(vendor, text, "title 3", keep=False))
    assert (plan.values, reads(plan)[0][3]) == ("sampled", "plan_part_title")


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("SELECT id FROM plan_part WHERE title = :title_1", {"title_1": "title 3"}),
        ("SELECT id FROM plan_part WHERE title = %(title_1)s", {"title_1": "title 3"}),
        ("SELECT id FROM plan_part WHERE title = ?", ("title 3",)),
        ("SELECT id FROM plan_part WHERE title = %s AND code LIKE '%%3'", ("title 3",)),
        ("SELECT id FROM plan_part WHERE title = 'title 3' AND code LIKE '%3'", ()),
        ("SELECT id FROM plan_part WHERE title = %s AND id %% 2 = 1", ("title 3",)),
        ("SELECT id FROM plan_part -- of ? and %s\nWHERE title = 'title 3'", ()),
    ],
)
def test_placeholders_of_every_driver_are_understood(connection, vendor, text, parameters):
    """What was recorded with one driver is explained over another."""
    query = a_query(text, parameters=parameters, vendor=vendor, keep=True)
    plan = explain(connection, query)
    assert reads(plan)[0][3] == "plan_part_title"
    assert plan.values == ("kept" if parameters else "none")


def test_two_texts_of_two_letters_are_no_names(connection, vendor):
    """Values are led to names only where the statement has names."""
    query = asked(vendor, "SELECT id FROM plan_part WHERE title = %s AND code = %s", "ab", "cd")
    assert explain(connection, query).values == "kept"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("COMMIT", "has no plan"),
        ("CREATE TABLE x (id integer)", "has no plan"),
        ("SELECT 1; DELETE FROM plan_part", "several statements"),
        ("SELECT id FROM there_is_no_such_table", "does not explain"),
        ("SELECT " + "1, " * 30_000 + "1", "was cut"),
    ],
)
def test_what_cannot_be_explained_says_why(connection, vendor, text, reason):
    """One error, one sentence."""
    with pytest.raises(CannotExplainError, match=reason):
        explain(connection, a_query(text, parameters=None, vendor=vendor))


def test_connection_is_as_good_as_new_after_an_error(connection, vendor):
    """A transaction that broke is rolled back."""
    with pytest.raises(CannotExplainError):
        explain(connection, a_query("SELECT nothing FROM nowhere", parameters=None, vendor=vendor))
    assert reads(explain(connection, asked(vendor, "SELECT id FROM plan_tiny")))


def test_analyze_runs_a_select_and_no_write(connection, vendor):
    """Only when it is asked for; a write is refused before it is sent."""
    query = asked(vendor, "SELECT id FROM plan_part WHERE code = %s", "code-7")
    plan = explain(connection, query, analyze=True)
    assert plan.analyzed == (vendor != "sqlite")
    assert any(node.actual_rows is not None for node in plan.nodes()) == plan.analyzed
    with pytest.raises(CannotExplainError, match="Only a SELECT"):
        explain(connection, asked(vendor, "DELETE FROM plan_part"), analyze=True)


@on("postgresql")
def test_numbered_placeholders_are_understood(connection, vendor):
    """As asyncpg has them; one of them may stand twice."""
    text = "SELECT id FROM plan_part WHERE title = $1 AND code <> $2 AND code <> $1"
    plan = explain(connection, asked(vendor, text, "title 3", "b"))
    assert (plan.values, reads(plan)[0][3]) == ("kept", "plan_part_title")


@on("postgresql")
def test_statement_that_writes_inside_a_select_is_stopped(connection, vendor):
    """Read only is the transaction, not our reading of the text."""
    text = "WITH gone AS (DELETE FROM plan_part RETURNING id) SELECT count(*) FROM gone"
    with pytest.raises(CannotExplainError, match="read-only"):
        explain(connection, asked(vendor, text), analyze=True)


@on("postgresql", "mysql")
def test_time_is_limited(connection, vendor):
    """What takes too long is no plan, and the connection goes on."""
    join = ", ".join(f"plan_part p{n}" for n in range(4))
    text = f"SELECT count(*) FROM {join} WHERE p0.price + p1.price + p2.price = p3.price"
    with pytest.raises(CannotExplainError, match="does not explain"):
        explain(connection, asked(vendor, text), analyze=True, timeout_ms=200)


@on("sqlite")
@pytest.mark.parametrize(
    "condition",
    [
        "django_date_extract('year', title) = 2020",
        "title REGEXP 'x' AND django_format_dtdelta('+', id, 3) > 3",
        "title = 'x' COLLATE unheard_of",
    ],
)
def test_functions_that_the_application_defined_are_no_obstacle(connection, vendor, condition):
    """Django defines dozens of them on its own connections; a plan does not call them."""
    query = a_query(f"SELECT id FROM plan_part WHERE {condition}", parameters=None, vendor=vendor)
    assert reads(explain(connection, query))[0][1] == "plan_part"


def test_sqlite_is_interrupted(tmp_path):
    """A count of a large table ends at its deadline."""
    database = shop.make("sqlite", "", tmp_path)
    connection = database.connect()
    with (
        pytest.raises(shop.ERRORS, match="interrupted"),
        databases.transaction(connection, "sqlite", timeout_ms=0),
    ):
        rows_of(connection, "SELECT count(*) FROM plan_part a, plan_part b")
    connection.close()
