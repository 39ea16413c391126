"""QS603: a request for each item, and requests that are sent as they should be."""

from __future__ import annotations

import pytest

from tests.builders import MS, a_frame, a_trace, an_external_call, an_origin
from tests.detectors.judging import Source, said


def requests(count, origin, *, gap_ns=MS, **facts):
    """Return so many requests from one place, one after the other."""
    return [
        an_external_call(
            start_ns=n * (10 * MS + gap_ns),
            **{"origin": origin, **{k: v(n) if callable(v) else v for k, v in facts.items()}},
        )
        for n in range(count)
    ]


def found(calls, **facts):
    """Return what QS603 says of a Trace with these requests."""
    return said(a_trace(external_calls=calls, **facts), "QS603")


# -- innocent -----------------------------------------------------------------------------------


def test_one_request_is_clean(places):
    """One for all items is what the advice leads to."""
    assert found(requests(1, places.loop)) == []


def test_requests_of_several_lines_are_clean():
    """Three services, three lines."""
    calls = [an_external_call(start_ns=n * 20 * MS, origin=41 + n) for n in range(5)]
    assert found(calls) == []


def test_requests_of_one_line_without_a_loop_are_clean(places):
    """A redirect is a second request of the same call."""
    assert found(requests(5, places.line)) == []


def test_requests_that_overlap_are_clean(places):
    """They are sent together: a pool, or gather."""
    assert found(requests(8, places.loop, gap_ns=-9 * MS, thread=lambda n: n)) == []


def test_polling_is_clean(places):
    """A loop that sleeps waits for something."""
    assert found(requests(8, places.at("in_polling_loop"))) == []


def test_pages_that_name_the_next_are_clean(tmp_path):
    """``while url:`` cannot know the next address before the answer."""
    source = Source(tmp_path, "def view(url):\n    while url:\n        url = fetch(url)['next']\n")
    assert found(requests(8, an_origin(source.frame("fetch(url)")))) == []


def test_retries_are_clean(tmp_path):
    """The loop is left with the first answer."""
    text = (
        "def view(url):\n    for attempt in range(9):\n        try:\n"
        "            return fetch(url)\n        except OSError:\n            pass\n"
    )
    source = Source(tmp_path, text)
    assert found(requests(4, an_origin(source.frame("fetch(url)")), error="TimeoutError")) == []
    assert found(requests(4, an_origin(source.frame("fetch(url)")))) == []


def test_loop_of_a_test_is_clean(tmp_path):
    """A test asks its live server for several pages."""
    source = Source(
        tmp_path, "def test_x(urls):\n    for u in urls:\n        get(u)\n", "test_x.py"
    )
    origin = an_origin(source.frame("get(u)", "test_x"))
    assert found(requests(8, origin), kind="test", mode="tests") == []


# -- found --------------------------------------------------------------------------------------


def test_request_per_item_is_found(places):
    """Host, number, time and loop are said."""
    (finding,) = found(requests(4, places.loop))
    assert (finding.severity, finding.count, finding.confidence) == ("warning", 4, "high")
    assert finding.message.startswith("api.example.com is asked 4 times over HTTP")
    assert "40.0 ms" in finding.message
    assert finding.cost.duration_ns == 40 * MS
    assert places.source.text_at(finding.mend.at) == "keys"


def test_many_requests_are_critical(places):
    """From ten on, as everywhere."""
    (finding,) = found(requests(10, places.loop))
    assert finding.severity == "critical"


def test_two_are_enough_in_tests(places):
    """Tests have little data."""
    assert len(found(requests(2, places.loop), mode="tests")) == 1


def test_helper_called_in_a_loop_is_found(places):
    """The loop is the caller's."""
    assert len(found(requests(4, places.at("in_loop", a_frame(7, function="fetch"))))) == 1


def test_several_hosts_are_counted(places):
    """Web hooks go to as many hosts."""
    (finding,) = found(requests(4, places.loop, host=lambda n: f"h{n}.example.com"))
    assert "4 hosts are asked" in finding.message


@pytest.mark.parametrize(("call", "kind"), [("in_short_loop", "request"), ("in_loop", "task")])
def test_constant_loop_or_task_is_info(places, call, kind):
    """Three services are three; nobody waits for a task."""
    (finding,) = found(requests(4, places.at(call)), kind=kind)
    assert finding.severity == "info"
