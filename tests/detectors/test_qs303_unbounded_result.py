"""QS303: results that grow with the table, and results that are bounded or stay."""

from __future__ import annotations

import pytest

from tests.builders import a_load, a_query
from tests.detectors.judging import found_over, requests

ALL = 'SELECT "id", "title" FROM "library_book"'


def books(rows, statement=ALL, **facts):
    """Return a statement that reads a table whole."""
    how = {"parameters": (), "origin": 50, "model": "library.Book", "operation": "iterate"}
    return a_query(statement, rows=rows, **{**how, **facts})


def over(make, times=5, **how):
    """Return what is said about so many requests."""
    return found_over(requests(times, make, **how), "QS303")


@pytest.mark.parametrize(
    "end",
    [" LIMIT 500", " LIMIT %s", " FETCH FIRST 500 ROWS ONLY", " LIMIT 500 OFFSET 20"],
)
def test_limit_is_clean(end):
    """A page may fill up; it never overflows."""
    assert over(lambda n: [books(200 + 50 * n, ALL + end)]) == []


def test_result_that_stays_is_clean():
    """A large look-up table is no growth."""
    assert over(lambda _: [books(5_000)]) == []


def test_small_result_is_clean():
    """Up to two hundred rows nobody minds; the number can be set."""
    traces = requests(5, lambda n: [books(20 + 10 * n)])
    assert found_over(traces, "QS303") == []
    assert len(found_over(traces, "QS303", unbounded_result_min_rows=50)) == 1


def test_one_new_row_is_clean():
    """Less than a tenth is no trend."""
    assert over(lambda n: [books(1_000 + n)]) == []


def test_queue_is_clean():
    """What shrinks in between is work that gets done."""
    assert over(lambda n: [books((300, 700, 250, 800, 900)[n])]) == []


def test_other_parameters_are_clean():
    """Each filter has another number of rows, in whatever order they are asked."""
    where = f'{ALL} WHERE "shelf_id" = %s'
    assert over(lambda n: [books(200 * (n + 1), where, parameters=(n,))]) == []


def test_two_requests_are_clean():
    """Two points are no trend."""
    assert over(lambda n: [books(300 * (n + 1))], times=2) == []


@pytest.mark.parametrize("kind", ["script", "task", "test", "block"])
def test_what_is_no_request_is_clean(kind):
    """Exports read everything."""
    assert over(lambda n: [books(300 * (n + 1))], kind=kind) == []


def test_relation_and_aggregate_are_clean():
    """The rows of one parent, and one number."""
    assert over(lambda n: [books(300 * (n + 1), load=a_load())]) == []
    count = 'SELECT COUNT(*) FROM "library_book"'
    assert over(lambda n: [books(300 * (n + 1), count)]) == []


@pytest.mark.parametrize(("session", "write"), [("django", "[:50]"), ("sqlalchemy", ".limit(50)")])
def test_growing_result_is_found(session, write):
    """Where, from how many rows to how many, and what to write."""
    operation = "prefetch" if session == "django" else "core"
    (finding,) = over(lambda n: [books(300 + 100 * n, operation=operation)])
    assert finding.message == (
        "Book is read without a LIMIT and grows: 300 rows at first, 700 at last, over 5 "
        "statements with the same parameters."
    )
    assert finding.severity == "warning"
    assert finding.mend.write == write
    assert (finding.trace_id, finding.origin.first.line) == ("t4", 50)


def test_filtered_result_that_grows_is_found():
    """The orders of one customer become more, too."""
    where = f'{ALL} WHERE "shelf_id" = %s'
    (finding,) = over(lambda n: [books(300 + 100 * n, where, parameters=(7,))])
    assert finding.count == 5


def test_one_place_is_said_once():
    """Several shelves that grow are one line to mend: the one asked most often."""
    where = f'{ALL} WHERE "shelf_id" = %s'

    def make(n):
        return [books(300 + 100 * n, where, parameters=(shelf,)) for shelf in (7, 8)]

    assert len(over(make)) == 1


def test_order_of_recording_does_not_matter():
    """Time counts, not the order in which Traces were read."""
    traces = requests(5, lambda n: [books(300 + 100 * n)])
    assert len(found_over(traces[::-1], "QS303")) == 1
