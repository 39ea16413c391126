"""What a replayed application may do: limits, a fence around files and sockets, notes of effects.

The fence is an audit hook: it holds for Python code, not for a library that opens its sockets in
C. What it refuses is noted, so that a proof never rests on an application that was kept from its
work without anybody knowing.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

PR_SET_PDEATHSIG = 1
MAX_FILE_BYTES = 2 * 1024**3
MAX_LOGGING_DEPTH = 12
"""Frames between the audit hook and the handler that opens its file, and some more."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
DEVICES = ("/dev/null", "/dev/urandom", "/dev/tty", "/dev/zero")
_STARTS = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
     "os.forkpty"}
)  # fmt: skip
_CHANGES = frozenset(
    {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate",
     "os.chmod", "os.chown", "os.utime", "shutil.rmtree"}
)  # fmt: skip
_PASSED = frozenset({"__pycache__", ".queryscope"})
"""Folders of Python's, and of an application's own recording: no work of the application's."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

REFUSED = "refused"
"""Effects of this kind say that the application was kept from something."""


class Notes:
    """What the application did beside answering, since it was last asked for."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._seen: list[tuple[str, str]] = []

    def add(self, name: str, value: str) -> None:
        """Note an effect."""
        with self._lock:
            self._seen.append((name, value))

    def take(self) -> tuple[tuple[str, str], ...]:
        """Return what was noted, sorted, equal names with their number; and forget it."""
        with self._lock:
            seen, self._seen = self._seen, []
        counts: dict[tuple[str, str], int] = {}
        for pair in seen:
            counts[pair] = counts.get(pair, 0) + 1
        return tuple(
            sorted((name, value or f"{times} times") for (name, value), times in counts.items())
        )


class Fence:
    """An audit hook that keeps an application within one folder and one database.

    Args:
        folder: The only folder where files may be written, and SQLite files opened.
        tree: The copy of the project in it: its paths are noted relative to it.
        database: URL of the data; a server's host and port may be connected to.
        notes: Where effects go.
    """

    def __init__(self, folder: str, tree: str, database: str, notes: Notes) -> None:
        """Prepare; nothing is refused before ``put_up``."""
        self._folder = os.path.realpath(folder)
        self._tree = os.path.realpath(tree)
        parts = urlsplit(database)
        self._server = None if parts.scheme.startswith("sqlite") else (parts.hostname, parts.port)
        self._notes = notes
        self._ours = threading.local()

    def put_up(self) -> None:
        """Refuse and note from now on, for good."""
        sys.addaudithook(self._heard)

    @contextmanager
    def ours(self) -> Iterator[None]:
        """Let this thread pass: what it does is the verifier's own work."""
        self._ours.on = True
        try:
            yield
        finally:
            self._ours.on = False

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _HEARD or getattr(self._ours, "on", False):
            return
        self._ours.on = True  # what we do to look is not looked at
        try:
            if event == "open":
                self._opened(*arguments)
            elif event == "sqlite3.connect":
                self._database(arguments[0])
            elif event in _STARTS:
                self._refuse("process", _shown(arguments[0] if arguments else event))
            elif event in _CHANGES:
                for path in arguments[: 2 if event in ("os.rename", "os.link") else 1]:
                    self._written(path, event)
            else:
                self._socket(event, arguments)
        finally:
            self._ours.on = False

    def _opened(self, path: Any, _mode: Any, flags: int) -> None:
        if isinstance(path, int) or not flags & _WRITES or _shown(path) in DEVICES:
            return
        self._written(path, "open")

    def _written(self, path: Any, how: str) -> None:
        if isinstance(path, int):
            return
        full = os.path.realpath(_shown(path))
        if not _below(full, self._folder):
            self._refuse("file", f"{how} {full}")
        elif _is_void(how, full) or _is_logging() or not _PASSED.isdisjoint(Path(full).parts):
            # How much is logged is compared by levels, not by files and when they are full.
            return
        else:
            shown = os.path.relpath(full, self._tree) if _below(full, self._tree) else "elsewhere"
            self._notes.add("file written", f"{how} {shown}")

    def _database(self, database: Any) -> None:
        name = _shown(database)
        if name.startswith("file:"):
            name = unquote(urlsplit(name).path) if ":memory:" not in name else ":memory:"
        if name and name != ":memory:" and not _below(os.path.realpath(name), self._folder):
            self._refuse("database", os.path.realpath(name))

    def _socket(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            address: Any = arguments[:2]
        else:
            address = arguments[1]
        if isinstance(address, (str, bytes)):  # a socket of this machine
            self._refuse("socket", _shown(address))
        host, port = address[0], address[1]
        if self._server is not None and _is_server(host, port, *self._server):
            return
        if event == "socket.getaddrinfo" and host in (None, *LOOPBACK):
            return
        self._refuse("socket", f"{host}:{port}")

    def _refuse(self, what: str, detail: str) -> None:
        self._notes.add(f"{REFUSED} {what}", detail)
        raise PermissionError(1, f"a replay may not use this {what}", detail)


_HEARD = (
    _STARTS
    | _CHANGES
    | {"open", "sqlite3.connect", "socket.connect", "socket.sendto", "socket.getaddrinfo"}
)


def _is_server(host: Any, port: Any, wanted_host: str | None, wanted_port: int | None) -> bool:
    same_host = host == wanted_host or (host in LOOPBACK and wanted_host in LOOPBACK)
    return same_host and (wanted_port is None or str(port) == str(wanted_port))


def _is_void(how: str, path: str) -> bool:
    """Tell whether nothing will come of it: a folder that is to be made is there already."""
    return how == "os.mkdir" and os.path.isdir(path)  # noqa: PTH112 - a string, and often


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _shown(path: Any) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        return str(path)


def _is_logging() -> bool:
    """Tell whether a handler of ``logging`` opens its file."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the way to the callers' frames
    for _ in range(MAX_LOGGING_DEPTH):
        if frame is None:
            return False
        if frame.f_globals.get("__name__") in ("logging", "logging.handlers"):
            return True
        frame = frame.f_back
    return False


def note_logs(notes: Notes) -> None:
    """Note log calls from WARNING on, by level and logger; texts hold times and addresses."""
    inner: Callable[..., None] = logging.Logger.callHandlers

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            notes.add(f"log {record.levelname} {record.name}", "")
        inner(self, record)

    logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]  # in this child alone


def die_with_parent(parent: int) -> None:
    """End this process when its parent ends, also by a kill; Linux only."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it was gone before


def set_limits(memory_mib: int, cpu_s: int) -> None:
    """Bound memory, processor time and file sizes of this process; no core files."""
    for what, limit in (
        (resource.RLIMIT_AS, memory_mib * 1024 * 1024),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (wanted, wanted if what != resource.RLIMIT_CPU else hard))
