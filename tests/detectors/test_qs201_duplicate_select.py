"""QS201: the same SELECT sent again, and what only looks like it."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_load, a_node, a_query, a_session, a_trace, an_origin, some
from tests.detectors.judging import check_clean, check_found

ACCOUNT = 'SELECT * FROM "library_account" WHERE "token" = %s'
TOUCH = 'UPDATE "library_account" SET "seen" = %s'
NOWHERE = an_origin()._replace(steps=())


def account(line=41, **facts):
    """Return the statement that reads the user."""
    facts = {"operation": "get", "model": "library.Account", **facts}
    return a_query(ACCOUNT, origin=line, **facts)


# -- innocent -----------------------------------------------------------------------------------


def test_read_write_read_is_clean():
    """What was written is read anew."""
    check_clean(a_trace(account(41), a_query(TOUCH, origin=42), account(43)))


def test_retry_after_error_is_clean():
    """An attempt that failed is made again."""
    failed = account(42, error="OperationalError: database is locked")
    check_clean(a_trace(account(41), failed, account(41)))


def test_polling_is_clean(places):
    """A loop that sleeps waits for another process."""
    check_clean(a_trace(*some(5, ACCOUNT, operation="get", origin=places.at("in_polling_loop"))))


@pytest.mark.parametrize("operation", ["refresh", "get_or_create", "update_or_create"])
def test_verbs_that_ask_again_are_clean(operation):
    """To ask again is what they are for."""
    check_clean(a_trace(account(41, operation=operation), account(42, operation=operation)))


def test_row_locks_are_clean():
    """The second lock waits, and may see another row."""
    locked = [a_query(ACCOUNT + " FOR UPDATE", origin=line) for line in (41, 42)]
    check_clean(a_trace(*locked))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT nextval('library_seq')",
        'SELECT * FROM "library_book" ORDER BY RANDOM() LIMIT 1',
        "SELECT pg_advisory_xact_lock(%s) FROM library_lock",
        "SELECT 1",
        "SELECT version()",
    ],
)
def test_statements_with_effects_are_clean(statement):
    """They are asked for what they do, or give another answer each time."""
    check_clean(a_trace(a_query(statement, origin=41), a_query(statement, origin=42)))


def test_count_then_page_is_clean():
    """Two statements about one set are not one statement."""
    count = a_query('SELECT COUNT(*) FROM "library_book"', origin=41)
    page = a_query('SELECT * FROM "library_book" LIMIT 10', origin=42)
    check_clean(a_trace(count, page, mode="tests"))


def test_other_parameters_are_clean():
    """Two users are two questions."""
    check_clean(a_trace(account(41), account(42, parameters=("other",))))


def test_session_middleware_is_clean():
    """Library code that reads the session twice is not the user's to mend."""
    query = a_query('SELECT * FROM "django_session" WHERE "key" = %s', origin=NOWHERE)
    check_clean(a_trace(query, query))


def test_objects_that_share_a_foreign_key_value_are_clean():
    """Billing and delivery address in one country: two rows, two lines, no loop."""
    country = [
        a_query(
            'SELECT * FROM "library_country" WHERE "id" = %s',
            operation="lazy",
            origin=line,
            load=a_load("country", owner="library.Address", parent=line),
        )
        for line in (41, 42)
    ]
    check_clean(a_trace(*country, mode="tests"))


def test_rows_expired_by_commits_are_clean():
    """After a commit, a row is meant to be read anew."""
    load = a_load("", owner="Account", relation="expired")
    check_clean(a_trace(account(41, load=load), account(42, load=load)))


def test_read_before_and_after_nested_request_is_clean():
    """A test counts before and after a request that writes."""
    request = a_trace(a_query(TOUCH), started_at_ns=5_000_000, duration_ns=1_000_000)
    before, after = account(41, start_ns=1_000_000), account(42, start_ns=9_000_000)
    check_clean(a_trace(before, after, children=(request,), started_at_ns=0, kind="test"))


# -- guilty -------------------------------------------------------------------------------------


def test_user_read_by_two_helpers_is_found():
    """The permission check and the view ask for one user: both lines are named."""
    permission = an_origin(a_frame(7, file="/srv/app/access.py", function="may_edit"), 40)
    trace = a_trace(account(permission), account(44))
    finding = check_found(trace, "QS201", 2)
    assert finding.message == (
        "Account is selected 2 times with the same statement and parameters, from "
        "app/access.py:7 and library/views.py:44."
    )
    assert (finding.severity, finding.confidence) == ("warning", "high")
    assert finding.cost.avoidable == 1
    assert finding.origin.first.line == 44
    assert finding.mend.at.line == 44
    assert "app/access.py:7" in finding.mend.how


def test_row_read_in_two_sessions_is_left_to_its_own_code():
    """QS208 says which session to hand on."""
    trace = a_trace(
        account(41, session=0), account(42, session=1), sessions=[a_session(), a_session()]
    )
    check_found(trace, "QS208", 2)


def test_callers_of_one_helper_are_named():
    """Where one line asks both times, the lines that called it tell the places apart."""
    helper = a_frame(7, file="/srv/app/configuration.py", function="read_settings")
    trace = a_trace(*(account(an_origin(helper, line)) for line in (41, 43)))
    finding = check_found(trace, "QS201", 2)
    assert "from library/views.py:41 and library/views.py:43" in finding.message
    assert finding.mend.at.line == 43


def test_form_that_evaluates_one_queryset_for_each_field_is_found():
    """``{{ form }}`` with three choice fields: one place, no loop, equal statements."""
    origin = an_origin(a_node(3, file=None, source="form"), 41)
    finding = check_found(
        a_trace(*some(3, ACCOUNT, operation="iterate", origin=origin)), "QS201", 3
    )
    assert finding.cost.avoidable == 2


def test_runs_with_write_between_are_counted_apart():
    """Three before a write and two after it could have been two statements."""
    queries = [*some(3, ACCOUNT), a_query(TOUCH), *some(2, ACCOUNT)]
    finding = check_found(a_trace(*queries), "QS201", 5)
    assert finding.cost.avoidable == 3


def test_write_to_other_table_does_not_excuse():
    """The table that was read is as it was."""
    log = a_query('INSERT INTO "library_log" ("x") VALUES (%s)', origin=42)
    check_found(a_trace(account(41), log, account(43)), "QS201", 2)


def test_many_places_are_cut_in_the_message():
    """Three places are named, the evidence has all."""
    finding = check_found(a_trace(*(account(40 + n) for n in range(6))), "QS201", 6)
    assert "and 3 more places" in finding.message
    assert finding.evidence["lines"].count("views.py") == 6


def test_pairs_of_equal_statements_say_how_many_would_do():
    """Each account is read twice: not six times one of them."""
    pairs = [account(line, parameters=(n,)) for n in range(3) for line in (41, 42)]
    finding = check_found(a_trace(*pairs), "QS201", 6)
    assert "6 times, where 3 would do, with the same statement" in finding.message
    assert finding.cost.avoidable == 3


def test_duplicates_of_library_code_are_only_an_info():
    """Nobody's line: seen, not pressed."""
    finding = check_found(a_trace(account(NOWHERE), account(NOWHERE)), "QS201", 2)
    assert (finding.severity, finding.confidence) == ("info", "low")


def test_tag_of_library_template_is_not_to_be_edited():
    """The admin's template is named where it asked; the mend names no line of it."""
    site = "/srv/venv/lib/python3.12/site-packages/django/contrib/admin/templates/"
    tags = [an_origin(a_node(n, template="list.html", file=site + "list.html")) for n in (3, 4)]
    finding = check_found(a_trace(*(account(tag) for tag in tags)), "QS201", 2)
    assert "list.html:3 and " in finding.message
    assert finding.mend.at is None
    assert finding.severity == "info"
    assert check_found(a_trace(*[account(tags[0])] * 10), "QS201", 10).severity == "critical"
    finding = check_found(a_trace(account(41), account(tags[0])), "QS201", 2)
    assert finding.mend.at.line == 41


def test_relation_of_one_row_loaded_twice_wants_its_join():
    """Two objects of one row below the threshold of a loop: the mend is still the join."""
    books = a_query('SELECT * FROM "library_book"', model="library.Book", rows=2, origin=20)
    query = a_query(operation="lazy", load=a_load(parent=1, parent_query=0))
    finding = check_found(a_trace(books, query, query), "QS201", 2)
    assert finding.mend.write == '.select_related("publisher")'


def test_threshold_is_the_users():
    """Two by default; a number of one's own."""
    trace = a_trace(account(41), account(42))
    check_clean(trace, duplicates_min_statements=3)
