"""The view of a Trace as a whole: what has limits, what is empty, what is large."""

from __future__ import annotations

import time

from queryscope.report.view import MAX_NESTED, report_of
from queryscope.report.views import connections, findings, stages, statements
from tests.builders import BOOK_BY_KEY, a_finding, a_session, a_stage, a_trace, an_origin, some


def test_empty_trace_has_a_report():
    """A Trace of no facts and no time is shown as what it is."""
    report = report_of(a_trace(duration_ns=0, name=""), ())
    assert report.groups == ()
    assert report.timeline.lanes == ()
    assert report.name == "request"


def test_lists_are_bounded_and_say_so():
    """Groups, nested Traces, findings and table rows have limits, and the rest is counted."""
    distinct = some(statements.MAX_GROUPS + 9, lambda n: f"SELECT c{n} FROM t{n}")
    children = tuple(a_trace(id=f"n{n}") for n in range(MAX_NESTED + 3))
    trace = a_trace(
        *distinct,
        children=children,
        sessions=[a_session()] * (connections.MAX_ROWS + 1),
        stages=[a_stage()] * (stages.MAX_ROWS + 2),
    )
    report = report_of(trace, [a_finding()] * (findings.MAX_FINDINGS + 4))
    assert (len(report.groups), report.groups_rest.count) == (statements.MAX_GROUPS, 9)
    assert report.groups_rest.queries == 9
    assert (len(report.nested), report.nested_left) == (MAX_NESTED, 3)
    assert (len(report.findings), report.findings_left) == (findings.MAX_FINDINGS, 4)
    assert (len(report.sessions), report.sessions_left) == (connections.MAX_ROWS, 1)
    assert (len(report.stages), report.stages_left) == (stages.MAX_ROWS, 2)


def test_ten_thousand_statements_are_viewed_in_time():
    """The view of 10,000 statements takes a fraction of a second, even on a busy machine."""
    queries = some(10_000, BOOK_BY_KEY, parameters=lambda n: (n,), keep=True, origin=an_origin())
    trace = a_trace(*queries)
    report_of(trace, ())
    best = min(_seconds(trace) for _ in range(3))
    assert best < 0.5


def _seconds(trace):
    start = time.perf_counter()
    report_of(trace, ())
    return time.perf_counter() - start
