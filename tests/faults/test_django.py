"""Django with the middleware and all hooks: the same answers, the same objects, nothing kept."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import pytest
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext, isolate_apps

import queryscope
from queryscope.django import Middleware, hooks
from queryscope.django.connections import INFO
from queryscope.trace import guard
from tests.django.conftest import make_books
from tests.django.library.models import Author, Book, Publisher
from tests.django.recorded import recorded
from tests.faults import views
from tests.faults.child import finished
from tests.faults.serving import served

ROUTE = "queryscope.django.Middleware"
DEVELOPMENT = {"mode": "development", "console": False, "store": False}
PATHS = [
    "count", "asynchronous", "object", "file", "stream", "broken-stream", "timing",
    "not-modified", "late", "broken", "cursor", "own-close", "missing",
]  # fmt: skip

pytestmark = pytest.mark.django_db(transaction=False)


@pytest.fixture
def project(settings):
    """Use this folder's routes; return a function that makes a handler with middlewares."""
    make_books()
    settings.ROOT_URLCONF = "tests.faults.views"
    settings.QUERYSCOPE = DEVELOPMENT
    settings.ALLOWED_HOSTS = ["*"]

    def handler(*middlewares):
        settings.MIDDLEWARE = list(middlewares)
        return WSGIHandler()

    return handler


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", PATHS)
def test_client_gets_the_same_bytes(project, traces, path, method):
    """Status, headers and body are as they are without us, byte for byte."""
    bare = served(project(), f"/{path}/", method)
    profiled = served(project(ROUTE), f"/{path}/", method)
    assert profiled.has_ours
    assert profiled.bytes == bare.bytes
    assert profiled.files == bare.files
    assert guard.failures() == ()
    (trace,) = traces()
    assert trace.attributes["path"] == f"/{path}/"


def test_timing_of_the_application_stays(project):
    """A Server-Timing that the application sends is sent, and ours after it."""
    project(ROUTE)
    value = Client().get("/timing/").headers["Server-Timing"]
    assert value.startswith("own;dur=1, total;dur=")


def test_async_view_is_awaited_and_recorded(project, traces):
    """An async view under WSGI is awaited, and its statement is the request's."""
    answer = served(project(ROUTE), "/asynchronous/")
    assert answer.body == b'{"books": 6}'
    (trace,) = traces()
    assert trace.statements == 1
    assert "view" in [stage.kind for stage in trace.stages]


def test_broken_stream_is_in_the_trace(project, traces):
    """A stream that raises is closed by the server as any; the Trace says what happened."""
    served(project(ROUTE), "/broken-stream/")
    (trace,) = traces()
    assert (trace.error, trace.statements) == ("RuntimeError: broken stream", 1)


def test_error_in_a_later_middleware_is_answered_by_django(project, traces):
    """Django's answer to a middleware that raises is the client's, and the Trace has its status."""
    raises = "tests.faults.views.Raises"
    profiled = served(project(ROUTE, raises), "/count/")
    assert profiled.bytes == served(project(raises), "/count/").bytes
    assert traces()[0].attributes["status"] == "500"
    outside = served(project(raises, ROUTE), "/count/")
    assert outside.bytes == profiled.bytes


@pytest.mark.parametrize("order", [1, -1])
def test_response_in_a_cache_is_pickled_without_us(project, order):
    """A cache in front of us or behind pickles responses; what it gives back works without us."""
    keeps = "tests.faults.views.KeepsPickles"
    handler = project(*[ROUTE, keeps][::order])
    assert served(handler, "/count/").body == b'{"books": 6}'
    kept = pickle.dumps(cache.get("response"))
    cache.clear()
    assert b"queryscope" not in kept.replace(b"x-queryscope-trace", b"").replace(
        b"X-Queryscope-Trace", b""
    )
    response = pickle.loads(kept)
    response.close()
    assert response.closed


def test_close_of_the_application_is_called(project):
    """A response whose ``close`` the application has replaced is closed by it, once."""
    views.closed.clear()
    served(project(ROUTE), "/own-close/")
    assert views.closed == ["own"]


def test_response_that_is_none_of_djangos_is_passed_on(project, traces):
    """What an inner middleware returns comes out as it is, and the Trace ends."""
    middleware = Middleware(lambda _: 42)
    assert middleware(RequestFactory().get("/")) == 42
    assert len(traces()) == 1
    assert guard.failures() != ()


def test_response_is_free_without_a_collector(project):
    """A closed response is garbage at once, as without us."""
    gone = []

    class Response(HttpResponse):
        pass

    def view(request):
        response = Response("x")
        gone.append(weakref.ref(response))
        return response

    middleware = Middleware(view)
    gc.disable()
    try:
        middleware(RequestFactory().get("/")).close()
        assert gone[0]() is None
    finally:
        gc.enable()


def test_connection_keeps_no_recorder(project):
    """A persistent connection does not keep the Trace that used it last."""
    with recorded():
        hooks.install(full=True)
        Book.objects.count()
    info = vars(connections["default"])[INFO]
    reachable = gc.get_referents(info)
    for item in list(reachable):
        reachable.extend(gc.get_referents(item))
    for item in list(reachable):
        reachable.extend(gc.get_referents(item))
    assert "Recorder" not in {type(item).__name__ for item in reachable}


def test_nested_traces_share_no_session_twice(project):
    """A connection used inside and outside a nested Trace is one session in each."""
    hooks.install(full=False)
    with recorded() as outer:
        Book.objects.count()
        for _ in range(3):
            with recorded():
                Book.objects.count()
            Book.objects.count()
    assert len(outer.trace.sessions) == 1
    assert [len(child.sessions) for child in outer.trace.children] == [1, 1, 1]


def test_instances_are_free_as_soon_as_they_are_dropped(project):
    """Nothing of ours holds a model instance, recording or not, fully or not."""
    for full in (False, True):
        hooks.install(full=full)
        gc.disable()
        try:
            with recorded("full" if full else "light"):
                books = list(Book.objects.select_related("publisher").prefetch_related("genres"))
                books[0].refresh_from_db()
                books[0].save()
                books[1].reviews.count()
                _ = books[2].editor.name
                gone = [weakref.ref(book) for book in books]
                books[0].genres.add(books[0].genres.all()[0])
                del books
                gc.collect()  # a prefetched relation and its owner point at one another
                assert [item() for item in gone] == [None] * 6
                book = Book.objects.select_related("publisher").get(title="book 1")
                _ = book.editor.name
                book.reviews.count()
                book.save()
                gone = [weakref.ref(item) for item in (book, book.publisher, book.editor)]
                del book
                assert [item() for item in gone] == [None] * 3
        finally:
            gc.enable()


def test_instances_and_querysets_pickle_and_copy(project):
    """Pickles and copies made while recording are loaded after uninstall, and work."""
    hooks.install(full=True)
    with recorded():
        book = Book.objects.select_related("publisher").get(title="book 0")
        queryset = Book.objects.filter(pk=book.pk).prefetch_related("genres")
        kept = pickle.dumps([book, queryset, copy.deepcopy(book), queryset.query])
        copied = copy.deepcopy(queryset)
    hooks.uninstall()
    assert b"queryscope." not in kept
    loaded, rows, deep, query = pickle.loads(kept)
    assert loaded == book == deep == rows[0] == copied.get()
    assert loaded.publisher.name == book.publisher.name
    assert str(query) == str(queryset.query)
    loaded.save()
    loaded.refresh_from_db()


def test_assertions_about_queries_count_the_same(project, django_assert_num_queries):
    """Django's own ways to look at statements see what they see without us."""

    def ask():
        list(Book.objects.all())
        Book.objects.filter(pk=1).update(title="x")
        with transaction.atomic():
            Author.objects.create(name="new")

    with CaptureQueriesContext(connection) as bare:
        ask()
    hooks.install(full=True)
    with recorded(), CaptureQueriesContext(connection) as profiled:
        ask()
    with recorded(), django_assert_num_queries(len(bare)):
        ask()

    def shapes(captured):
        return [query["sql"].partition(" WHERE")[0] for query in captured]

    assert shapes(profiled)[:2] == shapes(bare)[:2]
    assert len(profiled) == len(bare)


def test_execute_wrappers_of_the_user_stay_theirs(project):
    """A user's wrapper is called once a statement and taken off, also where we come in between."""
    seen = []

    def wrapper(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        hooks.install(full=False)
        with recorded():
            Book.objects.count()
        hooks.uninstall()
        Book.objects.count()
    Book.objects.count()
    assert len(seen) == 2
    assert connection.execute_wrappers == []


def test_wrapper_that_refuses_statements_refuses(project):
    """A user's wrapper that raises raises through us, as itself."""

    def refuse(*_):
        raise ZeroDivisionError("no statements here")

    hooks.install(full=False)
    with recorded() as run, connection.execute_wrapper(refuse), pytest.raises(ZeroDivisionError):
        Book.objects.count()
    assert run.trace.queries[0].error == "ZeroDivisionError: no statements here"


def test_cursors_of_another_library_stay_theirs(project, monkeypatch):
    """Where somebody has replaced ``make_cursor``, their cursors are made."""

    class Theirs(CursorWrapper):
        pass

    monkeypatch.setattr(
        BaseDatabaseWrapper, "make_cursor", lambda self, cursor: Theirs(cursor, self)
    )
    hooks.install(full=False)
    with recorded() as run, connection.cursor() as cursor:
        assert type(cursor) is Theirs
        cursor.execute("SELECT 1")
    assert len(run.trace.queries) == 1


def test_copied_connections_make_no_others(project):
    """To name a copied connection we do not make connection objects of all the aliases."""
    made = []

    def work():
        before = len(connections.all(initialized_only=True))
        other = connections["default"].copy("elsewhere")
        hooks.install(full=False)
        with recorded():
            other.ensure_connection()
        BaseDatabaseWrapper.close(other)  # SQLite's own leaves a database in memory open
        made.append(len(connections.all(initialized_only=True)) - before)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert made == [1]


def test_uninstall_reaches_the_connections_of_other_threads(project):
    """Uninstalled from one thread, no connection object of another one carries us."""
    ready, go, seen = threading.Event(), threading.Event(), []

    def work():
        connection.ensure_connection()
        seen.append(len(connection.execute_wrappers))
        ready.set()
        go.wait(10)
        seen.append(len(connection.execute_wrappers))
        seen.append(INFO in vars(connections["default"]))
        # SQLite's own ``close`` leaves a database in memory open
        BaseDatabaseWrapper.close(connections["default"])

    hooks.install(full=False)
    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(10)
    hooks.uninstall()
    go.set()
    thread.join()
    assert seen == [1, 0, False]


@isolate_apps("tests.django.library")
def test_models_with_ways_of_their_own_are_loaded(project):
    """Overridden ``from_db`` and ``__getattr__`` see what they would see without us."""

    class Strange(models.Model):
        name = models.CharField(max_length=50)

        class Meta:
            app_label = "library"
            db_table = "library_author"
            managed = False

        @classmethod
        def from_db(cls, db, field_names, values, **_):
            return {"values": values}  # no instance at all

        def __getattr__(self, name):
            raise RuntimeError(f"nobody may ask for {name}")

    class Asked(models.Model):
        name = models.CharField(max_length=50)

        class Meta:
            app_label = "library"
            db_table = "library_author"
            managed = False

        def __getattr__(self, name):
            raise KeyError(f"nobody may ask for {name}")

    hooks.install(full=True)
    with recorded():
        assert [row["values"][1] for row in Strange.objects.all()] == ["Ada"]
        assert [row.name for row in Asked.objects.all()] == ["Ada"]
        Asked.objects.get().save()


def test_debug_toolbar_and_we_see_the_same():
    """The toolbar's panel wraps cursors, too: in either order both count each statement once."""
    assert finished(TOOLBAR) == "toolbar 2, ours 2 [6, 6]\n" * 2


TOOLBAR = """
from tests.faults.child import django_project

django_project(
    INSTALLED_APPS=[*django_project.APPS, "debug_toolbar"],
    STATIC_URL="/static/",
    DEBUG_TOOLBAR_PANELS=["debug_toolbar.panels.sql.SQLPanel"],
)
from debug_toolbar.panels.sql.tracking import wrap_cursor
from django.db import connection
from queryscope.django import hooks
from tests.django.library.models import Book
from tests.django.recorded import recorded


class Logger:
    def __init__(self):
        self.count = 0

    def record(self, **kwargs):
        self.count += 1

    def new_transaction_id(self, alias):
        return "id"

    current_transaction_id = new_transaction_id


for steps in ((hooks.install, wrap_cursor), (wrap_cursor, hooks.install)):
    for step in steps:
        step(connection) if step is wrap_cursor else step(full=True)
    connection._djdt_logger = Logger()
    with recorded() as run:
        list(Book.objects.order_by("pk"))
        list(Book.objects.iterator(chunk_size=2))
    rows = [query.rows for query in run.trace.queries]
    print(f"toolbar {connection._djdt_logger.count}, ours {len(run.trace.queries)} {rows}")
    connection._djdt_logger = None
    hooks.uninstall()
"""


def test_public_uninstall_leaves_the_middleware_answering(project):
    """After ``uninstall()`` a process that still has the middleware answers as before."""
    handler = project(ROUTE)
    bare = served(project(), "/count/").bytes
    assert served(handler, "/count/").bytes == bare
    queryscope.uninstall()
    assert served(handler, "/count/").bytes == bare
    assert Publisher.objects.count() == 3
