"""A booted application and how it is asked: WSGI as a server calls it, ASGI with its lifespan."""

from __future__ import annotations

import asyncio
import inspect
import io
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote_to_bytes

from queryscope.verify.contract import Answer

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from queryscope.verify.contract import Pairs, Request

SERVER = "gunicorn/23.0.0"
"""What an application reads of its server: a patch must not tell a proof from production."""
CLIENT = ("127.0.0.1", 49152)
PORT = 80


class Asker(Protocol):
    """Who sends a request to the application and takes the whole answer."""

    def ask(self, request: Request, headers: Pairs) -> Answer:
        """Return the answer to a request with the actor's headers added."""

    def close(self) -> None:
        """Let the application shut down."""


def load(place: str) -> Any:
    """Return what ``module:name`` names; with ``()`` behind it, what calling it returns."""
    module, _, name = place.partition(":")
    found: Any = import_module(module)
    called = name.endswith("()")
    for part in name.removesuffix("()").split("."):
        found = getattr(found, part)
    return found() if called else found


def asker_of(app: Any, host: str) -> Asker:
    """Return who asks an application, by what kind of application it is."""
    call = app if inspect.isfunction(app) or inspect.ismethod(app) else type(app).__call__
    if inspect.iscoroutinefunction(call) or _takes_three(call):
        return Asgi(app, host)
    return Wsgi(app, host)


def _takes_three(call: Any) -> bool:
    try:
        names = [name for name in inspect.signature(call).parameters if name != "self"]
    except (TypeError, ValueError):
        return False
    return names[:3] == ["scope", "receive", "send"]


class Wsgi:
    """Asks a WSGI application."""

    def __init__(self, app: Any, host: str) -> None:
        """Take the application and the host name that it is asked under."""
        self._app = app
        self._host = host

    def ask(self, request: Request, headers: Pairs) -> Answer:
        """Return the answer, with the response closed."""
        environ = self._environ(request, headers)
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        early: list[bytes] = []

        def start_response(status: str, found: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if exc_info is not None and begun and early:
                raise exc_info[1].with_traceback(exc_info[2])
            begun[:] = [(status, list(found))]
            return early.append

        response = self._app(environ, start_response)
        try:
            body = b"".join([*response])
        finally:
            close = getattr(response, "close", None)
            if close is not None:
                close()
        status, found = begun[0]
        return Answer(
            status=int(status.split(" ", 1)[0]), headers=tuple(found), body=b"".join(early) + body
        )

    def close(self) -> None:
        """Do nothing: a WSGI application has no end."""

    def _environ(self, request: Request, headers: Pairs) -> dict[str, Any]:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(request.raw_path).decode("latin-1"),
            "RAW_URI": request.target,
            "QUERY_STRING": request.raw_query,
            "SERVER_NAME": self._host,
            "SERVER_PORT": str(PORT),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_SOFTWARE": SERVER,
            "REMOTE_ADDR": CLIENT[0],
            "REMOTE_PORT": str(CLIENT[1]),
            "HTTP_HOST": self._host,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if request.body:
            environ["CONTENT_LENGTH"] = str(len(request.body))
        for name, value in headers:
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            elif key == "CONTENT_LENGTH":
                continue  # the body's own
            known = environ.get(key)
            repeated = known is not None and key not in ("HTTP_HOST", "CONTENT_TYPE")
            joint = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{known}{joint}{value}" if repeated else value
        return environ


class Asgi:
    """Asks an ASGI application, on one event loop, between the two ends of its lifespan."""

    def __init__(self, app: Any, host: str) -> None:
        """Start the loop and the lifespan."""
        self._app = app
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._state: dict[str, Any] = {}
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._life: asyncio.Task[None] | None = None
        self._run(self._start())

    def ask(self, request: Request, headers: Pairs) -> Answer:
        """Return the answer, after the application has returned."""
        answer: Answer = self._run(self._asked(request, headers))
        return answer

    def close(self) -> None:
        """Send the end of the lifespan."""
        if self._life is not None and not self._life.done():
            self._run(self._stop())
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    async def _start(self) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete" and not ready.done():
                ready.set_result(None)
            elif message["type"] == "lifespan.startup.failed" and not ready.done():
                ready.set_exception(RuntimeError(message.get("message") or "lifespan failed"))

        async def live() -> None:
            scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
            try:
                await self._app(scope, self._told.get, send)
            except BaseException:
                if ready.done():
                    raise
                # An application without a lifespan may raise here: servers go on, and so do we.
            if not ready.done():
                ready.set_result(None)

        await self._told.put({"type": "lifespan.startup"})
        self._life = self._loop.create_task(live())
        await ready

    async def _stop(self) -> None:
        await self._told.put({"type": "lifespan.shutdown"})
        if self._life is not None:
            await asyncio.wait({self._life}, timeout=5)

    async def _asked(self, request: Request, headers: Pairs) -> Answer:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote_to_bytes(request.raw_path).decode("utf-8", "replace"),
            "raw_path": request.raw_path.encode("ascii"),
            "query_string": request.raw_query.encode("ascii"),
            "root_path": "",
            "headers": self._headers(request, headers),
            "client": CLIENT,
            "server": (self._host, PORT),
            "state": dict(self._state),
        }
        sent = False
        over = asyncio.Event()
        begun: list[dict[str, Any]] = []
        parts: list[bytes] = []

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": request.body, "more_body": False}
            # A client that waits for its answer says nothing more.
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                begun.append(message)
            elif message["type"] == "http.response.body":
                parts.append(bytes(message.get("body", b"")))
                if not message.get("more_body"):
                    over.set()

        await self._app(scope, receive, send)
        found = [(bytes(n).decode("latin-1"), bytes(v).decode("latin-1"))
                 for n, v in begun[0].get("headers", ())]  # fmt: skip
        return Answer(status=begun[0]["status"], headers=tuple(found), body=b"".join(parts))

    def _headers(self, request: Request, headers: Pairs) -> list[tuple[bytes, bytes]]:
        found = [(b"host", self._host.encode("latin-1"))]
        for name, value in headers:
            if name.lower() != "content-length":
                found.append((name.lower().encode("latin-1"), value.encode("latin-1")))
        if request.body:
            found.append((b"content-length", str(len(request.body)).encode()))
        return found
