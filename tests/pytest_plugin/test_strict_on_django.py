"""Strict tests on Django: with and without the middleware, through pytest-django's client."""

from __future__ import annotations

import pytest

from queryscope.policy import decisions
from queryscope.pytest_plugin.budget import Block, Reports
from queryscope.pytest_plugin.session import Session
from tests.django.library.models import Book
from tests.pytest_plugin.test_django import books, middleware

__all__ = ["books", "middleware"]


@pytest.fixture
def strict(tmp_path):
    """Make blocks of strict tests in a project without any decision."""
    session = Session(decisions.load(tmp_path), strict=True)
    reports = Reports(tmp_path, tmp_path)
    return lambda: Block({}, reports, test="test_it", name="test_it", kind="test", session=session)


def test_loop_of_a_view_fails(middleware, books, client, strict):
    """The request is nested in the test, or the test's own: its finding fails the test."""
    with pytest.raises(pytest.fail.Exception) as raised, strict():
        client.get("/books/")
    first, cause, shape, remedy, report = str(raised.value).splitlines()
    assert first == "1 open finding of level warning or graver"
    assert "QS101 n-plus-one  6x" in cause
    assert "FROM library_publisher" in shape
    assert '.select_related("publisher")' in remedy
    assert report.startswith("report: ")


def test_innocent_requests_pass(middleware, books, client, strict):
    """One object's page, a joined list, and rows that the test makes in a loop of its own."""
    with strict():
        for book in Book.objects.select_related("publisher"):
            assert book.publisher.name
    with strict():
        for number in range(12):
            Book.objects.create(title=f"new {number}", publisher=books[0].publisher)
    with strict():
        assert Book.objects.get(pk=books[0].pk).publisher.name
