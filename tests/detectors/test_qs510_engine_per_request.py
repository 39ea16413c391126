"""QS510: engines that are made again, and those that are made once or for another database."""

from __future__ import annotations

import pytest

from queryscope.trace.events import NOWHERE
from tests.builders import MS, a_checkout, a_trace, an_engine
from tests.detectors.judging import said


def found(*engines, kind="request", checkouts=(), **chosen):
    """Return what QS510 says about a Trace in which these engines were made."""
    trace = a_trace(engines=engines, kind=kind, checkouts=checkouts)
    return said(trace, "QS510", **chosen)


# -- innocent --------------------------------------------------------------------------------


def test_first_engine_of_a_line_is_clean():
    """It is made when it is first needed; two lines make one each."""
    assert found(an_engine(), an_engine(1, opener=30)) == []


def test_no_engine_is_clean():
    """Nearly every request."""
    assert found() == []


@pytest.mark.parametrize("kind", ["test", "script"])
def test_tests_and_scripts_are_clean(kind):
    """A fixture makes an engine for each test."""
    assert found(an_engine(before=40), kind=kind) == []


def test_engine_of_a_library_is_clean():
    """Nobody can mend it here."""
    assert found(an_engine(before=3, opener=NOWHERE)) == []


# -- dirty -----------------------------------------------------------------------------------


def test_engine_made_again_is_found():
    """The line, how often it had done so, and the time for connecting."""
    checkouts = [a_checkout(pool_number=7, connect_ns=4 * MS), a_checkout(connect_ns=MS)]
    (finding,) = found(an_engine(before=12, pool_number=7), checkouts=checkouts)
    assert finding.message == (
        "This request makes an engine for shop at library/views.py:20, which had made 12 before."
    )
    assert (finding.severity, finding.confidence) == ("warning", "high")
    assert finding.cost.duration_ns == 4 * MS
    assert finding.checkouts == (0,)


@pytest.mark.parametrize("kind", ["task", "block"])
def test_tasks_and_blocks_are_judged(kind):
    """A worker's tasks are requests, too."""
    assert len(found(an_engine(before=1), kind=kind)) == 1


def test_engines_of_one_loop_are_one_finding():
    """The first of them was no second one."""
    (finding,) = found(*(an_engine(n, before=n) for n in range(4)))
    assert finding.count == 3


def test_line_that_serves_many_databases_names_how_many():
    """A file for each customer: the engines are not all for the first of them."""
    (finding,) = found(*(an_engine(n, name=f"shop{n}", before=2) for n in range(3)))
    assert finding.message == (
        "This request makes 3 engines for shop0 and 2 other databases at library/views.py:20, "
        "which had made 2 before."
    )
    (finding,) = found(*(an_engine(n, name=f"shop{n}", before=2) for n in range(2)))
    assert "2 engines for shop0 and another database at" in finding.message


def test_null_pool_is_information():
    """There are no connections to keep."""
    (finding,) = found(an_engine(before=5, pooled=False))
    assert finding.severity == "info"


def test_threshold_is_a_setting():
    """A process with a few tenants behind one URL."""
    assert found(an_engine(before=3), engine_per_request_min_before=4) == []
