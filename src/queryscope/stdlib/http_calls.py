"""Outgoing HTTP requests: when, how long, to which host; full recording only.

``http.client`` is under urllib, urllib3, requests and botocore. Each of them may have a ``request``
of its own, but all send with ``putrequest`` and wait with ``getresponse``. httpx speaks HTTP by
itself; its transports are hooked where it is in use. A request that never got as far as waiting for
its response (no such host, connection refused) is not noted.
"""

from __future__ import annotations

import http.client
import sys
import threading
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from queryscope.trace import guard
from queryscope.trace.calls import add_external_call
from queryscope.trace.codes import current_frame
from queryscope.trace.facts import clock
from queryscope.trace.patches import Patches
from queryscope.trace.scope import active, recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_SENT = "_queryscope_sent_ns"
"""Attribute of a connection between its request and its response."""

_lock = threading.RLock()
_patches = Patches("http_calls.install")
_httpx_patches = Patches("http_calls.httpx")


def install() -> None:
    """Note outgoing requests; what is in place already is not touched again."""
    with _lock:
        if not _patches:
            _patches.replace(http.client.HTTPConnection, "putrequest", _putrequest)
            _patches.replace(http.client.HTTPConnection, "getresponse", _getresponse)
        httpx = sys.modules.get("httpx")
        if httpx is not None and not _httpx_patches:
            _httpx_patches.replace(httpx.HTTPTransport, "handle_request", _handled)
            asynchronous = httpx.AsyncHTTPTransport
            _httpx_patches.replace(asynchronous, "handle_async_request", _handled_async)


def uninstall() -> None:
    """Put everything back."""
    with _lock:
        _patches.restore()
        _httpx_patches.restore()


def _is_full() -> bool:
    scope = active()
    return scope is not None and scope.recorder.full


# -- http.client -------------------------------------------------------------------------------


def _putrequest(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def putrequest(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_full():
            self.__dict__[_SENT] = clock()
        return original(self, *args, **kwargs)

    return putrequest


def _getresponse(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        sent = self.__dict__.pop(_SENT, None)
        if sent is None:
            return original(self, *args, **kwargs)
        failed: BaseException | None = None
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            failed = error
            raise
        finally:
            _note(partial(_host, self), sent, failed, current_frame(1))
            failed = None  # no cycle of the error with this frame

    return getresponse


def _host(connection: Any) -> Any:
    """Return the host that answers, not the proxy's."""
    return getattr(connection, "_tunnel_host", None) or connection.host


# -- httpx -------------------------------------------------------------------------------------


def _handled(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def handle_request(self: Any, request: Any) -> Any:
        if not _is_full():
            return original(self, request)
        failed: BaseException | None = None
        start = clock()
        try:
            return original(self, request)
        except BaseException as error:
            failed = error
            raise
        finally:
            _note(lambda: request.url.host, start, failed, current_frame(1))
            failed = None

    return handle_request


def _handled_async(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def handle_async_request(self: Any, request: Any) -> Any:
        if not _is_full():
            return await original(self, request)
        failed: BaseException | None = None
        start = clock()
        try:
            return await original(self, request)
        except BaseException as error:
            failed = error
            raise
        finally:
            _note(lambda: request.url.host, start, failed, current_frame(1))
            failed = None

    return handle_async_request


def _note(
    host_of: Callable[[], Any], start_ns: int, failed: BaseException | None, frame: FrameType
) -> None:
    end_ns = clock()
    try:
        recorder, scope = recording(), active()
        if recorder is None or scope is None:
            return
        host = host_of()
        stage = scope.stage if scope.recorder is recorder else -1
        name = host if type(host) is str else ""
        add_external_call(recorder, name, start_ns, end_ns, stage, failed, frame)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "http_calls.note")
