"""What only Flask can tell of a request: an error that it answers itself, the view, its templates.

``queryscope.wsgi.Middleware`` records Flask as any WSGI application, and installs this. Flask turns
an error of a view into a response, which is all that WSGI sees; its signals tell of the error, and
which function answers. Nothing of this does anything outside a recorded request.
"""

from __future__ import annotations

import threading
from functools import wraps
from typing import TYPE_CHECKING, Any

from flask import got_request_exception, request, request_started, templating

from queryscope import requests
from queryscope.trace import endpoint, guard
from queryscope.trace.patches import Patches
from queryscope.trace.scope import active
from queryscope.trace.stage import StageBlock
from queryscope.trace.text import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from queryscope.trace.recorder import Recorder

_lock = threading.RLock()
_patches = Patches("flask.install")


def install() -> None:
    """Listen to Flask's signals and time its templates; a second call changes nothing."""
    with _lock:
        if _patches:
            return
        request_started.connect(_started, weak=False)
        _patches.later(lambda: request_started.disconnect(_started))
        got_request_exception.connect(_failed, weak=False)
        _patches.later(lambda: got_request_exception.disconnect(_failed))
        _patches.replace(templating, "_render", _timed)


def uninstall() -> None:
    """Put everything back."""
    with _lock:
        _patches.restore()


def _recorder() -> Recorder | None:
    """Return the Recorder of the request that Flask answers, None where it is not recorded."""
    found: Recorder | None = request.environ.get("queryscope.recorder")
    return None if found is None or found.closed else found


def _started(app: Any, **_: Any) -> None:
    """Name the request by its route and its view, before anything of the application's runs."""
    try:
        recorder = _recorder()
        if recorder is None or request.url_rule is None:
            return
        requests.name_by_route(recorder, request.url_rule.rule)
        view = app.view_functions.get(request.endpoint)
        endpoint.note(recorder, getattr(view, "view_class", None), view)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "flask.request_started")


def _failed(app: Any, exception: BaseException | None = None, **_: Any) -> None:  # noqa: ARG001 - the signal's signature
    """Note an error that nobody handled; Flask answers it with status 500."""
    try:
        recorder = _recorder()
        if recorder is not None and exception is not None:
            recorder.error = describe(exception)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "flask.got_request_exception")


def _timed(original: Callable[..., Any]) -> Callable[..., Any]:
    """Make the rendering of a template a stage."""

    @wraps(original)
    def _render(app: Any, template: Any, *args: Any, **kwargs: Any) -> Any:
        if active() is None:
            return original(app, template, *args, **kwargs)
        name = getattr(template, "name", None)
        with StageBlock(f"render {name if type(name) is str else 'template'}", "render"):
            return original(app, template, *args, **kwargs)

    return _render
