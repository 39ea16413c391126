"""Boots the servers of the load run, asks what they counted, and ends them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryscope.trace.pool import safe_capacity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "example_apps"
CLIENTS = 20
HELD_BY_LEGACY = 3
"""Connections that a legacy detail request holds at a time, see BOTTLENECKS.md and QS505."""
LEGACY_POOL = safe_capacity(CLIENTS, HELD_BY_LEGACY)
BOOT_S = 90.0
STOP_S = 60.0
KEEP_ALIVE_S = 75
"""Longer than a client waits between two requests: none finds its connection closed."""
COUNTERS = "/load/counters"

GUNICORN = ("-m", "gunicorn", "served:app", "--bind", "127.0.0.1:{port}", "--timeout", "180",
            "--keep-alive", str(KEEP_ALIVE_S), "--no-control-socket")  # fmt: skip
WORKERS: Mapping[str, tuple[str, ...]] = {
    "gunicorn sync": (*GUNICORN, "-k", "sync", "--workers", "2"),
    "gunicorn gthread": (*GUNICORN, "-k", "gthread", "--workers", "1", "--threads", str(CLIENTS)),
    "gunicorn gevent": (*GUNICORN, "-k", "gevent", "--workers", "1"),
    "uvicorn": ("-m", "uvicorn", "served:app", "--host", "127.0.0.1", "--port", "{port}",
                "--no-access-log", "--timeout-keep-alive", str(KEEP_ALIVE_S)),
}  # fmt: skip
SEEDS = {
    "booking_django": ("manage.py", "seed"),
    "booking_sqlalchemy": ("-m", "booking_flask.seed"),
}


class ServerError(Exception):
    """A server did not start, or did not do what it was asked for; the text is its log."""


class Server:
    """One server under load."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        """Know a process that was started."""
        self.process = process
        self.port = port
        self.log = log

    def counters(self) -> dict[int, dict[str, Any]]:
        """Return what each of its processes counted, by pid.

        Raises:
            ServerError: One of them does not answer in time.
        """
        wanted = self._serving()
        found: dict[int, dict[str, Any]] = {}
        deadline = time.monotonic() + BOOT_S
        while True:
            answer = self._ask()
            if answer is not None:
                found[answer["pid"]] = answer
                if len(found) >= wanted:
                    return found
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise ServerError(self.log.read_text(errors="replace"))
            if answer is None:
                time.sleep(0.1)

    def _serving(self) -> int:
        """Return how many processes serve."""
        arguments = self.process.args
        assert isinstance(arguments, list)
        return int(arguments[arguments.index("--workers") + 1]) if "--workers" in arguments else 1

    def _ask(self) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=BOOT_S)
        try:
            connection.request("GET", COUNTERS)
            return json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def rss_kib(self, pids: tuple[int, ...]) -> int:
        """Return the resident memory of processes, in KiB."""
        return sum(rss_kib(pid) for pid in pids)


def rss_kib(pid: int) -> int:
    """Return the resident memory of a process, in KiB."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def seed(application: str, url: str, locations: int, *, indexes: bool = True) -> None:
    """Fill the database of an application, with the indexes that the repaired endpoints use."""
    more = ("--indexes",) if indexes else ()
    subprocess.run(
        [sys.executable, *SEEDS[application], "--locations", str(locations), *more],
        cwd=EXAMPLES / application,
        env={**plain(), "DATABASE_URL": url, "BOOKING_LOG": os.devnull},
        check=True,
        capture_output=True,
        timeout=BOOT_S,
    )


def plain() -> dict[str, str]:
    """Return the environment without what says how tests, or other applications, run."""
    foreign = (
        "PYTEST", "COV_", "PYTHONDEV", "PYTHONWARN", "QUERYSCOPE", "DJANGO", "FLASK", "BOOKING",
    )  # fmt: skip
    return {key: value for key, value in os.environ.items() if not key.startswith(foreign)}


@contextmanager
def served(
    application: str,
    worker: str,
    folder: Path,
    database: str,
    *,
    settings: Mapping[str, Any] | None,
    legacy: bool,
    rtt_ms: float,
) -> Iterator[Server]:
    """Serve an application until the block ends.

    Args:
        application: A folder of ``example_apps``.
        worker: A name in ``WORKERS``.
        folder: For its logs.
        database: The URL.
        settings: Of queryscope, None for a bare server.
        legacy: Whether the pool must be above the deadlock bound of the legacy endpoints.
        rtt_ms: Round trip of a statement, during which other requests go on.

    Raises:
        ServerError: It did not start, or did not end by itself.
    """
    name = "bare" if settings is None else "recorded"
    port = free_port()
    environment = {
        **plain(),
        # Of the tree that this file is in, whatever else is installed.
        "PYTHONPATH": os.pathsep.join((str(HERE), str(HERE.parents[1] / "src"))),
        "LOAD_APPLICATION": application,
        "LOAD_INTERFACE": "asgi" if worker == "uvicorn" else "wsgi",
        "DATABASE_URL": database,
        "BOOKING_LOG": str(folder / f"{name}-booking.log"),
        "BOOKING_RTT_MS": str(rtt_ms),
        "BOOKING_POOL_TIMEOUT_S": "180",
    }
    if legacy:
        environment["BOOKING_POOL_SIZE"] = str(LEGACY_POOL)
    if settings is not None:
        environment["LOAD_SETTINGS"] = json.dumps(settings)
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *(part.format(port=port) for part in WORKERS[worker])],
            cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    server = Server(process, port, log)
    try:
        server.counters()
        yield server
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"{worker} did not end: {log.read_text(errors='replace')}") from error
    finally:
        if process.poll() is None:
            # By a signal that its children are told of; killed, it would leave them behind.
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])
