"""What every HTTP adapter does with a request: one Trace from its start to its closed response."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any

from queryscope import adapters
from queryscope import runtime as runtimes
from queryscope.capture import captured
from queryscope.runtime import Runtime, viewer_path
from queryscope.trace import guard
from queryscope.trace.answer import OpenAnswer
from queryscope.trace.flat import DURATION, WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from queryscope.trace.recorder import Recorder

_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_HOST = re.compile(
    r"[A-Za-z0-9._-]{1,253}(?::[0-9]{1,5})?\Z|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?\Z"
)
MAX_PATH_CHARS = 500

before_first: list[Callable[[], None]] = []
"""Called and forgotten when the first request or task of this process is recorded; two threads
that are first at a time may both call."""


_OWN = frozenset({"app", "_settings", "_debug", "_runtime"})


class Wrapper(ABC):
    """What the middlewares around a whole application share: settings, hooks, attributes.

    Args:
        app: The application.
        settings: Settings by name, see ``queryscope.settings.Settings``.
        debug: Development mode; None: as the application says at the first request.

    Raises:
        SettingsError: A setting is unknown or ill-typed.
    """

    source: str
    """Where the settings stand, for error texts."""

    def __init__(self, app: Any, settings: Mapping[str, Any] | None, debug: bool | None) -> None:  # noqa: FBT001 - handed on by name
        """Check the settings; hooks are installed here, threads start with the first Trace."""
        self.app = app
        self._settings = dict(settings or {})
        self._debug = debug
        self._runtime: Runtime | None = None
        self._configured({})

    def __getattr__(self, name: str) -> Any:
        """Give the application's own attributes: ``app.test_client()`` goes on working."""
        if name == "app":
            raise AttributeError(name)
        return getattr(self.app, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the application's own attributes: ``app.secret_key = ...`` must reach it."""
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self.app, name, value)

    @abstractmethod
    def debugs(self, request: Mapping[str, Any]) -> bool:
        """Tell whether the application says that it is in debug.

        Args:
            request: What the server tells of the first request, empty before it.
        """

    def in_force(self, request: Mapping[str, Any]) -> Runtime:
        """Return the runtime; the first request decides whether the application is in debug."""
        if self._runtime is None:
            try:
                self._runtime = self._configured(request)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "request.configure")
                self._runtime = runtimes.get()
        return self._runtime

    def _configured(self, request: Mapping[str, Any]) -> Runtime:
        debug = self.debugs(request) if self._debug is None else self._debug
        found = runtimes.configure(self._settings, source=self.source, debug=debug)
        adapters.install_loaded()
        return found


def begin(runtime: Runtime, environ: Mapping[str, Any]) -> Recorder | None:
    """Return an open Recorder for a request, None when it is not recorded.

    Args:
        runtime: The runtime in force.
        environ: The WSGI environment, or a mapping with its names.
    """
    try:
        return _begun(runtime, environ)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "request.begin")
        return None


def _begun(runtime: Runtime, environ: Mapping[str, Any]) -> Recorder | None:
    settings = runtime.settings
    path = str(environ.get("PATH_INFO") or "/")
    if not settings.enabled or any(path.startswith(prefix) for prefix in settings.ignore_paths):
        return None
    begins()
    method = str(environ.get("REQUEST_METHOD") or "GET")
    recorder = runtime.recorder("request", f"{method} {path[:MAX_PATH_CHARS]}")
    recorder.attributes = {"method": method, "path": path[:MAX_PATH_CHARS]}
    if recorder.full and method == "GET":
        recorder.answer = OpenAnswer(environ)
    recorder.w3c_trace_id = w3c_trace_id(environ.get("HTTP_TRACEPARENT"))
    recorder.open()
    return recorder


def begins() -> None:
    """Say that this process serves: before its first request, and its first task as a worker."""
    if before_first:
        calls = before_first.copy()
        before_first.clear()
        for call in calls:
            call()


def w3c_trace_id(header: object) -> str:
    """Return the trace id of a ``traceparent`` header, ``""`` where there is none."""
    match = _TRACEPARENT.match(str(header or ""))
    return match[1] if match else ""


def name_by_route(recorder: Recorder, route: str) -> None:
    """Name a request's Trace by its route: requests for two objects have one name."""
    recorder.attributes["route"] = route
    recorder.name = f"{recorder.attributes['method']} {route}"


def headers(runtime: Runtime, recorder: Recorder, elapsed_ns: int) -> list[tuple[str, str]]:
    """Return the response headers of a Trace under way: its id, and where the time went.

    Args:
        runtime: The runtime in force.
        recorder: The request's Recorder.
        elapsed_ns: Time from its start until now.
    """
    if not runtime.headers:
        return []
    database_ns = sum(recorder.statements[DURATION::WIDTH])
    wait_ns = sum(checkout.waited_ns for checkout in recorder.checkouts)
    parts = [
        f"total;dur={elapsed_ns / 1e6:.1f}",
        f'db;dur={database_ns / 1e6:.1f};desc="{len(recorder.statements) // WIDTH} statements"',
    ]
    if wait_ns:
        parts.append(f"pool;dur={wait_ns / 1e6:.1f}")
    return [("Server-Timing", ", ".join(parts)), ("X-Queryscope-Trace", recorder.id)]


def end(
    runtime: Runtime,
    recorder: Recorder,
    environ: Mapping[str, Any],
    error: BaseException | None = None,
) -> None:
    """Close a request's Recorder and send it to the sinks; a second time does nothing."""
    if recorder.closed:
        return
    try:
        recorder.close(error)
        url = ""
        if runtime.viewer:
            url = f"{_base_url(environ)}{viewer_path(runtime, recorder.id)}"
        request = captured(environ, recorder) if runtime.captures else None
        runtime.finished(recorder, url, request)
    except Exception as failure:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(failure, "request.end")


def _base_url(environ: Mapping[str, Any]) -> str:
    """Return scheme and host of a request, as its client sees them."""
    scheme = "https" if environ.get("wsgi.url_scheme") == "https" else "http"
    host = str(environ.get("HTTP_HOST") or "")
    # The client's own text, on its way to a terminal.
    if not _HOST.match(host):
        host = str(environ.get("SERVER_NAME") or "127.0.0.1")
        port = str(environ.get("SERVER_PORT") or "80")
        if port != ("443" if scheme == "https" else "80"):
            host = f"{host}:{port}"
    return f"{scheme}://{host}"


def is_viewers(runtime: Runtime, environ: Mapping[str, Any]) -> bool:
    """Tell whether a request may be the viewer's, by its path alone."""
    if not runtime.viewer:
        return False
    path = str(environ.get("PATH_INFO") or "")
    return path.startswith(runtime.settings.viewer_path[:-1])


def view(runtime: Runtime, environ: Mapping[str, Any]) -> Any:
    """Return the viewer's Answer to this request, None when it is the application's."""
    if not is_viewers(runtime, environ):
        return None
    try:
        # By name: the viewer stands above the adapters, and most processes never need it.
        return import_module("queryscope.web.viewer").answer(runtime, environ)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "request.viewer")
        return None
