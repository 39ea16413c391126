"""Who answers a request: the user's function or class, found by name and again in its source."""

from __future__ import annotations

from email.message import Message
from functools import partial, wraps
from pathlib import Path

import pytest

from queryscope.trace import endpoint
from queryscope.trace.definitions import queryset_of, shows
from tests.builders import a_trace
from tests.detectors.judging import Source

HERE = str(Path(__file__))


class View:
    """A view of the user's."""

    def get(self):
        """Answer."""

    def __call__(self):
        """Answer."""


class OfLibrary(Message):
    """A class of the user's made from a library's."""


def decorated(function):
    """Wrap a function as libraries do."""

    @wraps(function)
    def wrapper():
        return function()

    return wrapper


@decorated
def view():
    """Answer."""


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (View, "View"),
        (View(), "View"),
        (View().get, "View.get"),
        (view, "view"),
        (partial(partial(view)), "view"),
        (OfLibrary, "OfLibrary"),
    ],
)
def test_users_things_are_named(thing, name):
    """A class, an object, a method, what a decorator wraps: by file and qualified name."""
    assert endpoint.name_of(thing) == f"{HERE}::{__name__}::{name}"


@pytest.mark.parametrize(
    "thing", [Message, Message(), Path.exists, len, None, partial(len), "text"]
)
def test_what_libraries_wrote_has_no_name(thing):
    """A library's generic view is nothing that the user could open."""
    assert endpoint.name_of(thing) == ""


def test_endless_wrappers_end():
    """A function that says it wraps itself is still one function."""

    def mine():
        """Answer."""

    mine.__wrapped__ = mine
    assert endpoint.name_of(mine).endswith("<locals>.mine")


def test_endpoint_is_its_definition():
    """The line is that of ``class`` or ``def``, below the decorators."""

    def at(name, file=HERE):
        trace = a_trace(attributes={"endpoint": f"{file}::{__name__}::{name}"})
        return endpoint.endpoint_of(trace)

    lines = Path(HERE).read_text(encoding="utf-8").splitlines()
    assert lines[at("view").line - 1] == "def view():"
    assert lines[at("View").line - 1] == "class View:"
    assert (at("View.get").function, at("View.get").module) == ("View.get", __name__)
    assert lines[at("test_endless_wrappers_end.<locals>.mine").line - 1] == "    def mine():"
    assert at("gone") is None
    assert at("view", "/gone/views.py") is None
    assert endpoint.endpoint_of(a_trace()) is None
    assert endpoint.endpoint_of(a_trace(attributes={"endpoint": "no place"})) is None


VIEWS = """
class Base:
    queryset = Book.objects.all()

class Inherits(Base):
    pass

class Overrules(Base):
    def get_queryset(self):
        return self.queryset.filter(user=1)

class Another(Base):
    queryset = Genre.objects.all()

class Bare(Library):
    pass

class Shares(Library):
    queryset = BOOKS

class Turning(Turning):
    pass

class Shows(Library):
    model = Book

class ShowsToo(Shows):
    template_name = "books.html"
"""


@pytest.mark.parametrize(
    ("name", "text", "function"),
    [
        ("Base", "Book.objects.all()", "Base"),
        ("Inherits", "Book.objects.all()", "Base"),
        ("Overrules", "def get_queryset(self):", "Overrules.get_queryset"),
        ("Shares", "BOOKS", "Shares"),
        ("Another", None, None),
        ("Bare", None, None),
        ("Turning", None, None),
    ],
)
def test_class_has_what_it_asks_with(tmp_path, name, text, function):
    """The nearest of ``queryset`` and ``get_queryset``, unless it asks another model."""
    source = Source(tmp_path, VIEWS)
    trace = a_trace(attributes={"endpoint": f"{source.path}::library.views::{name}"})
    found = queryset_of(endpoint.endpoint_of(trace), "Book")
    if text is None:
        assert found is None
    else:
        assert found.function == function
        line = source.text.splitlines()[found.line - 1]
        assert text in line
        assert found.end_column in (found.column, found.column + len(text))


@pytest.mark.parametrize(("name", "says"), [("Shows", True), ("ShowsToo", True), ("Base", False)])
def test_class_says_whose_rows_it_shows(tmp_path, name, says):
    """A generic view may have no more than ``model = Book``."""
    source = Source(tmp_path, VIEWS)
    found = endpoint.endpoint_of(
        a_trace(attributes={"endpoint": f"{source.path}::library.views::{name}"})
    )
    assert shows(found, "Book") is says
    assert not shows(found, "Genre")
