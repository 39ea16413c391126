"""What every HTTP adapter does with a request: one Trace from its start to its closed response."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from queryscope.runtime import Runtime, viewer_path
from queryscope.trace import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from queryscope.trace.recorder import Recorder

_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
MAX_PATH_CHARS = 500

before_first: list[Callable[[], None]] = []
"""Called and forgotten when the first request of this process is recorded; two threads that are
first at a time may both call."""


def begin(runtime: Runtime, environ: Mapping[str, Any]) -> Recorder | None:
    """Return an open Recorder for a request, None when it is not recorded.

    Args:
        runtime: The runtime in force.
        environ: The WSGI environment, or a mapping with its names.
    """
    settings = runtime.settings
    path = str(environ.get("PATH_INFO") or "/")
    if not settings.enabled or any(path.startswith(prefix) for prefix in settings.ignore_paths):
        return None
    if before_first:
        calls = before_first.copy()
        before_first.clear()
        for call in calls:
            call()
    method = str(environ.get("REQUEST_METHOD") or "GET")
    recorder = runtime.recorder("request", f"{method} {path[:MAX_PATH_CHARS]}")
    recorder.attributes = {"method": method, "path": path[:MAX_PATH_CHARS]}
    match = _TRACEPARENT.match(str(environ.get("HTTP_TRACEPARENT") or ""))
    if match:
        recorder.w3c_trace_id = match[1]
    recorder.open()
    return recorder


def headers(runtime: Runtime, recorder: Recorder, elapsed_ns: int) -> list[tuple[str, str]]:
    """Return the response headers of a Trace under way: its id, and where the time went.

    Args:
        runtime: The runtime in force.
        recorder: The request's Recorder.
        elapsed_ns: Time from its start until now.
    """
    if not runtime.headers:
        return []
    database_ns = sum(raw[2] for raw in recorder.queries)
    wait_ns = sum(checkout.waited_ns for checkout in recorder.checkouts)
    parts = [
        f"total;dur={elapsed_ns / 1e6:.1f}",
        f'db;dur={database_ns / 1e6:.1f};desc="{len(recorder.queries)} statements"',
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
        runtime.finished(recorder, url)
    except Exception as failure:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(failure, "request.end")


def _base_url(environ: Mapping[str, Any]) -> str:
    """Return scheme and host of a request, as its client sees them."""
    scheme = str(environ.get("wsgi.url_scheme") or "http")
    host = environ.get("HTTP_HOST")
    if not host:
        host = str(environ.get("SERVER_NAME") or "127.0.0.1")
        port = str(environ.get("SERVER_PORT") or "80")
        if port != ("443" if scheme == "https" else "80"):
            host = f"{host}:{port}"
    return f"{scheme}://{host}"


def view(runtime: Runtime, environ: Mapping[str, Any]) -> Any:
    """Return the viewer's Answer to this request, None when it is the application's."""
    if not runtime.viewer:
        return None
    path = str(environ.get("PATH_INFO") or "")
    if not path.startswith(runtime.settings.viewer_path[:-1]):
        return None
    # By name: the viewer stands above the adapters, and most processes never need it.
    return import_module("queryscope.web.viewer").answer(runtime, environ)
