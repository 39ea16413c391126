"""What the Django hooks record of each statement."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

from queryscope.trace import guard
from tests.django.conftest import make_books
from tests.django.library.models import Book, Genre, Publisher
from tests.django.recorded import here, recorded


def test_statement_has_text_rows_alias_and_line(books, hooked):
    """A query says what was sent, how many rows came, over which alias, from which line."""
    with recorded(hooked) as run:
        list(Book.objects.filter(title="book 1"))  # the line
    (query,) = run.trace.queries
    assert query.statement.startswith('SELECT "library_book"."id"')
    assert (query.vendor, query.database, query.rows, query.error) == ("sqlite", "default", 1, None)
    assert (query.operation, query.model) == ("iterate", "library.Book")
    assert here(query.origin, "# the line")
    assert query.duration_ns > 0


def test_rows_are_counted_for_every_way_to_fetch(books, hooked):
    """Rows count for querysets, values, aggregates, chunks, raw cursors, and for no row at all."""
    with recorded(hooked) as run:
        list(Book.objects.values_list("pk"))
        Book.objects.count()
        list(Book.objects.iterator(chunk_size=4))
        list(Book.objects.none() | Book.objects.filter(pk=0))
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM library_book")
            cursor.fetchone()
            cursor.fetchmany(2)
            cursor.execute("SELECT id FROM library_book")
            assert len(list(cursor)) == 6
            cursor.execute("UPDATE library_book SET title = 'x'")
    assert [query.rows for query in run.trace.queries] == [6, 1, 6, 0, 3, 6, 6]


def test_failing_statement_is_counted_once_with_its_error(books, hooked):
    """A statement that the database refuses is one query with the error, which passes on."""
    with (
        recorded(hooked) as run,
        pytest.raises(OperationalError, match="no such"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT missing FROM nowhere")
    (query,) = [item for item in run.trace.queries if item.error]
    assert query.error == "django.db.utils.OperationalError: no such table: nowhere"
    assert len(run.queries) == 1


def test_many_parameters_are_one_statement_with_their_number(books, hooked):
    """``executemany`` is one query that knows the size of its batch."""
    with recorded(hooked) as run, connection.cursor() as cursor:
        cursor.executemany("UPDATE library_book SET title = %s", [("a",), ("b",), ("c",)])
    assert [query.many for query in run.trace.queries] == [3]


def test_values_are_digested_and_not_kept(books, hooked):
    """Equal parameters have equal keys, others differ, and no value is in the Trace."""
    with recorded(hooked) as run:
        for title in ("secret one", "secret two", "secret one"):
            Book.objects.filter(title=title).first()
    one, two, three = run.trace.queries
    assert one.parameters_key == three.parameters_key != two.parameters_key
    assert "secret" not in repr(run.trace)


def test_values_are_kept_when_asked(books, hooked):
    """With ``keep_values`` the parameters stand beside the statement."""
    with recorded(hooked, keep_values=True) as run:
        list(Book.objects.filter(title="kept"))
    assert run.trace.queries[0].parameters == ("kept",)


@pytest.mark.django_db(databases=["default", "second"])
def test_second_alias_is_a_connection_and_session_of_its_own(hooked):
    """Statements name their alias; each alias is one session of the Trace."""
    make_books(1)
    make_books(1, "second")
    with recorded(hooked) as run:
        Book.objects.count()
        Book.objects.using("second").count()
        Book.objects.count()
    assert [query.database for query in run.trace.queries] == ["default", "second", "default"]
    assert [session.databases for session in run.trace.sessions] == [("default",), ("second",)]
    assert [query.session for query in run.trace.queries] == [0, 1, 0]


@pytest.mark.django_db(transaction=True)
def test_transactions_have_outcome_savepoints_and_opener(hooked):
    """Each atomic block is a transaction; inner ones are savepoints of it."""
    publisher = Publisher.objects.create(name="p")
    with recorded(hooked) as run:
        with transaction.atomic():  # opened here
            Book.objects.create(title="a", publisher=publisher)
            with transaction.atomic():
                Genre.objects.create(name="g")
        with transaction.atomic():
            Genre.objects.create(name="h")
            transaction.set_rollback(True)
    first, second = run.trace.transactions
    assert (first.outcome, first.savepoints, second.outcome) == ("commit", 1, "rollback")
    assert here(first.opener, "# opened here")
    assert first.ended_ns >= first.started_ns
    inserts = [query for query in run.queries if query.shape.kind == "insert"]
    assert [query.transaction for query in inserts] == [0, 0, 1]
    assert run.trace.statements == 3


def test_copied_connection_counts_as_a_session_on_the_same_database(db, hooked):
    """A helper's own connection is a second session, named after the configured database."""
    copy = connections["default"].copy("helper")
    try:
        with recorded(hooked) as run, copy.cursor() as cursor:
            cursor.execute("SELECT 1 AS one, 2 AS two")
        (session,) = run.trace.sessions
        assert session.databases == ("default",)
    finally:
        BaseDatabaseWrapper.close(copy)  # in memory, its own close() leaves it open
    assert run.trace.queries[0].database == "default"


def test_thread_without_recorder_is_not_recorded(books, hooked):
    """Another thread's statements are not mixed into this Trace."""
    with recorded(hooked) as run:
        thread = threading.Thread(target=lambda: connections["default"].vendor)
        thread.start()
        thread.join()
        Book.objects.count()
    assert len(run.trace.queries) == 1


def test_statements_over_the_cap_are_counted_not_kept(books, hooked):
    """Beyond ``max_queries`` only the number and the time grow."""
    with recorded(hooked, max_queries=2) as run:
        for _ in range(5):
            Book.objects.count()
    assert len(run.trace.queries) == 2
    assert run.trace.statements == 5
    assert run.trace.dropped["queries"] == 3
    assert run.trace.database_ns > sum(query.duration_ns for query in run.trace.queries)


def test_user_wrapper_around_ours_is_popped_and_ours_stays(books, hooked):
    """``with connection.execute_wrapper`` adds and removes the user's wrapper, never ours."""
    seen = []

    def wrapper(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with recorded(hooked) as run:
        with connection.execute_wrapper(wrapper):
            Book.objects.count()
        Book.objects.count()
    assert len(seen) == 1
    assert len(run.trace.queries) == 2


def test_innermost_recorder_takes_the_fact(books, hooked):
    """Nested blocks: each fact is written once, and the inner Trace hangs under the outer."""
    with recorded(hooked) as outer:
        Book.objects.count()
        with recorded(hooked) as inner:
            Genre.objects.count()
        Book.objects.count()
    assert len(inner.trace.queries) == 1
    assert len(outer.trace.queries) == 2
    assert [child.id for child in outer.trace.children] == [inner.trace.id]
    assert sum(trace.statements for trace in outer.trace.subtree()) == 3


def test_no_hook_failed(books, hooked):
    """After a page's worth of work no guard has swallowed anything."""
    guard.clear()
    with recorded(hooked) as run:
        for book in Book.objects.select_related("publisher").prefetch_related("genres", "tags"):
            _ = (book.publisher, list(book.genres.all()), list(book.reviews.all()))
        Book.objects.get_or_create(title="new", defaults={"publisher": book.publisher})
    assert guard.failures() == ()
    assert run.trace.unlabelled == 0
