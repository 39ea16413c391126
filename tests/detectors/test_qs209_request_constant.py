"""QS209: rows that every request reads again, and what only looks constant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders import a_load, a_query, an_origin
from tests.detectors.judging import found_over, requests

RATES = 'SELECT "code", "percent" FROM "shop_taxrate"'


def rates(**facts):
    """Return a statement that reads a small table whole."""
    return a_query(RATES, **{"parameters": (), "rows": 6, "model": "shop.TaxRate", **facts})


def over(make, times=12, **how):
    """Return what is said about so many requests."""
    return found_over(requests(times, make, **how), "QS209")


def test_other_parameters_are_clean():
    """Each request reads a row of its own."""
    assert over(lambda n: [a_query(parameters=(n,))]) == []


def test_other_numbers_of_rows_are_clean():
    """The table changes, whoever does it."""
    assert over(lambda n: [rates(rows=6 + n // 6)]) == []


def test_written_table_is_clean():
    """One request writes the table: its readers have to see that."""
    write = a_query('UPDATE "shop_taxrate" SET "percent" = %s', rows=1, origin=70)
    assert over(lambda n: [rates(), *([write] if n == 5 else [])]) == []


def test_write_of_unknown_tables_is_clean():
    """A procedure may have changed anything."""
    assert over(lambda n: [rates(), *([a_query("CALL refresh()")] if n == 5 else [])]) == []


def test_identical_requests_are_clean():
    """One path asked again and again may give one answer: that is another matter."""
    traces = requests(12, lambda _: [rates()], route="prices/")
    same = [replace(trace, attributes={**trace.attributes, "path": "/prices/"}) for trace in traces]
    assert len(found_over(traces, "QS209")) == 1
    assert found_over(same, "QS209") == []


def test_statement_of_some_requests_is_clean():
    """Half of the requests do without: it depends on the request."""
    assert over(lambda n: [rates()] if n % 2 else [a_query(parameters=(n,))], times=24) == []


@pytest.mark.parametrize(
    "facts",
    [
        {"statement": 'SELECT COUNT(*) FROM "shop_taxrate"'},
        {"statement": f"{RATES} FOR UPDATE"},
        {"load": a_load()},
        {"rows": 5_000},
        {"rows": 0},
        {"statement": f"{RATES} WHERE code = %s", "rows": 1, "parameters": ("a",)},
        {"origin": an_origin()._replace(steps=())},
        {"statement": 'SELECT "a" FROM "django_session"'},
        {"error": "OperationalError: locked"},
    ],
    ids=[
        "count",
        "locked",
        "relation",
        "large",
        "empty",
        "one row by its key",
        "library",
        "session",
        "failed",
    ],
)
def test_what_is_no_configuration_is_clean(facts):
    """Totals, locks, relations, large tables and what only libraries ask are not kept."""
    statement = facts.pop("statement", RATES)
    query = a_query(statement, **{"parameters": (), "rows": 6, **facts})
    assert over(lambda _: [query]) == []


def test_scripts_and_tests_are_clean():
    """They are no traffic."""
    assert over(lambda _: [rates()], kind="script") == []
    assert over(lambda _: [rates()], kind="test") == []


def test_few_requests_are_clean():
    """Nine requests tell less than ten; the number can be set."""
    assert over(lambda _: [rates()], times=9) == []
    traces = requests(9, lambda _: [rates()])
    assert len(found_over(traces, "QS209", request_constant_min_traces=5)) == 1


def test_table_read_by_every_request_is_found():
    """The finding names the table, the requests, and what a cache would spare."""
    (finding,) = over(lambda n: [a_query(parameters=(n,)), rates(origin=50)])
    assert finding.message == (
        "TaxRate is read with the same parameters and 6 rows by 12 requests of "
        "GET /books/<int:pk>/, and none writes it."
    )
    assert (finding.severity, finding.confidence) == ("info", "medium")
    assert (finding.cost.statements, finding.cost.avoidable) == (12, 11)
    assert (finding.trace_id, finding.queries) == ("t11", (1,))
    assert finding.origin.first.line == 50
    assert finding.mend.at.line == 50


def test_table_read_by_several_endpoints_is_found():
    """One path each, but two endpoints: different requests for certain."""
    traces = [
        *requests(6, lambda _: [rates()], route="prices/"),
        *requests(6, lambda _: [rates()], route="invoices/"),
    ]
    (finding,) = found_over([*traces], "QS209", request_constant_min_traces=6)
    assert "2 endpoints" in finding.message


def test_rows_behind_a_filter_are_suspected_only():
    """What it filters by may be whoever asks."""
    (finding,) = over(lambda _: [a_query(parameters=(1,), rows=4)])
    assert finding.confidence == "low"


def test_nested_traces_are_read():
    """A statement of a block within the request belongs to the request."""
    traces = [
        replace(outer, children=(inner,))
        for outer, inner in zip(
            requests(12, lambda _: []),
            [replace(t, id=f"in-{t.id}") for t in requests(12, lambda _: [rates()], kind="block")],
            strict=True,
        )
    ]
    (finding,) = found_over(traces, "QS209")
    assert finding.trace_id == "in-t11"
