"""The Django middleware: one Trace a request, from its start to its closed response."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpResponse

from queryscope import adapters, capture, requests, runtime
from queryscope.django import hooks
from queryscope.errors import SettingsError
from queryscope.trace import codes, endpoint, guard
from queryscope.trace.facts import clock
from queryscope.trace.scope import ACTIVE
from queryscope.trace.stage import StageBlock
from queryscope.trace.text import describe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from queryscope.runtime import Runtime
    from queryscope.trace.answer import OpenAnswer
    from queryscope.trace.recorder import Recorder

_OF_EXPRESSIONS = ("(?", "^", "$", "\\")
"""What a regular expression has and a route made with ``path`` has not."""
_TOKENS = re.compile(r"\\.|\(\?P<\w+>|\(\?[:=!]|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
_GROUP_NAME = re.compile(r"\(\?P<(\w+)>")
_ANCHORS = frozenset({"^", "$", "?", "\\Z", "\\A", "\\b"})


class Middleware:
    """Records every request; stands first in ``MIDDLEWARE`` so that it sees the others' queries.

    Raises:
        SettingsError: ``settings.QUERYSCOPE`` has an unknown or ill-typed entry.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Check the settings and install the hooks; threads start with the first Trace."""
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        self.runtime = configured()
        if self.runtime.settings.enabled:
            hooks.install(full=self.runtime.full, track=self.runtime.reads)
            adapters.install_loaded()

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer one request, the viewer's or the application's."""
        if self._is_async:
            return self._answer(request)
        found = self.runtime
        environ = request.META
        answer = requests.view(found, environ)
        if answer is not None:
            return _shown(answer)
        before = ACTIVE.get()
        try:
            recorder = requests.begin(found, environ)
            if recorder is None:
                return self.get_response(request)
            request._queryscope_recorder = recorder
            if found.captures:
                _capture(request)
            try:
                with StageBlock("middleware", "middleware"):
                    response = self.get_response(request)
                recorder.leave()
                return _answered(found, recorder, request, response)
            except BaseException as error:
                requests.end(found, recorder, environ, error)
                raise
        finally:
            # Wherever a signal handler raised in between: this thread goes on as it came.
            ACTIVE.set(before)

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request under ASGI."""
        found = self.runtime
        environ = request.META
        if requests.is_viewers(found, environ):
            view = sync_to_async(requests.view, thread_sensitive=False)
            answer = await view(found, environ)
            if answer is not None:
                return _shown(answer)
        before = ACTIVE.get()
        try:
            recorder = requests.begin(found, environ)
            if recorder is None:
                return await self.get_response(request)
            request._queryscope_recorder = recorder
            if found.captures:
                _capture(request)
            try:
                with StageBlock("middleware", "middleware"):
                    response = await self.get_response(request)
                recorder.leave()
                return _answered(found, recorder, request, response)
            except BaseException as error:
                requests.end(found, recorder, environ, error)
                raise
        finally:
            ACTIVE.set(before)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Note the error that a view raised; Django turns it into a response before we see it."""
        recorder = getattr(request, "_queryscope_recorder", None)
        if recorder is not None:
            recorder.error = describe(exception)


codes.register(Middleware.__call__, codes.BOUNDARY)
codes.register(Middleware._answer, codes.BOUNDARY)


def configured() -> Runtime:
    """Put ``settings.QUERYSCOPE`` in force.

    Raises:
        SettingsError: An entry is unknown or ill-typed.
    """
    values = getattr(settings, "QUERYSCOPE", {})
    if not isinstance(values, dict):
        raise SettingsError(
            f"settings.QUERYSCOPE must be a dict of settings by name, not {values!r}."
        )
    return runtime.configure(values, source="settings.QUERYSCOPE", debug=bool(settings.DEBUG))


def _capture(request: Any) -> None:
    """Capture a whole request, its body as the application reads it."""
    try:
        begun = capture.of_environ(request.META, request.path.encode("utf-8", "replace"))
        if begun is not None:
            request._stream = capture.Tee(request._stream, begun)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.capture")


def _shown(answer: Any) -> HttpResponse:
    """Return the viewer's Answer as a response."""
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))


def _answered(found: Runtime, recorder: Recorder, request: Any, response: Any) -> HttpResponseBase:
    """Add our headers to a response, and end the Trace when it is closed."""
    environ = request.META
    try:
        request.__dict__.pop("_queryscope_recorder", None)
        _describe(recorder, request, response)
        for name, value in requests.headers(found, recorder, clock() - recorder.start_ns):
            there = response.headers.get(name)
            response.headers[name] = f"{there}, {value}" if there else value
        if recorder.answer is not None:
            _note_answer(recorder.answer, response)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.response")
    try:
        if response.streaming and getattr(response, "file_to_stream", None) is None:
            _record_stream(response, recorder)
        response.close = _Closing(response, found, recorder, environ)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.response")
        requests.end(found, recorder, environ)  # nobody will close it for us
    return response


def _note_answer(answer: OpenAnswer, response: Any) -> None:
    """Note what a response says, unless it is streamed."""
    if response.streaming:
        return
    headers = dict(response.headers.items())
    if response.cookies:
        headers["Set-Cookie"] = ""
    answer.begin(str(response.status_code), headers.items())
    answer.add(response.content)
    answer.whole()


def _describe(recorder: Recorder, request: HttpRequest, response: HttpResponseBase) -> None:
    """Name the Trace by its route and note the status."""
    attributes = recorder.attributes
    attributes["status"] = str(response.status_code)
    match = request.resolver_match
    if match is not None:
        attributes["view"] = str(getattr(match, "_func_path", ""))
        requests.name_by_route(recorder, _template(str(match.route)))
        view = match.func
        # A class-based view, one of Django REST framework, an admin's: its model at least.
        admin = getattr(view, "model_admin", None)
        kind = getattr(view, "view_class", None) or getattr(view, "cls", None)
        endpoint.note(recorder, kind, admin, getattr(admin, "model", None), view)


@lru_cache(maxsize=1_000)
def _template(route: str) -> str:
    """Return a route as people write it: a regular expression without its anchors and groups.

    What ``path`` made stays as it is, ``books/<int:pk>/``; the router of Django REST framework
    makes ``^books/(?P<pk>[^/.]+)/$``, which becomes ``books/<pk>/``.
    """
    if not any(part in route for part in _OF_EXPRESSIONS):
        return f"/{route}"
    found: list[str] = []
    depth = 0
    for sign in _TOKENS.findall(route):
        if sign.startswith("("):
            depth += 1
            if depth == 1:
                named = _GROUP_NAME.match(sign)
                found.append(f"<{named[1]}>" if named is not None else "<value>")
        elif sign == ")":
            depth -= 1
        elif not depth and sign not in _ANCHORS:
            found.append(sign.removeprefix("\\"))
    return "/" + "".join(found).removeprefix("/")


class _Closing:
    """Stands in for ``close`` of one response: closes it, then ends the Trace.

    A streamed response is closed after its last chunk. It is not one of the response's own
    closers, since Django gives the database connections back after those: a connection that is
    given back there is not a leak. A response that a cache pickles is pickled without us.
    """

    __slots__ = ("_close", "_environ", "_own", "_recorder", "_response", "_runtime")

    def __init__(
        self, response: Any, found: Runtime, recorder: Recorder, environ: dict[str, Any]
    ) -> None:
        self._response = response
        self._close = response.close
        self._own = vars(response).get("close")
        self._runtime = found
        self._recorder = recorder
        self._environ = environ

    def __call__(self) -> None:
        error: BaseException | None = None
        try:
            self._close()
        except BaseException as raised:
            error = raised
            raise
        finally:
            requests.end(self._runtime, self._recorder, self._environ, error)
            self._give_back()

    def queryscope_failed(self, error: BaseException) -> None:
        """Note that the response could not be sent; only a cancelled one will still be closed."""
        try:
            if self._recorder.error is None:
                self._recorder.error = describe(error)
            if not isinstance(error, asyncio.CancelledError):
                requests.end(self._runtime, self._recorder, self._environ, error)
                self._give_back()
        except Exception as failure:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(failure, "django.send_response")

    def _give_back(self) -> None:
        """Take ourselves off the response: it would be garbage that only the collector frees."""
        names = vars(self._response)
        if names.get("close") is self:
            del names["close"]
            if self._own is not None:
                names["close"] = self._own

    def __reduce__(self) -> tuple[Any, ...]:
        return partial, (self._close,)


def _record_stream(response: Any, recorder: Recorder) -> None:
    """Make each chunk of a streamed response inside the Recorder: the middleware has left it."""
    stage = recorder.begin_stage("response iteration", "iteration", -1)
    content = response.streaming_content
    if response.is_async:
        response.streaming_content = _AsyncChunks(content, recorder, stage)
    else:
        response.streaming_content = _Chunks(content, recorder, stage)


class _Chunks:
    """A sync stream whose every step runs inside the Recorder."""

    def __init__(self, content: Iterator[bytes], recorder: Recorder, stage: int) -> None:
        self._content = iter(content)
        self._recorder = recorder
        self._stage = stage
        self._place = recorder.carry(stage)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        before = ACTIVE.get()
        try:
            ACTIVE.set(self._place)
            return next(self._content)
        except BaseException as error:
            _end_stream(self._recorder, self._stage, error)
            raise
        finally:
            ACTIVE.set(before)


class _AsyncChunks:
    """An async stream whose every step runs inside the Recorder."""

    def __init__(self, content: AsyncIterator[bytes], recorder: Recorder, stage: int) -> None:
        self._content = content.__aiter__()
        self._recorder = recorder
        self._stage = stage
        self._place = recorder.carry(stage)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        before = ACTIVE.get()
        try:
            ACTIVE.set(self._place)
            return await self._content.__anext__()
        except BaseException as error:
            _end_stream(self._recorder, self._stage, error)
            raise
        finally:
            ACTIVE.set(before)


def _end_stream(recorder: Recorder, stage: int, error: BaseException) -> None:
    """Note that a stream ended, or broke: the server closes it as if all were well."""
    recorder.end_stage(stage)
    if recorder.error is None and not isinstance(error, (StopIteration, StopAsyncIteration)):
        recorder.error = describe(error)


codes.register(_Chunks.__next__, codes.BOUNDARY)
codes.register(_AsyncChunks.__anext__, codes.BOUNDARY)
