"""Outgoing HTTP requests: host, time and place are noted, nothing of the URL is."""

from __future__ import annotations

import http.client
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from queryscope.stdlib import http_calls
from queryscope.trace import calls
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder
from tests.recording import trace_of

SECRET = "s3cret"


class Answer(BaseHTTPRequestHandler):
    """Answers every GET; redirects, or hangs up, where the path says so."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer."""
        if self.path.startswith("/hang-up"):
            self.close_connection = True
            return
        moved = self.path.startswith("/moved")
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", "/")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture(scope="module")
def server():
    """A server on loopback; its address."""
    found = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def http_hooks():
    """The hooks, put in and taken out."""
    http_calls.install()
    yield
    http_calls.uninstall()


def ask(server, path="/"):
    """Ask with urllib, and read the answer."""
    with urllib.request.urlopen(f"http://{server}{path}", timeout=10) as response:
        return response.read()


def test_light_recording_has_no_requests(server):
    """Production pays nothing for them."""
    assert trace_of(lambda: ask(server), full=False).external_calls == ()


def test_request_is_noted_with_host_time_and_place(server):
    """What is asked is the host; the line is the user's."""
    (call,) = trace_of(lambda: ask(server)).external_calls
    assert (call.host, call.error, call.number) == ("127.0.0.1", None, 0)
    assert call.origin.frame.function == "ask"
    assert call.duration_ns > 0
    assert call.thread == threading.get_ident()


def test_nothing_of_the_url_is_kept(server):
    """Path and query may hold what is nobody's business, and so may the user before the host."""
    trace = trace_of(lambda: ask(server, f"/{SECRET}?token={SECRET}"))
    assert len(trace.external_calls) == 1
    assert SECRET not in repr(trace)


def test_credentials_before_the_host_are_not_kept():
    """A host is what stands behind the last at sign."""
    recorder = Recorder("block", "x", full=True)
    calls.add_external_call(recorder, f"me:{SECRET}@API.example.com", 0, 1, -1, None, None)
    (call,) = freeze(recorder).external_calls
    assert call.host == "api.example.com"


def test_redirect_is_a_request_of_its_own(server):
    """Urllib sends two, and so many are noted."""
    assert len(trace_of(lambda: ask(server, "/moved")).external_calls) == 2


def test_connection_that_is_kept_notes_each_request(server):
    """Requests over one connection are told apart by their own times."""

    def run():
        connection = http.client.HTTPConnection(server, timeout=10)
        for _ in range(3):
            connection.request("GET", "/")
            connection.getresponse().read()
        connection.close()

    one, two, three = trace_of(run).external_calls
    assert one.end_ns <= two.start_ns
    assert two.end_ns <= three.start_ns
    assert len({call.origin for call in (one, two, three)}) == 1


def test_failed_request_keeps_the_class_of_its_error_only(server):
    """The error itself reaches the user as it was."""

    def run():
        with pytest.raises(http.client.RemoteDisconnected):
            ask(server, f"/hang-up/{SECRET}")

    trace = trace_of(run)
    (call,) = trace.external_calls
    assert call.error == "RemoteDisconnected"
    assert SECRET not in repr(trace)


def test_subclass_with_its_own_request_is_noted(server):
    """urllib3 builds requests by itself, on the methods below."""

    class Own(http.client.HTTPConnection):
        def request(self, method, url):
            self.putrequest(method, url)
            self.endheaders()

        def getresponse(self):
            return super().getresponse()

    def run():
        connection = Own(server, timeout=10)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()

    assert len(trace_of(run).external_calls) == 1


def test_requests_over_the_bound_are_counted(server, monkeypatch):
    """Memory stays bounded."""
    monkeypatch.setattr(calls, "MAX_EXTERNAL_CALLS", 1)
    trace = trace_of(lambda: [ask(server) for _ in range(3)])
    assert len(trace.external_calls) == 1
    assert trace.dropped == {"external_calls": 2}


def test_request_after_the_end_is_an_orphan():
    """A closed Recorder takes nothing more."""
    recorder = Recorder("block", "x", full=True)
    recorder.closed = True
    calls.add_external_call(recorder, "h", 0, 1, -1, None, None)
    assert (recorder.orphans, recorder.external_calls) == (1, [])


def test_connection_carries_nothing_of_ours_after_the_response(server):
    """The mark on the connection is taken off again."""
    connection = http.client.HTTPConnection(server, timeout=10)

    def run():
        connection.request("GET", "/")
        connection.getresponse().read()

    before = set(vars(connection))
    trace_of(run)
    assert set(vars(connection)) == before
    connection.close()


def test_uninstall_puts_the_functions_back():
    """Both methods are what they were."""
    http_calls.uninstall()
    for name in ("putrequest", "getresponse"):
        code = getattr(http.client.HTTPConnection, name).__code__
        assert "queryscope" not in code.co_filename
