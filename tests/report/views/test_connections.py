"""The tables of sessions, checkouts and transactions."""

from __future__ import annotations

import pytest

from queryscope.report.view import report_of
from tests.builders import MS, a_checkout, a_finding, a_query, a_session, a_trace, a_transaction


def test_checkout_states_are_told_apart():
    """Returned, not returned and failed are three states; idle is held less busy."""
    trace = a_trace(
        checkouts=[
            a_checkout(returned_ns=10 * MS, busy_ns=4 * MS),
            a_checkout(returned_ns=None, size=None),
            a_checkout(got_ns=None, returned_ns=None, connection=None, error="TimeoutError: 30 s"),
        ]
    )
    rows = report_of(trace, ()).checkouts
    assert [row.state for row in rows] == ["returned", "not returned", "TimeoutError: 30 s"]
    assert rows[2].held_ns == 0
    assert (rows[0].held_ns, rows[0].idle_ns) == (10 * MS, 6 * MS)


def test_connection_has_one_number_everywhere():
    """Statements, checkouts, transactions and the timeline call a connection by one number."""
    trace = a_trace(
        a_query("SELECT 1 FROM a", connection=77, checkout=2),
        a_query("SELECT 1 FROM b", connection=55, checkout=1),
        checkouts=[
            a_checkout(got_ns=None, connection=None, returned_ns=None, error="TimeoutError"),
            a_checkout(connection=55),
            a_checkout(connection=77),
        ],
        transactions=[a_transaction(connection=77)],
    )
    report = report_of(trace, ())
    assert report.executions.connection == (1, 0)
    assert [row.connection for row in report.checkouts] == [None, 0, 1]
    assert report.transactions[0].connection == 1
    lane = next(lane for lane in report.timeline.lanes if lane.key == "connections")
    assert [row.label for row in lane.rows] == ["no connection", "connection 0", "connection 1"]


@pytest.mark.parametrize(
    ("size", "max_overflow", "text"),
    [(5, 2, "5 + 2"), (5, -1, "5 + ∞"), (None, 0, "no bound"), (0, 10, "no bound")],
)
def test_capacity_is_that_of_the_pool(size, max_overflow, text):
    """A size of 0 is a pool without a bound, whatever its overflow: SQLAlchemy has it so."""
    trace = a_trace(checkouts=[a_checkout(size=size, max_overflow=max_overflow)])
    assert report_of(trace, ()).checkouts[0].capacity == text


def test_rows_carry_the_codes_about_them():
    """A session and a checkout have the codes of findings about them, each once."""
    trace = a_trace(
        sessions=[a_session(), a_session()], checkouts=[a_checkout(), a_checkout(connection=2)]
    )
    findings = [
        a_finding("QS501", sessions=(1,), checkouts=(0, 1)),
        a_finding("QS501", sessions=(1,)),
        a_finding("QS505", checkouts=(1,)),
    ]
    report = report_of(trace, findings)
    assert [row.codes for row in report.sessions] == [(), ("QS501",)]
    assert [sorted(row.codes) for row in report.checkouts] == [["QS501"], ["QS501", "QS505"]]
