"""QS501: sessions on one database in one Trace, each beyond the first with its opener."""

from __future__ import annotations

from functools import partial

import pytest

from queryscope.detectors import qs501_many_sessions as detector
from tests.builders import (
    MS,
    a_checkout,
    a_frame,
    a_query,
    a_session,
    a_trace,
    an_origin,
)
from tests.detectors.judging import found_by

found = partial(found_by, detector)


def check_clean(**facts):
    """Check that the detector says nothing."""
    assert found(a_trace(**facts)) == []


def helper(line, *, called_at, function="is_allowed"):
    """Return an opener inside a helper that the view called at a line."""
    return an_origin(a_frame(line, file="/srv/app/library/access.py", function=function), called_at)


def main_session(**facts):
    """Return the view's own session, open for the whole request."""
    return a_session(opened_ns=MS, closed_ns=90 * MS, opener=20, **facts)


# -- innocent --------------------------------------------------------------------------------


def test_one_session_is_clean():
    """One session is what a request should have."""
    check_clean(sessions=[main_session()])


def test_session_that_asks_the_server_for_its_version_is_none():
    """Django on MariaDB opens a connection for that, before a thread's first ``annotate()``."""
    trace = a_trace(
        a_query("SELECT VERSION(), @@sql_mode", session=0),
        a_query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", session=1),
        a_query(session=1),
        sessions=[
            a_session(closed_ns=2 * MS, framework="django"),
            a_session(opened_ns=3 * MS, framework="django"),
        ],
    )
    assert found(trace) == []


def test_session_whose_catalogue_statement_is_not_its_only_one_counts():
    """Asking for the version first does not make a session innocent."""
    trace = a_trace(
        a_query("SELECT VERSION()", session=0),
        a_query(session=0),
        a_query(session=1),
        sessions=[a_session(closed_ns=9 * MS), a_session(opened_ns=3 * MS, opener=21)],
    )
    assert [item.code for item in found(trace)] == ["QS501"]


def test_no_session_is_clean():
    """A request without the database has nothing to judge."""
    check_clean()


def test_session_per_database_is_clean():
    """A session for each configured alias or engine, replicas among them, is right."""
    check_clean(
        sessions=[
            a_session(databases=("default",)),
            a_session(databases=("replica",)),
            a_session(databases=("reports",), framework="django"),
        ]
    )


def test_threads_with_one_session_each_in_turn_are_clean():
    """A session must not be shared by threads: one a thread is right."""
    check_clean(
        sessions=[
            a_session(opened_ns=0, closed_ns=5 * MS, thread=1),
            a_session(opened_ns=6 * MS, closed_ns=9 * MS, thread=2),
        ]
    )


def test_sessions_of_a_test_are_clean():
    """A test's fixtures have a session beside the one of the code under test."""
    check_clean(kind="test", sessions=[main_session(), a_session(), a_session()])


def test_sessions_of_nested_traces_are_judged_apart():
    """Two requests inside one block have a session each."""
    inner = a_trace(sessions=[a_session()])
    assert found(a_trace(sessions=[main_session()], children=(inner, inner))) == []


def test_higher_minimum_leaves_two_sessions_alone():
    """The threshold is a setting."""
    trace = a_trace(sessions=[main_session(), a_session()])
    assert found(trace, many_sessions_min=3) == []


# -- dirty -----------------------------------------------------------------------------------


def test_helper_with_its_own_session_is_found_at_its_line():
    """The helper's opener is named, and the call that should pass the session on."""
    extra = a_session(opened_ns=5 * MS, closed_ns=9 * MS, opener=helper(9, called_at=31))
    trace = a_trace(
        a_query(session=0),
        a_query(session=1),
        sessions=[main_session(), extra],
        checkouts=[
            a_checkout(session=0, asked_ns=MS, returned_ns=4 * MS),
            a_checkout(session=1, asked_ns=5 * MS, returned_ns=9 * MS),
        ],
    )
    (finding,) = found(trace)
    assert finding.origin.first.line == 9
    assert (finding.severity, finding.confidence, finding.count) == ("warning", "high", 1)
    assert finding.mend.at.line == 31
    assert finding.mend.how == (
        "Pass the session opened at library/views.py:20 into is_allowed(), and use it at "
        "library/access.py:9 instead of opening another."
    )
    assert finding.cost.connection_ns == 4 * MS
    assert finding.cost.statements == 1
    assert (finding.sessions, finding.checkouts) == ((1,), (1,))
    assert finding.message.startswith("2 sessions used the database default in this request;")


def test_helper_called_many_times_is_one_finding():
    """One line that opens a session at each call is said once, with its number."""
    extras = [
        a_session(opened_ns=n * MS, closed_ns=n * MS + MS // 2, opener=helper(9, called_at=31))
        for n in range(2, 12)
    ]
    (finding,) = found(a_trace(sessions=[main_session(), *extras]))
    assert finding.count == 10
    assert finding.severity == "critical"
    assert finding.evidence["opener_1"] == "library/access.py:9, 10 x"


def test_loop_that_opens_a_session_per_item_is_found():
    """Without a session to keep, the caller of the helper should open one for all."""
    extras = [
        a_session(opened_ns=n * MS, closed_ns=n * MS + MS // 2, opener=helper(9, called_at=31))
        for n in range(3)
    ]
    (finding,) = found(a_trace(sessions=extras))
    assert finding.count == 3
    assert finding.mend.at.line == 31
    assert finding.mend.how.startswith("Open one session in book_list() and pass it into")


def test_each_opener_is_a_finding_of_its_own():
    """Five sessions of five lines: the longest is kept, the other four are named."""
    extras = [a_session(opened_ns=n * MS, closed_ns=n * MS + 1, opener=40 + n) for n in range(2, 6)]
    findings = found(a_trace(sessions=[*extras, main_session()]))
    assert sorted(item.origin.first.line for item in findings) == [42, 43, 44, 45]
    assert {item.severity for item in findings} == {"critical"}
    assert all(item.evidence["kept_session"] == "library/views.py:20" for item in findings)


@pytest.mark.parametrize("longer", [0, 1])
def test_session_to_keep_does_not_hang_on_its_time(longer):
    """Of sessions one after the other that with most statements is kept, else the first."""
    lives = [(0, 4 * MS), (5 * MS, 9 * MS + longer * 3)]
    sessions = [
        a_session(opened_ns=opened, closed_ns=closed - (not longer), opener=40 + n)
        for n, (opened, closed) in enumerate(lives)
    ]
    (finding,) = found(a_trace(sessions=sessions))
    assert finding.origin.first.line == 41
    busy = [a_query(session=0), a_query(session=1), a_query(session=1)]
    (finding,) = found(a_trace(*busy, sessions=sessions))
    assert finding.origin.first.line == 40


def test_session_held_beside_another_is_critical():
    """Two connections of one bounded pool at once can starve it."""
    sessions = [main_session(), a_session(opener=50)]
    held = [a_checkout(session=0, returned_ns=20 * MS), a_checkout(session=1, asked_ns=MS)]
    (finding,) = found(a_trace(sessions=sessions, checkouts=held))
    assert finding.severity == "critical"
    assert finding.evidence["held_at_once"] == "yes"
    unbounded = [item._replace(size=None) for item in held]
    (finding,) = found(a_trace(sessions=sessions, checkouts=unbounded))
    assert finding.severity == "warning"


def test_copied_django_connection_is_found():
    """A connection copied under another alias is a second one to the same database."""
    trace = a_trace(
        sessions=[
            a_session(framework="django", opener=20, closed_ns=None),
            a_session(framework="django", opener=helper(9, called_at=31), closed_ns=5 * MS),
        ]
    )
    (finding,) = found(trace)
    assert finding.origin.first.line == 9
    assert finding.mend.write == '.using("default")'
    assert finding.cost.connection_ns == 5 * MS


def test_sessions_that_share_one_of_their_databases_are_found():
    """A session over two databases and one over the second overlap."""
    trace = a_trace(
        sessions=[
            a_session(databases=("default", "replica"), closed_ns=50 * MS),
            a_session(databases=("reports",)),
            a_session(databases=("replica",), opener=50),
        ]
    )
    (finding,) = found(trace)
    assert finding.origin.first.line == 50


def test_worker_thread_with_a_session_per_item_is_found():
    """One a thread is right, one an item is not."""
    sessions = [
        a_session(opened_ns=n * MS, closed_ns=n * MS + 1, opener=60, thread=1 + n % 2)
        for n in range(6)
    ]
    (finding,) = found(a_trace(sessions=sessions))
    assert finding.count == 6
    assert len(finding.sessions) == 4


def test_threads_at_the_same_time_are_information():
    """One session a thread is right, and still takes several connections at once."""
    sessions = [a_session(thread=n, opener=60) for n in (1, 2, 3)]
    (finding,) = found(a_trace(sessions=sessions))
    assert (finding.severity, finding.count) == ("info", 3)


def test_sessions_that_only_write_are_less_certain():
    """A log of audits may have a session of its own on purpose."""
    trace = a_trace(
        a_query("INSERT INTO audit (a) VALUES (1)", session=1),
        sessions=[main_session(), a_session(opener=50)],
    )
    (finding,) = found(trace)
    assert finding.confidence == "medium"


def test_script_is_told_as_information():
    """A script may well open a session for each job."""
    (finding,) = found(a_trace(kind="script", sessions=[main_session(), a_session(opener=50)]))
    assert finding.severity == "info"


def test_opener_without_user_frames_has_no_mend():
    """A session that no user line opened is still counted."""
    (finding,) = found(
        a_trace(sessions=[main_session(), a_session(opener=an_origin()._replace(steps=()))])
    )
    assert finding.mend is None


def test_fingerprint_does_not_move_with_lines():
    """The same opener on another line, opened more often, is the same finding."""
    one = found(a_trace(sessions=[main_session(), a_session(opener=50)]))
    two = found(a_trace(sessions=[main_session(), a_session(opener=57), a_session(opener=57)]))
    assert one[0].fingerprint == two[0].fingerprint


@pytest.mark.parametrize("number", [2_000])
def test_many_sessions_are_judged_quickly(number):
    """The cap of sessions and checkouts is judged without comparing each with each."""
    sessions = [a_session(opened_ns=n, closed_ns=n + 1, opener=n % 7) for n in range(number)]
    checkouts = [
        a_checkout(asked_ns=n, got_ns=n, returned_ns=n + 3, session=n) for n in range(number)
    ]
    assert len(found(a_trace(sessions=sessions, checkouts=checkouts))) == 7
