"""QS111: more statements than the budget, and requests whose number has a reason."""

from __future__ import annotations

from tests.builders import a_load, a_query, a_trace, some
from tests.detectors.judging import said


def different(count):
    """Return so many statements of lines and tables of their own."""
    return [
        a_query(f'SELECT * FROM "t{n}" WHERE "t{n}"."id" = %s', origin=n + 1) for n in range(count)
    ]


def found(*queries, **facts):
    """Return what QS111 says."""
    return said(a_trace(*queries, **facts), "QS111")


# -- innocent -----------------------------------------------------------------------------------


def test_request_within_its_budget_is_clean():
    """Fifty are allowed."""
    assert found(*different(50)) == []


def test_transactions_and_catalogue_do_not_count():
    """What the driver and the framework send on the side is no statement of the request."""
    around = [a_query(text) for text in ("BEGIN", "COMMIT", "SAVEPOINT a", "RELEASE SAVEPOINT a")]
    assert found(*different(50), *around * 10) == []


def test_loop_that_explains_most_is_left_to_its_code():
    """An N+1 of 200 statements is one finding, and it is not this one."""
    load = a_load("publisher")
    loop = some(
        200, load=lambda n: load._replace(parent=n), operation="lazy", parameters=lambda n: (n,)
    )
    assert found(*different(40), *loop) == []


def test_batches_that_are_right_are_clean():
    """Rows written one by one with a savepoint each, on purpose."""
    rows = some(80, 'INSERT INTO "t" VALUES (%s)', operation="create", parameters=lambda n: (n,))
    assert found(*different(10), *rows) == []


def test_other_work_than_a_request_is_clean():
    """Tests have budgets, tasks and scripts nobody waits for."""
    for kind in ("test", "task", "script", "block"):
        assert found(*different(200), kind=kind) == []


# -- found --------------------------------------------------------------------------------------


def test_too_many_different_statements_are_found():
    """Their number, the budget, and the lines that ask."""
    (finding,) = found(*different(51), name="GET /dashboard/")
    assert (finding.severity, finding.count, finding.cost.avoidable) == ("warning", 51, 1)
    assert finding.message.startswith("The request sends 51 statements, 51 of them different")
    assert finding.subject == "GET /dashboard/"
    assert finding.evidence["lines"].count("views.py") == 5


def test_loop_that_explains_less_than_half_does_not_hide_it():
    """Sixty different ones and a loop of thirty."""
    loop = some(30, parameters=lambda n: (n,), origin=400)
    (finding,) = found(*different(60), *loop)
    assert "90 statements, 61 of them different" in finding.message


def test_budget_is_a_setting():
    """The number is the user's to choose."""
    assert len(said(a_trace(*different(12)), "QS111", chatty_request_max_statements=10)) == 1
