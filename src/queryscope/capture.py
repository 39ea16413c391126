"""Whole requests, kept in development and tests where ``capture_requests`` asks for it.

A body is seen as the application reads it: nothing is read that it does not read itself, and a
request whose body it did not read to the end is not kept. Credentials go by their names, in
headers, parameters, fields of forms and keys of JSON; a body of another kind is not kept, as
nothing tells what is in it.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from queryscope.credentials import MASK, is_credential
from queryscope.trace import guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping

    from queryscope.trace.recorder import Recorder

KEY = "queryscope.capture"
"""Under which the environment of a request has its Capture."""
MAX_BODY_BYTES = 256 * 1024
MAX_HEADERS = 100
LEFT_OUT = frozenset(
    {
        "accept-encoding", "connection", "content-length", "host", "keep-alive", "te",
        "traceparent", "tracestate", "transfer-encoding", "upgrade", "upgrade-insecure-requests",
        "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip",
    }
)  # fmt: skip
"""Headers that the connection makes, or that name machines and people."""
FORM = "application/x-www-form-urlencoded"
_CSRF_FIELD = "csrfmiddlewaretoken"
_CSRF_COOKIES = re.compile(r"\s*[\w-]*csrf[\w-]*\s*=[^;]*(;|\Z)", re.IGNORECASE)
_PLACE = re.compile(r"<(?:[^:<>]+:)?(\w+)>|\{(\w+)(?::\w+)?\}")


class Capture:
    """One request on its way.

    Args:
        method: Upper case.
        path: Percent-encoded.
        query: As sent.
        headers: Names in lower case, and values.
    """

    __slots__ = ("_headers", "_method", "_parts", "_path", "_query", "_size", "_wanted")

    def __init__(
        self, method: str, path: str, query: str, headers: Iterable[tuple[str, str]]
    ) -> None:
        """Take what is known before the body."""
        self._method = method
        self._path = path
        self._query = query
        self._headers = [pair for pair in headers if pair[0] not in LEFT_OUT][:MAX_HEADERS]
        self._parts: list[bytes] = []
        self._size = 0
        self._wanted = 0

    def expect(self, length: str, *, chunked: bool = False) -> bool:
        """Take the length of the body; tell whether there will be one that is kept."""
        self._wanted = -1 if chunked else int(length) if length.isdigit() else 0
        return self._wanted < 0 or 0 < self._wanted <= MAX_BODY_BYTES

    def add(self, part: bytes) -> None:
        """Take a part of the body."""
        self._size += len(part)
        if self._size <= MAX_BODY_BYTES:
            self._parts.append(bytes(part))

    def ended(self) -> None:
        """Take note that the body is whole."""
        if self._wanted < 0:
            self._wanted = self._size

    def text(self) -> str | None:
        """Return the request as JSON, as contracts have it; None for one that is not kept."""
        if self._size != self._wanted or self._size > MAX_BODY_BYTES:
            return None
        body = self._masked_body(b"".join(self._parts))
        if body is None:
            return None
        query = urlencode(_masked(parse_qsl(self._query, keep_blank_values=True)))
        plain: dict[str, Any] = {
            "method": self._method,
            "target": f"{self._path}?{query}" if query else self._path,
        }
        headers = list(self._masked_headers())
        if headers:
            plain["headers"] = headers
        if body:
            plain["base64"] = base64.b64encode(body).decode("ascii")
        return json.dumps(plain)

    def _masked_headers(self) -> Iterator[list[str]]:
        for name, value in self._headers:
            # A cookie that only says that forms are checked makes nobody somebody.
            if name == "cookie" and not _CSRF_COOKIES.sub("", value).strip():
                continue
            yield [name, MASK if is_credential(name) else value]

    def _masked_body(self, body: bytes) -> bytes | None:
        if not body:
            return b""
        named = dict(self._headers).get("content-type", "")
        kind = named.partition(";")[0].strip().lower()
        try:
            if kind == FORM:
                pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True)
                return urlencode(_masked(pairs)).encode()
            if kind == "application/json" or kind.endswith("+json"):
                return json.dumps(_masked_json(json.loads(body)), ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            pass  # not what it says it is
        return None


def _masked(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    # Django takes the token of a header where the form has none: that of the actor, then.
    return [
        (name, MASK if is_credential(name) else value)
        for name, value in pairs
        if name != _CSRF_FIELD
    ]


def _masked_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: MASK if is_credential(key) and one is not None else _masked_json(one)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_masked_json(one) for one in value]
    return value


# -- where requests come in -------------------------------------------------------------------


class Tee:
    """A stream of a request's body that hands over what is read, and all else as it is."""

    def __init__(self, stream: Any, capture: Capture) -> None:
        """Stand in for a stream."""
        self._stream = stream
        self._capture = capture

    def read(self, *size: int) -> bytes:
        """Read as the stream does."""
        return self._seen(self._stream.read(*size), size)

    def readline(self, *size: int) -> bytes:
        """Read a line as the stream does."""
        return self._seen(self._stream.readline(*size), size)

    def readlines(self, *hint: int) -> list[bytes]:
        """Read lines as the stream does."""
        found: list[bytes] = self._stream.readlines(*hint)
        for line in found:
            self._seen(line, ())
        return found

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            yield self._seen(line, ())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _seen(self, part: bytes, size: tuple[int, ...]) -> bytes:
        try:
            self._capture.add(part)
            if not part and size != (0,):
                self._capture.ended()
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "capture.read")
        return part


def of_wsgi(environ: dict[str, Any]) -> None:
    """Capture a request of a WSGI environment, its body as the application reads it."""
    try:
        path = str(environ.get("SCRIPT_NAME") or "") + str(environ.get("PATH_INFO") or "/")
        capture = of_environ(environ, path.encode("latin-1", "replace"))
        if capture is not None:
            environ["wsgi.input"] = Tee(environ["wsgi.input"], capture)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "capture.wsgi")


def of_environ(environ: dict[str, Any], path: bytes) -> Capture | None:
    """Capture a request but for its body; return the Capture where a body is to come."""
    headers = [
        (key.removeprefix("HTTP_").replace("_", "-").lower(), str(value))
        for key, value in environ.items()
        if key.startswith("HTTP_") or (key == "CONTENT_TYPE" and value)
    ]
    capture = Capture(
        str(environ.get("REQUEST_METHOD") or "GET"),
        quote(path, safe="/:@!$&'()*+,;=-._~"),
        str(environ.get("QUERY_STRING") or ""),
        headers,
    )
    environ[KEY] = capture
    chunked = "chunked" in str(environ.get("HTTP_TRANSFER_ENCODING") or "").lower()
    length = str(environ.get("CONTENT_LENGTH") or "")
    return capture if capture.expect(length, chunked=chunked) else None


def of_asgi(
    environ: dict[str, Any],
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
) -> Callable[[], Awaitable[MutableMapping[str, Any]]]:
    """Capture a request of an ASGI scope; return the ``receive`` for the application."""
    try:
        headers = [(n.decode("latin-1"), value.decode("latin-1")) for n, value in scope["headers"]]
        raw = scope.get("raw_path") or quote(str(scope.get("path") or "/")).encode()
        query = bytes(scope.get("query_string") or b"").decode("latin-1")
        capture = Capture(str(scope["method"]), raw.decode("latin-1"), query, headers)
        capture.expect("", chunked=True)
        environ[KEY] = capture
        # Most never read a body that is not there.
        if not {"content-length", "transfer-encoding"} & {name for name, _ in headers}:
            capture.ended()
            return receive
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "capture.asgi")
        return receive

    async def received() -> MutableMapping[str, Any]:
        message = await receive()
        try:
            if message["type"] == "http.request":
                capture.add(message.get("body", b""))
                if not message.get("more_body"):
                    capture.ended()
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "capture.receive")
        return message

    return received


def captured(environ: Mapping[str, Any], recorder: Recorder) -> tuple[str, str] | None:
    """Return endpoint and text of a request that has ended, None where it is not kept."""
    capture = environ.get(KEY)
    text = capture.text() if isinstance(capture, Capture) else None
    if text is None:
        return None
    method = recorder.attributes["method"]
    route = recorder.attributes.get("route") or recorder.attributes["path"]
    return f"{method} {_PLACE.sub(_braced, route)}", text


def _braced(match: re.Match[str]) -> str:
    return f"{{{match[1] or match[2]}}}"
