"""QS508: statements of one session that met, and sessions that are only handed on."""

from __future__ import annotations

import pytest

from tests.builders import MS, a_query, a_session, a_trace
from tests.detectors.judging import said

ASK = "SELECT name FROM author WHERE id = ?"


def at(start_ms, took_ms=2, **facts):
    """Return a statement of the only session at a moment."""
    return a_query(
        ASK, start_ns=int(start_ms * MS), duration_ns=int(took_ms * MS), **{"session": 0, **facts}
    )


def found(*queries, framework="sqlalchemy", sessions=1, **chosen):
    """Return what QS508 says about statements of one session or more."""
    known = [a_session(framework=framework) for _ in range(sessions)]
    return said(a_trace(*queries, sessions=known), "QS508", **chosen)


# -- innocent --------------------------------------------------------------------------------


def test_one_after_another_is_clean():
    """Thirty statements of one thread, each begun when the one before had ended."""
    assert found(*(at(1 + 2 * n) for n in range(30))) == []


def test_threads_in_turn_are_clean():
    """A framework's pool: the session is made here, used there and closed in a third thread."""
    lines = [(1, 10), (2, 20), (3, 30), (1, 40), (2, 50), (3, 60)]
    queries = [at(3 * n + 1, thread=thread, origin=line) for n, (thread, line) in enumerate(lines)]
    assert found(*queries) == []


def test_few_turns_at_one_place_are_clean():
    """A helper that is awaited in a thread of its own, now and then."""
    assert found(*(at(3 * n + 1, thread=1 + n % 2) for n in range(4))) == []


def test_workers_that_never_come_back_are_clean():
    """Each thread was used once, and then the next one: a session that is handed on."""
    assert found(*(at(3 * n + 1, thread=n) for n in range(12))) == []


def test_session_for_each_thread_is_clean():
    """They overlap, each on its own."""
    assert found(at(1, 9, session=0, thread=1), at(2, 9, session=1, thread=2), sessions=2) == []


def test_statement_inside_another_is_clean():
    """A generator of parameters asks while its statement is being sent."""
    assert found(at(1, 20), at(3), at(6)) == []


def test_connection_of_djangos_is_clean():
    """Django keeps them apart; tests share one with a live server on purpose."""
    assert found(at(1, 9, thread=1), at(2, 9, thread=2), framework="django") == []


def test_statements_without_a_session_are_clean():
    """Connections are not sessions."""
    assert found(at(1, 9, thread=1, session=None), at(2, 9, thread=2, session=None)) == []


@pytest.mark.parametrize(
    "error", ["sqlite3.OperationalError: database is locked", "TimeoutError: QueuePool limit"]
)
def test_other_errors_are_clean(error):
    """A lock or a full pool is another matter."""
    assert found(at(1, error=error)) == []


# -- dirty -----------------------------------------------------------------------------------


def test_two_threads_at_once_are_found():
    """What ran side by side is counted, and for how long."""
    (finding,) = found(at(1, 9, thread=1), at(4, 9, thread=2), at(20, thread=1))
    assert (finding.severity, finding.confidence, finding.count) == ("critical", "high", 2)
    assert finding.cost.duration_ns == 6 * MS
    assert finding.sessions == (0,)
    assert finding.message == (
        "The session opened at library/views.py:20 is used by 2 threads at the same time: "
        "1 of its statements ran beside another one."
    )


def test_statement_inside_another_threads_is_found():
    """Two threads need no partial overlap."""
    (finding,) = found(at(1, 30, thread=1), at(4, thread=2))
    assert finding.evidence["threads"] == 2


def test_two_tasks_at_once_are_found():
    """In one thread, what ends after the other was not inside it."""
    (finding,) = found(at(1, 4), at(2, 8), at(3, 12))
    assert "several tasks" in finding.message
    assert finding.evidence["overlaps"] == 2


@pytest.mark.parametrize(
    "error",
    [
        "asyncpg.InterfaceError: cannot perform operation: another operation is in progress",
        (
            "sqlalchemy.exc.InvalidRequestError: This session is provisioning a new connection; "
            "concurrent operations are not permitted (Background on this error at: isce)"
        ),
        "psycopg.OperationalError: another command is already in progress",
        (
            "sqlalchemy.exc.IllegalStateChangeError: Method 'close()' can't be called here; "
            "method '_connection_for_bind()' is already in progress"
        ),
    ],
)
def test_what_the_library_refused_is_found(error):
    """Whether a statement was refused, or the request ended with it."""
    (finding,) = found(at(1), at(4, error=error))
    assert finding.evidence["refused"] == error[:200]
    (finding,) = said(a_trace(at(1), error=error, sessions=[a_session()]), "QS508")
    assert finding.severity == "critical"


def test_quick_statements_in_turns_are_suspected():
    """Threads that come back to one line, again and again, without ever meeting."""
    queries = [at(3 * n + 1, thread=1 + n % 2) for n in range(6)]
    (finding,) = found(*queries)
    assert (finding.severity, finding.confidence) == ("warning", "medium")
    assert found(*queries, shared_session_min_turns=6) == []


def test_two_sessions_are_two_findings():
    """Each with its own opener."""
    queries = [at(1, 9, thread=1, session=n) for n in (0, 1)]
    queries += [at(4, 9, thread=2, session=n) for n in (0, 1)]
    assert [item.sessions for item in found(*queries, sessions=2)] == [(0,), (1,)]
