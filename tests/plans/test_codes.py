"""QS312, QS401, QS402 and QS404 on real databases: innocent, dirty and repaired statements."""

from __future__ import annotations

from contextlib import closing

import pytest

from queryscope.detectors.planned import Planned
from queryscope.detectors.registry import judge_plans
from queryscope.plans.connection import rows_of
from queryscope.plans.study import ANY, study
from tests.builders import MS, a_query, a_trace, an_origin

COLUMNS = "plan_part.id, plan_part.title"


@pytest.fixture
def said(shop_database, vendor):
    """What tells the codes and findings about one SELECT of parts, its values kept or not."""

    def say(rest, *parameters, keep=True, rows=1, columns=COLUMNS, mode="production", **facts):
        text = f"SELECT {columns} FROM plan_part {rest}"
        query = a_query(text, parameters=parameters, vendor=vendor, keep=keep, rows=rows, **facts)
        failures = []
        planned = Planned(
            study([a_trace(query, mode=mode)], {ANY: shop_database}, least_rows=1_000)
        )
        found = judge_plans(planned, on_failure=lambda *failure: failures.append(failure))
        assert failures == []
        return {finding.code: finding for finding in found if finding.code in CODES}

    return say


CODES = ("QS312", "QS401", "QS402", "QS404")
JOINED = "INNER JOIN plan_supplier s ON s.id = plan_part.supplier_id"


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(
    ("rest", "parameters"),
    [
        ("WHERE plan_part.id = %s", [7]),
        ("WHERE plan_part.title = %s", ["title 7"]),
        ("WHERE supplier_id = %s AND price = %s", [7, 9]),
        ("WHERE plan_part.title IN (%s, %s)", ["title 7", "title 8"]),
        (f"{JOINED} WHERE s.id = %s", [7]),
        ("ORDER BY plan_part.id LIMIT 3", []),
        (
            "WHERE plan_part.id > %s AND upper(code) = 'CODE-7' ORDER BY plan_part.id LIMIT 1",
            [4990],
        ),
    ],
)
def test_statement_that_finds_its_rows_is_clean(said, rest, parameters, keep):
    """By its key, by an index, by one of two columns, in the order of the key."""
    assert said(rest, *parameters, keep=keep) == {}


@pytest.mark.parametrize("text", ["name = %s", "upper(name) = %s", "name LIKE %s"])
def test_tiny_table_is_clean_whatever_is_asked_of_it(shop_database, vendor, text):
    """Twenty rows are read as fast as an index of them."""
    query = a_query(
        f"SELECT id FROM plan_tiny WHERE {text}", parameters=["%x"], vendor=vendor, keep=True
    )
    found = study([a_trace(query)], {ANY: shop_database}, least_rows=1_000)
    assert [f for f in judge_plans(Planned(found)) if f.code in CODES] == []


# -- QS401 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [True, False])
def test_scan_that_an_index_would_serve_is_found(said, keep):
    """It was tried, and the numbers say what it saves."""
    found = said("WHERE code = %s", "code-4000", keep=keep)
    assert set(found) == {"QS401"}
    finding = found["QS401"]
    assert (finding.severity, finding.confidence) == ("warning", "high")
    assert finding.subject == "plan_part (code)"
    assert finding.evidence["index"] == "plan_part (code)"
    assert finding.evidence["planned with"] == (
        "the recorded values" if keep else "values sampled from the tables"
    )


def test_scan_is_repaired_by_the_index(said, shop_database, vendor):
    """With it nothing is said any more."""
    on = " ON plan_part" if vendor == "mysql" else ""
    with closing(shop_database.connect(writable=True)) as connection:
        rows_of(connection, "CREATE INDEX plan_part_code ON plan_part (code)")
        connection.commit()
        try:
            assert said("WHERE code = %s", "code-4000") == {}
        finally:
            rows_of(connection, f"DROP INDEX plan_part_code{on}")
            connection.commit()


@pytest.mark.parametrize(
    ("rest", "parameters", "rows"),
    [
        ("WHERE kind = %s", [1], 1_666),  # a third of the table
        ("WHERE price >= %s", [0], 5_000),  # all of it
        ("WHERE code <> %s", ["code-7"], 4_999),
    ],
)
def test_index_that_would_not_help_is_not_asked_for(said, rest, parameters, rows):
    """Few different values, all rows, an exclusion: tried and found wanting, or not worth it."""
    assert "QS401" not in said(rest, *parameters, rows=rows)


def test_index_that_cannot_be_tried_is_an_info(said, monkeypatch):
    """The reason is said, and that nobody is sure."""
    monkeypatch.setattr("queryscope.plans.copies.TIMEOUT_MS", 0)
    monkeypatch.setattr("queryscope.plans.copies.MAX_ROWS", -1)
    finding = said("WHERE code = %s", "code-4000")["QS401"]
    assert (finding.severity, finding.confidence) == ("info", "low")
    assert "not tried" in finding.message
    assert finding.evidence["not tried"]


# -- QS402 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "parameters", "around"),
    [
        ("upper(title) = %s", ["TITLE 7"], "upper()"),
        ("supplier_id + 0 = %s", [7], "an expression"),
    ],
)
def test_index_hidden_by_what_is_around_its_column_is_found(said, condition, parameters, around):
    """The index is named, and what stands around the column."""
    found = said(f"WHERE {condition}", *parameters)
    assert set(found) == {"QS402"}
    assert found["QS402"].evidence["around the column"] == around
    assert str(found["QS402"].evidence["index"]).startswith("plan_part_")


@pytest.mark.parametrize(
    ("condition", "parameters"), [("title = %s", ["TITLE 7"]), ("supplier_id = %s", [7])]
)
def test_column_itself_uses_its_index(said, condition, parameters):
    """The repaired twins."""
    assert said(f"WHERE {condition}", *parameters) == {}


@pytest.mark.parametrize(
    ("rest", "parameters", "rows"),
    [
        ("WHERE upper(title) = %s AND plan_part.id = %s", ["TITLE 7", 7], 1),
        ("WHERE supplier_id + 0 >= %s", [0], 5_000),
        ("WHERE upper(title) <> %s", ["TITLE 7"], 4_999),
    ],
)
def test_expression_that_costs_nothing_is_clean(said, rest, parameters, rows):
    """Another index finds the row; most rows are wanted; the condition excludes."""
    assert "QS402" not in said(rest, *parameters, rows=rows)


# -- QS312 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "parameters"),
    [
        ("upper(code) = %s", ["CODE-7"]),
        ("code LIKE %s", ["%-7"]),
        ("title LIKE %s", ["%e 7"]),
        ("(code = %s OR price = %s)", ["code-7", 96]),
    ],
)
def test_condition_that_no_index_answers_is_found(said, condition, parameters):
    """A function, a leading wildcard, an OR of two columns."""
    found = said(f"WHERE {condition}", *parameters)
    assert set(found) == {"QS312"}


@pytest.mark.parametrize(
    ("condition", "parameters", "keep"),
    [
        ("title LIKE %s", ["title 77%"], True),
        ("title LIKE %s", ["%77"], False),
        ("(title = %s OR title = %s)", ["title 7", "title 8"], True),
        ("(title = %s OR supplier_id = %s)", ["title 7", 9], True),
        ("upper(code) = %s AND title = %s", ["CODE-7", "title 7"], True),
    ],
)
def test_condition_that_an_index_answers_is_clean(said, condition, parameters, keep):
    """A prefix, a pattern nobody knows, an OR of one column or of two with their indexes."""
    assert "QS312" not in said(f"WHERE {condition}", *parameters, keep=keep)


def test_number_for_a_text_is_cast_on_mariadb(said, vendor):
    """MariaDB makes numbers of all texts; PostgreSQL refuses, SQLite makes a text of the number."""
    found = said("WHERE title = %s", 7)
    assert set(found) == ({"QS402"} if vendor == "mysql" else set())


def test_decimal_for_an_integer_is_cast_on_postgresql(said, vendor):
    """What the database adds by itself stands in its plan alone."""
    found = said("WHERE supplier_id = 7.0 AND plan_part.price < %s", 3)
    if vendor == "postgresql":
        assert found["QS402"].evidence["around the column"] == "an implicit cast to numeric"
    assert "QS312" not in found


# -- QS404 -----------------------------------------------------------------------------------


def test_slow_statement_is_found_with_its_plan(said):
    """It says how long it took, and what the database does."""
    finding = said("WHERE plan_part.id = %s", 7, duration_ns=900 * MS)["QS404"]
    assert "900 ms" in finding.message
    assert "searches plan_part" in finding.message


def test_quick_statement_is_clean_and_so_is_a_slow_test(said):
    """Tests are judged by the plan, and these tables are small."""
    assert "QS404" not in said("WHERE plan_part.id = %s", 7, duration_ns=499 * MS)
    assert "QS404" not in said("WHERE plan_part.id = %s", 7, duration_ns=900 * MS, mode="tests")


def test_slow_statement_without_a_plan_says_why(said):
    """A finding, not an error."""
    finding = said("WHERE nonsense = %s", 7, duration_ns=900 * MS)["QS404"]
    assert "there is no plan" in finding.message
    assert finding.evidence["no plan"]


# -- the study -------------------------------------------------------------------------------


def test_database_that_nobody_named_is_said(vendor):
    """Each statement of it has the reason, and nothing is asked."""
    query = a_query(vendor=vendor, duration_ns=900 * MS)
    found = study([a_trace(query)], {}, least_rows=1_000)
    assert "--database" in found.statements[0].refusal
    (finding,) = judge_plans(Planned(found))
    assert finding.code == "QS404"


def test_one_index_that_two_lines_want_is_one_finding(shop_database, vendor):
    """The plan is the statement's, the finding the index's, at the line that costs most."""
    text = "SELECT id FROM plan_part WHERE code = %s"
    queries = [
        a_query(text, parameters=["a"], vendor=vendor, keep=True, origin=an_origin(line))
        for line in (40, 50, 50)
    ]
    found = study([a_trace(*queries)], {ANY: shop_database}, least_rows=1_000)
    assert len(found.statements) == 1
    (finding,) = [item for item in judge_plans(Planned(found)) if item.code == "QS401"]
    assert finding.count == 3
    assert finding.origin.frame.line == 50
    assert finding.evidence["other lines"].endswith(":40")


def test_bound_of_the_study_is_said(shop_database, vendor, monkeypatch):
    """What is beyond it was not looked at."""
    monkeypatch.setattr("queryscope.plans.study.MAX_STATEMENTS", 1)
    queries = [a_query(f"SELECT {n}, id FROM plan_tiny{n}", vendor=vendor) for n in "ab"]
    found = study([a_trace(*queries)], {ANY: shop_database}, least_rows=1_000)
    assert (len(found.statements), found.left_off) == (1, 1)
