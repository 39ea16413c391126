"""Costs side by side: counts of the whole run, times of the shortest answer."""

from __future__ import annotations

from queryscope.verify.cost import Times, judge
from tests.verify.replies import a_plan, a_run

PLAN = a_plan("/", "/b")
TIMED = PLAN.repeated(3)


def judged(before, after, *, statements=(4, 1)):
    """Judge costs; ``before`` and ``after`` are milliseconds of each run of that side."""
    times = Times(
        TIMED,
        tuple(a_run(TIMED, ms=ms) for ms in before),
        tuple(a_run(TIMED, ms=ms) for ms in after),
    )
    whole = (a_run(PLAN, ms=500, statements=count) for count in statements)
    return judge(PLAN, *whole, times)


def test_fewer_statements_in_less_time_are_well():
    """The times are those of the rounds, whatever the first answer took."""
    found = judged([10], [8])
    assert (found.constraint, found.risen, found.slower) == (None, (), ())
    assert found.fell == ("statements of GET / 8 -> 2",)
    assert [cost.duration_ns for _, cost in (*found.before, *found.after)] == [20e6, 16e6]


def test_little_more_time_is_noise():
    """A quarter, and two milliseconds for each request."""
    assert judged([10], [14]).constraint is None


def test_much_more_time_is_refused():
    """Though less is asked of the database."""
    found = judged([10], [15])
    assert found.constraint is not None
    assert found.slower == ("time of GET / 20.0 ms -> 30.0 ms, noise 0%",)
    assert found.constraint.kind == "cost"


def test_second_measurement_takes_the_blame_back():
    """What was slow once and not the next time was the machine."""
    assert judged([10, 10], [40, 11]).constraint is None


def test_noise_of_the_original_excuses_more():
    """Its own times differ by as much."""
    assert judged([10, 20], [19]).constraint is None


def test_more_statements_are_refused_before_time():
    """They are what is sure."""
    found = judged([10], [90], statements=(1, 2))
    assert found.constraint is not None
    assert found.constraint.subject == "statements"


def test_equal_counts_are_no_gain():
    """Less time alone may be chance."""
    found = judged([10], [1], statements=(2, 2))
    assert found.constraint is not None
    assert (found.fell, found.risen, found.slower) == ((), (), ())
