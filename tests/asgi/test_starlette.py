"""The ASGI middleware around and inside Starlette: routes, streams, background tasks, threads."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware as Entry
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

import queryscope
from queryscope import runtime
from tests.asgi.caller import call
from tests.asgi.conftest import SETTINGS
from tests.sqlalchemy.shop import Author, Book, line_of


class Passing(BaseHTTPMiddleware):
    """A middleware of the user's in Starlette's own way: the application is in another task."""

    async def dispatch(self, request, call_next):
        """Pass on."""
        return await call_next(request)


@pytest.fixture
def ask(open_shop, shop_path, traces):
    """Give what makes one request to an application with the shop, and returns its Trace."""

    def asked(path, *, within=(), **scope):
        async def main():
            async with open_shop() as sessions:
                app = Starlette(routes=routes(sessions, shop_path), middleware=list(within))
                return await call(queryscope.asgi.Middleware(app, SETTINGS), path, **scope)

        answer = asyncio.run(main())
        return answer, traces()[-1]

    return asked


def routes(sessions, path):
    """Return the routes of the application."""

    async def author(request):
        async with sessions() as session:
            found = await session.get(Author, int(request.path_params["pk"]))  # the endpoint
        return PlainTextResponse(found.name)

    def in_a_thread(request):
        engine = create_engine(f"sqlite:///{path}")
        with Session(engine) as session:
            found = session.scalars(select(Author)).first()  # in a thread
        engine.dispose()
        return PlainTextResponse(found.name)

    async def stream(request):
        async def lines():
            async with sessions() as session:
                for book in await session.scalars(select(Book).limit(3)):
                    yield book.title
                    await session.execute(text("SELECT 1"))  # in the stream

        return StreamingResponse(lines())

    async def endless(request):
        async def lines():
            while True:
                async with sessions() as session:
                    await session.execute(text("SELECT 1"))
                yield "line"

        return StreamingResponse(lines())

    async def background(request):
        async def later():
            async with sessions() as session:
                await session.scalars(select(Author))  # in the background

        return PlainTextResponse("done", background=BackgroundTask(later))

    async def gathered(request):
        async with sessions() as one, sessions() as other:
            await asyncio.gather(  # gather
                one.scalars(select(Author)), other.scalars(select(Book))
            )
        return PlainTextResponse("both")

    return [
        Route("/authors/{pk:int}", author),
        Route("/thread", in_a_thread),
        Route("/stream", stream),
        Route("/endless", endless),
        Route("/background", background),
        Route("/gathered", gathered),
        Mount("/v1", routes=[Route("/authors/{pk:int}", author)]),
    ]


@pytest.mark.parametrize("path", ["/authors/{pk:int}", "/v1/authors/{pk:int}"])
def test_trace_is_named_by_its_route(ask, path):
    """Requests for two objects have one name, also where the route is mounted."""
    for key in (1, 2):
        answer, trace = ask(path.replace("{pk:int}", str(key)))
        assert answer.body == f"author {key - 1}".encode()
        assert trace.name == f"GET {path}"
        assert trace.queries[0].origin.frame.line == line_of(__file__, "the endpoint")


def test_path_without_a_route_keeps_its_path(ask):
    """What no route answers is named by its path."""
    answer, trace = ask("/nothing")
    assert (answer.status, trace.name) == (404, "GET /nothing")


def test_sync_endpoint_runs_in_a_thread_of_its_request(ask):
    """What Starlette runs in a thread is the request's, at its own line."""
    _, trace = ask("/thread")
    (query,) = trace.queries
    assert query.origin.frame.line == line_of(__file__, "in a thread")
    assert query.stage == 0


@pytest.mark.parametrize("within", [[], [Entry(Passing), Entry(Passing)]], ids=["bare", "inside"])
def test_stream_is_the_requests(ask, within):
    """Statements of a stream are in its stage, also through Starlette's own middlewares."""
    answer, trace = ask("/stream", within=within)
    assert len(answer.body) > 10
    stages = {stage.name: stage.queries for stage in trace.stages}
    assert stages["application"] == 0
    assert stages["response iteration"] == 4
    assert trace.queries[-1].origin.frame.line == line_of(__file__, "in the stream")


@pytest.mark.parametrize("within", [[], [Entry(Passing)]], ids=["bare", "inside"])
def test_background_task_is_after_the_response(ask, within):
    """What a background task asks comes after the response, also through middlewares."""
    _, trace = ask("/background", within=within)
    (query,) = trace.queries
    assert trace.stages[query.stage].name == "after response"
    assert query.origin.frame.line == line_of(__file__, "in the background")


def test_client_that_leaves_a_stream_ends_its_trace(ask):
    """When the client goes away Starlette ends the stream: the Trace has what was asked."""
    _, trace = ask("/endless", leave_after=4)
    assert 1 <= trace.statements <= 6
    assert trace.error is None
    assert all(checkout.returned_ns for checkout in trace.checkouts)


def test_gather_names_who_gathers(ask):
    """A session's own coroutines in ``gather`` have the gathering line."""
    _, trace = ask("/gathered")
    lines = {query.origin.frame.line for query in trace.queries}
    assert lines == {line_of(__file__, "gather")}
    assert trace.statements == 2


def test_middleware_added_inside_knows_the_applications_debug(traces):
    """``add_middleware`` does as well, and the application's ``debug`` decides the mode."""

    async def plain(request):
        return PlainTextResponse("word")

    for debug, recording in ((True, "full"), (False, "light")):
        app = Starlette(debug=debug, routes=[Route("/", plain)])
        settings = {"console": False, "store": False, "recording": None}
        app.add_middleware(queryscope.asgi.Middleware, settings=settings)
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("PYTEST_VERSION", raising=False)
            patch.delenv("PYTEST_CURRENT_TEST", raising=False)
            answer = asyncio.run(call(app, "/"))
        assert answer.body == b"word"
        assert ("x-queryscope-trace" in answer.headers) is debug
        assert traces()[-1].recording == recording
        assert traces()[-1].name == "GET /"
        runtime.reset()
