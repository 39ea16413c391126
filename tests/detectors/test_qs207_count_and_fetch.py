"""QS207: a count beside the rows, and what only looks like it."""

from __future__ import annotations

import pytest

from tests.builders import a_query, a_session, a_trace, an_origin
from tests.detectors.judging import said

WHERE = 'FROM "order" WHERE "order"."state" = %s'
COUNT = f'SELECT COUNT(*) AS "__count" {WHERE}'
EXISTS = f'SELECT 1 AS "a" {WHERE} LIMIT 1'
ROWS = f'SELECT "order"."id", "order"."state" {WHERE}'
WRITE = 'INSERT INTO "order" ("state") VALUES (%s)'
BY_LIBRARY = an_origin()._replace(steps=())


def judged(*queries, **facts):
    """Return what is said of a set."""
    return said(a_trace(*queries, **facts), "QS207", "QS204", "QS203", "QS201")


def count(**facts):
    """Return a count at line 50."""
    return a_query(COUNT, origin=facts.pop("origin", 50), **facts)


def rows(statement=ROWS, **facts):
    """Return the rows, at line 60."""
    return a_query(statement, rows=3, origin=facts.pop("origin", 60), **facts)


# -- innocent -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [" LIMIT 25", " ORDER BY 1 LIMIT 25 OFFSET 25", " LIMIT 1"])
def test_count_plus_page_is_clean(page):
    """A paginator has to know both."""
    assert judged(count(), rows(ROWS + page)) == []


def test_table_of_another_schema_is_clean():
    """Each tenant has a table of that name."""
    counted = a_query('SELECT COUNT(*) FROM "tenant_1"."order"', parameters=(), origin=50)
    assert judged(counted, rows('SELECT "id" FROM "tenant_2"."order"', parameters=())) == []


def test_existence_alone_is_clean():
    """Nothing else was fetched."""
    assert judged(a_query(EXISTS, rows=1)) == []


def test_other_value_is_clean():
    """Open orders are counted, closed ones are listed."""
    assert judged(count(parameters=("open",)), rows(parameters=("closed",))) == []


def test_other_filter_is_clean():
    """Some of the counted rows are fetched."""
    narrower = rows(ROWS + ' AND "order"."year" = %s', parameters=(1, 5))
    assert judged(count(), narrower) == []


def test_written_between_is_clean():
    """The number was needed before the row was added."""
    assert judged(count(), a_query(WRITE), rows()) == []


def test_library_that_counts_is_clean():
    """A list of the admin's counts for itself."""
    assert judged(count(origin=BY_LIBRARY), rows()) == []
    assert judged(count(), rows(origin=BY_LIBRARY)) == []


def test_count_of_groups_is_clean():
    """One number a group is another question."""
    groups = f'SELECT "order"."kind", COUNT(*) AS "n" {WHERE} GROUP BY "order"."kind"'
    assert judged(a_query(groups, rows=3), rows()) == []


def test_count_of_distinct_values_is_clean():
    """The rows do not tell it."""
    distinct = f'SELECT COUNT(DISTINCT "order"."kind") AS "n" {WHERE}'
    assert judged(a_query(distinct), rows()) == []


def test_count_of_a_page_is_clean():
    """The first hundred of the rows are counted."""
    some = f'SELECT COUNT(*) FROM (SELECT "order"."id" {WHERE} LIMIT 100) subquery'
    assert judged(a_query(some), rows()) == []


def test_other_session_is_clean():
    """That the sessions are two is QS501's to say, and its rows were not counted twice."""
    sessions = [a_session(), a_session()]
    assert judged(count(session=0), rows(session=1), sessions=sessions) == []


def test_random_rows_are_clean():
    """They are others each time."""
    random = " AND RANDOM() < 0.5"
    assert judged(a_query(COUNT + random), rows(ROWS + random)) == []


# -- found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", [COUNT, EXISTS])
def test_probe_and_rows_are_found(probe):
    """The line that counts is the one that can go."""
    (finding,) = judged(a_query(probe, origin=50), rows())
    assert (finding.code, finding.severity, finding.count) == ("QS207", "warning", 2)
    assert finding.cost.avoidable == 1
    assert finding.mend.at.line == finding.origin.first.line == 50
    assert "library/views.py:60" in finding.message


def test_count_after_the_rows_is_found():
    """The reverse is known even sooner."""
    (finding,) = judged(rows(), count())
    assert finding.code == "QS207"
    assert finding.mend.write == "len(rows)"


def test_all_rows_of_a_table_are_found():
    """A set without a filter is a set."""
    table = 'FROM "order"'
    (finding,) = judged(
        a_query(f"SELECT COUNT(*) {table}", parameters=()),
        rows(f'SELECT "id" {table} ORDER BY "id"', parameters=()),
    )
    assert finding.code == "QS207"


@pytest.mark.parametrize(
    ("counted", "fetched", "vendor"),
    [
        (
            "SELECT COUNT(*) AS `__count` FROM `o` WHERE `o`.`state` = %s",
            "SELECT `id` FROM `o` JOIN `u` ON (`o`.`u_id` = `u`.`id`) WHERE `o`.`state` = %s",
            "mysql",
        ),
        (
            "SELECT count(*) AS n FROM (SELECT o.id AS id FROM o WHERE o.state = %(s_1)s) AS x",
            "SELECT o.id FROM o LEFT OUTER JOIN u AS v ON v.id = o.user_id WHERE o.state = %(s_1)s",
            "postgresql",
        ),
        (
            "SELECT EXISTS (SELECT * FROM o WHERE o.state = $1::VARCHAR) AS anon_1",
            "SELECT o.id FROM o WHERE o.state = $1::VARCHAR",
            "postgresql",
        ),
    ],
)
def test_each_way_to_write_it_is_found(counted, fetched, vendor):
    """As Django and SQLAlchemy write them, with what is joined along."""
    values = {"s_1": "open"} if "%(" in counted else ("open",)
    (finding,) = judged(
        a_query(counted, parameters=values, vendor=vendor),
        rows(fetched, parameters=values, vendor=vendor),
    )
    assert finding.code == "QS207"


def test_sets_of_one_pair_of_lines_are_one_finding():
    """A helper that counts and fetches for three states is one thing to mend."""
    queries = [
        make(parameters=(state,)) for state in ("open", "paid", "sent") for make in (count, rows)
    ]
    (finding,) = judged(*queries)
    assert (finding.count, finding.cost.avoidable) == (6, 3)


def test_lines_of_two_functions_are_less_sure():
    """The rows may not be at hand there."""
    elsewhere = an_origin(60)
    step = elsewhere.steps[0]._replace(function="other")
    (finding,) = judged(count(), rows(origin=elsewhere._replace(steps=(step,))))
    assert finding.confidence == "medium"
