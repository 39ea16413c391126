"""Connections that stay open, answers without a body, and protocols other than HTTP."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest

from tests.serving import DATE, DJANGO, FLASK, OURS, TRACE, asked, pair, read_all
from tests.workers.test_answers import stored

KEPT = (
    ("GET", "/health"), ("HEAD", "/items/7"), ("GET", "/cases/empty"), ("GET", "/cases/unchanged"),
    ("HEAD", "/cases/stream"), ("GET", "/cases/stream"), ("HEAD", "/cases/file"),
    ("GET", "/cases/file"), ("OPTIONS", "/health"), ("GET", "/none"),
)  # fmt: skip
ECHO = "echo"
WEBSOCKETS = {"uvicorn": ("--ws", "wsproto"), "hypercorn": ()}


def ask_on_one_connection(server):
    """Send all requests on one connection, which the last one closes; return all that came."""
    requests = [asked(path, method=method) for method, path in KEPT]
    requests.append(asked("/cases/pid", "Connection: close"))
    with server.connect() as connection:
        connection.sendall(b"".join(requests))
        return read_all(connection)


@pytest.mark.parametrize(
    ("kind", "application"),
    [("gthread", DJANGO), ("gevent", FLASK), ("uvicorn", DJANGO), ("hypercorn", FLASK),
     ("daphne", DJANGO)],
)  # fmt: skip
def test_requests_on_one_connection_are_a_trace_each(kind, application, tmp_path, databases):
    """HEAD, 204, 304, streams and files: the connection stays usable, and all bytes are equal."""
    with pair(kind, application, tmp_path, databases(application)) as (bare, recorded):
        expected, sent = map(ask_on_one_connection, (bare, recorded))
        codes = [server.stop() for server in (bare, recorded)]
        assert codes[0] == codes[1]
    ids = [key.decode() for key in TRACE.findall(sent)]
    assert sent.count(b"HTTP/1.1 ") == len(ids) == len(KEPT) + 1
    assert not TRACE.search(expected)

    def plain(text):  # all but the last answer, which tells the process
        return DATE.sub(b"", OURS.sub(b"", text)).rpartition(b"HTTP/1.1 ")[0]

    assert plain(sent) == plain(expected)
    traces = stored(recorded)
    assert sorted(traces) == sorted(ids)
    found = [traces[key].trace.attributes for key in ids]
    assert [(one["method"], one["path"]) for one in found] == [*KEPT, ("GET", "/cases/pid")]


def talk(server):
    """Speak WebSocket to a server; return what it said, event by event."""
    from wsproto import ConnectionType, WSConnection
    from wsproto.events import AcceptConnection, CloseConnection, Message, Request, TextMessage

    client = WSConnection(ConnectionType.CLIENT)
    said = []
    with server.connect() as connection:

        def take(kind):
            while True:
                for event in client.events():
                    said.append((type(event).__name__, getattr(event, "data", None)))
                    if isinstance(event, AcceptConnection):
                        said.append(sorted(event.extra_headers))
                    if isinstance(event, kind):
                        return
                client.receive_data(connection.recv(65536) or None)

        connection.sendall(client.send(Request(host="localhost", target="/echo")))
        take(AcceptConnection)
        for text in ("hello", "äöü", ""):
            connection.sendall(client.send(TextMessage(text)))
            take(Message)
        connection.sendall(client.send(CloseConnection(4001, "enough")))
        take(CloseConnection)
        connection.shutdown(socket.SHUT_WR)
    return [event for event in said if not (isinstance(event, list) and not event)]


@pytest.mark.skipif(find_spec("wsproto") is None, reason="wsproto is not installed")
@pytest.mark.parametrize("kind", WEBSOCKETS)
def test_websocket_and_lifespan_pass_untouched(kind, tmp_path):
    """Both sides see what they see without us; only the request beside them is a Trace."""
    with pair(kind, ECHO, tmp_path, "", arguments=WEBSOCKETS[kind]) as servers:
        said = [talk(server) for server in servers]
        answers = [server.get("/") for server in servers]
        codes = [server.stop() for server in servers]
    bare, recorded = servers
    # Headers such as the date differ, and stand beside the application's own.
    texts = [[event for event in one if isinstance(event, tuple)] for one in said]
    assert texts[0] == texts[1]
    assert [data for name, data in texts[0] if name == "TextMessage"] == ["olleh", "üöä", ""]
    assert all((b"x-own", b"1") in one[1] for one in said)
    assert answers[0].bytes == answers[1].bytes
    assert codes[0] == codes[1]
    events = [(server.folder / "told").read_text() for server in servers]
    assert events[0] == events[1]
    assert "lifespan.shutdown" in events[0]
    assert list(stored(recorded)) == [answers[1].trace]
    assert bare.store_path.exists() is False
