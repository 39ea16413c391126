"""The WSGI middleware: a server sees what it would see without us."""

from __future__ import annotations

import gc
import io
import sys
import weakref

import pytest

from queryscope import wsgi
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE
from tests.faults.serving import environ_of, served

DEVELOPMENT = {"mode": "development", "console": False, "store": False}


class Closing:
    """A body that counts how often it is closed, and may have a length."""

    def __init__(self, chunks):
        self.chunks = chunks
        self.closed = 0

    def __iter__(self):
        yield from self.chunks

    def close(self):
        """Count."""
        self.closed += 1


class Sized(Closing):
    def __len__(self):
        return len(self.chunks)


def start(start_response, status="200 OK", headers=(("Content-Type", "text/plain"),)):
    """Start a response; return the server's write()."""
    return start_response(status, list(headers))


def one_chunk(environ, start_response):
    """Give a list of one chunk: the server makes the Content-Length."""
    start(start_response)
    return [b"hello"]


def two_chunks(environ, start_response):
    """Give a list of two."""
    start(start_response)
    return [b"hel", b"lo"]


def nothing(environ, start_response):
    """Give an empty list."""
    start(start_response, "204 No Content", [])
    return []


def not_modified(environ, start_response):
    """Answer 304."""
    start(start_response, "304 Not Modified", [("ETag", '"x"')])
    return []


def a_tuple(environ, start_response):
    """Give a tuple."""
    start(start_response)
    return (b"hello",)


def generator(environ, start_response):
    """Start late: only when the first chunk is asked for."""
    start(start_response)
    yield b"hel"
    yield b"lo"


def sized(environ, start_response):
    """Give an object with a length."""
    start(start_response)
    return Sized([b"hello"])


def a_file(environ, start_response):
    """Give a file in the server's wrapper."""
    start(start_response)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"a file"), 2)


def written(environ, start_response):
    """Use the server's write()."""
    write = start(start_response)
    write(b"written ")
    return [b"and given"]


def started_twice(environ, start_response):
    """Start again with an error, given by name."""
    start(start_response)
    try:
        [].pop()
    except IndexError:
        start_response("500 Oops", [("Content-Type", "text/plain")], exc_info=sys.exc_info())
    return [b"failed"]


def raising(environ, start_response):
    """Raise before anything was sent."""
    raise RuntimeError("broken")


def raising_later(environ, start_response):
    """Raise after a chunk."""
    start(start_response)
    yield b"hel"
    raise RuntimeError("broken")


def own_timing(environ, start_response):
    """Send headers of the names that we send."""
    start(start_response, headers=[("X-One", "1"), ("X-One", "2")])
    return [b""]


def headers_as_tuples(environ, start_response):
    """Give the server no list: an error that must be the same."""
    start_response("200 OK", (("X-One", "1"),))
    return [b"x"]


APPS = [
    one_chunk, two_chunks, nothing, not_modified, a_tuple, generator, sized, a_file, written,
    started_twice, headers_as_tuples, raising, raising_later, own_timing,
]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("app", APPS, ids=lambda app: app.__name__)
def test_client_gets_the_same_bytes(app, method, traces):
    """Status, headers, Content-Length and body are as they are without us, byte for byte."""
    bare = served(app, "/x", method)
    profiled = served(wsgi.Middleware(app, DEVELOPMENT), "/x", method)
    assert profiled.bytes == bare.bytes
    assert profiled.files == bare.files
    assert len(traces()) == 1
    assert guard.failures() == ()


@pytest.mark.parametrize("app", [raising, raising_later], ids=lambda app: app.__name__)
def test_error_is_in_the_trace(app, traces):
    """What the application raised is in its Trace, also where the server closes as ever."""
    served(wsgi.Middleware(app, DEVELOPMENT))
    assert traces()[0].error == "RuntimeError: broken"


@pytest.mark.parametrize("kind", [Closing, Sized])
def test_body_is_closed_as_often_as_the_server_closes_it(kind, traces):
    """A second close reaches the body, and makes no second Trace."""
    body = kind([b"x"])
    middleware = wsgi.Middleware(lambda *_: body, DEVELOPMENT)
    answer = middleware(environ_of(), lambda *_: None)
    assert list(answer) == [b"x"]
    answer.close()
    answer.close()
    assert body.closed == 2
    assert len(traces()) == 1


def test_list_stays_a_list():
    """What middlewares and servers may do with a list they can do."""
    answer = wsgi.Middleware(two_chunks, DEVELOPMENT)(environ_of(), lambda *_: None)
    assert (answer, len(answer), answer[0]) == ([b"hel", b"lo"], 2, b"hel")
    assert isinstance(answer, list)
    assert list(answer) == list(answer)


def test_file_wrapper_is_the_servers_own(tmp_path, traces):
    """A file reaches the server in its wrapper; closing the wrapper closes file and Trace."""
    path = tmp_path / "file"
    path.write_bytes(b"a file")
    file = path.open("rb")

    class Wrapper:
        def __init__(self, file, size=8192):
            self.file = file
            self.close = file.close

    middleware = wsgi.Middleware(lambda environ, _: environ["wsgi.file_wrapper"](file), DEVELOPMENT)
    answer = middleware(environ_of(**{"wsgi.file_wrapper": Wrapper}), lambda *_: None)
    assert type(answer) is Wrapper
    assert traces() == []
    answer.close()
    assert file.closed
    assert len(traces()) == 1


def test_file_wrapper_without_attributes_is_left_alone(traces):
    """A wrapper made in C cannot be watched: the Trace ends before the file is sent."""

    class Wrapper:
        __slots__ = ()

    middleware = wsgi.Middleware(lambda environ, _: environ["wsgi.file_wrapper"](), DEVELOPMENT)
    answer = middleware(environ_of(**{"wsgi.file_wrapper": Wrapper}), lambda *_: None)
    assert type(answer) is Wrapper
    assert len(traces()) == 1
    assert guard.failures() == ()


def test_iterator_of_the_body_ends_with_the_body():
    """What a body's iterator does at its end is done when the body is closed, not later."""
    events = []

    class Body:
        def __iter__(self):
            try:
                yield b"1"
                yield b"2"
            finally:
                events.append("iterator")

        def close(self):
            events.append("body")

    answer = wsgi.Middleware(lambda *_: Body(), DEVELOPMENT)(environ_of(), lambda *_: None)
    next(answer)
    answer.close()
    assert events == ["iterator", "body"]


def test_attributes_reach_the_application():
    """What is set on the wrapped application is set on the application."""

    class App:
        debug = False
        secret_key = None

        def __call__(self, environ, start_response):
            return [str(self.secret_key).encode()]

    app = App()
    wrapped = wsgi.Middleware(app, DEVELOPMENT)
    wrapped.secret_key = "s"
    assert app.secret_key == wrapped.secret_key == "s"
    assert wrapped(environ_of(), lambda *_: None) == [b"s"]


def test_nothing_of_a_request_stays(traces):
    """Body and environment of a request are free once it is closed, without a collector."""

    class Environ(dict):
        pass

    gc.disable()
    try:
        gc.collect()
        body = Closing([b"x"])
        environ = Environ(environ_of())
        gone = [weakref.ref(body), weakref.ref(environ)]
        bodies = [body]
        answer = wsgi.Middleware(lambda *_: bodies.pop(), DEVELOPMENT)(environ, lambda *_: None)
        del body, environ
        list(answer)
        answer.close()
        traces()
        del answer
        assert [item() for item in gone] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.__name__)
def test_thread_goes_on_as_it_came(app):
    """Whatever an application does, afterwards its thread is in no Recorder."""
    served(wsgi.Middleware(app, DEVELOPMENT))
    assert ACTIVE.get() is None
