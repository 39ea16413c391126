"""Captured requests: the same from every middleware, without credentials, and never unasked."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from contextlib import closing

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path, re_path

from queryscope import adapters, asgi, runtime, wsgi
from queryscope.capture import MAX_BODY_BYTES
from queryscope.credentials import MASK, is_credential
from queryscope.django import hooks
from queryscope.pytest_plugin.plugin import CONTRACT_CAPTURE
from queryscope.store.captured import MAX_PER_ENDPOINT, Captured
from queryscope.store.file import Store
from queryscope.trace import guard
from queryscope.verify.captures import described

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
STORE = "traces.db"
SETTINGS = {
    "mode": "development",
    "console": False,
    "store": False,
    "store_path": STORE,
    "capture_requests": True,
}


# -- one application, three ways in -----------------------------------------------------------


def view(request, **_named):
    """Read the body as Django does, unless the path says not to."""
    if not request.path.startswith("/unread"):
        request.POST, request.body  # noqa: B018 - both read it
    return HttpResponse(b"ok")


urlpatterns = [path("items/<int:pk>/", view), re_path("", view)]


def wsgi_app(environ, start_response):
    """Read the body as servers' libraries do: as much as was said."""
    if not environ["PATH_INFO"].startswith("/unread"):
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [])
    return [b"ok"]


async def asgi_app(scope, receive, send):
    """Read the body to its end."""
    more = not scope["path"].startswith("/unread")
    while more:
        more = (await receive()).get("more_body")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def through_wsgi(settings, method, target, headers, body):
    """Send a request to the WSGI middleware."""
    path_, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path_,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    answer = wsgi.Middleware(wsgi_app, settings)(environ, lambda *_: None)
    assert b"".join(answer) == b"ok"
    getattr(answer, "close", lambda: None)()


def through_asgi(settings, method, target, headers, body):
    """Send a request to the ASGI middleware, its body in two parts."""
    path_, _, query = target.partition("?")
    if body:
        headers = {**headers, "Content-Length": str(len(body))}
    parts = [body[:3], body[3:]]
    messages = [
        {"type": "http.request", "body": part, "more_body": number == 0}
        for number, part in enumerate(parts)
    ]
    scope = {
        "type": "http",
        "method": method,
        "path": path_,
        "raw_path": path_.encode(),
        "query_string": query.encode(),
        "headers": [(n.lower().encode(), value.encode()) for n, value in headers.items()],
    }
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(asgi.Middleware(asgi_app, settings)(scope, receive, send))
    assert sent[-1]["body"] == b"ok"


def through_django(settings, method, target, headers, body):
    """Send a request through Django's handler with the middleware."""
    from django.conf import settings as configured

    configured.QUERYSCOPE = settings
    given = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    kind = given.pop("HTTP_CONTENT_TYPE", "")
    answer = Client().generic(method, target, body, content_type=kind, **given)
    assert answer.content == b"ok"


WAYS = {"wsgi": through_wsgi, "asgi": through_asgi, "django": through_django}


@pytest.fixture(params=WAYS)
def send(request, settings, tmp_path, monkeypatch):
    """Give what sends a request and returns what is captured by then."""
    monkeypatch.chdir(tmp_path)
    settings.MIDDLEWARE = ["queryscope.django.Middleware"]
    settings.ROOT_URLCONF = __name__
    guard.clear()

    def sent(method="GET", target="/", headers=(), body=b"", **more):
        WAYS[request.param](SETTINGS | more, method, target, dict(headers), body)
        assert runtime.get().flush()
        assert guard.failures() == ()
        with closing(Store(STORE)) as store:
            return store.captured()

    sent.way = request.param
    yield sent
    hooks.uninstall()
    adapters.uninstall()
    runtime.reset()


def plain(captured):
    """Return the last request as values, its body as bytes."""
    found = json.loads(captured[-1].request)
    found["body"] = base64.b64decode(found.pop("base64", ""))
    found["headers"] = dict(found.get("headers", ()))
    return found


# -- what stays out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [{"capture_requests": False}, {"mode": "production"}, {"enabled": False},
     {"ignore_paths": ["/"]}],
)  # fmt: skip
def test_nothing_is_captured_unasked_or_in_production(send, more):
    """Not even a file is made."""
    assert send(**more) == ()


def test_body_that_is_not_read_or_of_another_kind_is_not_kept(send):
    """Nobody knows what is in it; the answer is what it was."""
    headers = {"Content-Type": JSON}
    assert send("POST", "/unread", headers, b'{"a": 1}') == ()
    assert send("POST", "/", {"Content-Type": "text/plain"}, b"password: 1") == ()
    assert send("POST", "/", headers, b'{"a": ') == ()
    large = json.dumps("x" * MAX_BODY_BYTES).encode()
    assert send("POST", "/", headers, large) == ()


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("Authorization", True), ("X-Auth-Token", True), ("password2", True), ("apiKey", True),
     ("csrftoken", True), ("pin", True), ("author", False), ("authors", False), ("opinion", False),
     ("Accept", False), ("passenger", False), ("keyboard", False)],
)  # fmt: skip
def test_credentials_go_by_their_names(name, is_one):
    """Words of people that hold such letters are none."""
    assert is_credential(name) is is_one


def test_credentials_are_masked_everywhere(send):
    """Headers, parameters, fields and keys, however deep; nothing of them is in the file."""
    headers = {
        "Authorization": "Bearer s3cr3t", "Cookie": "sessionid=s3cr3t", "X-Api-Key": "s3cr3t",
        "Accept": "text/html", "X-Staff": "yes",
    }  # fmt: skip
    body = {"user": "ann", "password": "s3cr3t", "more": [{"token": "s3cr3t", "n": 0.0}]}
    kept = send(
        "POST", "/log-in?token=s3cr3t&page=", {**headers, "Content-Type": JSON},
        json.dumps(body).encode(),
    )  # fmt: skip
    found = plain(kept)
    assert found["target"] == "/log-in?token=%3Cfrom+the+actor%3E&page="
    assert json.loads(found["body"]) == {
        "user": "ann", "password": MASK, "more": [{"token": MASK, "n": 0.0}]
    }  # fmt: skip
    assert found["headers"] == {
        "authorization": MASK, "cookie": MASK, "x-api-key": MASK, "accept": "text/html",
        "x-staff": "yes", "content-type": JSON,
    }  # fmt: skip
    form = b"csrfmiddlewaretoken=s3cr3t&passwd=s3cr3t&name=a%20b"
    found = plain(send("POST", "/form", {"Content-Type": FORM}, form))
    assert found["body"] == b"passwd=%3Cfrom+the+actor%3E&name=a+b"
    runtime.get().close()
    assert b"s3cr3t" not in b"".join(file.read_bytes() for file in _files())


def _files():
    from pathlib import Path

    return [file for file in Path.cwd().rglob("*") if file.is_file()]


# -- what is kept -----------------------------------------------------------------------------


def test_request_is_kept_once_with_what_it_said(send):
    """Twice the same is one; what the connection says of itself is left out."""
    headers = {"Accept": "text/html", "Host": "localhost", "Connection": "close"}
    for _ in range(2):
        kept = send("GET", "/items/7/?page=2&q=a%20b", headers)
    assert len(kept) == 1
    assert plain(kept) == {
        "method": "GET", "target": "/items/7/?page=2&q=a+b", "headers": {"accept": "text/html"},
        "body": b"",
    }  # fmt: skip
    expected = {"django": "GET /items/{pk}/"}.get(send.way, "GET /items/7/")
    assert kept[0].endpoint == expected


def test_cookie_against_forgery_alone_is_nobodys(send):
    """Such a request needs no actor."""
    kept = send("GET", "/", {"Cookie": "csrftoken=abc"})
    assert plain(kept)["headers"] == {}
    found = described(kept, "")
    assert [one.actor for ones in found.requests.values() for one in ones] == [""]


def test_request_with_credentials_is_an_actors(send):
    """Without one it is left out, and said."""
    kept = send("GET", "/me", {"Authorization": "Bearer a"})
    found = described(kept, "")
    assert found.requests == {}
    assert "1 request of GET " in found.left_out[0]
    (one,) = described(kept, "ann").requests[kept[0].endpoint]
    assert (one.actor, one.headers) == ("ann", (("authorization", MASK),))


def test_store_keeps_the_latest_of_each_endpoint(tmp_path):
    """A busy endpoint does not push the others out; what comes again is the latest."""
    store = Store(tmp_path / STORE)
    store.keep_requests([Captured("GET /rare", "{}")])
    many = [Captured("GET /busy", json.dumps(n)) for n in range(MAX_PER_ENDPOINT + 5)]
    store.keep_requests(many)
    store.keep_requests([many[0]])
    kept = store.captured()
    assert kept[0] == Captured("GET /rare", "{}")
    assert len(kept) == MAX_PER_ENDPOINT + 1
    assert kept[-1] == many[0]
    assert many[5] not in kept
    store.close()


def test_older_store_has_no_requests(tmp_path):
    """A file that was made before there were any reads as an empty one."""
    store = Store(tmp_path / STORE)
    assert store.captured() == ()
    with store._database.to_write():
        pass
    assert list(store.captured()) == []
    store.close()


def test_tests_capture_with_the_option_alone(pytester):
    """Requests of a test client are kept, from its option on and until its end."""
    pytester.makepyfile(
        """
        from queryscope import wsgi

        def app(environ, start_response):
            start_response("200 OK", [])
            return [b""]

        def test_it():
            made = wsgi.Middleware(app)
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/it", "QUERY_STRING": "a=1"}
            made(environ, lambda *_: None).close()
        """
    )
    plain_ = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:django")
    store = Store(pytester.path / ".queryscope" / STORE)
    pytester.runpytest_subprocess(*plain_).assert_outcomes(passed=1)
    assert store.captured() == ()
    pytester.runpytest_subprocess(*plain_, CONTRACT_CAPTURE).assert_outcomes(passed=1)
    assert [one.endpoint for one in store.captured()] == ["GET /it"]
    store.close()
