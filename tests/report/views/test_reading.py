"""What the parts of a report share."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from queryscope.report import console, html
from queryscope.report import json as report_json
from queryscope.report.views.reading import Material, Reading, Shapes
from queryscope.trace import shape
from tests.builders import a_checkout, a_query, a_stage, a_trace, a_transaction, some

DISTINCT = 20
COLUMNS = ", ".join(f"a_column_{n}" for n in range(1_500))
"""A select list that makes statements which take time to read."""


def reads_in(action):
    """Return how many statements were read for their shape while ``action`` ran."""
    calls = Counter()

    def count(frame, event, _):
        if event == "call":
            calls[frame.f_code] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls[shape._read.__code__]


@pytest.mark.parametrize(
    "write",
    [
        lambda trace: html.render(trace, ()),
        lambda trace: report_json.render(trace, ()),
        lambda trace: console.render(trace, ()),
        lambda trace: console.one_line(trace, ()),
        lambda trace: html.render_list([(trace, ())]),
    ],
    ids=["html", "json", "terminal", "line", "list"],
)
def test_long_statement_is_read_once(write):
    """A text of some length is read once for a report, however often it was sent."""
    shape.SHAPES.clear()
    texts = [f"SELECT {COLUMNS} FROM t{n}" for n in range(DISTINCT)]
    trace = a_trace(
        *some(DISTINCT * 3, lambda n: texts[n % DISTINCT]),
        children=(a_trace(*some(DISTINCT, lambda n: texts[n]), id="inner"),),
    )
    # The line and the list count what was sent, the others go through it in several ways.
    assert reads_in(lambda: write(trace)) == DISTINCT


def test_numbers_are_those_of_the_trace():
    """Statements and rows are what the Trace itself says."""
    trace = a_trace(
        *some(3),
        a_query("COMMIT", rows=0),
        a_query("DELETE FROM t", rows=4),
        dropped={"queries": 2},
    )
    shapes = Shapes()
    assert shapes.statements(trace) == trace.statements == 6
    assert shapes.rows(trace) == trace.rows == 3


def test_threads_and_connections_have_small_numbers():
    """They are numbered as they appear, connections of pools first."""
    trace = a_trace(
        a_query(thread=70, connection=500),
        a_query(thread=71, connection=501),
        checkouts=[a_checkout(connection=502, thread=72)],
        transactions=[a_transaction(connection=503)],
        stages=[a_stage(thread=71)],
    )
    reading = Reading(trace, "t0", Material(trace), ())
    assert reading.threads == {71: 0, 70: 1, 72: 2}
    assert reading.connections == {502: 0, 500: 1, 501: 2, 503: 3}
    assert (reading.thread(99), reading.thread(99), reading.thread(70)) == (3, 3, 1)
