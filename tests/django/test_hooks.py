"""Installing and uninstalling the Django hooks."""

from __future__ import annotations

import pytest
from django.core.handlers.base import BaseHandler
from django.db import OperationalError, connection
from django.db.backends import utils
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.query import ModelIterable, RawModelIterable
from django.db.models.sql import Query
from django.db.utils import DatabaseErrorWrapper
from django.template.backends.django import Template
from django.template.response import SimpleTemplateResponse

from queryscope.django import connections, hooks
from queryscope.django.labels import sources
from queryscope.trace import codes
from queryscope.trace.patches import uses_only
from tests.django.library.models import Book

PATCHED = [
    BaseDatabaseWrapper,
    BaseHandler,
    ModelIterable,
    Query,
    RawModelIterable,
    SimpleTemplateResponse,
    Template,
]


def state():
    """Return everything that the hooks may touch."""
    return (
        [dict(vars(owner)) for owner in PATCHED],
        list(connection.execute_wrappers),
        {name: value for name, value in vars(connection).items() if "queryscope" in name},
        list(connection_created.receivers),
    )


def test_uninstall_restores_every_patched_object(db):
    """After uninstall each class, connection and signal is as it was before."""
    Book.objects.count()
    before = state()
    hooks.install(full=True)
    Book.objects.count()
    assert state() != before
    hooks.uninstall()
    assert state() == before


def test_install_twice_is_install_once(db):
    """A second install adds nothing; a full one after a light one adds the rest."""
    hooks.install(full=False)
    once = state()
    hooks.install(full=False)
    try:
        assert state() == once
        hooks.install(full=True)
        assert vars(Query)["__init__"] is not once[0][PATCHED.index(Query)]["__init__"]
        assert len([w for w in connection.execute_wrappers if hasattr(w, "queryscope")]) == 1
    finally:
        hooks.uninstall()


def test_frames_are_known_only_while_installed():
    """The code table forgets Django's frames at uninstall."""
    code, _ = next(iter(sources()))
    hooks.install(full=False)
    assert codes.current().kinds.get(id(code)) not in (None, codes.LIBRARY)
    hooks.uninstall()
    assert codes.current().kinds.get(id(code)) in (None, codes.LIBRARY)


def test_every_expected_frame_of_this_django_is_there():
    """Each frame we read has the local names that we read, on the Django installed here."""
    found = {getattr(code, "co_qualname", "") for code, _ in sources()}
    for name in (
        "ForwardManyToOneDescriptor.__get__",
        "ReverseOneToOneDescriptor.__get__",
        "DeferredAttribute.__get__",
        "prefetch_one_level",
        "QuerySet._fetch_all",
        "QuerySet.get",
        "SQLCompiler.execute_sql",
        "Node.render_annotated",
    ):
        assert name in found


def test_queryset_made_before_install_still_works(books):
    """Querysets, pickles and copies made without the hooks are evaluated as ever."""
    import copy
    import pickle

    queryset = Book.objects.order_by("pk")
    hooks.install(full=True)
    try:
        marked = list(Book.objects.order_by("pk"))
        assert pickle.loads(pickle.dumps(marked)) == marked
        assert copy.deepcopy(marked[0]) == marked[0]
        restored = Book.objects.all()
        restored.query = pickle.loads(pickle.dumps(Book.objects.order_by("pk").query))
        assert list(restored) == marked
    finally:
        hooks.uninstall()
    assert list(queryset) == marked
    marked[0].save()
    assert pickle.loads(pickle.dumps(marked[0])).title == marked[0].title


@pytest.fixture
def hooked():
    """Have the hooks in, and no Recorder."""
    hooks.install(full=False)
    yield
    hooks.uninstall()


def test_cursor_that_another_tool_puts_in_stays(db, hooked, monkeypatch):
    """Whoever replaces the class that Django's module names gets his own cursors, as without us."""

    class Theirs(utils.CursorWrapper):
        pass

    with connection.cursor() as cursor:
        assert type(cursor) is connections.CountingCursor
    monkeypatch.setattr(utils, "CursorWrapper", Theirs)
    with connection.cursor() as cursor:
        assert type(cursor) is Theirs


def test_method_that_another_tool_replaced_is_called(db, monkeypatch):
    """What is not Django's own one line is not said in its place."""
    asked = []

    def theirs(self, cursor):
        asked.append(cursor)
        return utils.CursorWrapper(cursor, self)

    monkeypatch.setattr(BaseDatabaseWrapper, "make_cursor", theirs)
    hooks.install(full=False)
    try:
        Book.objects.count()
    finally:
        hooks.uninstall()
    assert len(asked) == 1


def test_this_django_makes_its_cursor_in_one_line(db):
    """So ours is made in its place; entering its wrapper of errors does nothing."""
    assert uses_only(BaseDatabaseWrapper.make_cursor, "utils", "CursorWrapper")
    assert DatabaseErrorWrapper.__enter__(connection.wrap_database_errors) is None
    assert DatabaseErrorWrapper.__enter__.__code__.co_names == ()


@pytest.mark.parametrize("fetch", ["fetchone", "fetchmany", "fetchall"])
def test_error_while_rows_are_fetched_is_djangos(db, hooked, fetch):
    """The driver's error is the cause, and the connection knows that it may be unusable."""
    connection.ensure_connection()

    def third_fails(number):
        if number == 3:
            raise ValueError("no third row")
        return number

    def read_on(cursor):
        for _ in range(3):
            getattr(cursor, fetch)()

    connection.connection.create_function("third_fails", 1, third_fails)
    connection.errors_occurred = False
    with connection.cursor() as cursor:
        cursor.execute("WITH n(v) AS (VALUES (1), (2), (3)) SELECT third_fails(v) FROM n")
        with pytest.raises(OperationalError) as raised:
            read_on(cursor)
    assert isinstance(raised.value.__cause__, connection.Database.OperationalError)
    assert connection.errors_occurred
    connection.errors_occurred = False


def test_closed_cursor_is_closed(db, hooked):
    """Closing ours closes the driver's."""
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    cursor.close()
    with pytest.raises(connection.Database.ProgrammingError):
        cursor.cursor.fetchone()
