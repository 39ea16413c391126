"""QS208: rows read again in a second session, and what only looks like it."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_load, a_query, a_session, a_trace
from tests.detectors.judging import said

USER = 'SELECT "user"."id", "user"."name" FROM "user" WHERE "user"."id" = %s'
NAMES = 'SELECT "user"."name" FROM "user" WHERE ("user"."id" = %s) LIMIT 21'
TOUCH = 'UPDATE "user" SET "seen" = %s WHERE "user"."id" = %s'
HELPER = a_frame(9, file="/srv/app/library/auth.py", function="is_allowed")


def reread(*queries, kind="request", sessions=None):
    """Return what is said about statements of sessions with openers of their own."""
    opened = sessions or [a_session(opener=20), a_session(opener=30), a_session(opener=40)]
    return said(a_trace(*queries, kind=kind, sessions=opened), "QS208", "QS201", "QS203")


def codes(*queries, **facts):
    """Return the codes of what is said."""
    return [finding.code for finding in reread(*queries, **facts)]


# -- innocent -------------------------------------------------------------------------------------


def test_other_rows_in_other_session_are_clean():
    """Two users are two rows."""
    assert codes(a_query(USER, session=0), a_query(USER, session=1, parameters=(2,))) == []


def test_write_between_is_clean():
    """What was written has to be read again."""
    touch = a_query(TOUCH, parameters=(0, 1), session=0)
    assert codes(a_query(USER, session=0), touch, a_query(USER, session=1)) == []


def test_failed_statement_between_is_clean():
    """A retry opens a session of its own."""
    failed = a_query(USER, session=0, error="OperationalError: gone")
    assert codes(failed, a_query(USER, session=1)) == []


def test_other_database_is_clean():
    """A replica has rows of its own."""
    assert codes(a_query(USER, session=0), a_query(USER, session=1, database="replica")) == []


def test_rows_that_were_not_there_are_clean():
    """An empty answer loads nothing."""
    queries = [a_query(NAMES, session=0, rows=0), a_query(USER, session=1, rows=0)]
    assert codes(*queries) == []


def test_counts_are_clean():
    """No row was loaded by them."""
    count = 'SELECT COUNT(*) FROM "user" WHERE "user"."id" = %s'
    assert codes(a_query(count, session=0), a_query(USER, session=1)) == []


def test_pages_of_one_set_are_clean():
    """Two pages hold different rows."""
    page = 'SELECT "user"."id" FROM "user" WHERE "user"."team" = %s ORDER BY 1 LIMIT 5'
    queries = [a_query(page, session=0, rows=5), a_query(page + " OFFSET 5", session=1, rows=5)]
    assert codes(*queries) == []


@pytest.mark.parametrize("fact", [{"operation": "refresh"}, {"load": a_load(relation="expired")}])
def test_reading_anew_on_purpose_is_clean(fact):
    """Refreshing asks for what others have written."""
    assert codes(a_query(NAMES, session=0), a_query(USER, session=1, **fact)) == []


def test_locked_rows_are_clean():
    """A lock is taken where the work is done."""
    lock = a_query(USER + " FOR UPDATE", session=1)
    assert codes(a_query(USER, session=0), lock) == []


def test_session_of_a_tests_fixture_is_clean():
    """The test looks at what the code under test has done."""
    assert "QS208" not in codes(a_query(USER, session=0), a_query(NAMES, session=1), kind="test")


# -- found ----------------------------------------------------------------------------------------


def test_same_statement_in_second_session_is_found_once():
    """More precise than a duplicate: it says which session to hand on."""
    (finding,) = reread(a_query(USER, session=0), a_query(USER, session=1, origin=50))
    assert (finding.code, finding.severity, finding.count) == ("QS208", "warning", 2)
    assert finding.cost.avoidable == 1
    assert finding.sessions == (0, 1)
    assert finding.origin.first.line == 50


def test_other_columns_of_the_row_are_found():
    """It is the row that counts, not what was selected of it."""
    (finding,) = reread(a_query(USER, session=0), a_query(NAMES, session=1))
    assert finding.code == "QS208"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT `user`.`name` FROM `user` WHERE `user`.`id` = %s",
        "SELECT u.name FROM user AS u WHERE u.id = ?",
        "SELECT user.name FROM user WHERE ? = user.id",
    ],
)
def test_each_dialect_is_read(statement):
    """Quoting, aliases and the order of the comparison do not matter."""
    vendor = "mysql" if "`" in statement else "sqlite"
    again = statement.replace("name", "id").replace("u.id, ", "").replace("AS u ", "u ")
    queries = [
        a_query(statement, session=0, vendor=vendor),
        a_query(again, session=1, vendor=vendor),
    ]
    assert codes(*queries) == ["QS208"]


def test_each_row_of_one_pair_of_openers_is_one_finding():
    """Ten rows read again by one helper are one thing to mend."""
    queries = [
        a_query(USER, session=session, parameters=(row,), origin=100 + 50 * session + row)
        for session in (0, 1)
        for row in range(10)
    ]
    (finding,) = reread(*queries)
    assert (finding.count, finding.cost.avoidable, finding.severity) == (20, 10, "critical")


def test_threads_are_an_info():
    """A session must not be shared by threads."""
    queries = [a_query(USER, session=0), a_query(USER, session=1, thread=7)]
    found = [finding for finding in reread(*queries) if finding.code == "QS208"]
    assert [finding.severity for finding in found] == ["info"]


def test_mend_says_what_to_hand_on():
    """The session of the first load, into the call that opens the second."""
    outer = a_session(opener=20)
    inner = a_session(opener=None)._replace(
        opener=outer.opener._replace(steps=(HELPER, a_frame(44)))
    )
    (finding,) = reread(a_query(USER, session=0), a_query(USER, session=1), sessions=[outer, inner])
    assert finding.mend is not None
    assert finding.mend.at.line == HELPER.line
    assert "is_allowed()" in finding.mend.how
