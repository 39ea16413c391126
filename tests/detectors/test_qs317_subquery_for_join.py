"""QS317: subqueries that a join is much cheaper than by plan, and those that are as good."""

from __future__ import annotations

import pytest

from queryscope.trace.events import NOWHERE
from tests.builders import a_query
from tests.plans.empty import VENDORS, empty
from tests.plans.studied import fill, said_of

COUNTS = (
    "SELECT s.id, (SELECT COUNT(*) AS c FROM reading U0 WHERE U0.taken = (s.id) GROUP BY U0.taken)"
    " AS n FROM sensor s"
)


@pytest.fixture(scope="module", params=VENDORS)
def place(request):
    """Sensors and readings."""
    with empty(request.param, "queryscope_qs317") as found:
        fill(found)
        yield found


def said(place, statement, *parameters, rows=40, keep=True, **facts):
    """Return what is said of a statement."""
    query = a_query(statement, parameters=parameters, rows=rows, keep=keep, **facts)
    return [item for item in said_of(place, query) if item.code == "QS317"]


# -- innocent -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT s.id FROM sensor s WHERE s.id IN (SELECT r.sensor_id FROM reading r)",
        "SELECT s.id FROM sensor s WHERE s.id IN (SELECT r.taken FROM reading r WHERE r.value > 3)",
        "SELECT s.id FROM sensor s WHERE EXISTS (SELECT 1 FROM reading r WHERE r.sensor_id = s.id)",
        (
            "SELECT r.id, (SELECT MAX(s.name) FROM sensor s WHERE s.id = r.sensor_id) AS n "
            "FROM reading r WHERE r.id < 50"
        ),
        "SELECT r.id FROM reading r WHERE r.sensor_id IN (SELECT s.id FROM sensor s)",
        "SELECT s.id, (SELECT MAX(r.taken) FROM reading r) AS n FROM sensor s",
        "SELECT s.id, (SELECT r.value FROM reading r WHERE r.taken = s.id LIMIT 1) FROM sensor s",
        "SELECT s.id FROM sensor s WHERE s.id NOT IN (SELECT r.taken FROM reading r)",
        "SELECT s.id, COUNT(r.id) FROM sensor s LEFT JOIN reading r ON r.taken = s.id GROUP BY 1",
    ],
)
def test_subquery_that_is_as_good_is_clean(place, statement):
    """The database joins by itself, an index answers, the table is small, or no join would do."""
    assert said(place, statement) == []


def test_subquery_asked_for_one_row_is_clean(place):
    """Once for the one row that a condition leaves."""
    assert said(place, f"{COUNTS} WHERE s.id = %s", 7, rows=1) == []


def test_repaired_statement_is_clean(place):
    """The rows are grouped once and joined."""
    statement = (
        "SELECT s.id, g.n FROM sensor s LEFT JOIN "
        "(SELECT r.taken AS k, COUNT(*) AS n FROM reading r GROUP BY r.taken) g ON g.k = s.id"
    )
    assert said(place, statement) == []


def test_what_only_a_library_wrote_is_clean(place):
    """Nobody can write it otherwise."""
    assert said(place, COUNTS, origin=NOWHERE) == []


def test_thresholds_are_the_users(place):
    """How many times cheaper, and how large a table."""
    for chosen in ({"subquery_join_min_ratio": 10_000}, {"subquery_join_min_rows": 1_000_000}):
        query = a_query(COUNTS, parameters=(), rows=40)
        found = said_of(place, query, chosen=chosen)
        assert [item for item in found if item.code == "QS317"] == []


# -- found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        COUNTS,
        f"{COUNTS} ORDER BY n DESC, s.id",
        (
            "SELECT s.id, COALESCE((SELECT SUM(r.value) FROM reading r WHERE r.taken = s.id AND "
            "r.value > 1), 0) AS n FROM sensor s"
        ),
        f"{COUNTS} WHERE s.name LIKE 's%'",
    ],
)
def test_subquery_that_reads_the_table_for_each_row_is_found(place, statement):
    """The plans of both are compared, and their costs stand in the evidence."""
    (finding,) = said(place, statement)
    unit = "cost" if place.vendor == "postgresql" else "rows read"
    before, after = (finding.evidence[f"{unit} {how}"] for how in ("as it is", "with a join"))
    assert before >= 3 * after > 0
    assert "JOIN" in finding.evidence["with a join"]
    assert finding.severity == "warning"
    assert "reading" in finding.message


def test_values_change_their_order_with_the_text(place):
    """The parameter of the subquery comes behind those of the select list, in front of others."""
    statement = (
        "SELECT s.id, %s AS x, (SELECT COUNT(*) FROM reading r WHERE r.taken = s.id AND "
        "r.value > %s) AS n FROM sensor s WHERE s.name <> %s"
    )
    (finding,) = said(place, statement, 1, 2, "none")
    assert finding.evidence["planned with"] == "the recorded values"


def test_values_that_were_not_kept_are_sampled(place):
    """Plans need some."""
    statement = (
        "SELECT s.id, (SELECT COUNT(*) FROM reading r WHERE r.taken = s.id AND r.value > %s) AS n "
        "FROM sensor s"
    )
    (finding,) = said(place, statement, 1, keep=False)
    assert finding.evidence["planned with"] == "values sampled from the tables"


def test_exists_that_reads_the_table_for_each_row_is_found():
    """SQLite runs it for each row; the others join by themselves."""
    statement = (
        "SELECT s.id FROM sensor s WHERE EXISTS(SELECT 1 AS a FROM reading U0 WHERE "
        "U0.taken = (s.id) LIMIT 1)"
    )
    with empty("sqlite") as place:
        fill(place)
        (finding,) = said(place, statement)
        assert finding.evidence["rows read as it is"] == 60_000
    for vendor in ("postgresql", "mysql"):
        with empty(vendor) as place:
            fill(place)
            assert said(place, statement.replace(" LIMIT 1", "")) == []
