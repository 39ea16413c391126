"""The WSGI adapter: one Trace a request, for Flask and any WSGI application."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from queryscope import adapters, requests, runtime
from queryscope.trace import codes, guard
from queryscope.trace.recorder import ACTIVE, Recorder, Scope, clock
from queryscope.trace.scope import StageBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from queryscope.runtime import Runtime


class Middleware:
    """Wraps a WSGI application: ``app = queryscope.wsgi.Middleware(app)``.

    Args:
        app: The WSGI application, a Flask object too.
        settings: Settings by name, see ``queryscope.settings.Settings``.
        debug: Development mode: viewer, console line and full recording. None: a Flask
            object's ``debug`` at the first request, or the variable ``FLASK_DEBUG``.

    Raises:
        SettingsError: A setting is unknown or ill-typed.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        settings: Mapping[str, Any] | None = None,
        *,
        debug: bool | None = None,
    ) -> None:
        """Check the settings; hooks are installed here, threads start with the first Trace."""
        self.app = app
        self._settings = dict(settings or {})
        self._debug = debug
        self._runtime: Runtime | None = None
        runtime.configure(self._settings, source="queryscope.wsgi.Middleware", debug=self._is_debug)
        adapters.install_loaded()

    def __getattr__(self, name: str) -> Any:
        """Give the application's own attributes: ``app.test_client()`` goes on working."""
        if name == "app":
            raise AttributeError(name)
        return getattr(self.app, name)

    @property
    def _is_debug(self) -> bool:
        if self._debug is not None:
            return self._debug
        return bool(getattr(self.app, "debug", False)) or os.environ.get("FLASK_DEBUG") == "1"

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request, the viewer's or the application's."""
        found = self._in_force()
        answer = _viewed(found, environ)
        if answer is not None:
            reason = HTTPStatus(answer.status).phrase
            start_response(f"{answer.status} {reason}", [("Content-Type", answer.content_type)])
            return [answer.body]
        recorder = _begun(found, environ)
        if recorder is None:
            return self.app(environ, start_response)

        def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            try:
                recorder.attributes["status"] = status.partition(" ")[0]
                _name_by_route(recorder, environ)
                more = requests.headers(found, recorder, clock() - recorder.start_ns)
                headers = [*headers, *more]
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "wsgi.start_response")
            return start_response(status, headers, *rest)

        try:
            with StageBlock("application", "view"):
                body = self.app(environ, started)
        except BaseException as error:
            requests.end(found, recorder, environ, error)
            raise
        recorder.leave()
        return Body(body, found, recorder, environ)

    def _in_force(self) -> Runtime:
        """Return the runtime; the first request decides whether the application is in debug."""
        if self._runtime is None:
            try:
                self._runtime = runtime.configure(
                    self._settings, source="queryscope.wsgi.Middleware", debug=self._is_debug
                )
                adapters.install_loaded()
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "wsgi.configure")
                self._runtime = runtime.get()
        return self._runtime


codes.register(Middleware.__call__, codes.BOUNDARY)


def _name_by_route(recorder: Recorder, environ: dict[str, Any]) -> None:
    """Name the Trace by its route where the framework tells it: werkzeug leaves its request."""
    rule = getattr(getattr(environ.get("werkzeug.request"), "url_rule", None), "rule", None)
    if isinstance(rule, str):
        recorder.attributes["route"] = rule
        recorder.name = f"{recorder.attributes['method']} {rule}"


def _viewed(found: Runtime, environ: dict[str, Any]) -> Any:
    try:
        return requests.view(found, environ)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "wsgi.viewer")
        return None


def _begun(found: Runtime, environ: dict[str, Any]) -> Recorder | None:
    try:
        recorder = requests.begin(found, environ)
        if recorder is not None:
            environ["queryscope.recorder"] = recorder
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "wsgi.begin")
        return None
    return recorder


class Body:
    """The application's iterable, recorded while it is iterated; closing it ends the Trace."""

    def __init__(
        self,
        body: Iterable[bytes],
        found: Runtime,
        recorder: Recorder,
        environ: Mapping[str, Any],
    ) -> None:
        """Take over the body of a response."""
        self._body = body
        self._iterator: Iterator[bytes] | None = None
        self._runtime = found
        self._recorder = recorder
        self._environ = environ
        self._stage = -1

    def __iter__(self) -> Iterator[bytes]:
        """Return itself: each chunk is made inside the Recorder."""
        return self

    def __next__(self) -> bytes:
        """Return the next chunk."""
        recorder = self._recorder
        if recorder.closed:
            if self._iterator is None:
                self._iterator = iter(self._body)
            return next(self._iterator)
        if self._iterator is None:
            self._stage = recorder.begin_stage("response iteration", "iteration", -1)
        token = ACTIVE.set(Scope(recorder, self._stage))
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
            return next(self._iterator)
        finally:
            ACTIVE.reset(token)

    def close(self) -> None:
        """Close the application's body, then end the Trace."""
        recorder = self._recorder
        error: BaseException | None = None
        token = None if recorder.closed else ACTIVE.set(Scope(recorder, self._stage))
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except BaseException as raised:
            error = raised
            raise
        finally:
            if token is not None:
                ACTIVE.reset(token)
            recorder.end_stage(self._stage)
            requests.end(self._runtime, recorder, self._environ, error)


codes.register(Body.__next__, codes.BOUNDARY)
codes.register(Body.close, codes.BOUNDARY)
