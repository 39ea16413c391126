"""Visits from Traces, what might be changed, and the forecast that comes of it."""

from __future__ import annotations

import math

import pytest

from benchmarks.prophet import deadlocks
from queryscope.prophet.forecast import Options, can_deadlock, forecast
from queryscope.prophet.plans import (
    ONLY,
    as_recorded,
    load_s,
    most_held,
    released_early,
    sessions_merged,
    split,
)
from queryscope.prophet.visits import Hold, Visit, histories, merged
from queryscope.trace.pool import deadlock_from
from tests.builders import MS, a_checkout, a_query, a_trace

QUICK = Options(arrivals=3_000)


def held(start_ms, end_ms, **facts):
    """Return a checkout that was out between two moments."""
    return a_checkout(asked_ns=int(start_ms * MS), returned_ns=int(end_ms * MS), **facts)


def history(*checkouts, queries=(), times=1, **facts):
    """Return the only pool of Traces that are alike."""
    (found,) = histories([a_trace(*queries, checkouts=checkouts, **facts) for _ in range(times)])
    return found


# -- visits ----------------------------------------------------------------------------------


def test_hold_has_its_statements():
    """When they ran, whether one wrote, how long the longest took."""
    queries = [
        a_query("SELECT 1 FROM book", start_ns=2 * MS, duration_ns=MS, checkout=0),
        a_query("UPDATE book SET a = 1", start_ns=8 * MS, duration_ns=4 * MS, checkout=0),
        a_query("SELECT 1 FROM book", start_ns=9 * MS, duration_ns=MS, checkout=None),
    ]
    ((hold,),) = history(held(1, 20), queries=queries).visits[0]
    assert hold == Hold(MS, 20 * MS, ((2 * MS, 3 * MS), (8 * MS, 12 * MS)), True, 4 * MS)


def test_waiting_is_taken_out():
    """What was waited for the second connection makes the hold of the first no longer."""
    found = history(
        held(0, 50, connection=1),
        held(10, 40, connection=2, waited_ns=20 * MS),
    )
    (visit,) = found.visits
    assert [(hold.start_ns, hold.end_ns) for hold in visit.holds] == [
        (0, 30 * MS), (10 * MS, 20 * MS),
    ]  # fmt: skip
    assert (visit.connection_ns, visit.most, found.waited_ns) == (40 * MS, 2, (20 * MS,))


def test_connecting_is_part_of_the_hold():
    """The slot of the pool is taken while a connection is opened."""
    ((hold,),) = history(held(1, 20, connect_ns=5 * MS)).visits[0]
    assert hold.duration_ns == 19 * MS


def test_connection_of_nested_traces_is_held_once():
    """A block inside the request knows the connection, too."""
    inner = a_trace(checkouts=[held(5, 30)], kind="block")
    found = history(held(0, 30), children=(inner,), duration_ns=40 * MS)
    assert found.visits[0].most == 1


def test_test_stands_for_its_requests():
    """Two requests of one test are two visits; its own connection is none."""
    request = a_trace(checkouts=[held(0, 10)])
    found = history(held(0, 90), kind="test", children=(request, request))
    assert len(found.visits) == 2


def test_pools_alike_of_several_processes_are_one():
    """Numbers of pools differ from process to process."""
    traces = [a_trace(checkouts=[held(0, 10, pool_number=n)]) for n in range(3)]
    other = a_trace(checkouts=[held(0, 10, size=9), held(0, 10, pool="replica")])
    found = histories([*traces, other])
    assert [(item.name, item.size, len(item.visits)) for item in found] == [
        ("default", 5, 3), ("default", 9, 1), ("replica", 5, 1),
    ]  # fmt: skip


def test_connection_asked_for_in_vain_counts_as_claimed():
    """It would have been the second one."""
    failed = a_checkout(asked_ns=5 * MS, waited_ns=30 * MS, got_ns=None, returned_ns=None)
    found = history(held(0, 40), failed)
    assert (found.most, found.timed_out, found.visits[0].most) == (2, 1, 1)


def test_traces_without_a_pool_are_none():
    """Django without a pool, and requests that asked nothing."""
    assert histories([a_trace(a_query()), a_trace()]) == ()


def test_spans_are_joined_over_gaps():
    """Those that touch, and those with a gap that is allowed."""
    assert merged([(5, 7), (0, 2), (2, 3)]) == ((0, 3), (5, 7))
    assert merged([(5, 7), (0, 2), (2, 3)], 2) == ((0, 7),)


# -- plans -----------------------------------------------------------------------------------

NESTED = Visit(
    (
        Hold(0, 60 * MS, ((0, 10 * MS), (50 * MS, 60 * MS)), True, 10 * MS),
        Hold(20 * MS, 40 * MS, ((20 * MS, 40 * MS),), False, 20 * MS),
    )
)


def test_recorded_plan_holds_what_was_held():
    """80 ms of connections, two at once."""
    plan = as_recorded(NESTED)
    assert load_s([plan]) == pytest.approx({ONLY: 0.080})
    assert most_held(plan) == 2


def test_merged_sessions_hold_one_connection():
    """As long as the outer one did."""
    plan = sessions_merged(NESTED)
    assert (most_held(plan), load_s([plan])) == (1, pytest.approx({ONLY: 0.060}))


def test_sessions_in_turn_stay_in_turn():
    """Merging does not hold a connection between them."""
    visit = Visit((Hold(0, 10 * MS), Hold(10 * MS, 20 * MS), Hold(50 * MS, 60 * MS)))
    assert load_s([sessions_merged(visit)]) == pytest.approx({ONLY: 0.030})


def test_early_release_holds_only_what_is_used():
    """Gaps of ten milliseconds and less are not worth it; an unknown hold stays."""
    plan = released_early(NESTED, 10 * MS)
    assert load_s([plan]) == pytest.approx({ONLY: 0.040})
    assert load_s([released_early(NESTED, 50 * MS)]) == pytest.approx({ONLY: 0.080})
    assert load_s([released_early(Visit((Hold(0, MS),)), MS)]) == pytest.approx({ONLY: 0.001})


def test_split_plan_names_its_lanes():
    """Reads here, writes there."""
    plan = split(NESTED, lambda hold: "writes" if hold.writes else "reads")
    assert load_s([plan]) == pytest.approx({"writes": 0.060, "reads": 0.020})
    assert (most_held(plan, "reads"), most_held(plan)) == (1, 2)


# -- the forecast ----------------------------------------------------------------------------


def test_forecast_says_what_the_pool_admits():
    """Five connections of 20 ms are 250 requests a second; C = 1 never deadlocks."""
    found = forecast(history(held(0, 20), times=200), QUICK)
    assert found.admitted_per_second == pytest.approx(250)
    assert (found.deadlock_from, found.safe_concurrency) == (None, None)
    assert (found.waitless_concurrency, found.few) == (5, False)
    assert [rate.utilisation for rate in found.rates] == pytest.approx([0.5, 0.7, 0.8, 0.9])
    means = [rate.waits.mean_s for rate in found.rates]
    assert means == sorted(means)
    assert means[0] < found.rates[0].textbook.mean_s


def test_nested_requests_deadlock_and_merging_mends_it():
    """C = 2 of five: from five requests on; with one session a request never."""
    found = forecast(history(held(0, 30), held(5, 25, connection=2)), QUICK)
    assert (found.most_held, found.deadlock_from, found.safe_concurrency) == (2, 5, 4)
    assert found.few
    by_name = {change.name: change for change in found.changes}
    assert by_name["sessions merged"].deadlock_from is None
    before, after = by_name["as recorded"], by_name["sessions merged"]
    assert after.waits.mean_s < before.waits.mean_s
    assert after.connection_s == pytest.approx(0.030)


def test_idle_connections_are_worth_releasing():
    """Held for 50 ms, used for 5."""
    queries = [a_query(start_ns=MS, duration_ns=5 * MS, checkout=0)]
    found = forecast(history(held(0, 50), queries=queries, times=3), QUICK)
    by_name = {change.name: change for change in found.changes}
    assert by_name["released early"].connection_s == pytest.approx(0.005)
    assert by_name["released early"].waits.mean_s < by_name["as recorded"].waits.mean_s
    assert "sessions merged" not in by_name


def test_long_statements_get_a_pool_of_their_own():
    """Where both kinds are there; the connections are shared out, none is added."""
    short = a_trace(a_query(start_ns=MS, duration_ns=MS, checkout=0), checkouts=[held(0, 5)])
    long = a_trace(a_query(start_ns=MS, duration_ns=600 * MS, checkout=0), checkouts=[held(0, 605)])
    (pool,) = histories([short] * 50 + [long])
    found = forecast(pool, QUICK)
    (change,) = [item for item in found.changes if item.name == "long statements apart"]
    assert sum(change.capacities.values()) == 5
    assert set(change.by_lane) == {"short", "long"}
    assert change.by_lane["short"].mean_s < change.by_lane["long"].mean_s
    assert "reads and writes apart" not in {item.name for item in found.changes}


def test_more_than_the_pool_admits_is_endless():
    """No number is made up for a queue that grows for ever."""
    found = forecast(history(held(0, 20)), Options(rates=(300.0,), arrivals=100))
    (rate,) = found.rates
    assert math.isinf(rate.waits.mean_s)
    assert math.isinf(rate.textbook.mean_s)
    assert found.changes == ()


@pytest.mark.parametrize("facts", [{"size": None}, {"max_overflow": -1}])
def test_pool_without_a_bound_has_no_forecast(facts):
    """Nobody waits there; with a bound to reckon with it has one."""
    assert forecast(history(held(0, 20, **facts)), QUICK) is None
    assert forecast(history(held(0, 20, **facts)), QUICK._replace(capacity=3)).capacity == 3


@pytest.mark.parametrize("wrong", [{"capacity": 0}, {"rates": (0.0,)}, {"rates": (-5.0,)}])
def test_wrong_numbers_are_errors(wrong):
    """Capacities and rates are above 0."""
    with pytest.raises(ValueError, match="above 0"):
        forecast(history(held(0, 20)), QUICK._replace(**wrong))


def test_holds_of_no_time_are_no_load():
    """A checkout that came back at once; nothing is divided by it."""
    found = forecast(history(held(5, 5)), QUICK)
    assert (found.rates, found.changes, math.isinf(found.admitted_per_second)) == ((), (), True)


# -- deadlocks, on real pools ----------------------------------------------------------------


def test_deadlock_verdicts_are_right_on_sixty_points():
    """What is said of one recorded request beside what real threads on real pools do."""
    points = deadlocks.grid()
    assert len(points) == len(set(points)) == 60
    foretold, seen = deadlocks.foretold(points), deadlocks.happened(points)
    assert [point for point in points if foretold[point] != seen[point]] == []
    assert 20 <= sum(seen.values()) <= 40


def test_verdict_is_the_bound_of_the_nested_checkout():
    """QS505 and the prophet say the same."""
    for wanted in range(1, 6):
        for capacity in range(1, 12):
            bound = deadlock_from(capacity, wanted)
            for requests in range(1, 30):
                expected = bound is not None and requests >= bound
                assert can_deadlock(requests, wanted, capacity) is expected
