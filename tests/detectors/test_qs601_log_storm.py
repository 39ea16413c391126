"""QS601: a line that logs for each item, and lines that log as they should."""

from __future__ import annotations

import logging

import pytest

from queryscope import profile, runtime
from queryscope.stdlib import log_calls
from tests.builders import MS, a_frame, a_log_call, a_trace, an_origin
from tests.detectors.judging import said

log = logging.getLogger("tests.qs601")


def logged(*calls, **facts):
    """Return what QS601 says of a Trace with these lines."""
    return said(a_trace(log_calls=calls, **facts), "QS601")


# -- innocent -----------------------------------------------------------------------------------


def test_few_calls_are_clean(places):
    """Nineteen lines are read by somebody."""
    assert logged(a_log_call(count=19, origin=places.loop)) == []


def test_one_line_a_request_is_clean(places):
    """What logging is for."""
    assert logged(*(a_log_call(n, origin=places.line) for n in range(30))) == []


def test_library_that_logs_is_clean(places):
    """The echo of statements repeats because statements do: another code's to say."""
    assert logged(a_log_call(count=500, is_own=False, origin=places.loop)) == []


def test_helper_called_from_many_lines_is_clean():
    """An audit helper is called by everybody."""
    origin = an_origin(a_frame(7, function="audit"), 41)
    assert logged(a_log_call(count=40, ways=5, origin=origin)) == []


def test_polling_loop_is_clean(places):
    """It waits, and says so."""
    assert logged(a_log_call(count=40, origin=places.at("in_polling_loop"))) == []


def test_script_that_tells_its_progress_is_clean(places):
    """An import is watched by who started it."""
    assert logged(a_log_call(count=4_000, origin=places.loop), kind="script") == []


# -- found --------------------------------------------------------------------------------------


def test_line_in_a_loop_is_found(places):
    """Count, level, time and loop are said, and the place to mend is in front of the loop."""
    (finding,) = logged(a_log_call(count=1_500, duration_ns=30 * MS, origin=places.loop))
    assert (finding.severity, finding.confidence, finding.count) == ("warning", "high", 1_500)
    assert "1,500 times to library.views at INFO in the loop at" in finding.message
    assert "30.0 ms" in finding.message
    assert finding.cost.duration_ns == 30 * MS
    assert places.source.text_at(finding.mend.at) == "keys"


@pytest.mark.parametrize(
    ("level", "kind"), [(10, "request"), (30, "request"), (40, "request"), (20, "task")]
)
def test_level_or_kind_that_matters_less_is_info(places, level, kind):
    """DEBUG is off in production, failures are worth a line, tasks are not waited for."""
    (finding,) = logged(a_log_call(count=50, level=level, origin=places.loop), kind=kind)
    assert finding.severity == "info"


def test_same_way_each_time_without_a_loop_in_the_source_is_info(places):
    """A serializer calls the user's method for each row: the loop is the library's."""
    (finding,) = logged(a_log_call(count=50, origin=places.line))
    assert (finding.severity, finding.confidence) == ("info", "medium")


def test_threshold_is_a_setting(places):
    """The number is the user's to choose."""
    trace = a_trace(log_calls=[a_log_call(count=5, origin=places.loop)])
    assert len(said(trace, "QS601", log_storm_min_calls=5)) == 1


# -- the real thing -----------------------------------------------------------------------------


def each_item(count):
    """Log each item."""
    for item in range(count):
        log.info("item %s", item)


def once(count):
    """Log how many there were."""
    for _ in range(count):
        pass
    log.info("%s items", count)


def of_all_items(run):
    """Return what is found when 50 items are handled in full recording."""
    runtime.configure({"mode": "development", "store": False}, source="a test", debug=True)
    log.setLevel(logging.INFO)
    log_calls.install()
    try:
        with profile("x") as found:
            run(50)
        return [finding.code for finding in found.findings if finding.code == "QS601"]
    finally:
        log_calls.uninstall()
        runtime.reset()


def test_real_loop_is_found_and_its_repaired_twin_is_not():
    """Hook, Trace and detector together."""
    assert of_all_items(each_item) == ["QS601"]
    assert of_all_items(once) == []
