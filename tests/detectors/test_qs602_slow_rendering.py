"""QS602: rendering that takes most of a request by itself, and rendering that does not."""

from __future__ import annotations

import time

import pytest

from queryscope import profile, runtime
from queryscope.trace.stage import StageBlock
from tests.builders import MS, a_query, a_stage, a_trace
from tests.detectors.judging import said

NAME = "render library/book_list.html"


def rendered(*, ms=400, rows=200, total_ms=500, kind="request", inner=(), **facts):
    """Return what QS602 says of a request that fetched rows and rendered them."""
    stages = [
        a_stage("view", kind="view", duration_ns=total_ms * MS, own_ns=50 * MS),
        a_stage(NAME, kind="render", parent=0, start_ns=50 * MS, duration_ns=ms * MS, **facts),
        *inner,
    ]
    books = a_query("SELECT * FROM book", rows=rows, start_ns=MS, origin=12, operation="iterate")
    trace = a_trace(books, stages=stages, duration_ns=total_ms * MS, kind=kind)
    return said(trace, "QS602")


# -- innocent -----------------------------------------------------------------------------------


def test_quick_rendering_is_clean():
    """A tenth of a second for 200 rows."""
    assert rendered(ms=100, total_ms=150) == []


def test_small_share_is_clean():
    """400 ms of two seconds: the time goes elsewhere."""
    assert rendered(total_ms=2_000) == []


def test_few_rows_are_clean():
    """It is slow, and not for its rows: an import, a compiled template, another service."""
    assert rendered(rows=10) == []


def test_time_in_the_database_is_clean():
    """Statements that the template sends have codes of their own."""
    assert rendered(database_ns=350 * MS) == []


def test_waiting_for_the_pool_is_clean():
    """That is QS504's."""
    assert rendered(pool_wait_ns=350 * MS) == []


def test_test_is_clean():
    """The first template that a test renders is compiled."""
    assert rendered(kind="test") == []


def test_view_that_is_slow_is_clean():
    """Only rendering is looked at."""
    view = a_stage("view", kind="view", duration_ns=900 * MS)
    assert said(a_trace(a_query(rows=500), stages=[view]), "QS602") == []


# -- found --------------------------------------------------------------------------------------


def test_rendering_of_many_rows_is_info():
    """Its own time, its share, the rows and who fetched them."""
    (finding,) = rendered()
    assert (finding.severity, finding.subject) == ("info", NAME)
    assert "takes 400.0 ms by itself, 80 % of the request, after 200 rows" in finding.message
    assert finding.evidence["own_us_per_row"] == pytest.approx(2_000)
    assert finding.mend.at.line == 12


def test_inner_renderings_count_with_the_outermost():
    """A widget's template, an included one, a nested serializer: one finding."""
    inner = [
        a_stage("render widget.html", kind="render", parent=1, start_ns=60 * MS, own_ns=150 * MS),
        a_stage("render widget.html", kind="render", parent=1, start_ns=90 * MS, own_ns=150 * MS),
    ]
    (finding,) = rendered(own_ns=100 * MS, inner=inner)
    assert finding.cost.duration_ns == 400 * MS


# -- the real thing -----------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "codes"), [(0.25, ["QS602"]), (0.0, [])])
def test_real_stage_is_timed_by_its_own_clock(seconds, codes):
    """A stage that takes a quarter of a second by itself; its rows are looked for in the Trace."""
    runtime.configure({"mode": "development", "store": False}, source="a test", debug=True)
    try:
        with profile("GET /books/", kind="request") as run, StageBlock(NAME, "render"):
            time.sleep(seconds)
        trace = run.trace
    finally:
        runtime.reset()
    stages, books = trace.stages, a_query("SELECT * FROM book", rows=60, start_ns=1)
    judged = a_trace(books, stages=stages, duration_ns=trace.duration_ns)
    assert [finding.code for finding in said(judged, "QS602")] == codes
