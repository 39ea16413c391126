"""QS505: several connections of one pool at once; the bound proved on real pools and threads."""

from __future__ import annotations

import sqlite3
from functools import partial

import pytest
from sqlalchemy.pool import QueuePool

from benchmarks.prophet import deadlocks
from queryscope.detectors import qs505_nested_checkout as detector
from queryscope.trace.pool import deadlock_from, safe_capacity
from tests.builders import MS, a_checkout, a_frame, a_session, a_trace, an_origin
from tests.detectors.judging import found_by

found = partial(found_by, detector)


def nest(times, **facts):
    """Return checkouts each inside the one before it."""
    return [
        a_checkout(asked_ns=n * MS, returned_ns=(50 - n) * MS, connection=n, **facts)
        for n in range(times)
    ]


# -- the bound, on real pools ----------------------------------------------------------------


def grid():
    """Return points around the bound for each C and S: below, at and above it."""
    points = set()
    for held in (2, 3, 4):
        for capacity in range(1, 8):
            bound = deadlock_from(capacity, held)
            points |= {
                deadlocks.Point(t, held, capacity) for t in (bound - 1, bound, bound + 1) if t > 0
            }
    points |= {deadlocks.Point(6, 1, capacity) for capacity in (1, 2, 5)}
    return sorted(points)


@pytest.fixture(scope="module")
def gave_up():
    """Whether a request gave up at each point of the grid, all points run at the same time."""
    return deadlocks.happened(grid())


def test_grid_has_points_on_both_sides():
    """At least thirty points, with safe and with deadlocking ones for every C."""
    points = grid()
    assert len(points) >= 30
    for held in (2, 3, 4):
        sides = {p.requests >= deadlock_from(p.capacity, held) for p in points if p.held == held}
        assert sides == {True, False}


@pytest.mark.parametrize("point", grid(), ids=lambda p: f"T{p.requests}-C{p.held}-S{p.capacity}")
def test_real_pool_deadlocks_exactly_from_the_bound(gave_up, point):
    """From the bound on somebody gives up after pool_timeout; below it everybody ends."""
    bound = deadlock_from(point.capacity, point.held)
    expected = bound is not None and point.requests >= bound
    assert gave_up[point] is expected


def test_safe_capacity_is_the_other_side_of_the_bound():
    """T requests deadlock with one connection less than the safe capacity, and not with it."""
    for requests in range(1, 60):
        for held in range(2, 9):
            safe = safe_capacity(requests, held)
            assert safe == requests * (held - 1) + 1
            assert deadlock_from(safe, held) > requests
            assert safe == 1 or deadlock_from(safe - 1, held) <= requests


@pytest.mark.parametrize(("size", "max_overflow"), [(1, -1), (0, 1)])
def test_pool_without_a_bound_never_blocks(size, max_overflow):
    """Endless overflow, and a size of 0, hand out whatever is asked for."""
    pool = QueuePool(
        lambda: sqlite3.connect(":memory:", check_same_thread=False),
        pool_size=size,
        max_overflow=max_overflow,
        timeout=0.1,
    )
    held = [pool.connect() for _ in range(20)]
    for connection in held:
        connection.close()
    pool.dispose()
    assert found(a_trace(checkouts=nest(20, size=size, max_overflow=max_overflow))) == []


# -- innocent --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        {"checkouts": []},
        {"checkouts": nest(1)},
        {"checkouts": [a_checkout(asked_ns=n * MS, returned_ns=(n + 1) * MS) for n in range(9)]},
        {"checkouts": nest(3, max_overflow=-1)},
        {"checkouts": nest(3, size=None)},
        {"checkouts": [a_checkout(), a_checkout(pool="replica", pool_number=2)]},
        {"checkouts": nest(3), "kind": "test"},
        {"checkouts": nest(3), "kind": "script"},
    ],
    ids=["none", "one", "in turn", "endless overflow", "unbounded", "two pools", "test", "script"],
)  # fmt: skip
def test_request_that_cannot_deadlock_is_clean(facts):
    """One connection at a time, unbounded pools, other pools, tests and scripts are clean."""
    assert found(a_trace(**facts)) == []


def test_checkouts_of_two_traces_do_not_add_up():
    """A request inside a test holds its own connections only."""
    inner = a_trace(checkouts=nest(1))
    assert found(a_trace(checkouts=nest(1), children=(inner,))) == []


# -- dirty -----------------------------------------------------------------------------------


def test_nested_session_is_found_with_its_numbers():
    """The inner opener is named, with C, S, T and the capacity that would be safe."""
    inner = an_origin(a_frame(9, file="/srv/app/library/access.py", function="is_allowed"), 31)
    trace = a_trace(
        sessions=[a_session(opener=20), a_session(opener=inner)],
        checkouts=[
            a_checkout(session=0, opener=21, returned_ns=20 * MS),
            a_checkout(session=1, opener=10, asked_ns=5 * MS, returned_ns=10 * MS),
        ],
    )
    (finding,) = found(trace)
    assert finding.origin == inner
    assert (finding.severity, finding.confidence, finding.count) == ("critical", "high", 2)
    assert finding.cost.connection_ns == 5 * MS
    evidence = finding.evidence
    assert (evidence["capacity"], evidence["deadlock_from_requests"]) == (5, 5)
    assert evidence["safe_capacity_for_those"] == 6
    assert evidence["requests_per_second_admitted"] == 200.0
    assert (evidence["held_1"], evidence["held_2"]) == (
        "library/views.py:20",
        "library/access.py:9",
    )
    assert finding.mend.at.line == 31
    assert "is_allowed()" in finding.mend.how
    assert finding.message == (
        "This request holds 2 connections of the pool default at once; with its 5 connections "
        "5 such at the same time can deadlock."
    )


def test_pool_smaller_than_one_request_waits_for_itself():
    """A nested session on a pool of one can never go on."""
    failed = a_checkout(
        size=1, asked_ns=MS, waited_ns=30 * MS, got_ns=None, returned_ns=None,
        error="sqlalchemy.exc.TimeoutError: QueuePool limit", held_before=1,
    )  # fmt: skip
    (finding,) = found(a_trace(checkouts=[a_checkout(size=1, returned_ns=40 * MS), failed]))
    assert finding.evidence["deadlock_from_requests"] == 1
    assert finding.message.endswith("with its 1 connections it can wait for itself.")


def test_overflow_belongs_to_the_capacity():
    """The default pool of 5 + 10 deadlocks from 15 requests of two connections on."""
    (finding,) = found(a_trace(checkouts=nest(2, max_overflow=10)))
    assert finding.evidence["deadlock_from_requests"] == 15


def test_large_pool_is_a_warning():
    """A deadlock that takes more requests than a server runs at once is less urgent."""
    trace = a_trace(checkouts=nest(2, size=100))
    (finding,) = found(trace)
    assert finding.severity == "warning"
    (finding,) = found(trace, deadlock_critical_requests=100)
    assert finding.severity == "critical"


def test_connections_of_several_threads_are_less_certain():
    """Threads deadlock only where one that holds waits for another."""
    checkouts = [a_checkout(thread=1), a_checkout(thread=2, asked_ns=MS)]
    (finding,) = found(a_trace(checkouts=checkouts))
    assert (finding.count, finding.confidence) == (2, "medium")


def test_two_pools_give_two_findings():
    """Each pool is judged by itself, with a fingerprint of its own."""
    checkouts = [*nest(2), *nest(3, pool_number=2, size=9)]
    findings = found(a_trace(checkouts=checkouts))
    assert [item.evidence["deadlock_from_requests"] for item in findings] == [5, 5]
    assert len({item.fingerprint for item in findings}) == 2


def test_more_than_two_are_counted_at_their_peak():
    """C is the most held at once, not the number of checkouts."""
    checkouts = [*nest(3), a_checkout(asked_ns=48 * MS, returned_ns=49 * MS)]
    (finding,) = found(a_trace(checkouts=checkouts))
    assert finding.count == 3
    assert finding.checkouts == (0, 1, 2)
