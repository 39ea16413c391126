"""QS310: an order or a DISTINCT without effect, on each database, and those that matter."""

from __future__ import annotations

import pytest

from queryscope.trace.events import NOWHERE
from tests.builders import a_query, a_session
from tests.plans.empty import VENDORS, empty
from tests.plans.studied import fill, said_of


@pytest.fixture(scope="module", params=VENDORS)
def place(request):
    """Sensors and readings."""
    with empty(request.param, "queryscope_qs310") as found:
        fill(found)
        yield found


def said(place, statement, parameters=(), **facts):
    """Return what is said of a statement."""
    query = a_query(statement, parameters=parameters, rows=3, keep=True, **facts)
    return [item for item in said_of(place, query) if item.code == "QS310"]


# -- innocent -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT s.id, s.name FROM sensor s ORDER BY s.name",
        "SELECT DISTINCT s.name FROM sensor s",
        "SELECT DISTINCT s.id FROM sensor s INNER JOIN reading r ON r.sensor_id = s.id",
        "SELECT COUNT(DISTINCT r.sensor_id) FROM reading r",
        "SELECT COUNT(DISTINCT s.id) FROM sensor s INNER JOIN reading r ON r.sensor_id = s.id",
        "SELECT count(*) FROM (SELECT r.id FROM reading r ORDER BY r.taken LIMIT 5) x",
        "SELECT max(x.taken) FROM (SELECT r.taken FROM reading r ORDER BY r.id LIMIT 5) x",
        "SELECT count(*) FROM (SELECT DISTINCT r.value FROM reading r) x",
        "SELECT x.taken FROM (SELECT r.taken FROM reading r WHERE r.id < 9 ORDER BY r.taken) x",
        (
            "SELECT s.id FROM sensor s WHERE s.id = (SELECT r.sensor_id FROM reading r "
            "WHERE r.value = 5 ORDER BY r.taken LIMIT 1)"
        ),
        "SELECT r.sensor_id, max(r.id) FROM reading r GROUP BY r.sensor_id ORDER BY r.sensor_id",
        (
            "SELECT count(*) FROM (SELECT r.id, row_number() OVER () AS n FROM reading r "
            "ORDER BY r.taken) x"
        ),
    ],
)
def test_order_or_distinct_that_matters_is_clean(place, statement):
    """It is shown, cuts rows off, numbers them, or takes some away."""
    assert said(place, statement) == []


@pytest.mark.parametrize(
    ("vendor", "statement"),
    [
        ("postgresql", "SELECT DISTINCT ON (r.sensor_id) r.id FROM reading r ORDER BY 1"),
        (
            "postgresql",
            "SELECT string_agg(x.name, ',') FROM (SELECT s.name FROM sensor s ORDER BY s.name) x",
        ),
        (
            "postgresql",
            "SELECT count(*), array_agg(x.id) FROM (SELECT s.id FROM sensor s ORDER BY 1) x",
        ),
        ("postgresql", "SELECT DISTINCT s.id, generate_series(1, 2) FROM sensor s"),
        (
            "postgresql",
            (
                "SELECT s.id FROM sensor s WHERE s.id IN (SELECT r.sensor_id FROM reading r "
                "WHERE r.id < 9 ORDER BY r.id FOR UPDATE)"
            ),
        ),
        (
            "mysql",
            "SELECT GROUP_CONCAT(x.name) FROM (SELECT s.name FROM sensor s ORDER BY s.name) x",
        ),
        (
            "mysql",
            (
                "SELECT COUNT(*) FROM (SELECT COUNT(r.id) AS c FROM reading r GROUP BY r.sensor_id "
                "ORDER BY NULL) subquery"
            ),
        ),
        (
            "sqlite",
            "SELECT group_concat(x.name) FROM (SELECT s.name FROM sensor s ORDER BY s.name) x",
        ),
    ],
)
def test_order_that_one_database_makes_use_of_is_clean(vendor, statement):
    """Lists in order, the first row of each, locks in order, several rows from one."""
    with empty(vendor, "queryscope_qs310_own") as place:
        fill(place)
        assert said(place, statement) == []


def test_key_that_may_be_null_is_clean(place):
    """Several NULLs are one for DISTINCT."""
    place.run("CREATE TABLE room (id INTEGER PRIMARY KEY, code VARCHAR(9) UNIQUE)")
    try:
        assert said(place, "SELECT DISTINCT o.code FROM room o") == []
    finally:
        place.run("DROP TABLE room")


def test_what_only_a_library_wrote_is_clean(place):
    """Nobody can take it out."""
    statement = "SELECT DISTINCT s.id, s.name FROM sensor s"
    assert said(place, statement)
    assert said(place, statement, origin=NOWHERE) == []


# -- found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("SELECT DISTINCT s.id, s.name FROM sensor s", "DISTINCT"),
        (
            (
                "SELECT DISTINCT r.id, s.name FROM reading r JOIN sensor s ON s.id = r.sensor_id "
                "WHERE r.value > 4"
            ),
            "DISTINCT",
        ),
        (
            (
                "SELECT COUNT(*) FROM (SELECT DISTINCT r.id AS col1, r.value AS col2 FROM reading "
                "r) subquery"
            ),
            "DISTINCT",
        ),
        ("SELECT COUNT(DISTINCT r.id) FROM reading r WHERE r.value < 5", "DISTINCT"),
        (
            "SELECT s.id FROM sensor s WHERE s.id IN (SELECT DISTINCT r.sensor_id FROM reading r)",
            "DISTINCT",
        ),
        (
            (
                "SELECT count(*) AS count_1 FROM (SELECT r.id AS id, r.taken AS taken FROM reading "
                "r ORDER BY r.value) AS anon_1"
            ),
            "ORDER BY",
        ),
        (
            (
                "SELECT max(x.taken) AS a, sum(x.id) AS b FROM (SELECT r.id, r.taken FROM reading "
                "r ORDER BY r.taken) x"
            ),
            "ORDER BY",
        ),
        (
            (
                "SELECT s.id FROM sensor s WHERE s.id IN (SELECT r.sensor_id FROM reading r "
                "ORDER BY r.taken)"
            ),
            "ORDER BY",
        ),
        (
            (
                "SELECT s.id FROM sensor s WHERE EXISTS (SELECT 1 FROM reading r "
                "WHERE r.sensor_id = s.id ORDER BY r.taken)"
            ),
            "ORDER BY",
        ),
    ],
)
def test_order_or_distinct_without_effect_is_found(place, statement, word):
    """Rows that differ anyway, and an order that nobody sees."""
    (finding,) = said(place, statement)
    assert finding.evidence["needless"] == word
    assert word in finding.message


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT s.id, s.name FROM sensor s",
        "SELECT COUNT(*) FROM (SELECT r.id AS col1 FROM reading r) subquery",
        "SELECT s.id FROM sensor s WHERE s.id IN (SELECT r.sensor_id FROM reading r)",
    ],
)
def test_statement_without_it_is_clean(place, statement):
    """The same, repaired."""
    assert said(place, statement) == []


def test_work_on_many_rows_is_a_warning(place):
    """Each database makes distinct what a join gives in some order; a few rows are an info."""
    many = (
        "SELECT DISTINCT r.id, s.name FROM reading r LEFT JOIN sensor s ON s.id = r.sensor_id "
        "ORDER BY s.name"
    )
    (finding,) = said(place, many)
    assert (finding.severity, finding.evidence["work for it"]) == ("warning", "yes")
    (finding,) = said(place, "SELECT DISTINCT s.id FROM sensor s")
    assert finding.severity == "info"


def test_work_that_the_database_leaves_out_is_an_info():
    """SQLite sees one table's key."""
    with empty("sqlite") as place:
        fill(place)
        (finding,) = said(place, "SELECT DISTINCT r.id, r.value FROM reading r")
    assert (finding.severity, finding.evidence["work for it"]) == (
        "info", "none that the plan shows",
    )  # fmt: skip


def test_mend_is_in_the_words_of_the_orm(place):
    """Django's empty order, SQLAlchemy's None."""
    statement = "SELECT count(*) FROM (SELECT r.id FROM reading r ORDER BY r.taken) AS anon_1"
    for framework, write in (("django", ".order_by()"), ("sqlalchemy", ".order_by(None)")):
        query = a_query(statement, parameters=(), session=0)
        found = said_of(place, query, sessions=[a_session(framework=framework)])
        (finding,) = [item for item in found if item.code == "QS310"]
        assert finding.mend.write == write
