"""The timeline's lanes, rows and bars."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from queryscope.report.timeline import (
    MAX_MARKS,
    MAX_ROWS,
    UNITS,
    merged,
    ticks,
    timeline_of,
)
from queryscope.report.views.reading import Material, Reading
from tests.builders import MS, a_checkout, a_query, a_session, a_stage, a_trace


def lanes(trace):
    """Return the lanes of a Trace by their key."""
    reading = Reading(trace, "t0", Material(trace), ())
    timeline = timeline_of(reading, lambda _: "read", lambda query: f"#{query.number}")
    return {lane.key: lane for lane in timeline.lanes}


def test_merged_spans_cover_the_same_moments():
    """Joined spans are apart, in order, and cover what the single ones cover."""
    chance = random.Random(7)
    for _ in range(200):
        spans = [(a, a + chance.randrange(1, 9)) for a in (chance.randrange(60) for _ in range(9))]
        found = merged(spans)
        assert all(one[1] < two[0] for one, two in pairwise(found))
        assert {n for a, b in found for n in range(a, b)} == {
            n for a, b in spans for n in range(a, b)
        }


def test_idle_gap_of_a_connection_stays_visible():
    """Between two statements of a checkout the held bar shows."""
    trace = a_trace(
        a_query(start_ns=10 * MS, duration_ns=10 * MS, checkout=0),
        a_query(start_ns=60 * MS, duration_ns=20 * MS, checkout=0),
        checkouts=[a_checkout(asked_ns=0, returned_ns=90 * MS, busy_ns=30 * MS)],
        duration_ns=100 * MS,
    )
    bars = lanes(trace)["connections"].rows[0].bars
    assert [(bar.kind, bar.start, bar.width) for bar in bars] == [
        ("held", 0, 9_000),
        ("busy", 1_000, 1_000),
        ("busy", 6_000, 2_000),
    ]


def test_waiting_stands_before_holding():
    """A checkout that waited shows its wait, its connect and then its hold."""
    trace = a_trace(
        checkouts=[
            a_checkout(asked_ns=10 * MS, waited_ns=30 * MS, connect_ns=10 * MS, returned_ns=80 * MS)
        ],
        duration_ns=100 * MS,
    )
    bars = lanes(trace)["connections"].rows[0].bars
    assert [(bar.kind, bar.start, bar.width) for bar in bars] == [
        ("wait", 1_000, 3_000),
        ("connect", 4_000, 1_000),
        ("held", 5_000, 3_000),
    ]


def test_failed_checkout_has_a_row_of_its_own():
    """A time-out held nothing: it is drawn as a failed wait, and says its error."""
    failed = a_checkout(
        asked_ns=0, waited_ns=50 * MS, got_ns=None, returned_ns=None, connection=None,
        error="TimeoutError: QueuePool limit",
    )  # fmt: skip
    trace = a_trace(checkouts=[a_checkout(), failed], duration_ns=100 * MS)
    row = lanes(trace)["connections"].rows[1]
    assert row.label == "no connection"
    assert [bar.kind for bar in row.bars] == ["wait failed"]
    assert "TimeoutError" in row.bars[0].title


def test_connection_not_returned_is_held_to_the_end():
    """A leak is drawn to the end of the Trace, as a leak."""
    trace = a_trace(checkouts=[a_checkout(asked_ns=0, returned_ns=None)], duration_ns=100 * MS)
    bar = lanes(trace)["connections"].rows[0].bars[0]
    assert (bar.kind, bar.start + bar.width) == ("held leaked", UNITS)


def test_inner_stage_stands_below_its_outer_one():
    """Stages nest downwards; stages of two threads at one time do not overlap."""
    trace = a_trace(
        stages=[
            a_stage("view", duration_ns=90 * MS),
            a_stage("left", parent=0, start_ns=10 * MS, duration_ns=40 * MS, thread=2),
            a_stage("right", parent=0, start_ns=20 * MS, duration_ns=40 * MS, thread=3),
            a_stage("after", parent=0, start_ns=70 * MS, duration_ns=10 * MS),
        ],
        duration_ns=100 * MS,
    )
    rows = lanes(trace)["stages"].rows
    assert [[bar.label for bar in row.bars] for row in rows] == [
        ["view"],
        ["left", "after"],
        ["right"],
    ]


def test_session_shows_when_it_was_open_but_unused():
    """From opening to the first use there is a thin bar, then the session's."""
    trace = a_trace(
        sessions=[a_session(opened_ns=0, first_used_ns=50 * MS, closed_ns=None)],
        duration_ns=100 * MS,
    )
    bars = lanes(trace)["sessions"].rows[0].bars
    assert [(bar.kind, bar.start, bar.width) for bar in bars] == [
        ("open", 0, 5_000),
        ("session", 5_000, 5_000),
    ]
    assert "still open" in bars[1].title


@pytest.mark.parametrize("threads", [1, 3, 40])
def test_many_statements_become_few_marks(threads):
    """Ten thousand statements of any number of threads are at most two thousand marks."""
    queries = [
        a_query(start_ns=n * MS, duration_ns=MS // 2, thread=n % threads) for n in range(10_000)
    ]
    lane = lanes(a_trace(*queries, duration_ns=10_000 * MS))["queries"]
    assert 0 < sum(len(row.bars) for row in lane.rows) <= MAX_MARKS
    assert len(lane.rows) == min(threads, MAX_ROWS)
    assert lane.more == max(threads - MAX_ROWS, 0)


def test_bins_show_where_statements_were_dense():
    """A pause stays empty, a busy stretch is of the highest level."""
    queries = [a_query(start_ns=n * MS, duration_ns=MS) for n in range(1, 5_000)]
    queries += [a_query(start_ns=(6_000 + 4 * n) * MS, duration_ns=MS // 10) for n in range(1_000)]
    bars = lanes(a_trace(*queries, duration_ns=10_000 * MS))["queries"].rows[0].bars
    middle = [bar for bar in bars if bar.start < 5_900 and bar.start + bar.width > 5_100]
    assert middle == []
    assert {bar.kind for bar in bars if bar.start < 4_900 and bar.start + bar.width > 100} == {
        "bin l4"
    }
    assert {bar.kind for bar in bars if bar.start + bar.width > 6_100} == {"bin l1"}


def test_bars_stay_on_the_track():
    """What began before the Trace or ended after it is cut at its edges."""
    trace = a_trace(
        a_query(start_ns=-50 * MS, duration_ns=MS),
        a_query(start_ns=200 * MS, duration_ns=MS),
        sessions=[a_session(opened_ns=-10 * MS, closed_ns=500 * MS)],
        duration_ns=100 * MS,
    )
    for lane in lanes(trace).values():
        for bar in (bar for row in lane.rows for bar in row.bars):
            assert bar.start >= 0
            assert bar.start + bar.width <= UNITS


@pytest.mark.parametrize("wall_ns", [1, 999, 37_000, 5 * MS, 1_290 * MS, 3_600_000 * MS])
def test_axis_has_a_handful_of_round_moments(wall_ns):
    """The axis begins at nothing, stays within the Trace and has few marks."""
    found = ticks(wall_ns)
    assert found[0].percent == 0
    assert 3 <= len(found) <= 9
    assert found[-1].percent <= 100


def test_trace_without_duration_has_no_axis():
    """A Trace that took no time is drawn without an axis, and does not divide by it."""
    assert ticks(0) == ()
    assert lanes(a_trace(a_query(), duration_ns=0))["queries"].rows
