"""Budgets on Django: with and without the middleware, sessions, templates, streams."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import RequestFactory

from queryscope import profile
from tests.django import views
from tests.django.conftest import make_books
from tests.django.library.models import Book, Genre

MIDDLEWARE = ["queryscope.django.Middleware"]


@pytest.fixture
def books(db):
    """Six books with every relation filled."""
    return make_books()


@pytest.fixture(params=[[], MIDDLEWARE], ids=["bare", "middleware"])
def middleware(request, settings):
    """Run a test twice: without our middleware, and with it."""
    settings.MIDDLEWARE = request.param


def failure(block, work):
    """Return the text of the failure of a budget on some work."""
    with pytest.raises(pytest.fail.Exception) as raised, block:
        work()
    return re.sub(r"[\d.]+ ms", "N ms", str(raised.value))


def line_of(mark):
    """Return the number of the line of the views that has a mark."""
    with open(views.__file__, encoding="utf-8") as file:  # noqa: PTH123 - one line, one place
        return next(number for number, line in enumerate(file, 1) if mark in line)


def test_request_is_in_the_budget(middleware, books, client, budget):
    """A client's request counts in the block around it, with the middleware and without."""
    with budget(queries=7, sessions=1, n_plus_one=1, connections_held=0, rows=12):
        client.get("/books/")
    text = failure(budget(queries=6), lambda: client.get("/books/"))
    assert text.startswith("7 queries, budget 6 (1 over)\n  QS101 n-plus-one  6x  ")


def test_failure_names_line_and_remedy(middleware, books, client, budget):
    """The view's loop is named with its line, its statement, and what to write where."""
    text = failure(budget(queries=5, n_plus_one=0), lambda: client.get("/books/"))
    loop, mend = line_of("# the loop"), line_of("# mend the loop here")
    here = re.escape(views.__file__)
    assert re.fullmatch(
        "7 queries, budget 5 \\(2 over\\); 1 N\\+1 finding, budget 0 \\(1 over\\)\n"
        f"  QS101 n-plus-one  6x  {here}:{loop} in book_list  N ms\n"
        "        SELECT … FROM library_publisher WHERE library_publisher.id = \\? LIMIT \\?\n"
        f'        try: \\.select_related\\("publisher"\\)  at {here}:{mend}\n'
        f"  other             1x  {here}:{loop} in book_list  N ms\n"
        "        SELECT … FROM library_book ORDER BY library_book.id ASC\n"
        "report: .queryscope/test_it.html",
        text,
    ), text


def test_template_tag_is_named(books, client, budget):
    """A loop in a template is named by the template's line and tag."""
    text = failure(budget(n_plus_one=0), lambda: client.get("/page/"))
    assert re.search(
        r"QS101 n-plus-one +6x +<unknown source>:1 in \{book\.publisher\.name\} +N ms", text
    ), text


def test_streamed_response_counts(middleware, books, client, budget):
    """What a view sends while it streams counts, when the client reads inside the block."""
    with budget(queries=7, sessions=1):
        b"".join(client.get("/stream/"))
    text = failure(budget(queries=0), lambda: b"".join(client.get("/stream/")))
    assert text.startswith("7 queries, budget 0 (7 over)\n")


def test_unclosed_response_counts(books, settings, budget):
    """A response that nobody closes, as of a request factory, does not hide its statements."""
    from queryscope.django import Middleware

    handler = Middleware(views.book_list)
    request = RequestFactory().get("/books/")
    text = failure(budget(queries=0), lambda: handler(request))
    assert text.startswith("7 queries, budget 0 (7 over)\n")


def test_broken_view_passes_its_exception(middleware, books, client, budget):
    """The view's own exception is the failure, not the budget."""
    with pytest.raises(RuntimeError, match="the view is broken"), budget(queries=0):
        client.get("/broken/")


def test_one_connection_is_one_session(middleware, books, client, budget):
    """Block, request and a profiled block on one connection use one session, two aliases two."""
    with budget(sessions=1, queries=19):
        Genre.objects.count()
        client.get("/books/")
        with profile("inner"):
            Genre.objects.count()
            Genre.objects.exists()
        client.get(f"/books/{books[0].pk}/")
        Genre.objects.count()


@pytest.mark.django_db(databases=["default", "second"])
def test_second_alias_is_a_second_session(budget):
    """Each connection in use is a session, and the message says which line began to use it."""

    def work():
        Genre.objects.count()
        Genre.objects.using("second").count()

    text = failure(budget(sessions=1), work)
    assert re.search(r"\n  session  1x  \S+:\d+ in test_second\S+work  N ms\n  session  1x", text)


def test_second_connection_is_a_session(db, budget):
    """A copied connection that a helper opens is a session of its own."""

    def work():
        Genre.objects.count()
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute("SELECT 1")
        BaseDatabaseWrapper.close(other)  # in memory, its own close() leaves it open

    assert failure(budget(sessions=1), work).startswith("2 sessions, budget 1 (1 over)\n")


def test_user_wrapper_still_runs(books, budget):
    """A wrapper of the user's around the block sees its statements, and is gone after it."""
    seen = []

    def wrapper(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper), budget(queries=1):
        Book.objects.count()
    Book.objects.count()
    assert len(seen) == 1


def test_settings_are_in_force(settings, db, budget):
    """``settings.QUERYSCOPE`` counts without the middleware; a wrong one is a usage error."""
    settings.QUERYSCOPE = {"max_queries": 2}
    text = failure(budget(queries=1), lambda: [Genre.objects.count() for _ in range(3)])
    assert text.startswith("3 queries, budget 1 (2 over)\n")
    assert "\n  counted only, over the cap of a Trace: 1 statement\n" in text
    settings.QUERYSCOPE = {"max_querys": 2}
    with pytest.raises(pytest.UsageError, match=r"'max_querys'\. Did you mean 'max_queries'"):
        budget(queries=1).__enter__()


def test_disabled_recording_still_counts(settings, db, budget):
    """With recording switched off, as in production settings, a budget is judged all the same."""
    settings.QUERYSCOPE = {"enabled": False}
    assert failure(budget(queries=0), Genre.objects.count).startswith("1 query, budget 0")
