"""What the adapters keep of an answer, each with applications that give it in several ways."""

from __future__ import annotations

import asyncio
from wsgiref.util import setup_testing_defaults

import flask
import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

import queryscope.asgi
import queryscope.wsgi
from queryscope import adapters, runtime
from queryscope.django import Middleware
from queryscope.trace import guard
from tests.asgi.caller import call

SETTINGS = {"mode": "development", "console": False, "store": False}
PIECES = [b"one ", b"answer"]


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    """Take the hooks out after each test; none of them may have failed."""
    monkeypatch.chdir(tmp_path)
    guard.clear()
    yield
    runtime.reset()
    adapters.uninstall()
    failures = guard.failures()
    guard.clear()
    assert failures == ()


def answers():
    """Return the answers of the Traces recorded so far, the oldest first."""
    current = runtime.get()
    assert current.flush()
    return [judged.trace.answer for judged in reversed(current.ring.newest(500))]


# -- WSGI: plain applications and Flask -------------------------------------------------------


def wsgi(body, *headers, settings=(), **environ):
    """Ask a WSGI application that answers with a body, and read the answer to its end."""

    def app(_, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), *headers])
        return body()

    setup_testing_defaults(environ)
    app = queryscope.wsgi.Middleware(app, {**SETTINGS, **dict(settings)})
    found = app(environ, lambda *_: None)
    sent = b"".join(found)
    getattr(found, "close", lambda: None)()
    return sent


LENGTH = ("Content-Length", "10")


def test_wsgi_list_is_known_as_a_whole():
    """A list needs no length, and a generator with one is the same answer."""
    assert wsgi(lambda: list(PIECES)) == b"one answer"
    assert wsgi(lambda: iter(PIECES), LENGTH) == b"one answer"
    one, other = answers()
    assert one == other
    assert one.size_bytes == 10


def test_wsgi_stream_is_unknown():
    """When it ends nobody knows beforehand."""
    assert wsgi(lambda: iter(PIECES)) == b"one answer"
    assert answers() == [None]


def test_wsgi_query_and_cookie_are_told():
    """The one as a digest, the other as there or not."""
    wsgi(lambda: list(PIECES), QUERY_STRING="page=1")
    wsgi(lambda: list(PIECES), ("Set-Cookie", "a=b"), QUERY_STRING="page=2", HTTP_COOKIE="a=b")
    one, other = answers()
    assert one.said == other.said
    assert one.asked != other.asked
    assert (one.sets_cookie, one.credentials) == (False, False)
    assert (other.sets_cookie, other.credentials) == (True, True)


@pytest.mark.parametrize(
    ("settings", "environ"),
    [
        ({"recording": "light"}, {}),
        ({}, {"REQUEST_METHOD": "POST"}),
        ({}, {"REQUEST_METHOD": "HEAD"}),
    ],
)
def test_other_requests_keep_nothing(settings, environ):
    """Light recording, and methods whose answers are not kept."""
    wsgi(lambda: list(PIECES), settings=settings.items(), **environ)
    assert answers() == [None]


def test_flask_response_is_known_and_its_stream_is_not():
    """Flask says the length of what it has as a whole."""
    app = flask.Flask("shop")
    app.add_url_rule("/whole", "whole", lambda: "one answer")
    app.add_url_rule("/stream", "stream", lambda: flask.Response(iter(["one ", "answer"])))
    app.wsgi_app = queryscope.wsgi.Middleware(app.wsgi_app, SETTINGS)
    client = app.test_client()
    for path in ("/whole", "/stream"):
        with client.get(path) as response:
            assert response.data == b"one answer"
    whole, stream = answers()
    assert whole.size_bytes == 10
    assert stream is None


# -- ASGI -------------------------------------------------------------------------------------


def test_asgi_response_is_known_and_its_stream_is_not():
    """Starlette says the length of what it has as a whole."""

    async def whole(_):
        return PlainTextResponse("one answer", headers={"Vary": "Accept"})

    async def stream(_):
        return StreamingResponse(iter(["one ", "answer"]))

    app = Starlette(routes=[Route("/whole", whole), Route("/stream", stream)])
    watched = queryscope.asgi.Middleware(app, SETTINGS, debug=True)

    async def work():
        await call(watched, "/whole", query_string=b"page=1")
        await call(watched, "/whole", query_string=b"page=1", headers=[(b"cookie", b"a=b")])
        await call(watched, "/stream")

    asyncio.run(work())
    one, other, streamed = answers()
    assert (one.size_bytes, one.vary, one.credentials) == (10, "Accept", False)
    assert other == one._replace(credentials=True)
    assert streamed is None


def test_asgi_headers_that_can_be_read_once_reach_the_server():
    """The protocol asks for an iterable only: what looks at it must not use it up."""

    async def app(_scope, _receive, send):
        headers = iter([(b"content-length", b"10")])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"one answer"})

    async def work(**settings):
        watched = queryscope.asgi.Middleware(app, {**SETTINGS, **settings}, debug=True)
        return (await call(watched)).headers["content-length"]

    assert asyncio.run(work(headers=False)) == "10"
    assert answers() == [None]
    assert asyncio.run(work(headers=True)) == "10"
    assert answers()[-1].size_bytes == 10


# -- Django -----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_django_response_is_known_and_its_stream_is_not(settings):
    """Whatever stands in ``content``; a cookie is told, though it is no header yet."""
    settings.QUERYSCOPE = SETTINGS
    asked = RequestFactory().get("/books/?page=1")

    def whole(_):
        response = HttpResponse("one answer", headers={"Cache-Control": "private"})
        response.set_cookie("a", "secret")
        return response

    for view in (whole, lambda _: StreamingHttpResponse(iter(["one ", "answer"]))):
        response = Middleware(view)(asked)
        b"".join(response)
        response.close()
    one, streamed = answers()
    assert (one.size_bytes, one.cache, one.sets_cookie) == (10, "private", True)
    assert "secret" not in repr(one)
    assert streamed is None


@pytest.mark.django_db
def test_django_answer_is_the_same_under_asgi(settings):
    """The asynchronous middleware keeps what the other one keeps."""
    settings.QUERYSCOPE = SETTINGS
    asked = RequestFactory().get("/books/?page=1")

    async def view(_):
        return HttpResponse("one answer")

    async def work():
        (await Middleware(view)(asked)).close()

    Middleware(lambda _: HttpResponse("one answer"))(asked).close()
    asyncio.run(work())
    one, other = answers()
    assert one == other
    assert one.size_bytes == 10
