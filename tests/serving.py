"""Real servers around the example applications: booted, asked over loopback, and ended always.

The applications are those of ``tests/workers/sites``: the examples, and beside them the paths
under ``/cases/`` that answer in ways in which the examples do not.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.load.servers import free_port, plain, seed

ROOT = Path(__file__).resolve().parents[1]
SITES = ROOT / "tests" / "workers" / "sites"
BOOT_S = 60
STOP_S = 30
ANSWER_S = 60
STORE = "traces.db"
LOCATIONS = 12
"""Of the demonstration's rows, with what belongs to them."""

WSGI, ASGI = "wsgi_app", "asgi_app"
DJANGO, FLASK = "booking_django", "booking_sqlalchemy"
GUNICORN = "-m gunicorn {site}:%s --bind 127.0.0.1:{port} --graceful-timeout 15"
if find_spec("gunicorn") and find_spec("gunicorn.ctl"):
    GUNICORN += " --no-control-socket"  # it would be one for all servers of a user
KINDS = {
    # name: (the arguments of Python, with `{site}` and `{port}`; packages that it needs)
    "sync": (f"{GUNICORN % WSGI} -k sync", ("gunicorn",)),
    "gthread": (f"{GUNICORN % WSGI} -k gthread --threads 4", ("gunicorn",)),
    "gevent": (f"{GUNICORN % WSGI} -k gevent", ("gunicorn", "gevent")),
    "gunicorn asgi": (f"{GUNICORN % ASGI} -k asgi", ("gunicorn", "gunicorn.workers.gasgi")),
    "gunicorn uvicorn": (f"{GUNICORN % ASGI} -k uvicorn.workers.UvicornWorker",
                         ("gunicorn", "uvicorn", "uvicorn.workers")),
    "uvicorn": ("-m uvicorn {site}:asgi_app --host 127.0.0.1 --port {port}", ("uvicorn",)),
    "hypercorn": ("-m hypercorn {site}:asgi_app --bind 127.0.0.1:{port}", ("hypercorn",)),
    "daphne": ("-m daphne -b 127.0.0.1 -p {port} {site}:asgi_app", ("daphne",)),
    "runserver": ("-m django runserver 127.0.0.1:{port}", ()),
    "flask run": ("-m flask --app {site}:wsgi_app run --port {port}", ()),
}  # fmt: skip
OURS = re.compile(rb"^(?:Server-Timing|X-Queryscope-Trace): .*\r\n", re.MULTILINE | re.IGNORECASE)
DATE = re.compile(rb"^Date: .*\r\n", re.MULTILINE | re.IGNORECASE)
TRACE = re.compile(rb"^X-Queryscope-Trace: (\w+)\r$", re.MULTILINE | re.IGNORECASE)


class Answer(NamedTuple):
    """What a server sent, to its last byte, without the date and without what is ours."""

    bytes: bytes
    trace: str

    @property
    def status(self):
        """The status code, 0 where nothing was sent."""
        return int(self.bytes.split(b" ", 2)[1]) if self.bytes else 0

    @property
    def body(self):
        """What follows the headers, in chunks where it came so."""
        return self.bytes.partition(b"\r\n\r\n")[2]


def answer_of(sent):
    """Return the Answer in all that was sent."""
    head, gap, body = sent.partition(b"\r\n\r\n")
    found = TRACE.search(head + b"\r\n")
    head = DATE.sub(b"", OURS.sub(b"", head + b"\r\n")).removesuffix(b"\r\n")
    return Answer(head + gap + body, found[1].decode() if found else "")


class Server:
    """A server that runs.

    Attributes:
        kind: One of ``KINDS``.
        application: ``DJANGO`` or ``FLASK``.
        port: Where it listens on 127.0.0.1.
        process: The process that was started.
        folder: Its own: the store, the log, and what the application writes.
    """

    def __init__(self, kind, application, folder, arguments, environment):
        """Start it; ``wait`` waits until it answers."""
        self.kind = kind
        self.application = application
        self.folder = folder
        self.port = free_port()
        self._log = folder / "server.log"
        words = KINDS[kind][0].format(site=f"{application}_site", port=self.port).split()
        with self._log.open("w") as log, interruptible():
            self.process = subprocess.Popen(
                [sys.executable, *words, *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self):
        """What it printed."""
        return self._log.read_text(errors="replace")

    @property
    def store_path(self):
        """Where its Traces are."""
        return self.folder / STORE

    def wait(self):
        """Wait until somebody listens."""
        until(self._listens, lambda: self.log, BOOT_S)
        return self

    def _listens(self):
        assert self.process.poll() is None, self.log
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def connect(self):
        """Return a connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), ANSWER_S)

    def get(self, path, *, method="GET", headers=()):
        """Ask on a connection of its own; return the Answer."""
        with self.connect() as connection:
            connection.sendall(asked(path, "Connection: close", *headers, method=method))
            return answer_of(read_all(connection))

    def stop(self, how=signal.SIGTERM, *, pid=None):
        """Send a signal, to one of its processes if ``pid``; return the exit code."""
        os.kill(pid or self.process.pid, how)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.kind} goes on:\n{self.log}") from None

    def served_by(self):
        """Return the process that a reloader has started, the server's own where it has none."""
        pid = self.process.pid
        while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            pid = int(children[0])
        return pid

    def end(self):
        """End it and all its children, whatever state it is in."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def served(*args, **kwargs):
    """Serve an application until the block ends; see ``started``."""
    with started(*args, **kwargs) as server:
        yield server.wait()


@contextmanager
def pair(kind, application, folder, database, **more):
    """Serve an application twice at a time, bare and recorded; see ``started``."""
    bare = started(kind, application, folder / "bare", database, recorded=False, **more)
    recorded = started(kind, application, folder / "recorded", database, **more)
    with bare as first, recorded as second:
        yield first.wait(), second.wait()


@contextmanager
def started(kind, application, folder, database, *, recorded=True, arguments=(), **variables):
    """Start serving an application; its processes are gone when the block ends.

    Args:
        kind: One of ``KINDS``; the test is skipped where a package for it is not installed.
        application: ``DJANGO`` or ``FLASK``.
        folder: Where the server runs and writes; made if it is not there.
        database: The ``DATABASE_URL``, see ``seeded``.
        recorded: With queryscope; without, nothing of it is imported.
        arguments: More arguments of the server.
        variables: More environment variables; ``SITE_SETTINGS`` has queryscope's settings, by
            default those of production with requests stored and headers on.
    """
    missing = [name for name in KINDS[kind][1] if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    environment = environment_of(application, folder, database, recorded=recorded, **variables)
    server = Server(kind, application, folder, arguments, environment)
    try:
        yield server
    finally:
        server.end()


@contextmanager
def interruptible():
    """Start processes that Ctrl-C ends: who runs in the background of a shell hands on none."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def environment_of(application, folder, database, *, recorded, **variables):
    """Return the environment of a process that serves, or asks, an application."""
    kept = plain()
    more = {"SITE_SETTINGS": json.dumps(settings_for(folder))} if recorded else {}
    path = [str(SITES), str(ROOT / "example_apps" / application), kept.get("PYTHONPATH", "")]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",  # some answers list what was in a set
        "DJANGO_SETTINGS_MODULE": "booking_django_settings",
        "DATABASE_URL": database,
        "BOOKING_LOG": str(folder / "booking.log"),
        "BOOKING_POOL_SIZE": "40",
        **more,
        **variables,
    }


def settings_for(folder, **more):
    """Return queryscope's settings: production, but all is stored and the client is told."""
    chosen = {"store": True, "store_path": str(folder / STORE), "headers": True}
    return {**chosen, **more}


def seeded(application, folder):
    """Return the URL of an SQLite file with a small part of the demonstration's rows."""
    url = f"sqlite:///{folder / application}.sqlite3"
    seed(application, url, LOCATIONS, indexes=False)
    return url


def asked(path, *headers, method="GET"):
    """Return the bytes of a request; those to two servers are equal, whatever their ports."""
    own = ("Host: localhost", "Authorization: Token token-1")
    return "\r\n".join([f"{method} {path} HTTP/1.1", *own, *headers, "", ""]).encode()


def read_all(connection):
    """Read until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def until(done, told=lambda: "", limit_s=STOP_S):
    """Ask again and again until it is so; return what was found, or fail with what is told."""
    deadline = time.monotonic() + limit_s
    while not (found := done()):
        assert time.monotonic() < deadline, f"still not so after {limit_s} s:\n{told()}"
        time.sleep(0.02)
    return found
