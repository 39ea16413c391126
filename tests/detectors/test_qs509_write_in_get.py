"""QS509: safe requests that write, and the writes that belong to reading a page."""

from __future__ import annotations

import pytest

from queryscope.trace.events import NOWHERE
from tests.builders import a_node, a_query, a_trace, a_transaction, an_origin
from tests.detectors.judging import said

COUNT = 'UPDATE "library_book" SET "views" = ("library_book"."views" + %s) WHERE "id" = %s'


def page(*queries, method="GET", **facts):
    """Return the Trace of a request."""
    return a_trace(*queries, attributes={"method": method, "path": "/books/1/"}, **facts)


def found(*queries, **facts):
    """Return what QS509 says about a request with these statements."""
    return said(page(*queries, **facts), "QS509")


# -- innocent --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post"])
def test_unsafe_method_may_write(method):
    """That is what it is for."""
    assert found(a_query(COUNT), method=method) == []


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE "django_session" SET "session_data" = %s WHERE "session_key" = %s',
        "INSERT INTO `django_session` (`session_key`) VALUES (%s)",
        'UPDATE "auth_user" SET "last_login" = %s WHERE "auth_user"."id" = %s',
        "UPDATE `accounts_user` SET `last_seen_at` = %s WHERE `id` = %s",
        "UPDATE account SET last_used=?, last_ip=? WHERE account.id = ?",
        'UPDATE "oauth_token" SET "last_used_at" = NOW() WHERE "id" = $1',
        'INSERT INTO "django_admin_log" ("user_id") VALUES (%s)',
        "INSERT INTO auditlog_logentry (action) VALUES (%s)",
        'INSERT INTO "shop_page_visit" ("page_id") VALUES (%s)',
        'INSERT INTO "public"."access_log" ("path") VALUES (%s)',
        'DELETE FROM "my_cache_table" WHERE "expires" < %s',
    ],
)
def test_bookkeeping_is_clean(statement):
    """Sessions, log-ins, logs, visits and caches are noted while a page is read."""
    assert found(a_query(statement)) == []


def test_class_that_is_called_a_log_is_clean():
    """The table of SQLAlchemy's class may be called anything."""
    assert found(a_query("INSERT INTO t_17 (a) VALUES (?)", model="AccessLog")) == []


def test_middleware_without_a_line_of_the_users_is_clean():
    """What a library does by itself nobody can mend here."""
    assert found(a_query(COUNT, origin=NOWHERE)) == []


def test_reads_and_row_locks_are_clean():
    """A lock changes nothing; neither do savepoints, settings and temporary tables."""
    statements = [
        'SELECT "id" FROM "library_book" WHERE "id" = %s FOR UPDATE',
        "SAVEPOINT s1",
        "SET TIME ZONE 'UTC'",
        "PRAGMA foreign_keys = ON",
        "INSERT INTO temp_keys (id) VALUES (%s)",
        "CREATE TEMPORARY TABLE found (id integer)",
    ]
    assert found(*map(a_query, statements)) == []


@pytest.mark.parametrize("outcome", ["rollback", "closed", "open"])
def test_write_that_was_undone_is_clean(outcome):
    """A transaction that was not committed has written nothing."""
    transactions = [a_transaction(outcome=outcome)]
    assert found(a_query(COUNT, transaction=0), transactions=transactions) == []


def test_write_that_failed_or_found_no_row_is_clean():
    """Nothing has changed."""
    assert found(a_query(COUNT, error="IntegrityError"), a_query(COUNT, rows=0)) == []


@pytest.mark.parametrize("kind", ["task", "script", "test", "block"])
def test_what_is_no_request_is_clean(kind):
    """Only requests have a method; a task that was handed its attributes is none."""
    assert found(a_query(COUNT), kind=kind) == []


# -- dirty -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        COUNT,
        "UPDATE `library_book` SET `views` = (`library_book`.`views` + %s) WHERE `id` = %s",
        "UPDATE library_book SET views=(library_book.views + ?) WHERE library_book.id = ?",
        'INSERT INTO "library_book" ("title") VALUES (%s) RETURNING "library_book"."id"',
        "DELETE FROM [library_book] WHERE [id] = ?",
    ],
)
def test_write_in_get_is_found(statement):
    """Each database's quoting; the table and the line are named."""
    vendor = "mysql" if "`" in statement else "sqlite" if "[" in statement else "postgresql"
    (finding,) = found(a_query(statement, vendor=vendor))
    assert finding.subject == "library_book"
    assert (finding.severity, finding.count) == ("warning", 1)
    assert finding.message == ("A GET request writes library_book, once, at library/views.py:41.")
    assert finding.mend.at.line == 41


def test_each_line_is_one_finding():
    """A loop is one line; another line is another finding."""
    queries = [*(a_query(COUNT, origin=7) for _ in range(3)), a_query(COUNT, origin=9)]
    assert [item.count for item in found(*queries, method="HEAD")] == [3, 1]


def test_write_from_a_template_is_found():
    """A tag that writes is named by the tag."""
    (finding,) = found(a_query(COUNT, origin=an_origin(a_node(12), 41)))
    assert finding.message.endswith("at library/book_list.html:12.")


def test_committed_write_is_found():
    """A transaction does not excuse it, nor does a column that is set with the last log-in."""
    statement = 'UPDATE "auth_user" SET "last_login" = %s, "name" = %s WHERE "id" = %s'
    (finding,) = found(a_query(statement, transaction=0), transactions=[a_transaction()])
    assert finding.subject == "auth_user"


def test_threshold_is_per_line():
    """A project that counts views in its pages may allow a few."""
    trace = page(a_query(COUNT), a_query(COUNT))
    assert said(trace, "QS509", write_in_get_min_writes=3) == []
    assert len(said(trace, "QS509", write_in_get_min_writes=2)) == 1
