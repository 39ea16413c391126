"""QS503: connections that were still out when the Trace ended."""

from __future__ import annotations

from functools import partial

import pytest

from queryscope.detectors import qs503_leaked_connection as detector
from queryscope.trace.events import NOWHERE
from tests.builders import MS, a_checkout, a_session, a_stage, a_trace
from tests.detectors.judging import found_by

found = partial(found_by, detector)


def leaked(**facts):
    """Return a checkout that never came back."""
    return a_checkout(**{"returned_ns": None, **facts})


@pytest.mark.parametrize(
    ("facts", "checkout"),
    [
        ({}, a_checkout()),
        ({}, a_checkout(returned_ns=0)),
        ({}, leaked(got_ns=None, error="sqlalchemy.exc.TimeoutError: QueuePool limit")),
        ({"kind": "block"}, leaked(asked_ns=-MS, got_ns=-MS)),
        ({"kind": "block", "sessions": [a_session(opened_ns=-MS)]}, leaked(session=0)),
        ({"kind": "test"}, leaked()),
        ({"sessions": [a_session(framework="django", closed_ns=None)]}, leaked(session=0)),
    ],
    ids=["returned", "at once", "never got", "out before", "session before", "test", "django"],
)
def test_connection_that_is_not_this_traces_to_return_is_clean(facts, checkout):
    """Returned ones, failed ones, the caller's and the framework's are no leaks."""
    assert found(a_trace(checkouts=[checkout], **facts)) == []


def test_session_left_open_is_found_at_its_opener():
    """The opener is named, and the with block that closes it on every way out."""
    trace = a_trace(
        sessions=[a_session(closed_ns=None, opener=25)],
        checkouts=[leaked(session=0, got_ns=2 * MS, opener=26)],
        duration_ns=10 * MS,
    )
    (finding,) = found(trace)
    assert finding.origin.first.line == 25
    assert (finding.severity, finding.count, finding.sessions) == ("critical", 1, (0,))
    assert finding.cost.connection_ns == 8 * MS
    assert finding.mend.write == "with Session(engine) as session:"
    assert finding.message == (
        "A connection of the pool default taken here was not returned when the request ended; "
        "its pool of 5 is empty after 5 such."
    )


def test_raw_connection_left_open_is_found():
    """A connection without a session is mended with engine.connect()."""
    (finding,) = found(a_trace(checkouts=[leaked()]))
    assert finding.mend.write == "with engine.connect() as connection:"


def test_thread_of_a_django_request_must_close_its_own():
    """Django closes what its own threads took; a thread of the view's takes one from the pool."""
    stages = [a_stage("middleware", kind="middleware"), a_stage("view", kind="view", number=1)]
    session = a_session(framework="django", closed_ns=None)
    own = a_trace(sessions=[session], checkouts=[leaked(session=0)], stages=stages)
    assert found(own) == []
    checkout = leaked(session=0, thread=99)
    trace = a_trace(sessions=[session], checkouts=[checkout], stages=stages)
    (finding,) = found(trace)
    assert finding.mend.write == 'connections["default"].close()'
    in_tests = a_trace(sessions=[session], checkouts=[checkout], stages=stages, mode="tests")
    assert found(in_tests) == []


def test_leaks_of_one_line_are_one_finding():
    """A loop that leaks three is said once; two a request empty a pool of five in three."""
    trace = a_trace(checkouts=[leaked(opener=25), leaked(opener=25), leaked(opener=30)])
    findings = found(trace)
    assert [(item.origin.first.line, item.count) for item in findings] == [(25, 2), (30, 1)]
    assert "its pool of 5 is empty after 3 such" in findings[0].message


def test_unbounded_pool_is_a_warning():
    """Without a bound nobody waits, but the server has a connection less."""
    (finding,) = found(a_trace(checkouts=[leaked(size=None)]))
    assert finding.severity == "warning"
    assert "capacity" not in finding.evidence


@pytest.mark.parametrize("kind", ["block", "script"])
def test_block_and_script_are_told_as_information(kind):
    """What a block opened may be meant for what follows it."""
    (finding,) = found(a_trace(checkouts=[leaked()], kind=kind))
    assert finding.severity == "info"


def test_unknown_opener_has_no_mend():
    """Without a user line there is nothing to edit, but the leak is told."""
    (finding,) = found(a_trace(checkouts=[leaked(opener=NOWHERE)]))
    assert finding.mend is None
