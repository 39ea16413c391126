"""Real servers: clients that leave, workers that are killed or take too long, views that exit."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
from importlib.util import find_spec

import pytest

from queryscope.store.file import Store
from tests.faults.child import ROOT
from tests.faults.servers import until
from tests.serving import free_port

TIMEOUT_S = 60
LEAVING = struct.pack("ii", 1, 0)
SERVERS = {
    "gunicorn": "gunicorn --workers 2 --timeout 4 tests.faults.harmed:wsgi_application() --bind",
    "uvicorn": "uvicorn --factory tests.faults.harmed:asgi_application --port",
}

pytestmark = pytest.mark.skipif(
    find_spec("gunicorn") is None or find_spec("uvicorn") is None,
    reason="gunicorn or uvicorn is not installed",
)


class Server:
    """A server process, and what can be seen of it."""

    def __init__(self, name, folder):
        """Start it and wait until it listens."""
        self.port = free_port()
        self.folder = folder
        self.events = folder / "seen"
        self.events.touch()
        self.log = folder / "log"
        place = f"127.0.0.1:{self.port}" if name == "gunicorn" else str(self.port)
        shop, library = folder / "shop.db", folder / "library.db"
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            "SEEN": str(self.events),
            "SHOP": f"sqlite:///{shop}",
            "SHOP_ASYNC": f"sqlite+aiosqlite:///{shop}",
            "LIBRARY": str(library),
            "QUERYSCOPE_STORE": str(folder / "traces.db"),
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *SERVERS[name].split(), place],
                cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            until(self._listens, TIMEOUT_S)
        except BaseException:
            self.end()
            raise

    def _listens(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            self.connect().close()
        except OSError:
            return False
        return True

    def connect(self):
        """Return a connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)

    def ask(self, path):
        """Send a request and return the connection."""
        client = self.connect()
        lines = (f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", "", "")
        client.sendall("\r\n".join(lines).encode())
        return client

    def answer(self, path):
        """Return all bytes of an answer, without those of date and length of a chunk."""
        with self.ask(path) as client:
            return received(client)

    def seen(self, path):
        """Return the events of a request so far."""
        name = path.strip("/").replace("/", "-")
        lines = [line.partition(" ") for line in self.events.read_text().splitlines()]
        return [event for request, _, event in lines if request == name]

    def traces(self, path):
        """Return the Traces of a request that are in the store."""
        store = Store(self.folder / "traces.db")
        try:
            return [store.get(item.id).trace for item in store.list(10_000) if item.path == path]
        finally:
            store.close()

    def trace(self, path):
        """Return the one Trace of a request, as soon as it is in the store."""
        (trace,) = until(lambda: self.traces(path), TIMEOUT_S)
        return trace

    def go_on(self, path):
        """Let a request that waits for the test go on."""
        self.events.with_name(path.strip("/").replace("/", "-")).touch()

    def end(self):
        """End it in any case; return what it exits with."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(TIMEOUT_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


def received(client):
    """Return what comes, until it ends in some way; without the date."""
    chunks = []
    with contextlib.suppress(ConnectionError):
        while chunk := client.recv(65536):
            chunks.append(chunk)
    lines = b"".join(chunks).split(b"\r\n")
    return [line for line in lines if not line.lower().startswith(b"date:")]


def leave(client):
    """Go without a goodbye: what the server sends from now on is refused."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LEAVING)
    client.close()


@pytest.fixture(scope="module", params=SERVERS)
def server(request, tmp_path_factory):
    """One server of each kind for all tests of this module."""
    made = Server(request.param, tmp_path_factory.mktemp(request.param))
    made.name = request.param
    try:
        yield made
    finally:
        code = made.end()
    # uvicorn shuts down well, and then gives itself the signal again.
    assert code == (0 if request.param == "gunicorn" else -signal.SIGTERM), made.log.read_text()


STREAMS = {"gunicorn": ["stream"], "uvicorn": ["starlette-stream", "django-stream"]}
WAITS = {"gunicorn": ["wait"], "uvicorn": ["starlette-wait", "django-wait", "django-sync-wait"]}


def test_client_leaves_a_stream(server):
    """The application hears of it as without us, and the Trace ends with what was sent."""
    for kind in STREAMS[server.name]:
        seen = []
        for side in ("bare", "profiled"):
            path = f"/{side}/{kind}/1"
            client = server.ask(path)
            with client.makefile("rb") as file:
                assert len(file.read(30_000)) == 30_000  # three chunks, a statement each
            leave(client)
            ended = until(lambda path=path: server.seen(path)[-1:], TIMEOUT_S)
            assert ended[0].startswith("ended")
            seen.append(server.seen(path))
        assert seen[0] == seen[1], kind
        trace = server.trace(f"/profiled/{kind}/1")
        assert trace.statements > 1, kind
        assert trace.attributes["status"] == "200"
        assert all(item.returned_ns is not None for item in trace.checkouts)


def test_client_leaves_before_the_first_byte(server):
    """A request that nobody waits for any more ends as without us, and is one Trace."""
    for kind in WAITS[server.name]:
        seen = []
        for side in ("bare", "profiled"):
            path = f"/{side}/{kind}/2"
            client = server.ask(path)
            until(lambda path=path: server.seen(path), TIMEOUT_S)
            leave(client)
            if kind != "django-wait":  # which Django cancels
                server.go_on(path)
            until(lambda path=path: len(server.seen(path)) > 1, TIMEOUT_S)
            until(lambda path=path: server.seen(path)[-1] in ("ended", "answered"), TIMEOUT_S)
            seen.append(server.seen(path))
        assert seen[0] == seen[1], kind
        trace = server.trace(f"/profiled/{kind}/2")
        assert trace.statements == 1, kind


def test_server_goes_on_after_those_who_left(server):
    """Whoever stays gets the same answer with us and without."""
    kind = {"gunicorn": "plain/3", "uvicorn": "out"}[server.name]
    bare, profiled = [server.answer(f"/{side}/{kind}") for side in ("bare", "profiled")]
    assert profiled == bare
    assert profiled[0] == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("server", ["gunicorn"], indirect=True)
def test_view_that_exits(server):
    """``sys.exit`` in a view does what it does without us, and stands in the Trace."""
    bare, profiled = [server.answer(f"/{side}/exit/4") for side in ("bare", "profiled")]
    assert profiled == bare
    trace = server.trace("/profiled/exit/4")
    assert trace.error == "SystemExit"
    assert trace.statements == 1


@pytest.mark.parametrize("server", ["gunicorn"], indirect=True)
def test_worker_that_takes_too_long(server):
    """Gunicorn ends it: the view hears of it as without us, and its Trace is stored."""
    paths = [f"/{side}/hang/5" for side in ("bare", "profiled")]
    clients = [server.ask(path) for path in paths]
    answers = [received(client) for client in clients]
    for client in clients:
        client.close()
    assert answers[0] == answers[1]
    until(lambda: all(len(server.seen(path)) == 2 for path in paths), TIMEOUT_S)
    events = [server.seen(path)[1] for path in paths]
    assert events == ["raised SystemExit"] * 2
    trace = server.trace(paths[1])
    assert trace.error == "SystemExit"
    assert trace.statements == 1
    assert server.answer("/profiled/plain/5")[0] == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("server", ["gunicorn"], indirect=True)
def test_worker_that_is_killed(server):
    """What was stored stays and can be read; the client sees what it sees without us."""
    before = server.answer("/profiled/plain/6")
    server.trace("/profiled/plain/6")
    answers = []
    for side in ("bare", "profiled"):
        path = f"/{side}/hang/6"
        client = server.ask(path)
        until(lambda path=path: server.seen(path), TIMEOUT_S)
        os.kill(int(server.seen(path)[0].partition(" ")[2]), signal.SIGKILL)
        answers.append(received(client))
        client.close()
    assert answers[0] == answers[1]
    assert len(server.traces("/profiled/plain/6")) == 1
    assert server.traces("/profiled/hang/6") == []
    assert server.answer("/profiled/plain/6") == before
    until(lambda: len(server.traces("/profiled/plain/6")) == 2, TIMEOUT_S)
