"""gunicorn's gevent and threaded workers serve the booking example, with queryscope and without."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from queryscope.store.file import Store
from tests.serving import free_port, until

APP = Path(__file__).resolve().parents[2] / "example_apps" / "booking_sqlalchemy"
TIMEOUT_S = 60
CLIENTS = 8
PATHS = (
    "/health", "/items/7", "/items/8", "/items/1000000", "/discovery?date=2026-03-03",
    "/v2/discovery?date=2026-03-03", "/v2/items/7", "/admin-board/", "/v2/admin-board/", "/none",
)  # fmt: skip
ASKED = PATHS * 5
OURS = {"server-timing", "x-queryscope-trace"}
WORKERS = {
    "gevent": ("-k", "gevent"),
    "gthread": ("-k", "gthread", "--threads", str(CLIENTS)),
}
SEED = (
    "from booking_flask.database import database_url, make_engine;"
    "from booking_flask.seed import seed;"
    "seed(make_engine(database_url()), locations=12)"
)

pytestmark = pytest.mark.skipif(
    find_spec("gunicorn") is None or find_spec("gevent") is None,
    reason="gunicorn or gevent is not installed",
)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The URL of an SQLite file with a small part of the demonstration's rows."""
    url = f"sqlite:///{tmp_path_factory.mktemp('booking') / 'booking.sqlite3'}"
    environment = {**os.environ, "DATABASE_URL": url}
    subprocess.run(
        [sys.executable, "-c", SEED], cwd=APP, env=environment, check=True, timeout=TIMEOUT_S
    )
    return url


@contextmanager
def served(folder, database, worker, **variables):
    """Serve the application until the block ends; give its address and, then, its log."""
    port = free_port()
    log = folder / "gunicorn.log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "DATABASE_URL": database,
        "BOOKING_LOG": str(folder / "booking.log"),
        "BOOKING_POOL_SIZE": "40",
        **variables,
    }
    with log.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "wsgi:app", *WORKERS[worker],
             "--bind", f"127.0.0.1:{port}", "--workers", "1", "--graceful-timeout", "20"],
            cwd=APP, env=environment, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def listens():
        assert server.poll() is None, log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(listens, log.read_text, TIMEOUT_S)
        yield f"http://127.0.0.1:{port}"
        server.send_signal(signal.SIGTERM)
        assert server.wait(TIMEOUT_S) == 0, log.read_text()
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def get(url):
    """Return status, headers and body of an answer, and the id of its Trace."""
    request = Request(url, headers={"Authorization": "Token token-1"})
    try:
        with urlopen(request, timeout=TIMEOUT_S) as response:
            answer = response.status, dict(response.headers), response.read()
    except HTTPError as error:
        with error:
            answer = error.code, dict(error.headers), error.read()
    status, headers, body = answer
    kept = sorted((k.lower(), v) for k, v in headers.items() if k.lower() not in {"date", *OURS})
    return (status, kept, body), headers.get("X-Queryscope-Trace")


def answers(address):
    """Ask for every path: twice one after the other, then often by several clients at a time."""
    urls = [address + path for path in ASKED]
    alone = [get(url) for url in urls[: 2 * len(PATHS)]]  # the first fill the caches
    with ThreadPoolExecutor(CLIENTS) as clients:
        return alone + list(clients.map(get, urls[2 * len(PATHS) :], timeout=TIMEOUT_S))


@pytest.mark.parametrize("worker", WORKERS)
def test_worker_answers_the_same_and_every_trace_is_stored(tmp_path, database, worker):
    """Answers are equal; each Trace has what its request sends when it is served alone."""
    with served(tmp_path, database, worker) as address:
        bare = answers(address)
    assert all(key is None for _, key in bare)
    stored = tmp_path / "traces.db"
    recorded = {
        "BOOKING_QUERYSCOPE": "1",
        "QUERYSCOPE_RUN": "1",  # records in full and stores, as under `queryscope run`
        "QUERYSCOPE_STORE": str(stored),
    }
    with served(tmp_path, database, worker, **recorded) as address:
        profiled = answers(address)
    assert [answer for answer, _ in profiled] == [answer for answer, _ in bare]
    log = (tmp_path / "gunicorn.log").read_text()
    assert "Traceback" not in log, log

    store = Store(stored)
    try:
        traces = {item.id: store.get(item.id).trace for item in store.list(limit=10_000)}
    finally:
        store.close()
    assert len({key for _, key in profiled}) == len(ASKED)
    alone = {}
    for number, (path, ((status, _, _), key)) in enumerate(zip(ASKED, profiled, strict=True)):
        trace = traces[key]
        assert trace.attributes["path"] == path.partition("?")[0]
        assert trace.attributes["status"] == str(status)
        assert trace.orphans == 0
        assert trace.failures == ()
        sent = sorted(query.statement for query in trace.queries)
        if number < 2 * len(PATHS):
            alone[path] = sent
        else:
            assert sent == alone[path], path
    assert max(map(len, alone.values())) > 10
