"""The ASGI adapter: one Trace a request, for Starlette, FastAPI and any ASGI application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from queryscope import capture, requests
from queryscope.trace import codes, endpoint, guard, tasks
from queryscope.trace.facts import clock
from queryscope.trace.scope import ACTIVE, Scope, active

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from queryscope.runtime import Runtime
    from queryscope.trace.recorder import Recorder

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

BRIEF_NS = 1_000_000
"""A stage around the response in which nothing was asked for is left out when it was shorter."""

FLUSH_S = 3.0
"""Seconds given to what is waiting to be written when the server stops."""

_LAST_WORDS = ("lifespan.shutdown.complete", "lifespan.shutdown.failed")
_HEADERS = {
    b"authorization": "HTTP_AUTHORIZATION",
    b"cookie": "HTTP_COOKIE",
    b"forwarded": "HTTP_FORWARDED",
    b"host": "HTTP_HOST",
    b"range": "HTTP_RANGE",
    b"traceparent": "HTTP_TRACEPARENT",
    b"via": "HTTP_VIA",
    b"x-forwarded-for": "HTTP_X_FORWARDED_FOR",
    b"x-forwarded-host": "HTTP_X_FORWARDED_HOST",
    b"x-forwarded-proto": "HTTP_X_FORWARDED_PROTO",
    b"x-real-ip": "HTTP_X_REAL_IP",
}
"""The request headers that we read, and their names in a WSGI environment."""


class Middleware(requests.Wrapper):
    """Wraps an ASGI application: ``app = queryscope.asgi.Middleware(app)``.

    Starlette's and FastAPI's ``app.add_middleware(queryscope.asgi.Middleware)`` does as well.
    WebSocket connections pass through untouched, and so does the lifespan, at whose end what is
    waiting is written: some servers then end by a signal, and Python runs nothing any more.

    Args:
        app: The ASGI application.
        settings: Settings by name, see ``queryscope.settings.Settings``.
        debug: Development mode: viewer, console line and full recording. None: the ``debug`` of
            the Starlette or FastAPI object at the first request.

    Raises:
        SettingsError: A setting is unknown or ill-typed.
    """

    source = "queryscope.asgi.Middleware"

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        settings: Mapping[str, Any] | None = None,
        *,
        debug: bool | None = None,
    ) -> None:
        """Check the settings; hooks are installed here, threads start with the first Trace."""
        tasks.follow()
        super().__init__(app, settings, debug)

    def debugs(self, request: Mapping[str, Any]) -> bool:
        """See ``Wrapper``; what is added inside Starlette finds its application in the request."""
        return bool(
            getattr(self.app, "debug", False) or getattr(request.get("app"), "debug", False)
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, the viewer's or the application's."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                send = self._flushing(send)
            await self.app(scope, receive, send)
            return
        found = self.in_force(scope)
        environ = _environ(scope)
        if requests.is_viewers(found, environ):
            answer = await _apart(requests.view, found, environ)
            if answer is not None:
                headers = [(n.lower().encode(), value.encode()) for n, value in answer.headers]
                await send(
                    {"type": "http.response.start", "status": answer.status, "headers": headers}
                )
                await send({"type": "http.response.body", "body": answer.body})
                return
        before = ACTIVE.get()
        try:
            recorder = requests.begin(found, environ)
            if recorder is None:
                await self.app(scope, receive, send)
                return
            response = _Response(found, recorder, scope, send)
            if found.captures:
                receive = capture.of_asgi(environ, scope, receive)
            try:
                await self.app(scope, receive, response.send)
            except BaseException as error:
                response.ended()
                requests.end(found, recorder, environ, error)
                raise
            response.ended()
            requests.end(found, recorder, environ)
        finally:
            # Wherever a signal handler raised in between: this task goes on as it came.
            ACTIVE.set(before)

    def _flushing(self, send: Send) -> Send:
        """Return a ``send`` that has every Trace written before it says that all is shut down."""

        async def flushing(message: Message) -> None:
            if message["type"] in _LAST_WORDS and self._runtime is not None:
                try:
                    await _apart(self._runtime.flush, FLUSH_S)
                except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                    guard.caught(error, "asgi.lifespan")
            await send(message)

        return flushing


codes.register(Middleware.__call__, codes.BOUNDARY)


class _Response:
    """What the application sends, and the stages of its request."""

    __slots__ = (
        "_asked",
        "_place",
        "_recorder",
        "_root",
        "_runtime",
        "_scope",
        "_send",
        "_started",
    )

    def __init__(
        self, found: Runtime, recorder: Recorder, scope: MutableMapping[str, Any], send: Send
    ) -> None:
        """Begin with the application's own stage."""
        self._runtime = found
        self._recorder = recorder
        self._scope = scope
        self._root = str(scope.get("root_path") or "")
        self._send = send
        self._started = False
        self._asked = 0
        # Tasks that the application starts copy the context, and with it this very Scope: a
        # stage that is written here is theirs, too.
        self._place = active() or Scope(recorder, -1)
        self._place.stage = recorder.begin_stage("application", "view", -1)

    async def send(self, message: Message) -> None:
        """Hand a message of the application to the server."""
        kind = message["type"]
        if kind == "http.response.start":
            message = self._begun(message)
        await self._send(message)
        if kind == "http.response.body":
            self._sent(message.get("body", b""), more=bool(message.get("more_body")))
        elif kind == "http.response.pathsend":
            self._sent(b"", more=False)

    def _begun(self, message: Message) -> Message:
        """Note status and route; return the message with our headers."""
        try:
            recorder = self._recorder
            recorder.attributes["status"] = str(message["status"])
            self._name()
            headers = requests.headers(self._runtime, recorder, clock() - recorder.start_ns)
            if headers:
                own = [(name.lower().encode(), value.encode()) for name, value in headers]
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            self._enter("response iteration", "iteration")
            sent = message.get("headers", ())
            if recorder.answer is not None and isinstance(sent, (list, tuple)):  # not used up
                pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in sent)
                recorder.answer.begin(recorder.attributes["status"], pairs)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "asgi.response")
        return message

    def _sent(self, body: bytes, *, more: bool) -> None:
        """Note a part of the body; what runs after the last one keeps no client waiting."""
        try:
            if self._recorder.answer is not None:
                self._recorder.answer.add(body)
            if not more:
                self._leave(brief=not self._started)
                self._enter("after response", "after")
            self._started = True
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "asgi.response")

    def ended(self) -> None:
        """Note that the application is done."""
        try:
            self._name()
            self._leave(brief=False)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "asgi.response")

    def _enter(self, name: str, kind: str) -> None:
        recorder = self._recorder
        recorder.end_stage(self._place.stage)
        self._asked = len(recorder.statements)
        self._place.stage = recorder.begin_stage(name, kind, -1)

    def _leave(self, *, brief: bool) -> None:
        """End the stage; leave it out when it holds nothing and was ``brief``, by now or by name.

        A body that comes in one piece was made before its headers were sent.
        """
        recorder, index = self._recorder, self._place.stage
        recorder.end_stage(index)
        if not 0 < index == len(recorder.stages) - 1 or len(recorder.statements) > self._asked:
            return
        stage = recorder.stages[index]
        if stage.kind != "view" and (brief or clock() - stage.start_ns < BRIEF_NS):
            self._place.stage = -1
            recorder.stages.pop()

    def _name(self) -> None:
        route = _route(self._scope, self._root)
        if route:
            requests.name_by_route(self._recorder, route)
        endpoint.note(self._recorder, self._scope.get("endpoint"))


def _environ(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return what we read of a request, under the names of a WSGI environment."""
    environ: dict[str, Any] = {
        "PATH_INFO": scope.get("path"),
        "REQUEST_METHOD": scope.get("method"),
    }
    try:
        environ["wsgi.url_scheme"] = scope.get("scheme")
        host, port = scope.get("server") or (None, None)
        environ["SERVER_NAME"], environ["SERVER_PORT"] = host, port
        environ["QUERY_STRING"] = (scope.get("query_string") or b"").decode("latin-1")
        environ["REMOTE_ADDR"] = (scope.get("client") or ("",))[0]
        for name, value in scope["headers"]:
            known = _HEADERS.get(name)
            if known is not None:
                environ[known] = value.decode("latin-1")
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "asgi.scope")
    return environ


def _route(scope: Mapping[str, Any], root: str) -> str:
    """Return the pattern by which Starlette or FastAPI found the endpoint, ``""`` for none.

    Mounted applications know their own part of it; where they are mounted the root path tells.
    """
    route = scope.get("route")
    path = _included_path(scope, route) or getattr(route, "path", None)
    if not isinstance(path, str):
        return ""
    inner = str(scope.get("root_path") or "")
    mount = inner[len(root) :] if inner.startswith(root) else ""
    if hasattr(route, "routes"):  # a mount itself, of files perhaps
        return mount or path
    return mount + path


def _included_path(scope: Mapping[str, Any], route: Any) -> str:
    """Return a route's path with the prefixes of the routers around it, ``""`` where it has all.

    Newer versions of FastAPI leave a router's own routes as they are when it is included, and
    say in the request by which prefixes the route was found.
    """
    told = scope.get("fastapi")
    context = told.get("effective_route_context") if isinstance(told, dict) else None
    if context is None:
        return ""
    inner = getattr(context, "starlette_route", None)
    if route is not inner and route is not getattr(context, "original_route", None):
        return ""  # of another application, mounted further in
    return getattr(inner, "path", None) or getattr(context, "path", None) or ""


async def _apart(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function that blocks beside the event loop; on it where it is not asyncio's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function(*args)
    return await asyncio.to_thread(function, *args)
