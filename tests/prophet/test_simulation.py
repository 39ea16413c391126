"""The simulation: against the textbook where that is exact, by hand where it is small."""

from __future__ import annotations

import random

import pytest

from queryscope.prophet.plans import ONLY, Step
from queryscope.prophet.queueing import textbook
from queryscope.prophet.simulation import simulate, waits_of


def hold(seconds):
    """Return the plan of a request that holds one connection for so long."""
    return (Step(0.0, ONLY, 1), Step(seconds, ONLY, -1))


def nested(outer_s, inner_s):
    """Return the plan of a request that takes a second connection while it has one."""
    return (
        Step(0.0, ONLY, 1),
        Step(outer_s, ONLY, 1),
        Step(inner_s, ONLY, -1),
        Step(0.0, ONLY, -1),
    )


def memoryless(mean_s, times=4_000):
    """Return plans whose holding times are exponential."""
    chance = random.Random(3)
    times_s = [chance.expovariate(1 / mean_s) for _ in range(times)]
    scale = mean_s * times / sum(times_s)
    return [hold(one * scale) for one in times_s]


@pytest.mark.parametrize(("servers", "utilisation"), [(1, 0.5), (5, 0.5), (5, 0.8), (15, 0.8)])
def test_memoryless_holds_wait_as_the_textbook_says(servers, utilisation):
    """With exponential times M/M/c is exact."""
    rate = utilisation * servers / 0.02
    found = simulate(memoryless(0.02), {ONLY: servers}, rate, arrivals=60_000).waits
    wanted = textbook(rate, 0.02, servers)
    assert found.mean_s == pytest.approx(wanted.mean_s, rel=0.12)
    assert found.p95_s == pytest.approx(wanted.p95_s, rel=0.12)
    assert found.share == pytest.approx(wanted.share, rel=0.08)


def test_equal_holds_wait_half_as_long():
    """M/D/1 waits half of M/M/1: what the recorded distribution is for."""
    found = simulate([hold(0.01)], {ONLY: 1}, 70, arrivals=60_000).waits
    assert found.mean_s == pytest.approx(textbook(70, 0.01, 1).mean_s / 2, rel=0.1)


def test_same_question_gets_the_same_answer():
    """The seed is fixed; another gives another sample."""
    plans = memoryless(0.02)
    assert simulate(plans, {ONLY: 3}, 100) == simulate(plans, {ONLY: 3}, 100)
    assert simulate(plans, {ONLY: 3}, 100) != simulate(plans, {ONLY: 3}, 100, seed=1)


def test_enough_connections_never_wait():
    """A request alone waits for nothing."""
    found = simulate([nested(0.01, 0.01)], {ONLY: 2}, 0.001, arrivals=50)
    assert (found.waits.mean_s, found.waits.share, found.timed_out) == (0.0, 0.0, 0)


def test_nested_holds_deadlock_until_they_time_out():
    """A pool of one waits for itself; each request gives up after the time-out."""
    found = simulate([nested(0.01, 0.01)], {ONLY: 1}, 0.001, arrivals=100, timeout_s=2.0)
    assert found.timed_out == found.arrivals == 95
    assert found.waits.mean_s == pytest.approx(2.0)


def test_who_gives_up_gives_back():
    """After a deadlock the pool works again: nobody waits much longer than a time-out."""
    found = simulate([nested(0.05, 0.05), hold(0.01)], {ONLY: 2}, 8, arrivals=2_000, timeout_s=1.0)
    assert 0 < found.timed_out < found.arrivals
    assert found.waits.mean_s < 3.0


def test_lanes_do_not_wait_for_each_other():
    """A long statement's pool may be full while the others go on."""
    plans = [
        (Step(0.0, "long", 1), Step(1.0, "long", -1)),
        (Step(0.0, "short", 1), Step(0.001, "short", -1)),
    ]
    found = simulate(plans, {"long": 1, "short": 1}, 1.5, arrivals=5_000)
    assert found.by_lane["short"].mean_s < 0.001
    assert found.by_lane["long"].mean_s > 0.5


@pytest.mark.parametrize("wrong", [{"plans": []}, {"rate": 0}, {"rate": -1.0}, {"arrivals": 0}])
def test_nothing_to_simulate_is_an_error(wrong):
    """Plans, arrivals and a rate are needed."""
    options = {"plans": [hold(0.1)], "rate": 1.0, "arrivals": 10, **wrong}
    with pytest.raises(ValueError, match="above 0"):
        simulate(options["plans"], {ONLY: 1}, options["rate"], arrivals=options["arrivals"])


def test_waits_are_told_by_mean_percentile_and_share():
    """Of a hundred waits from 1 to 100, and of none."""
    found = waits_of([float(n) for n in range(1, 101)])
    assert (found.mean_s, found.p95_s, found.share) == (50.5, 96.0, 1.0)
    assert waits_of([]).mean_s == 0.0
