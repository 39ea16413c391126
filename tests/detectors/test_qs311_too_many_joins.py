"""QS311: joins beyond what planners order, and joins that do not count."""

from __future__ import annotations

import pytest

from tests.builders import a_query, a_trace, an_origin
from tests.detectors.judging import said

JOIN = ' INNER JOIN "t{0}" ON ("order"."t{0}_id" = "t{0}"."id")'


def joined(count, join=JOIN, base='SELECT * FROM "order"'):
    """Return a SELECT with so many joins."""
    return base + "".join(join.format(n) for n in range(count))


def judged(statement, **facts):
    """Return what is said of a statement."""
    kind = facts.pop("kind", "request")
    return said(a_trace(a_query(statement, **facts), kind=kind), "QS311")


def test_few_joins_are_clean():
    """A detail page has some."""
    assert judged(joined(7)) == []


@pytest.mark.parametrize(
    "join",
    [
        ' INNER JOIN "t{0}" ON ("order"."t{0}_ptr_id" = "t{0}"."id")',
        ' LEFT OUTER JOIN "t{0}" ON ("order"."id" = "t{0}"."order_ptr_id")',
        " LEFT OUTER JOIN t{0} ON order_.id = t{0}.id",
    ],
)
def test_inheritance_is_clean(join):
    """Tables of one object, as Django and as SQLAlchemy join them."""
    assert judged(joined(12, join)) == []


def test_subqueries_are_clean():
    """Each has a plan of its own."""
    inner = f'SELECT "id" FROM ({joined(4)}) AS x'
    statement = (
        f'SELECT * FROM "a" WHERE "id" IN ({joined(5)}) AND "b" IN ({joined(6)}) AND c IN ({inner})'
    )
    assert judged(statement) == []


def test_script_is_clean():
    """Nobody waits for it."""
    assert judged(joined(20), kind="script") == []


@pytest.mark.parametrize(
    ("join", "vendor"),
    [
        (JOIN, "postgresql"),
        (" LEFT OUTER JOIN `t{0}` `T{0}` ON (`o`.`t{0}_id` = `T{0}`.`id`)", "mysql"),
        (" LEFT OUTER JOIN t AS t_{0} ON t_{0}.id = o.t{0}_id", "sqlite"),
        (" JOIN link{0} ON link{0}.o_id = o.id", "sqlite"),
    ],
)
def test_many_joins_are_found(join, vendor):
    """With how many."""
    base = 'SELECT * FROM "order"' if join is JOIN else "SELECT * FROM o"
    (finding,) = judged(joined(8, join, base), vendor=vendor)
    assert (finding.severity, finding.evidence["joins"]) == ("warning", 8)


def test_library_that_joins_is_an_info():
    """The admin joins what its list shows."""
    (finding,) = judged(joined(9), origin=an_origin()._replace(steps=()))
    assert finding.severity == "info"


def test_statement_that_cannot_be_told_apart_is_counted_by_its_words():
    """And the evidence says so."""
    (finding,) = judged("WITH x AS (SELECT 1) " + joined(9))
    assert (finding.severity, finding.evidence["clauses"]) == ("info", "not parsed")


def test_threshold_is_a_setting():
    """Some want fewer."""
    assert len(said(a_trace(a_query(joined(3))), "QS311", too_many_joins_min_joins=3)) == 1
