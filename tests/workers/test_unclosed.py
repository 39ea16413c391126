"""Servers that never close what a WSGI application returns: asgiref's adapter is one."""

from __future__ import annotations

import gc
from wsgiref.util import FileWrapper

import pytest

from queryscope import runtime, wsgi
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE, active
from tests.faults.serving import environ_of

SETTINGS = {"mode": "development", "console": False, "store": False}


def as_list(environ, start_response):
    """Give a list."""
    start_response("200 OK", [])
    return [b"one", b"two"]


def as_generator(environ, start_response):
    """Give what has work to do when it goes."""
    start_response("200 OK", [])
    try:
        seen = active().recorder
        yield b"one"
        yield b"two"
    finally:
        seen.attributes["gone within"] = str(recording_now() is seen)


def as_file(environ, start_response):
    """Give a file in the server's own wrapper."""
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))  # noqa: PTH123 - FileWrapper closes it


def recording_now():
    """Return the Recorder of this moment."""
    scope = active()
    return None if scope is None else scope.recorder


@pytest.fixture
def traces():
    """The runtime; what tests recorded is forgotten."""
    yield runtime.get
    runtime.reset()
    assert ACTIVE.get() is None


@pytest.mark.parametrize("application", [as_list, as_generator])
@pytest.mark.parametrize("read", [0, 1, 10])
def test_trace_ends_with_a_body_that_nobody_closes(traces, application, read):
    """All of it read, a part or nothing: the Trace ends once, when the body is gone."""
    app = wsgi.Middleware(application, SETTINGS, debug=True)
    body = app(environ_of(), lambda *_: None)
    for _, part in zip(range(read), body, strict=False):
        assert part in (b"one", b"two")
    traces().flush()
    assert len(traces().ring) == 0
    del body
    traces().flush()
    (judged,) = traces().ring.newest()
    assert judged.trace.kind == "request"
    if application is as_generator and read == 1:
        assert judged.trace.attributes["gone within"] == "True"
    assert guard.failures() == ()


def test_trace_ends_with_a_file_that_nobody_closes(traces):
    """The wrapper and what we put on it hold each other: the collector frees them."""
    app = wsgi.Middleware(as_file, SETTINGS, debug=True)
    body = app(environ_of(**{"wsgi.file_wrapper": FileWrapper}), lambda *_: None)
    b"".join(body)
    body.filelike.close()
    del body
    gc.collect()
    traces().flush()
    assert len(traces().ring) == 1
    assert guard.failures() == ()


def test_closed_body_ends_its_trace_once(traces):
    """Who closes, as a server must, has one Trace as before."""
    for application in (as_list, as_generator):
        body = wsgi.Middleware(application, SETTINGS, debug=True)(environ_of(), lambda *_: None)
        assert list(body) == [b"one", b"two"]
        body.close()
        del body
    traces().flush()
    assert len(traces().ring) == 2
