"""What happens in a process of ``queryscope run``: hooks go in as the frameworks come in.

Nothing is imported for it: each part waits until the application imports the framework.

- Django: every handler loads its middleware with ours in front, unless it is there. The handler
  reads ``MIDDLEWARE`` through a view of the settings that is its own for that moment; the
  settings that the application sees stay as they are.
- Flask: each application object is called through ``queryscope.wsgi.Middleware``, unless one is
  around it or inside it already.
- Celery: each execution of a task is a Trace.
- SQLAlchemy and Django's ORM: their hooks.
- A process that serves no request is one Trace, named by its program: a script, a management
  command. The first request, or a worker's first task, ends it, and what was in it is forgotten;
  a forked child has none.
  Under pytest each test is a Trace instead, see ``pytest_plugin``.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import threading
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryscope.imports import OrmWatch, when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from queryscope.trace.recorder import Recorder

MIDDLEWARE = "queryscope.django.Middleware"
_OURS = {MIDDLEWARE, "queryscope.django.middleware.Middleware"}
_APPLICATION = "_queryscope_middleware"
"""Attribute of a Flask object: the middleware that it is called through."""
MAX_WRAPPERS = 20
"""Middlewares looked through for one of ours."""
MAX_WORDS = 3
"""Words of the command in a Trace's name; options may carry secrets, so none of them."""

_WORD = re.compile(r"[A-Za-z_][\w.-]*")


def begin() -> None:
    """Wait for the frameworks."""
    script = Script()
    OrmWatch(then=script.begin, report=complain).begin()
    when_imported("django.core.handlers.base", _patch_django)
    when_imported("flask.app", _patch_flask)
    when_imported("celery.app.trace", _install_celery)


def complain(text: str) -> None:
    """Say what is not recorded; the application goes on."""
    sys.stderr.write(f"queryscope run: {text}\n")


# -- a process as one Trace ----------------------------------------------------------------


class Script:
    """The main program's Trace, from its first ORM to its exit."""

    def __init__(self) -> None:
        """Record nothing yet."""
        self._recorder: Recorder | None = None
        self._begun = False

    def begin(self) -> None:
        """Put Django's settings in force and start, in the main thread and once."""
        from queryscope import requests, runtime

        _configure_django()
        found = runtime.get()
        if (
            self._begun
            or not found.settings.enabled
            or found.mode == "tests"
            or threading.current_thread() is not threading.main_thread()
        ):
            return
        self._begun = True
        self._recorder = found.recorder("script", program())
        self._recorder.open()
        atexit.register(self.end)
        requests.before_first.append(self.drop)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.drop)

    def drop(self) -> None:
        """Forget the Trace: the process serves requests, or is a child of the one it is about."""
        from queryscope import runtime

        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()
            runtime.get().tally.settle(recorder)

    def end(self) -> None:
        """End the Trace with the process, and say where it is; one without statements is none."""
        from queryscope import runtime
        from queryscope.trace import guard

        recorder, self._recorder = self._recorder, None
        if recorder is None or recorder.closed:
            return
        try:
            recorder.close(getattr(sys, "last_value", None))
            if not any(_sent(recorder)):
                return
            found = runtime.get()
            trace, findings = found.finish_now(recorder)
            if found.console:
                from queryscope.report.console import one_line

                print(
                    one_line(trace, findings, f"queryscope report {trace.id}"),
                    file=sys.stderr,
                    flush=True,
                )
        except Exception as error:  # noqa: BLE001 - the program has ended, and its exit code counts
            guard.count(error, "run.end")
            complain(f"the script was not recorded: {type(error).__name__}: {error}")


def _sent(recorder: Recorder) -> Iterable[bool]:
    yield bool(recorder.statements)
    for child in recorder.children:
        yield from _sent(child)


def program() -> str:
    """Return what the main program is called: ``manage.py seed``, ``python -m package``."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    first = sys.argv[0] if sys.argv else ""
    if spec is not None:
        name = f"python -m {str(spec.name).removesuffix('.__main__')}"
    elif first in ("", "-c", "-"):
        name = f"python {first}".strip()
    else:
        name = Path(first).name
    words = [name]
    for argument in sys.argv[1:MAX_WORDS]:
        if not _WORD.fullmatch(argument):
            break
        words.append(argument)
    return " ".join(words)


def _configure_django() -> None:
    """Put ``settings.QUERYSCOPE`` in force for a command; a server's middleware does so itself."""
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return
    from queryscope.django.middleware import configured

    configured()


# -- Django --------------------------------------------------------------------------------


class _Settings:
    """Django's settings with our middleware in front; all else is the settings' own."""

    def __init__(self, settings: Any, middleware: list[str]) -> None:
        self._settings = settings
        self.MIDDLEWARE = middleware

    def __getattr__(self, name: str) -> Any:
        return getattr(self._settings, name)


_loading = threading.RLock()


def _patch_django() -> None:
    base = sys.modules["django.core.handlers.base"]
    original = base.BaseHandler.load_middleware

    @wraps(original)
    def load_middleware(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _loading:
            settings = base.settings
            listed = list(settings.MIDDLEWARE)
            if _OURS.intersection(listed) or not _importable("queryscope.django.middleware"):
                return original(self, *args, **kwargs)
            base.settings = _Settings(settings, [MIDDLEWARE, *listed])  # type: ignore[attr-defined]  # a name that its module imports
            try:
                return original(self, *args, **kwargs)
            finally:
                base.settings = settings  # type: ignore[attr-defined]  # a name that its module imports

    base.BaseHandler.load_middleware = load_middleware


def _importable(module: str) -> bool:
    from importlib import import_module

    try:
        import_module(module)
    except Exception as error:  # noqa: BLE001 - the application starts as if we were not there
        complain(f"requests are not recorded: {type(error).__name__}: {error}")
        return False
    return True


# -- Flask ---------------------------------------------------------------------------------


class _Bound:
    """A Flask object as it was before us, for our middleware to call."""

    def __init__(self, original: Callable[..., Iterable[bytes]], flask: Any) -> None:
        self._original = original
        self._flask = flask

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return self._original(self._flask, environ, start_response)

    @property
    def debug(self) -> bool:
        return bool(self._flask.debug)


def _patch_flask() -> None:
    flask_class = sys.modules["flask.app"].Flask
    original = flask_class.__call__

    @wraps(original)
    def __call__(self: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: N807 - it stands for the special method
        middleware = None
        try:
            middleware = _middleware_of(self, original, environ)
        except Exception as error:  # noqa: BLE001 - the application answers as if we were not there
            from queryscope.trace import guard

            guard.caught(error, "run.flask")
        if middleware is None:
            middleware = _Bound(original, self)
        answer: Iterable[bytes] = middleware(environ, start_response)
        return answer

    flask_class.__call__ = __call__


def _middleware_of(flask: Any, original: Callable[..., Any], environ: dict[str, Any]) -> Any:
    """Return the middleware to call a Flask object through, None where another one records."""
    from queryscope.wsgi import Middleware

    outer = environ.get("queryscope.recorder")
    if outer is not None and not outer.closed:
        return None
    inner = flask.wsgi_app
    for _ in range(MAX_WRAPPERS):
        if isinstance(inner, Middleware):
            return None
        inner = getattr(inner, "app", None) or getattr(inner, "wsgi_app", None)
        if inner is None or inner is flask:
            break
    found: Any = vars(flask).get(_APPLICATION)
    if found is None:
        found = vars(flask)[_APPLICATION] = Middleware(_Bound(original, flask))
    return found


# -- Celery --------------------------------------------------------------------------------


def _install_celery() -> None:
    from importlib import import_module

    try:
        import_module("queryscope.celery").record_tasks()
    except Exception as error:  # noqa: BLE001 - the application starts as if we were not there
        complain(f"tasks are not recorded: {type(error).__name__}: {error}")
