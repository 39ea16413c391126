"""The headline of a Trace: figures, and where the wall time went."""

from __future__ import annotations

from queryscope.detectors.finding import Cost
from queryscope.report.view import report_of
from tests.builders import (
    MS,
    a_checkout,
    a_finding,
    a_query,
    a_session,
    a_trace,
    a_transaction,
    some,
)


def figures(trace, findings=()):
    """Return the headline's numbers by their key."""
    return {figure.key: figure.value for figure in report_of(trace, findings).figures}


def times(trace):
    """Return the milliseconds of each segment."""
    return {part.kind: part.duration_ns / MS for part in report_of(trace, ()).split.segments}


def test_headline_counts_nested_traces():
    """Numbers cover the whole subtree, as budgets do."""
    inner = a_trace(*some(3), id="inner", sessions=[a_session()])
    trace = a_trace(*some(2), a_query("COMMIT"), children=(inner,), transactions=[a_transaction()])
    found = figures(trace, [a_finding()])
    assert found["statements"] == "5"
    assert found["rows"] == "6"
    assert (found["sessions"], found["transactions"], found["findings"]) == ("1", "1", "1")
    notes = {figure.key: figure.note for figure in report_of(trace, ()).figures}
    assert notes["statements"] == "3 in nested Traces, and 1 of transactions or catalogue"


def test_dropped_statements_are_counted():
    """Statements over the cap are in the number and in the time."""
    trace = a_trace(*some(2), duration_ns=100 * MS, dropped={"queries": 40, "query_ns": 30 * MS})
    assert figures(trace)["statements"] == "42"
    assert times(trace)["database"] == 32


def test_connections_at_once_are_the_most_held():
    """Two of three overlap; a time-out holds none."""
    trace = a_trace(
        checkouts=[
            a_checkout(asked_ns=0, returned_ns=20 * MS, connection=1),
            a_checkout(asked_ns=10 * MS, returned_ns=30 * MS, connection=2),
            a_checkout(asked_ns=30 * MS, returned_ns=40 * MS, connection=3),
            a_checkout(got_ns=None, connection=None, returned_ns=None, error="TimeoutError"),
        ]
    )
    figure = next(f for f in report_of(trace, ()).figures if f.key == "connections")
    assert (figure.value, figure.label) == ("2", "connections at once")


def test_without_a_pool_connections_are_those_used():
    """On Django without a pool there is nothing to hold: connections used are counted."""
    trace = a_trace(a_query(connection=4), a_query(connection=5), a_query(connection=4))
    figure = next(f for f in report_of(trace, ()).figures if f.key == "connections")
    assert (figure.value, figure.label, figure.note) == ("2", "connections", "no pool")


def test_time_is_split_without_overlap():
    """Statements of two threads at once count once; waiting beside them does not count again."""
    trace = a_trace(
        a_query(start_ns=10 * MS, duration_ns=40 * MS, thread=1),
        a_query(start_ns=30 * MS, duration_ns=40 * MS, thread=2),
        checkouts=[
            a_checkout(asked_ns=20 * MS, waited_ns=60 * MS, connect_ns=5 * MS, returned_ns=90 * MS)
        ],
        duration_ns=100 * MS,
    )
    assert times(trace) == {"database": 60, "wait": 10, "connect": 5, "own": 25}
    assert "80.0 ms in statements, 60.0 ms in pool wait" in report_of(trace, ()).split.note


def test_time_of_nested_traces_is_the_outer_ones():
    """A nested Trace's statements lie in the outer wall time, at their moment."""
    begin = 1_700_000_000_000_000_000
    inner = a_trace(
        a_query(start_ns=5 * MS, duration_ns=20 * MS),
        id="inner",
        started_at_ns=begin + 50 * MS,
        duration_ns=40 * MS,
    )
    trace = a_trace(
        a_query(start_ns=60 * MS, duration_ns=10 * MS),
        started_at_ns=begin,
        duration_ns=100 * MS,
        children=(inner,),
    )
    assert times(trace) == {"database": 20, "own": 80}


def test_pool_wait_is_a_segment_of_pools_only():
    """Without a pool nothing could be waited for; with one, no wait at all is worth saying."""
    assert "wait" not in times(a_trace(*some(2)))
    assert times(a_trace(*some(2), checkouts=[a_checkout()]))["wait"] == 0


def test_summary_names_where_most_of_the_time_went():
    """The sentence below the bar has the largest segment; without any time there is none."""
    trace = a_trace(*some(2), duration_ns=100 * MS)
    text = "Most of the time is spent in the application's own code (98 %)."
    assert report_of(trace, ()).summary == text
    assert report_of(a_trace(duration_ns=0), ()).summary == ""


def test_totals_are_those_of_the_traces():
    """The totals are the sums of what each Trace says of itself."""
    inner = a_trace(*some(3), id="inner", sessions=[a_session()])
    trace = a_trace(
        *some(2),
        a_query("DELETE FROM t", rows=9),
        a_query("COMMIT"),
        children=(inner,),
        checkouts=[a_checkout()],
        dropped={"queries": 4},
    )
    totals = report_of(trace, ()).totals
    assert totals.statements == trace.statements + inner.statements == 10
    assert totals.rows == trace.rows + inner.rows
    assert (totals.sessions, totals.connections_held, totals.transactions) == (1, 1, 0)


def test_headline_says_what_could_be_spared():
    """The waste ratio stands with its statements and their time; none is none."""
    trace = a_trace(*some(4, duration_ns=2 * MS))
    finding = a_finding(queries=(0, 1, 2, 3), cost=Cost(statements=4, avoidable=3))
    found = {figure.key: figure for figure in report_of(trace, [finding]).figures}
    assert found["waste"].value == "75 %"
    assert found["waste"].note == "3 statements to spare, 6.00 ms"
    clean = {figure.key: figure for figure in report_of(trace, ()).figures}
    assert (clean["waste"].value, clean["waste"].note) == ("0 %", "")
