"""QS203: one set fetched in several ways, and what only looks like it."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_load, a_query, a_session, a_trace, an_origin
from tests.detectors.judging import said

WHERE = 'FROM "order" WHERE "order"."shop_id" = %s'
ROWS = f'SELECT "order"."id", "order"."total" {WHERE}'
SORTED = f'{ROWS} ORDER BY "order"."total" DESC'
FIRST = f'{ROWS} ORDER BY "order"."id" ASC LIMIT 1'
NAMES = f'SELECT "order"."total" {WHERE}'
WRITE = 'UPDATE "order" SET "total" = %s'
OTHER = an_origin(a_frame(70, function="sidebar"))


def judged(*queries, **facts):
    """Return what is said of sets."""
    return said(a_trace(*queries, **facts), "QS203", "QS204", "QS207", "QS208", "QS201", "QS202")


def ask(statement, line, rows=3, **facts):
    """Return a SELECT at a line of the view."""
    return a_query(statement, origin=facts.pop("origin", line), rows=rows, **facts)


# -- innocent -------------------------------------------------------------------------------------


def test_pages_of_one_set_are_clean():
    """Each holds what the other has not."""
    assert judged(ask(ROWS + " LIMIT 5", 50), ask(ROWS + " LIMIT 5 OFFSET 5", 51)) == []
    assert judged(ask(SORTED + " LIMIT 5", 50), ask(FIRST, 51, 1)) == []


def test_other_values_are_clean():
    """Two shops have different orders."""
    assert judged(ask(ROWS, 50), ask(SORTED, 51, parameters=(2,))) == []


def test_tables_of_other_schemas_are_clean():
    """Each tenant has a table of that name."""
    one, two = (f'SELECT "id"{more} FROM "{name}"."order"' for name, more in
                (("tenant_1", ""), ("tenant_2", ', "total"')))  # fmt: skip
    assert judged(ask(one, 50, parameters=()), ask(two, 51, parameters=())) == []
    joined = 'SELECT "order"."id"{} FROM "order", "{}"."shop" WHERE "order"."shop_id" = "shop"."id"'
    queries = [joined.format("", "tenant_1"), joined.format(', "total"', "tenant_2")]
    assert judged(*(ask(text, 50 + n, parameters=()) for n, text in enumerate(queries))) == []


def test_values_written_out_are_compared():
    """What stands in the text is a value, too."""
    open_, paid = (ROWS.replace("%s", "%s AND state = " + state) for state in ("'open'", "'paid'"))
    assert judged(ask(open_, 50), ask(SORTED.replace("%s", "%s AND state = 'paid'"), 51)) == []
    assert judged(ask(open_, 50), ask(paid, 51)) == []


def test_written_between_is_clean():
    """Other rows now."""
    assert judged(ask(ROWS, 50), a_query(WRITE), ask(SORTED, 51)) == []


def test_one_table_for_two_purposes_is_clean():
    """A menu and a check of a form both read all categories."""
    queries = [
        ask('SELECT "id", "name" FROM "category" ORDER BY "name"', 50, parameters=()),
        ask('SELECT "id" FROM "category"', 70, parameters=(), origin=OTHER),
    ]
    assert judged(*queries) == []


def test_sums_and_groups_are_clean():
    """They are not rows of the set."""
    total = f'SELECT SUM("order"."total") AS "s" {WHERE}'
    groups = f'SELECT "order"."kind", COUNT(*) AS "n" {WHERE} GROUP BY "order"."kind"'
    assert judged(ask(ROWS, 50), ask(total, 51), ask(groups, 52)) == []


@pytest.mark.parametrize(
    "fact",
    [
        {"operation": "refresh"},
        {"load": a_load(relation="column")},
        {"load": a_load(batched=True)},
        {"origin": an_origin()._replace(steps=())},
    ],
    ids=["refresh", "deferred", "batch", "library"],
)
def test_other_purposes_are_clean(fact):
    """Reading anew, other columns of a row, rows for others, and what a library asked."""
    assert judged(ask(ROWS, 50), ask(NAMES, 51, **fact)) == []


def test_locked_rows_are_clean():
    """They are locked where they are changed."""
    assert judged(ask(ROWS, 50), ask(NAMES + " FOR UPDATE", 51)) == []


def test_first_of_many_rows_is_clean():
    """Nobody should take the newest of 5,000 in Python."""
    assert judged(ask(FIRST, 50, 1), ask(ROWS, 51, 5_000)) == []


def test_empty_set_is_clean():
    """Nothing was fetched that could have been used."""
    assert judged(ask(ROWS, 50, 0), ask(NAMES, 51, 0)) == []


def test_other_session_is_left_to_its_own_code():
    """QS208 speaks of it, once."""
    found = judged(
        ask(ROWS, 50, session=0), ask(SORTED, 51, session=1), sessions=[a_session(), a_session()]
    )
    assert [finding.code for finding in found] == ["QS208"]


# -- found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("again", "differ"),
    [(SORTED, "order"), (NAMES, "columns"), (FIRST, "limit"), (NAMES + " LIMIT 5", "limit")],
)
def test_set_fetched_again_is_found(again, differ):
    """In another order, with other columns, or a part of it."""
    (finding,) = judged(ask(ROWS, 50), ask(again, 51, 1))
    assert (finding.code, finding.severity, finding.count) == ("QS203", "warning", 2)
    assert differ in finding.evidence["differ in"]
    assert finding.cost.avoidable == 1
    assert finding.mend.at.line == 51
    assert "library/views.py:50" in finding.mend.how


def test_part_before_the_whole_is_found():
    """The whole could have come first."""
    (finding,) = judged(ask(FIRST, 50, 1), ask(ROWS, 51))
    assert finding.mend.at.line == 50


def test_whole_table_twice_in_one_function_is_found():
    """There the first result is at hand."""
    queries = [
        ask('SELECT "id", "name" FROM "category" ORDER BY "name"', 50, parameters=()),
        ask('SELECT "id", "name" FROM "category" ORDER BY "id"', 51, parameters=()),
    ]
    (finding,) = judged(*queries)
    assert finding.code == "QS203"


def test_row_looked_up_twice_by_one_key_is_found():
    """With other columns the second time."""
    (finding,) = judged(
        ask(ROWS + " LIMIT 21", 50, 1, operation="get"),
        ask(NAMES + " LIMIT 21", 51, 1, operation="get"),
    )
    assert finding.code == "QS203"


def test_three_ways_to_fetch_are_one_finding():
    """One set, one finding, two statements too many."""
    (finding,) = judged(ask(ROWS, 50), ask(SORTED, 51), ask(FIRST, 52, 1))
    assert (finding.count, finding.cost.avoidable) == (3, 2)


def test_other_function_is_less_sure():
    """The rows may not be at hand there."""
    (finding,) = judged(ask(ROWS, 50), ask(SORTED, 70, origin=OTHER))
    assert finding.confidence == "medium"


@pytest.mark.parametrize(
    ("statement", "vendor"),
    [
        ("SELECT `o`.`id` FROM `o` WHERE `o`.`shop_id` = %s", "mysql"),
        ("SELECT o.id FROM o WHERE o.shop_id = $1::INTEGER", "postgresql"),
        ("SELECT o.id FROM o WHERE o.shop_id = ?", "sqlite"),
    ],
)
def test_each_dialect_is_read(statement, vendor):
    """As Django and SQLAlchemy write them."""
    (finding,) = judged(
        ask(statement, 50, vendor=vendor), ask(statement + " ORDER BY 1 DESC", 51, vendor=vendor)
    )
    assert finding.code == "QS203"
