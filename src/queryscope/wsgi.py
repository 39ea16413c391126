"""The WSGI adapter: one Trace a request, for Flask and any WSGI application."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from queryscope import capture, requests
from queryscope.trace import codes, guard
from queryscope.trace.facts import clock
from queryscope.trace.scope import ACTIVE, Scope
from queryscope.trace.stage import StageBlock
from queryscope.trace.text import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from queryscope.runtime import Runtime
    from queryscope.trace.answer import OpenAnswer
    from queryscope.trace.recorder import Recorder


class Middleware(requests.Wrapper):
    """Wraps a WSGI application: ``app = queryscope.wsgi.Middleware(app)``.

    Args:
        app: The WSGI application, a Flask object too.
        settings: Settings by name, see ``queryscope.settings.Settings``.
        debug: Development mode: viewer, console line and full recording. None: a Flask
            object's ``debug`` at the first request, or the variable ``FLASK_DEBUG``.

    Raises:
        SettingsError: A setting is unknown or ill-typed.
    """

    source = "queryscope.wsgi.Middleware"

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        settings: Mapping[str, Any] | None = None,
        *,
        debug: bool | None = None,
    ) -> None:
        """Check the settings; hooks are installed here, threads start with the first Trace."""
        super().__init__(app, settings, debug)

    def debugs(self, _: Mapping[str, Any]) -> bool:
        """See ``Wrapper``."""
        # app.wsgi_app = Middleware(app.wsgi_app) hands over a method of the Flask object.
        app = getattr(self.app, "__self__", self.app)
        return bool(getattr(app, "debug", False)) or os.environ.get("FLASK_DEBUG") == "1"

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request, the viewer's or the application's."""
        found = self.in_force(environ)
        answer = requests.view(found, environ)
        if answer is not None:
            reason = HTTPStatus(answer.status).phrase
            start_response(f"{answer.status} {reason}", answer.headers)
            return [answer.body]
        before = ACTIVE.get()
        try:
            recorder = requests.begin(found, environ)
            if recorder is None:
                return self.app(environ, start_response)  # type: ignore[no-any-return]  # it is a WSGI application
            return self._recorded(found, recorder, environ, start_response)
        finally:
            # Wherever a signal handler raised in between: this thread goes on as it came.
            ACTIVE.set(before)

    def _recorded(
        self,
        found: Runtime,
        recorder: Recorder,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
    ) -> Iterable[bytes]:
        """Answer one request inside its Recorder."""
        environ["queryscope.recorder"] = recorder
        if found.captures:
            capture.of_wsgi(environ)

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            try:
                recorder.attributes["status"] = status.partition(" ")[0]
                _name_by_route(recorder, environ)
                more = requests.headers(found, recorder, clock() - recorder.start_ns)
                if type(headers) is list:  # what is none, the server refuses
                    headers = [*headers, *more]
                    if recorder.answer is not None:
                        recorder.answer.begin(recorder.attributes["status"], headers)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "wsgi.start_response")
            if exc_info is None:
                return start_response(status, headers)
            try:
                return start_response(status, headers, exc_info)
            finally:
                del exc_info  # the traceback holds this frame

        try:
            with StageBlock("application", "view"):
                body = self.app(environ, started)
            recorder.leave()
            try:
                return _ending(body, found, recorder, environ)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "wsgi.body")
                requests.end(found, recorder, environ)
                return body  # type: ignore[no-any-return]  # it is a WSGI application's
        except BaseException as error:
            requests.end(found, recorder, environ, error)
            raise


codes.register(Middleware.__call__, codes.BOUNDARY)


def _ending(
    body: Any, found: Runtime, recorder: Recorder, environ: dict[str, Any]
) -> Iterable[bytes]:
    """Return what the server gets for the application's body: closing it ends the Trace.

    As far as a server may look at a body, it sees the same: a list stays a list (of one item it
    makes the Content-Length), and a file in the server's own wrapper is sent by the server.
    """
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and issubclass(type(body), wrapper):
        close = getattr(body, "close", None)
        try:
            body.close = _Unclosed(close, found, recorder, environ)
        except (AttributeError, TypeError):  # a wrapper made in C: its close cannot be seen
            requests.end(found, recorder, environ)
        return body  # type: ignore[no-any-return] # the server's own class
    if type(body) is list:
        if recorder.answer is not None:
            recorder.answer.add(b"".join(body))
            recorder.answer.whole()
        return _List(body, _Unclosed(None, found, recorder, environ))
    if hasattr(type(body), "__len__"):
        return _UnclosedSizedBody(body, found, recorder, environ)
    return _UnclosedBody(body, found, recorder, environ)


class _Closing:
    """Closes a body that runs nothing of the application while it is sent, then ends the Trace."""

    __slots__ = ("_close", "_environ", "_recorder", "_runtime")

    def __init__(
        self, close: Any, found: Runtime, recorder: Recorder, environ: Mapping[str, Any]
    ) -> None:
        self._close = close
        self._runtime = found
        self._recorder = recorder
        self._environ = environ

    def __call__(self) -> None:
        try:
            close, self._close = self._close, None  # it may be a method of what holds us
            if close is not None:
                close()
        finally:
            requests.end(self._runtime, self._recorder, self._environ)


class _Unclosed(_Closing):
    """The same until it is called: ends the Trace where a server lets go of the body instead.

    What a signal handler raises in a ``__del__`` is lost, so there is none once it was called.
    """

    __slots__ = ()

    def __call__(self) -> None:
        self.__class__ = _Closing  # type: ignore[assignment] # from here on it is one
        self()

    def __del__(self) -> None:
        requests.end(self._runtime, self._recorder, self._environ)


class _List(list[bytes]):
    """A list body."""

    __slots__ = ("close",)

    def __init__(self, body: list[bytes], close: Callable[[], None]) -> None:
        super().__init__(body)
        self.close = close


def _name_by_route(recorder: Recorder, environ: dict[str, Any]) -> None:
    """Name the Trace by its route where the framework tells it: werkzeug leaves its request."""
    rule = getattr(getattr(environ.get("werkzeug.request"), "url_rule", None), "rule", None)
    if isinstance(rule, str):
        requests.name_by_route(recorder, rule)


def _note_chunk(answer: OpenAnswer, chunk: bytes) -> None:
    try:
        answer.add(chunk)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "wsgi.body")


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
        self._place: Scope | None = None

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
        before = ACTIVE.get()
        try:
            ACTIVE.set(self._inside())
            if self._iterator is None:
                self._iterator = iter(self._body)
            chunk = next(self._iterator)
        except BaseException as error:
            self._end_stage()
            if recorder.error is None and not isinstance(error, StopIteration):
                recorder.error = describe(error)  # the server closes as if all were well
            raise
        else:
            if recorder.answer is not None:
                _note_chunk(recorder.answer, chunk)
            return chunk
        finally:
            ACTIVE.set(before)

    def close(self) -> None:
        """Close the application's body, then end the Trace."""
        recorder = self._recorder
        error: BaseException | None = None
        before = ACTIVE.get()
        try:
            if not recorder.closed:
                ACTIVE.set(self._place or recorder.carry(-1))
            # An iterator that the body made dies with the loop over it, not with the body.
            self._iterator = None
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except BaseException as raised:
            error = raised
            raise
        finally:
            ACTIVE.set(before)
            self._end_stage()
            requests.end(self._runtime, recorder, self._environ, error)

    def _inside(self) -> Scope:
        """Return the place of all chunks, with the stage that the first of them begins."""
        if self._place is None:
            recorder = self._recorder
            stage = recorder.begin_stage("response iteration", "iteration", -1)
            self._place = recorder.carry(stage)
        return self._place

    def _end_stage(self) -> None:
        if self._place is not None:
            self._recorder.end_stage(self._place.stage)

    def _let_go(self) -> None:
        """End the Trace of a body that is gone and was never closed."""
        recorder = self._recorder
        if recorder.closed:
            return
        before = ACTIVE.get()
        try:
            ACTIVE.set(self._place or recorder.carry(-1))
            self._iterator = None
            self._body = ()
        finally:
            ACTIVE.set(before)
            self._end_stage()
            requests.end(self._runtime, recorder, self._environ)


class _SizedBody(Body):
    """A body whose length a server may ask for."""

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type] # made for what has a length


class _UnclosedBody(Body):
    """The same until it is closed: ends the Trace where a server lets go of the body instead.

    asgiref's WsgiToAsgi does so. The application's own body is not closed for it; what it does
    when it goes belongs to the request still. No ``__del__`` once closed, as in ``_Unclosed``.
    """

    def close(self) -> None:
        """Close the application's body, then end the Trace."""
        self.__class__ = Body  # type: ignore[assignment] # from here on it is one
        self.close()

    def __del__(self) -> None:
        self._let_go()


class _UnclosedSizedBody(_SizedBody):
    """A sized body until it is closed."""

    def close(self) -> None:
        """Close the application's body, then end the Trace."""
        self.__class__ = _SizedBody  # type: ignore[assignment] # as in _UnclosedBody
        self.close()

    def __del__(self) -> None:
        self._let_go()


codes.register(Body.__next__, codes.BOUNDARY)
codes.register(Body.close, codes.BOUNDARY)
