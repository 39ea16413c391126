"""Django under ASGI and its async ORM: the facts of the sync side, and the user's async lines."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import pytest
from asgiref.sync import AsyncToSync, SyncToAsync, async_to_sync, iscoroutinefunction, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

import queryscope
from queryscope import runtime
from queryscope.django import Middleware, hooks
from queryscope.trace import guard
from queryscope.trace.walk import CAUSE
from tests.asgi.caller import call, scope_of
from tests.django.conftest import make_books
from tests.django.library.models import Book, Genre, Publisher
from tests.django.recorded import here, recorded

ROUTE = "queryscope.django.Middleware"


def close_all(**_):
    """Close the connections of this thread; in memory, Django keeps them open.

    Those of the main thread keep the database alive.
    """
    if threading.current_thread() is threading.main_thread():
        return
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            BaseDatabaseWrapper.close(connection)


@pytest.fixture
def library(transactional_db):
    """Six books that every thread can see."""
    return make_books()


@pytest.fixture
def app(settings, library, tmp_path, monkeypatch):
    """The test project as an ASGI application with the middleware, in development."""
    monkeypatch.chdir(tmp_path)
    settings.ROOT_URLCONF = "tests.django.async_views"
    settings.MIDDLEWARE = [ROUTE]
    settings.QUERYSCOPE = {"mode": "development", "console": False, "store": False}
    guard.clear()
    request_finished.connect(close_all, dispatch_uid="tests")
    yield ASGIHandler()
    request_finished.disconnect(dispatch_uid="tests")
    hooks.uninstall()
    runtime.reset()
    assert guard.failures() == ()


@pytest.fixture
def asked(hooked, library):
    """Give what runs a coroutine function in a loop, recorded, and returns the Recorded."""

    def run(main):
        async def closing():
            try:
                return await main()
            finally:
                await sync_to_async(close_all)()

        with recorded(hooked) as result:
            asyncio.run(closing())
        return result

    return run


def judged():
    """Return what was recorded so far, judged, the oldest first."""
    found = runtime.get()
    assert found.flush()
    return list(reversed(found.ring.newest(100)))


def get(app, path, **more):
    """Make one request in an event loop of its own; return its answer and its Trace."""
    answer = asyncio.run(call(app, path, **more))
    return answer, judged()[-1].trace


def stages(trace):
    """Return (name, statements) of each stage."""
    return [(stage.name, stage.queries) for stage in trace.stages]


# -- requests ------------------------------------------------------------------------------------


def test_request_is_one_trace_with_its_route(app):
    """An async request's Trace has route, status, headers and its statements in the view."""
    answer, trace = get(app, "/loop/")
    assert (answer.status, trace.name) == (200, "GET /loop/")
    assert trace.attributes["status"] == "200"
    assert answer.headers["X-Queryscope-Trace"] == trace.id
    assert stages(trace) == [("middleware", 0), ("view", 7)]
    assert len(judged()) == 1


def test_finding_is_that_of_the_sync_view(app):
    """A loop in an async view is the sync view's finding, at the async line."""
    get(app, "/loop/")
    get(app, "/sync/")
    (found,), (twin,) = (item.findings for item in judged())
    assert (found.code, found.count, found.mend.write) == (twin.code, twin.count, twin.mend.write)
    assert (found.code, found.count) == ("QS101", 6)
    assert here(found.origin, "# async loop")
    assert here(twin.origin, "# the loop")


def test_sync_view_is_recorded_as_under_wsgi(app):
    """A sync view has the same statements, labels, lines and stages under ASGI and WSGI."""

    def facts(trace):
        return (
            [(q.statement, q.operation, q.rows, q.stage, q.origin) for q in trace.queries],
            [q.load and (q.load.attribute, q.load.parent) for q in trace.queries],
            stages(trace),
            len(trace.sessions),
        )

    _, trace = get(app, "/sync/")
    Client().get("/sync/")
    _, twin = judged()
    assert facts(trace) == facts(twin.trace)


def test_helper_in_a_thread_comes_first(app):
    """Where the user's sync code runs the statement its line comes first, then who awaits it."""
    _, trace = get(app, "/helper/")
    steps = trace.queries[-1].origin.steps
    assert here(trace.queries[-1].origin, "# in the helper")
    assert steps[0].function.endswith(".name_of")
    assert steps[-1].function == "helper_loop"
    assert len({query.origin for query in trace.queries[1:]}) == 1


def test_gather_names_who_gathers(app):
    """Coroutines of the ORM in ``gather`` have the gathering line, ours have theirs first."""
    _, trace = get(app, "/gathered/")
    by_model = {query.model: query.origin for query in trace.queries}
    assert here(by_model["library.Book"], "# gather")
    assert here(by_model["library.Genre"], "# ours")


def test_sync_view_that_goes_back_and_forth(app):
    """Through both bridges the chain has the coroutine's line, then the sync line around it."""
    _, trace = get(app, "/between/")
    (query,) = trace.queries
    assert here(query.origin, "# inner coroutine")
    assert query.origin.steps[1].function == "in_between"


def test_template_is_rendered_in_its_stage(app):
    """A lazy template response renders in a thread, in the request's Trace, at its tags."""
    _, trace = get(app, "/page/")
    assert trace.stages[-1].kind == "render"
    assert trace.statements == 7
    assert trace.queries[-1].origin.first.source == "book.publisher.name"


def test_view_that_raises_is_one_trace_with_its_error(app):
    """An async view's exception is noted and answered by Django as ever."""
    answer, trace = get(app, "/broken/")
    assert answer.status == 500
    assert (trace.error, trace.statements) == ("RuntimeError: the view is broken", 1)


def test_stream_belongs_to_its_request(app):
    """Statements of an async stream are the request's, at the lines of the stream."""
    answer, trace = get(app, "/stream/")
    assert len(answer.body.splitlines()) == 6
    assert stages(trace)[-1] == ("response iteration", 7)
    assert here(trace.queries[-1].origin, "# in the stream")


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous:Warning")
def test_sync_stream_under_asgi_belongs_to_its_request(app):
    """A sync stream, which Django reads in a thread, is the request's, too."""
    _, trace = get(app, "/sync/stream/")
    assert stages(trace)[-1] == ("response iteration", 7)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_stream_that_raises_ends_its_trace(app):
    """The stream's error is the server's to handle; Django closes nothing, the Trace ends."""
    with pytest.raises(RuntimeError, match="the stream is broken"):
        asyncio.run(call(app, "/stream/broken/"))
    gc.collect()  # Django leaves the request's body and its connection open
    (item,) = judged()
    assert (item.trace.error, item.trace.statements) == ("RuntimeError: the stream is broken", 1)


def test_client_that_leaves_a_stream_ends_its_trace(app):
    """When the client goes away Django cancels the stream: the Trace has what was asked."""
    _, trace = get(app, "/stream/endless/", leave_after=4)
    assert trace.error == "asyncio.exceptions.CancelledError"
    assert 1 <= trace.statements <= 5


def test_client_that_leaves_a_view_ends_its_trace(app):
    """A view that Django cancels because its client is gone is one Trace that says so."""

    async def main():
        asked = asyncio.Event()
        gone = asyncio.Event()
        parts = [{"type": "http.request", "body": b""}]

        async def receive():
            if parts:
                return parts.pop()
            await asked.wait()
            gone.set()
            return {"type": "http.disconnect"}

        async def send(message):
            raise AssertionError(message)

        await app(scope_of("/slow/", asked=asked), receive, send)
        assert gone.is_set()

    asyncio.run(main())
    (item,) = judged()
    assert item.trace.statements == 1
    assert item.trace.error.startswith("asyncio.exceptions.CancelledError")


def test_concurrent_requests_do_not_mix(app):
    """Requests in one loop: each Trace has its own statements, sessions and answer."""

    async def main():
        return await asyncio.gather(*(call(app, f"/numbered/{n}/") for n in range(8)))

    answers = asyncio.run(main())
    found = {item.trace.attributes["path"]: item.trace for item in judged()}
    assert len(found) == 8
    for number, answer in enumerate(answers):
        trace = found[f"/numbered/{number}/"]
        assert answer.headers["X-Queryscope-Trace"] == trace.id
        assert trace.statements == number
        assert len({query.parameters_key for query in trace.queries}) <= 1
        assert len(trace.sessions) == min(number, 1)


def test_sync_middleware_in_between_changes_nothing(app, settings):
    """With a middleware of the user's that knows no coroutines, the Trace is still one."""
    settings.MIDDLEWARE = [ROUTE, "tests.django.async_views.sync_middleware"]
    _, trace = get(ASGIHandler(), "/loop/")
    assert trace.statements == 8
    assert here(trace.queries[0].origin, "# in the middleware")
    assert here(trace.queries[-1].origin, "# async loop")


def test_viewer_answers_under_asgi(app):
    """The viewer's list is served by the async middleware, to local clients only."""
    _, trace = get(app, "/loop/")
    listing = asyncio.run(call(app, "/__queryscope__/"))
    assert trace.id in listing.body.decode()
    foreign = asyncio.run(call(app, "/__queryscope__/", client=("192.0.2.1", 5)))
    assert foreign.status == 403


def test_middleware_is_what_its_handler_is(settings):
    """The middleware is a coroutine function exactly where what it wraps is one."""
    settings.QUERYSCOPE = {"enabled": False}

    async def asynchronous(request):
        return request

    try:
        assert iscoroutinefunction(Middleware(asynchronous))
        assert not iscoroutinefunction(Middleware(lambda request: request))
    finally:
        runtime.reset()


# -- the async ORM -------------------------------------------------------------------------------


def test_async_verbs_have_their_labels_and_lines(asked):
    """Every async verb of a queryset and a model has its sync label and the awaiting line."""

    async def main():
        book = await Book.objects.aget(title="book 1")  # get
        await Book.objects.acount()  # count
        await Book.objects.afirst()  # first
        await Book.objects.aexists()  # exists
        async for _ in Book.objects.all():  # iterate
            pass
        async for _ in Book.objects.all().aiterator():  # iterator
            pass
        [title async for title in Book.objects.values_list("title", flat=True)]  # values
        book.title = "other"
        await book.asave()  # save
        await book.arefresh_from_db()  # refresh
        await Genre.objects.acreate(name="new")  # create
        await Genre.objects.filter(name="new").adelete()  # delete
        await book.genres.acount()  # related

    result = asked(main)
    operations, lines = [], []
    for query in result.queries:
        source = Path(query.origin.frame.file).read_text(encoding="utf-8")
        line = source.splitlines()[query.origin.frame.line - 1]
        if not lines or lines[-1] != line.rpartition("# ")[2]:
            lines.append(line.rpartition("# ")[2])
            operations.append(query.operation)
    assert lines == [
        "get", "count", "first", "exists", "iterate", "iterator", "values", "save", "refresh",
        "create", "delete", "related",
    ]  # fmt: skip
    assert operations == [
        "get", "count", "first", "exists", "iterate", "iterate", "values", "save", "refresh",
        "create", "delete", "count",
    ]  # fmt: skip
    assert result.queries[-1].load.attribute == "genres"
    assert result.trace.unlabelled == 0


def test_statement_of_two_lines_has_two_origins(asked):
    """The same statement awaited on two lines, and twice through a helper, is four places."""

    async def helper():
        return await Genre.objects.acount()  # in the helper

    async def main():
        await Genre.objects.acount()  # one
        await Genre.objects.acount()  # two
        await helper()
        await helper()

    origins = [query.origin for query in asked(main).queries]
    assert len(set(origins)) == 4
    assert here(origins[0], "# one")
    assert here(origins[1], "# two")
    assert here(origins[2], "# in the helper")


def test_prefetch_and_creation_are_known(asked):
    """Batches under the async ORM are batches, and full recording knows where rows come from."""

    async def main():
        books = [book async for book in Book.objects.prefetch_related("genres").order_by("pk")]
        await sync_to_async(lambda: books[0].publisher)()

    result = asked(main)
    assert [query.operation for query in result.queries] == ["iterate", "prefetch", "lazy"]
    assert result.queries[1].load.parents == 6
    if result.trace.recording == "full":
        assert [query.load.parent_query for query in result.queries[1:]] == [0, 0]
        assert here(
            type(result.queries[0].origin)((result.queries[0].created,)), "prefetch_related"
        )


def test_tasks_of_two_recorders_do_not_mix(hooked, library):
    """Interleaved blocks on one connection: each has its statements and one session."""
    runs = {}

    async def one(number):
        with recorded(hooked) as runs[number]:
            for _ in range(number + 1):
                await Publisher.objects.filter(pk=number).aexists()
                await asyncio.sleep(0)

    async def main():
        await asyncio.gather(*(one(number) for number in range(5)))
        await sync_to_async(close_all)()

    asyncio.run(main())
    for number, run in runs.items():
        assert len(run.queries) == number + 1
        assert len({query.parameters_key for query in run.queries}) == 1
        assert len(run.trace.sessions) == 1


def test_async_to_sync_in_sync_code(hooked, library):
    """From sync code the coroutine's line comes first, then the line that called it."""

    async def inner():
        return await Genre.objects.acount()  # the coroutine

    with recorded(hooked) as result:
        async_to_sync(inner)()  # the caller
    (query,) = result.queries
    assert here(query.origin, "# the coroutine")
    assert here(type(query.origin)(query.origin.steps[1:]), "# the caller")


def test_profile_in_a_coroutine(hooked, library):
    """An ``async with`` block records the async ORM, and leaves nothing behind in the context."""

    async def main():
        async with queryscope.profile("inner") as run:
            await Genre.objects.acount()
        assert CAUSE.get() == ()
        await sync_to_async(close_all)()
        return run.trace

    try:
        assert asyncio.run(main()).statements == 1
    finally:
        runtime.reset()


def test_uninstall_restores_the_bridges():
    """After uninstall asgiref and the ASGI handler are as they were."""
    hooks.uninstall()  # what an earlier test left in
    before = [dict(vars(owner)) for owner in (SyncToAsync, AsyncToSync, ASGIHandler)]
    hooks.install(full=False)
    assert [dict(vars(owner)) for owner in (SyncToAsync, AsyncToSync, ASGIHandler)] != before
    hooks.uninstall()
    assert [dict(vars(owner)) for owner in (SyncToAsync, AsyncToSync, ASGIHandler)] == before
