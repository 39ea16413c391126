"""QS206: rows of which nothing is read, and rows that only look so."""

from __future__ import annotations

import pytest

from tests.builders import a_load, a_query, a_read, a_trace
from tests.detectors.judging import said


def slots(*reads, statement="SELECT * FROM slot", number=1, load=None, **facts):
    """Return a Trace of one line that loads rows."""
    query = a_query(statement, rows=20, model="shop.Slot", operation="iterate", load=load)
    return a_trace(*[query] * number, reads=reads, **facts)


UNREAD = a_read(model="shop.Slot", read=())


@pytest.mark.parametrize(
    "trace",
    [
        slots(a_read(read=("id",))),
        slots(UNREAD._replace(rows=1)),
        slots(UNREAD._replace(opaque=True)),
        slots(UNREAD._replace(known=False)),
        slots(UNREAD._replace(columns=(), sizes=())),
        slots(UNREAD, statement="SELECT * FROM slot FOR UPDATE"),
        slots(UNREAD, load=a_load("slots", relation="reverse", batched=True)),
        slots(UNREAD, UNREAD._replace(query=1, read=("id",)), number=2),
        slots(UNREAD, a_read(path="room", read=("name",))),
        slots(UNREAD, attributes={"status": "403"}),
        slots(UNREAD, error="PermissionDenied"),
        slots(UNREAD._replace(alive=True), kind="script"),
        slots(),
    ],
    ids=[
        "key read", "one row", "annotations", "went out whole", "no columns", "lock", "prefetch",
        "second run read", "joined row read", "forbidden", "failed", "still there", "not tracked",
    ],
)  # fmt: skip
def test_rows_that_may_be_used_are_clean(trace):
    """Read, or not certain: nothing is said."""
    assert said(trace, "QS206") == []


def test_rows_that_nobody_reads_are_named():
    """The holiday: loaded, and thrown away on this path."""
    (finding,) = said(slots(UNREAD), "QS206")
    assert finding.cost.avoidable == 1
    assert finding.cost.rows == 20
    assert "20 rows of Slot" in finding.message


def test_rows_of_all_runs_of_a_line_are_added():
    """Two rows at a time, three times."""
    reads = [UNREAD._replace(query=n, rows=2) for n in range(3)]
    (finding,) = said(slots(*reads, number=3), "QS206")
    assert finding.count == 3
    assert finding.cost.rows == 6


def test_rows_of_a_request_whose_client_keeps_them_are_judged():
    """Nobody reads on after the response."""
    assert len(said(slots(UNREAD._replace(alive=True)), "QS206")) == 1


def test_threshold_is_a_setting():
    """A user may want to hear of single rows."""
    assert said(slots(UNREAD._replace(rows=1)), "QS206", unused_result_min_rows=1)
