"""QS504: waiting for a connection, who held them, and time-outs."""

from __future__ import annotations

from functools import partial

import pytest

from queryscope.detectors import qs504_pool_wait as detector
from tests.builders import MS, a_checkout, a_trace
from tests.detectors.judging import found_by

found = partial(found_by, detector)

TIMEOUT = "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 0 reached"


@pytest.mark.parametrize(
    "checkout",
    [
        a_checkout(),
        a_checkout(waited_ns=9 * MS),
        a_checkout(connect_ns=500 * MS),
        a_checkout(got_ns=None, returned_ns=None, error="OperationalError: connection refused"),
        a_checkout(got_ns=None, returned_ns=None, connect_ns=9 * MS, error="ConnectionTimeout: x"),
    ],
    ids=["at once", "short wait", "new connection", "refused", "no answer"],
)
def test_checkout_that_did_not_wait_is_clean(checkout):
    """Opening a connection is not waiting, nor a database that refuses one or is silent."""
    assert found(a_trace(checkouts=[checkout])) == []


def test_many_short_waits_do_not_add_up():
    """Each wait is judged by itself: lock noise stays noise."""
    assert found(a_trace(checkouts=[a_checkout(waited_ns=5 * MS) for _ in range(50)])) == []


def test_threshold_is_a_setting():
    """A patient application raises it."""
    trace = a_trace(checkouts=[a_checkout(waited_ns=50 * MS)])
    assert found(trace)
    assert found(trace, pool_wait_min_ms=100) == []


def test_wait_names_its_line_and_the_holders():
    """Who held the connections is evidence, and the first of them the place to mend."""
    holders = ("GET /items/7 since 410 ms, library/views.py:20", "GET /items/9 since 380 ms")
    checkout = a_checkout(waited_ns=300 * MS, opener=25, holders=holders)
    (finding,) = found(a_trace(checkouts=[checkout]))
    assert finding.origin.first.line == 25
    assert (finding.severity, finding.cost.duration_ns) == ("warning", 300 * MS)
    assert finding.evidence["holder_2"] == "GET /items/9 since 380 ms"
    assert "library/views.py:20" in finding.mend.how
    assert finding.message == "Waited 300.0 ms for a connection of the pool default of 5."


def test_time_out_is_critical_whatever_its_length():
    """A request that gave up failed, after however short a time."""
    checkout = a_checkout(waited_ns=MS, got_ns=None, returned_ns=None, error=TIMEOUT)
    (finding,) = found(a_trace(checkouts=[checkout]))
    assert finding.severity == "critical"
    assert finding.evidence["timed_out"] == 1
    assert "gave up 1 x" in finding.message


def test_waiting_while_holding_names_the_own_connections():
    """A request that waits with a connection in hand is part of the queue itself."""
    checkout = a_checkout(waited_ns=100 * MS, held_before=2)
    (finding,) = found(a_trace(checkouts=[checkout]))
    assert finding.cost.connection_ns == 200 * MS
    assert "while this request held 2 of them itself" in finding.message
    assert finding.mend.how.startswith("Use the connection that this request holds already")


def test_waits_of_one_line_are_one_finding():
    """A helper that waited at each call is said once; another pool's wait is another finding."""
    trace = a_trace(
        checkouts=[
            a_checkout(waited_ns=20 * MS, opener=25),
            a_checkout(waited_ns=40 * MS, opener=25),
            a_checkout(waited_ns=40 * MS, opener=25, pool="replica", pool_number=2),
        ]
    )
    findings = found(trace)
    assert [(item.subject, item.count) for item in findings] == [("default", 2), ("replica", 1)]
    assert findings[0].evidence["longest_wait_ms"] == 40.0
