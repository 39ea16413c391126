"""Traces are judged by all detectors: order, precedence, nested Traces, broken detectors."""

from __future__ import annotations

import pytest

from queryscope.detectors import qs101_n_plus_one, qs201_duplicate_select, registry
from queryscope.detectors.registry import (
    FACTS,
    Case,
    for_a_trace,
    judge,
    judge_all,
    looking_at,
)
from queryscope.detectors.traffic import Traffic
from queryscope.trace import guard
from queryscope.trace.repeats import Repeats
from tests.builders import MS, a_load, a_query, a_trace, an_origin, some


def n_plus_one(count=6, origin=41, **facts):
    """Return a Trace with an N+1 of so many statements."""
    loads = [
        a_query(operation="lazy", parameters=(n,), origin=origin, load=a_load(parent=n), **facts)
        for n in range(count)
    ]
    return a_trace(*loads)


def test_empty_trace_has_no_findings():
    """Nothing was sent, nothing is said."""
    assert judge(a_trace()) == ()


def test_findings_carry_their_trace():
    """A finding knows the Trace it is about."""
    assert {finding.trace_id for finding in judge(n_plus_one())} == {"k3f"}


def test_graver_and_costlier_findings_come_first():
    """Severity first, then cost."""
    critical = n_plus_one(10).queries
    cheap = some(2, 'SELECT * FROM "a"', origin=50, duration_ns=MS)
    dear = some(2, 'SELECT * FROM "b"', origin=60, duration_ns=50 * MS)
    findings = judge(a_trace(*cheap, *dear, *critical))
    assert [f.code for f in findings] == ["QS101", "QS201", "QS201"]
    assert findings[1].cost.duration_ns == 100 * MS


def test_more_specific_code_silences_the_other():
    """A relation asked twice for each row is an N+1; the duplicates in it are not told again."""
    load = [a_load("reviews", relation="reverse", parent=n) for n in range(6)]
    queries = [a_query(operation="iterate", parameters=(n,), load=load[n]) for n in range(6)] * 2
    trace = a_trace(*queries)
    repeats = Repeats.of(trace)
    assert list(qs201_duplicate_select.detect(Case(trace, repeats)))
    assert {finding.code for finding in judge(trace)} == {"QS101"}


def test_one_more_of_what_a_loop_repeats_is_no_duplicate():
    """With the N+1 mended one statement is left; two others would still be one too many."""
    loop = [
        a_query(operation="lazy", parameters=(1,), load=a_load(parent=n), origin=41)
        for n in range(6)
    ]
    alone = a_query(operation="lazy", parameters=(1,), load=a_load(parent=0), origin=60)
    trace = a_trace(*loop, alone)
    assert list(qs201_duplicate_select.detect(Case(trace, Repeats.of(trace))))
    assert {finding.code for finding in judge(trace)} == {"QS101"}
    trace = a_trace(*loop, alone, alone._replace(origin=an_origin(61)))
    assert {finding.code for finding in judge(trace)} == {"QS101", "QS201"}


def test_nested_traces_are_judged_by_themselves():
    """Three loads in each of two requests are six in none."""
    inner = n_plus_one(3)
    outer = a_trace(children=(inner, inner), mode="production")
    assert judge(outer) == ()
    assert [finding.count for finding in judge_all(outer)] == [3, 3]


def test_chosen_threshold_goes_before_the_default():
    """What the user set holds in every mode."""
    assert judge(n_plus_one(6), chosen={"n_plus_one_min_parents": 7}) == ()


@pytest.fixture
def failures():
    """The failures that the guard counted in the test."""
    guard.clear()
    yield guard.failures
    guard.clear()


def test_broken_detector_does_not_hide_the_others(monkeypatch, failures):
    """Its error is told and counted, the other findings stand."""

    def broken(_case):
        raise ZeroDivisionError("broken")
        yield

    monkeypatch.setattr(qs101_n_plus_one, "detect", broken)
    told = []
    duplicate = some(2, 'SELECT * FROM "a"', origin=50)
    trace = a_trace(*n_plus_one().queries, *duplicate)
    findings = judge(trace, on_failure=lambda *failure: told.append(failure))
    assert [finding.code for finding in findings] == ["QS201"]
    assert [(code, str(error)) for code, error in told] == [("QS101", "broken")]
    assert [failure.place for failure in failures()] == ["detector QS101"]


def test_broken_grouping_leaves_the_other_detectors(monkeypatch, failures):
    """Facts that cannot be grouped are told, and sessions and pools judged all the same."""

    def broken(_trace):
        raise ZeroDivisionError("broken")

    monkeypatch.setattr(Repeats, "of", broken)
    told = []
    assert judge(n_plus_one(), on_failure=lambda *failure: told.append(failure)) == ()
    assert [code for code, _ in told] == ["repeats"]
    assert [failure.place for failure in failures()] == ["repeats"]


def test_code_over_several_traces_judges_no_single_one():
    """Codes of recorded traffic and of plans are asked apart, and each kind has pages."""
    kinds = [registry.for_a_trace(), registry.for_traffic(), registry.for_plans()]
    assert {"QS209", "QS303", "QS314"} <= set(kinds[1])
    assert sorted(code for kind in kinds for code in kind) == sorted(registry.all_detectors())


def test_failing_code_over_several_traces_leaves_the_others(monkeypatch, failures):
    """One broken detector hides no other one, and is told."""

    def broken(_):
        raise RuntimeError("broken")

    monkeypatch.setattr(registry.for_traffic()["QS209"], "detect_over", broken)
    told = []
    found = registry.judge_traffic(
        Traffic.of([]), on_failure=lambda code, error: told.append((code, str(error)))
    )
    assert (found, told) == ((), [("QS209", "broken")])
    assert [failure.place for failure in failures()] == ["detector QS209"]


def test_detectors_look_at_what_a_trace_has():
    """A misspelt fact would silence a detector for good."""
    for code, detector in for_a_trace().items():
        assert set(getattr(detector, "LOOKS_AT", ("queries",))) <= set(FACTS), code
    assert set(looking_at(frozenset(FACTS))) == set(for_a_trace())


def test_nobody_is_asked_about_a_trace_without_facts():
    """A request that sends nothing costs no detection; its stages are one detector's."""
    assert looking_at(frozenset()) == {}
    assert list(looking_at(frozenset({"stages"}))) == ["QS602"]
