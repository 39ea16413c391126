"""Pools: holding times, the most held at once, gaps, and what a pool admits."""

from __future__ import annotations

import pytest

from queryscope.trace.pool import (
    SentStatements,
    admitted_per_second,
    capacity,
    held_ns,
    held_together,
    most_held,
    pools,
    safe_capacity,
    transactions_without_pool,
)
from tests.builders import MS, THREAD, a_checkout, a_query, a_trace, a_transaction


def out(start_ms, end_ms, **facts):
    """Return a checkout that was out between two moments."""
    return a_checkout(
        asked_ns=start_ms * MS,
        got_ns=start_ms * MS,
        returned_ns=None if end_ms is None else end_ms * MS,
        **facts,
    )


def most(*checkouts, **facts):
    """Return how many connections the Trace claimed at once, of its only pool."""
    (pool,) = pools(a_trace(checkouts=checkouts, **facts))
    return len(pool.most)


@pytest.mark.parametrize(
    ("size", "max_overflow", "expected"),
    [
        (5, 10, 15),
        (5, 0, 5),
        (1, 0, 1),
        (5, -1, None),
        (0, 3, None),
        (None, 0, None),
        (None, -1, None),
    ],
)
def test_capacity_is_size_and_overflow(size, max_overflow, expected):
    """A pool without a size or with endless overflow has no bound."""
    assert capacity(a_checkout(size=size, max_overflow=max_overflow)) == expected


def test_one_after_the_other_holds_one():
    """What comes back before the next is asked for never adds up, not even at one moment."""
    assert most(out(0, 2), out(2, 4), out(4, 6)) == 1


def test_nested_ones_are_held_together():
    """Connections that overlap in time count together, of whatever thread."""
    assert most(out(0, 9), out(1, 5, thread=2), out(2, 3), out(6, 8)) == 3


def test_connection_never_returned_is_held_to_the_end():
    """A leaked connection counts with everything after it."""
    assert most(out(0, None), out(5, 6), duration_ns=10 * MS) == 2


def test_checkout_of_no_time_is_not_held_with_others():
    """A checkout handed out and returned at one moment holds nothing up."""
    assert most(out(0, 9), out(5, 5)) == 1


def test_connection_asked_for_in_vain_counts_with_those_held():
    """A request that gave up on its second connection wanted two at once."""
    failed = a_checkout(asked_ns=2 * MS, waited_ns=3 * MS, got_ns=None, returned_ns=None)
    assert most(out(0, 9), failed) == 2


def test_connection_asked_for_in_vain_by_another_thread_counts_alone():
    """A thread that holds nothing and waits is queueing, not nesting."""
    failed = a_checkout(asked_ns=2 * MS, waited_ns=3 * MS, got_ns=None, returned_ns=None, thread=2)
    assert most(out(0, 9), failed) == 1


def test_pools_are_told_apart():
    """Connections of two pools are never added up."""
    found = pools(a_trace(checkouts=[out(0, 9), out(1, 8, pool_number=2, pool="replica")]))
    assert [(pool.name, len(pool.most)) for pool in found] == [("default", 1), ("replica", 1)]


def test_nested_traces_count_for_the_whole_tree():
    """A budget around a request sees what both held at the same time."""
    start = 1_000_000_000
    inner = a_trace(checkouts=[out(0, 4, connection=2)], started_at_ns=start + 5 * MS)
    apart = a_trace(checkouts=[out(0, 4, connection=3)], started_at_ns=start + 20 * MS)
    outer = a_trace(checkouts=[out(0, 10)], started_at_ns=start, children=(inner, apart))
    assert most_held(outer) == 2
    assert most_held(a_trace(children=(inner, apart), started_at_ns=start)) == 1
    assert most_held(a_trace()) == 0


def test_connection_known_to_two_traces_is_one():
    """A block that goes on using the request's connection does not hold a second one."""
    start = 1_000_000_000
    inner = a_trace(checkouts=[out(-5, 8)], started_at_ns=start + 5 * MS)
    outer = a_trace(checkouts=[out(0, 10)], started_at_ns=start, children=(inner,))
    assert most_held(outer) == 1


def test_held_together_names_the_overlapping_ones():
    """Only checkouts that were out beside another of their pool are named."""
    trace = a_trace(
        checkouts=[out(0, 4), out(1, 2), out(5, 6), out(5, 6, pool_number=2), out(7, 9), out(8, 9)]
    )
    assert held_together(trace.checkouts, trace) == {0, 1, 4, 5}


def test_connection_time_is_summed_over_connections():
    """Two connections for 3 ms each are 6 ms of connection-time; a failed one is none."""
    trace = a_trace(checkouts=[out(0, 3), out(0, 3), a_checkout(got_ns=None, returned_ns=None)])
    assert held_ns(trace.checkouts, trace) == 6 * MS


def test_pool_admits_capacity_over_connection_seconds():
    """Five connections and 50 ms of connection-time a request admit 100 requests a second."""
    trace = a_trace(checkouts=[out(0, 40), out(10, 20)])
    assert admitted_per_second(pools(trace)[0], trace) == pytest.approx(100.0)


@pytest.mark.parametrize("facts", [{"size": None}, {"max_overflow": -1}, {"returned_ns": 0}])
def test_unbounded_pool_or_no_time_admits_any_number(facts):
    """Without a bound, or without connection-time, there is no number to name."""
    trace = a_trace(checkouts=[a_checkout(**facts)])
    assert admitted_per_second(pools(trace)[0], trace) is None


@pytest.mark.parametrize(
    ("requests", "held", "expected"), [(1, 1, 1), (9, 1, 1), (1, 3, 3), (5, 2, 6)]
)
def test_safe_capacity_is_one_more_than_all_but_the_last(requests, held, expected):
    """T requests of C connections are safe from T * (C - 1) + 1 on."""
    assert safe_capacity(requests, held) == expected


def test_gaps_lie_between_statements_of_the_connection():
    """Gaps are what the statements of this connection leave free."""
    one = a_query(start_ns=2 * MS, duration_ns=MS, connection=7)
    two = a_query(start_ns=6 * MS, duration_ns=2 * MS, connection=7)
    other = a_query(start_ns=4 * MS, duration_ns=MS, connection=8, thread=2)
    trace = a_trace(one, other, two)
    gaps = SentStatements(trace).gaps(7, THREAD, 0, 10 * MS)
    assert [(gap.start_ns // MS, gap.end_ns // MS) for gap in gaps] == [(0, 2), (3, 6), (8, 10)]
    assert [gap.before and gap.before.number for gap in gaps] == [None, 0, 2]
    assert [gap.after and gap.after.number for gap in gaps] == [0, 2, None]


def test_statements_of_the_thread_on_another_connection_fill_gaps():
    """A thread that asks elsewhere is not idle; the gap's neighbours are the connection's own."""
    one = a_query(start_ns=2 * MS, duration_ns=MS, connection=7)
    other = a_query(start_ns=4 * MS, duration_ns=MS, connection=8)
    two = a_query(start_ns=6 * MS, duration_ns=2 * MS, connection=7)
    gaps = SentStatements(a_trace(one, other, two)).gaps(7, THREAD, 2 * MS, 8 * MS)
    assert [(gap.start_ns // MS, gap.end_ns // MS) for gap in gaps] == [(3, 4), (5, 6)]
    assert [(gap.before.number, gap.after.number) for gap in gaps] == [(0, 2), (0, 2)]


def test_statements_of_nested_traces_fill_gaps():
    """A block inside the request that uses the connection keeps it busy."""
    inner = a_trace(
        a_query(start_ns=MS, duration_ns=3 * MS, connection=7), started_at_ns=1_000_000_000 + 2 * MS
    )
    outer = a_trace(started_at_ns=1_000_000_000, children=(inner,))
    gaps = SentStatements(outer).gaps(7, THREAD, 0, 10 * MS)
    assert [(gap.start_ns // MS, gap.end_ns // MS) for gap in gaps] == [(0, 3), (6, 10)]


def test_overlapping_statements_leave_no_gap():
    """Statements that two threads sent on one connection are one busy time."""
    one = a_query(start_ns=MS, duration_ns=8 * MS, connection=7)
    two = a_query(start_ns=2 * MS, duration_ns=MS, connection=7)
    gaps = SentStatements(a_trace(one, two)).gaps(7, THREAD, MS, 9 * MS)
    assert gaps == []


def test_transactions_on_pooled_connections_are_left_out():
    """Where a pool handed the connection out, the checkout is judged, not the transaction."""
    trace = a_trace(
        checkouts=[a_checkout(connection=1)],
        transactions=[a_transaction(connection=1), a_transaction(connection=2)],
    )
    assert [item.connection for item in transactions_without_pool(trace)] == [2]
