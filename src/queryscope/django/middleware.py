"""The Django middleware: one Trace a request, from its start to its closed response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpResponse

from queryscope import adapters, requests, runtime
from queryscope.django import hooks
from queryscope.errors import SettingsError
from queryscope.trace import codes, guard
from queryscope.trace.recorder import ACTIVE, Recorder, Scope, clock, describe
from queryscope.trace.scope import StageBlock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from queryscope.runtime import Runtime


class Middleware:
    """Records every request; stands first in ``MIDDLEWARE`` so that it sees the others' queries.

    Raises:
        SettingsError: ``settings.QUERYSCOPE`` has an unknown or ill-typed entry.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """Check the settings and install the hooks; threads start with the first Trace."""
        self.get_response = get_response
        self.runtime = configured()
        if self.runtime.settings.enabled:
            hooks.install(full=self.runtime.full)
            adapters.install_loaded()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request, the viewer's or the application's."""
        found = self.runtime
        environ = request.META
        answer = _viewed(found, environ)
        if answer is not None:
            return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)
        recorder = _begun(found, environ)
        if recorder is None:
            return self.get_response(request)
        request._queryscope_recorder = recorder
        try:
            with StageBlock("middleware", "middleware"):
                response = self.get_response(request)
        except BaseException as error:
            requests.end(found, recorder, environ, error)
            raise
        try:
            recorder.leave()
            _describe(recorder, request, response)
            for name, value in requests.headers(found, recorder, clock() - recorder.start_ns):
                response.headers[name] = value
            _end_with(response, found, recorder, environ)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "django.middleware")
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Note the error that a view raised; Django turns it into a response before we see it."""
        recorder = getattr(request, "_queryscope_recorder", None)
        if recorder is not None:
            recorder.error = describe(exception)


codes.register(Middleware.__call__, codes.BOUNDARY)


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


def _viewed(found: Runtime, environ: dict[str, Any]) -> Any:
    try:
        return requests.view(found, environ)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.viewer")
        return None


def _begun(found: Runtime, environ: dict[str, Any]) -> Recorder | None:
    try:
        return requests.begin(found, environ)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.begin")
        return None


def _describe(recorder: Recorder, request: HttpRequest, response: HttpResponseBase) -> None:
    """Name the Trace by its route and note the status."""
    attributes = recorder.attributes
    attributes["status"] = str(response.status_code)
    match = request.resolver_match
    if match is not None:
        route = "/" + str(match.route).removeprefix("^")
        attributes["route"] = route
        attributes["view"] = str(getattr(match, "_func_path", ""))
        recorder.name = f"{attributes['method']} {route}"


def _end_with(
    response: HttpResponseBase, found: Runtime, recorder: Recorder, environ: dict[str, Any]
) -> None:
    """End the Trace when the server closes the response, a streamed one after its last chunk.

    ``close`` is replaced on this one response: Django closes the database connections in it,
    and a connection that is given back there is not a leak.
    """
    if response.streaming:
        _record_stream(response, recorder)
    original = response.close

    def close() -> None:
        error: BaseException | None = None
        try:
            original()
        except BaseException as raised:
            error = raised
            raise
        finally:
            requests.end(found, recorder, environ, error)

    response.close = close


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

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = ACTIVE.set(Scope(self._recorder, self._stage))
        try:
            return next(self._content)
        except BaseException:
            self._recorder.end_stage(self._stage)
            raise
        finally:
            ACTIVE.reset(token)


class _AsyncChunks:
    """An async stream whose every step runs inside the Recorder."""

    def __init__(self, content: AsyncIterator[bytes], recorder: Recorder, stage: int) -> None:
        self._content = content.__aiter__()
        self._recorder = recorder
        self._stage = stage

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        token = ACTIVE.set(Scope(self._recorder, self._stage))
        try:
            return await self._content.__anext__()
        except BaseException:
            self._recorder.end_stage(self._stage)
            raise
        finally:
            ACTIVE.reset(token)


codes.register(_Chunks.__next__, codes.BOUNDARY)
