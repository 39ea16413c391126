"""QS502: connections that stand idle while they are held, with the line where it begins."""

from __future__ import annotations

import time
from functools import partial

import pytest

from queryscope.detectors import qs502_held_idle as detector
from queryscope.trace.events import NOWHERE
from queryscope.trace.pool import LOAD_NS_PER_ROW
from tests.builders import (
    MS,
    a_checkout,
    a_frame,
    a_query,
    a_session,
    a_stage,
    a_trace,
    a_transaction,
    an_origin,
)
from tests.detectors.judging import found_by

found = partial(found_by, detector)


def at(start_ms, took_ms=1, **facts):
    """Return a statement at a moment, on the connection that the builders' checkout has."""
    return a_query(start_ns=int(start_ms * MS), duration_ns=int(took_ms * MS), **facts)


def out(start_ms, end_ms, **facts):
    """Return a checkout that was out between two moments."""
    return a_checkout(
        asked_ns=int(start_ms * MS),
        got_ns=int(start_ms * MS),
        returned_ns=None if end_ms is None else int(end_ms * MS),
        **facts,
    )


# -- innocent --------------------------------------------------------------------------------


def test_busy_connection_is_clean():
    """Statements one after the other, a millisecond apart, are no idling."""
    queries = [at(n * 10, 9) for n in range(20)]
    assert found(a_trace(*queries, checkouts=[out(0, 200)])) == []


def test_short_gaps_do_not_add_up():
    """The program's own way from statement to statement does not count, however often."""
    queries = [at(n * 9, 0.1) for n in range(1, 40)]
    assert found(a_trace(*queries, checkouts=[out(0, 360)])) == []


def test_idle_time_below_the_threshold_is_clean():
    """A gap shorter than the threshold of the mode is not worth a word."""
    trace = a_trace(at(1), checkouts=[out(0, 40)], mode="production")
    assert found(trace) == []


def test_small_share_of_a_long_hold_is_clean():
    """A pause in a long export is not what keeps the connection."""
    trace = a_trace(at(1, 900), checkouts=[out(0, 1_000)])
    assert found(trace) == []


def test_making_objects_of_many_rows_is_no_idling():
    """A large result is turned into objects while the connection is held."""
    trace = a_trace(at(1, rows=5_000), checkouts=[out(0, 90)])
    assert found(trace) == []


def test_connection_kept_open_without_a_pool_is_clean():
    """Django keeps the connection of a thread: outside a transaction it is nobody's."""
    trace = a_trace(at(1), at(500), sessions=[a_session(framework="django", closed_ns=None)])
    assert found(trace) == []


def test_block_inside_a_held_connection_is_clean():
    """A checkout that was out before the block began is the caller's."""
    trace = a_trace(at(1), checkouts=[out(-5, 500)], kind="block")
    assert found(trace) == []


def test_nested_block_that_uses_the_connection_is_clean():
    """What a block inside the request sends keeps the request's connection busy."""
    start = 1_000_000_000_000
    inner = a_trace(at(1, 400), kind="block", started_at_ns=start + 10 * MS)
    trace = a_trace(at(1, 9), checkouts=[out(0, 420)], children=(inner,), started_at_ns=start)
    assert found(trace) == []


def test_asking_on_another_connection_is_no_idling():
    """What a helper asks on a connection of its own is QS501's to say."""
    queries = [at(n * 9, 8, connection=2) for n in range(1, 30)]
    trace = a_trace(at(1), *queries, checkouts=[out(0, 270), out(9, 268, connection=2)])
    assert found(trace) == []


def test_transaction_that_began_before_is_clean():
    """The transaction that a test case wraps around a request is not the request's."""
    trace = a_trace(at(1), transactions=[a_transaction(started_ns=-MS, ended_ns=500 * MS)])
    assert found(trace) == []


def test_tests_are_clean():
    """A test holds what its fixtures opened, as long as it runs."""
    assert found(a_trace(at(1), checkouts=[out(0, 900)], kind="test")) == []


def test_waiting_for_the_pool_is_no_idling():
    """Time before the connection was got is waiting, and a failed checkout holds nothing."""
    waited = a_checkout(waited_ns=500 * MS, got_ns=500 * MS, returned_ns=510 * MS)
    failed = a_checkout(waited_ns=500 * MS, got_ns=None, returned_ns=None)
    assert found(a_trace(at(501, 8), checkouts=[waited, failed])) == []


# -- dirty -----------------------------------------------------------------------------------


def test_rendering_with_the_connection_is_found():
    """The hold is named by its opener, the idling by the last line that asked."""
    view = a_frame(30)
    trace = a_trace(
        at(
            1, origin=an_origin(a_frame(7, function="load", file="/srv/app/library/loads.py"), view)
        ),
        sessions=[a_session(opener=20)],
        checkouts=[out(0, 80, session=0, opener=7)],
        stages=[
            a_stage("view", kind="view", start_ns=0, duration_ns=90 * MS),
            a_stage("rendering", start_ns=3 * MS, duration_ns=80 * MS, parent=0),
        ],
    )
    (finding,) = found(trace)
    assert finding.origin.first.line == 20
    assert (finding.severity, finding.count) == ("warning", 1)
    assert finding.cost.connection_ns == 78 * MS - LOAD_NS_PER_ROW
    assert finding.evidence["stage"] == "rendering"
    assert finding.evidence["idle_after"] == "library/loads.py:7"
    assert (finding.mend.at, finding.mend.write) == (view, "session.close()")
    assert finding.mend.how == (
        "Close the session after line 30 of book_list(): nothing is asked of the database after it."
    )


def test_pause_between_two_statements_names_both():
    """An HTTP call between two statements has a line before and a line after."""
    trace = a_trace(at(1, origin=30), at(200, origin=35), checkouts=[out(0, 203)])
    (finding,) = found(trace)
    assert finding.mend.at.line == 30
    assert finding.mend.write == "connection.close()"
    assert "after line 30 of book_list() and take a new one for library/views.py:35" in (
        finding.mend.how
    )


def test_connection_taken_too_early_is_found():
    """Idle time before the first statement asks for a later opening."""
    (finding,) = found(a_trace(at(100, origin=35), checkouts=[out(0, 103, opener=20)]))
    assert finding.mend.at.line == 20
    assert "next to library/views.py:35" in finding.mend.how


def test_connection_never_used_is_found():
    """A connection without any statement was idle all the time."""
    (finding,) = found(a_trace(checkouts=[out(0, 100)]))
    assert finding.confidence == "medium"  # a cursor of the driver's own may have been at work
    assert finding.cost.connection_ns == 100 * MS


def test_slow_loop_of_long_pauses_is_found():
    """Ten pauses of 15 ms are 150 ms of idling."""
    (finding,) = found(a_trace(*[at(n * 16) for n in range(1, 11)], checkouts=[out(0, 161)]))
    assert finding.cost.connection_ns > 130 * MS


def test_busy_loops_do_not_hide_the_rendering():
    """Thirty statements over a network make the share small, and the 60 ms still count."""
    queries = [at(n * 4, 3.5) for n in range(30)]
    (finding,) = found(a_trace(*queries, checkouts=[out(0, 180)]))
    assert 59 * MS < finding.cost.connection_ns < 61 * MS


def test_idle_transaction_without_a_pool_is_found():
    """On Django the transaction is what holds: leave the block before rendering."""
    trace = a_trace(at(1, origin=30), transactions=[a_transaction(ended_ns=100 * MS, opener=22)])
    (finding,) = found(trace)
    assert finding.origin.first.line == 22
    assert finding.mend.how.startswith("Leave the transaction.atomic() block after line 30")
    assert finding.checkouts == ()


def test_transaction_on_a_pooled_connection_is_said_once():
    """Where there is a checkout, it speaks for its transactions."""
    trace = a_trace(at(1), checkouts=[out(0, 100)], transactions=[a_transaction(ended_ns=99 * MS)])
    assert len(found(trace)) == 1


def test_holds_of_one_opener_are_one_finding():
    """A helper called three times is said once, with the sum."""
    holds = [out(n * 100, n * 100 + 90, connection=n, opener=20) for n in (1, 2, 3)]
    (finding,) = found(a_trace(checkouts=[*holds, out(500, 501, opener=20)]))
    assert (finding.count, finding.checkouts) == (3, (0, 1, 2))
    assert finding.cost.connection_ns == 270 * MS


def test_leaked_connection_is_judged_up_to_its_last_statement():
    """The time to the end is the leak's; a pause between statements is idling still."""
    assert found(a_trace(at(1, 50), checkouts=[out(0, None)], duration_ns=900 * MS)) == []
    leaked = a_trace(at(1), at(200), checkouts=[out(0, None)], duration_ns=900 * MS)
    (finding,) = found(leaked)
    assert 197 * MS < finding.cost.connection_ns < 199 * MS


@pytest.mark.parametrize("facts", [{"size": None}, {"kind": "script"}])
def test_where_nobody_waits_it_is_information(facts):
    """Unbounded pools and scripts are told, not warned."""
    kind = facts.pop("kind", "request")
    (finding,) = found(a_trace(at(1), checkouts=[out(0, 100, **facts)], kind=kind))
    assert finding.severity == "info"


@pytest.mark.parametrize("mode", ["development", "tests", "production"])
def test_what_a_busy_machine_takes_is_clean(mode):
    """A thread that waits for the processor for a moment looks idle: 40 ms are no finding."""
    assert found(a_trace(at(1), checkouts=[out(0, 42)], mode=mode)) == []


@pytest.mark.parametrize(
    "chosen",
    [{"held_idle_min_ms": 200}, {"held_idle_gap_min_ms": 200}, {"held_idle_min_percent": 100}],
)
def test_thresholds_are_settings(chosen):
    """Each threshold alone can silence it."""
    trace = a_trace(at(1), checkouts=[out(0, 100)])
    assert found(trace)
    assert found(trace, **chosen) == []


def test_very_many_holds_are_judged_quickly():
    """Of holds by the thousand the longest are judged: two thousand leaks take no minute."""
    queries = [at(n, 0.1, connection=n % 2_000) for n in range(1, 20_001)]
    holds = [out(n, None, connection=n % 2_000, opener=n % 5) for n in range(2_000)]
    trace = a_trace(*queries, checkouts=holds)
    began = time.thread_time()
    assert found(trace) == []
    assert time.thread_time() - began < 5


def test_unknown_lines_give_no_mend():
    """Without a user line there is nothing to edit."""
    trace = a_trace(at(1, origin=NOWHERE), checkouts=[out(0, 100, opener=NOWHERE)])
    (finding,) = found(trace)
    assert finding.mend is None
    assert finding.evidence["idle_after"] == "an unknown line"
