"""Celery: one Trace a task execution, in a worker and where tasks run eagerly.

Celery makes for each task a function that runs it, stores its result and sends its signals. We
stand around that function, so the Trace ends when the result is stored and Celery has given the
database connections back. Signals would not do: whatever is raised into a receiver, a soft time
limit too, Celery logs and forgets, and the connections are given back in a receiver of its own.

At a hard time limit, and for ``revoke(terminate=True)``, Celery ends the process of a task by a
``SIGTERM`` and soon by a ``SIGKILL``: the task ends by a ``SystemExit``, its Trace says so, and is
written at once. Where Python does not run, as inside a driver that waits, it is lost. A process
that somebody else kills, as for want of memory, takes with it what it had recorded; the worker's
main process leaves a Trace that says so and has no statements.
"""

from __future__ import annotations

import re
import sys
import threading
from functools import partial, wraps
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from queryscope import imports, requests
from queryscope import runtime as runtimes
from queryscope.errors import InstallError
from queryscope.trace import codes, guard
from queryscope.trace.patches import Patches
from queryscope.trace.scope import ACTIVE
from queryscope.trace.text import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from queryscope.runtime import Runtime
    from queryscope.trace.recorder import Recorder

MAX_ATTRIBUTE_CHARS = 200
FLUSH_S = 3.0
"""Seconds given to what is waiting when a worker or one of its processes ends."""

_TRACE = "celery.app.trace"
_CONSUMER = "celery.worker.consumer.consumer"
"""It has the function that makes tracers under a name of its own, from when it was imported."""

_lock = threading.RLock()
_patches = Patches("celery.install")
_orms = imports.OrmWatch()
_watches = False
_runs_tasks = False
"""Whether this process has run a task of a queue: the main process of a prefork pool never does."""


def install(settings: Mapping[str, Any] | None = None, *, debug: bool = False) -> None:
    """Make each execution of a task a Trace; a second call changes nothing but the settings.

    Installs the hooks of SQLAlchemy and Django as soon as they are imported. Called in the
    module of the Celery application, it works in every pool. Django projects do not need it:
    ``INSTALLED_APPS += ["queryscope.django"]`` records tasks, too.

    Args:
        settings: Settings by name, see ``queryscope.settings.Settings``. None: those in force.
        debug: Development mode: full recording, and everything is stored. Read where
            ``settings`` are given.

    Raises:
        InstallError: Celery cannot be imported.
        SettingsError: A setting is unknown or ill-typed.
    """
    if find_spec("celery") is None:
        raise InstallError(
            "queryscope.celery.install() needs Celery, which cannot be imported here."
        )
    if settings is not None:
        runtimes.configure(settings, source="queryscope.celery.install", debug=debug)
    global _watches
    with _lock:
        if not _watches:
            _watches = True
            _orms.begin()
        record_tasks()


def record_tasks() -> None:
    """Make each execution of a task a Trace, where others install the hooks of the ORMs."""
    with _lock:
        if not _patches:
            _patches.later(_unwatch)  # first: from here on we are installed
            imports.when_imported(_TRACE, _patch)


def uninstall() -> None:
    """Put everything back; tasks go on with the tracers that Celery made."""
    with _lock:
        _patches.restore()


def _unwatch() -> None:
    global _watches
    imports.forget(_TRACE, _patch)
    if _watches:
        _watches = False
        _orms.end()


def _patch() -> None:
    """Stand around the tracers that are there and those that Celery will make."""
    try:
        with _lock:
            original = sys.modules[_TRACE].build_tracer
            ours = _patches.replace(sys.modules[_TRACE], "build_tracer", _build_tracer)
            if _CONSUMER in sys.modules:
                _patches.replace(sys.modules[_CONSUMER], "build_tracer", _build_tracer)
            _patches.later(partial(_restore_tracers, ours, original))
            for task in _tasks():
                if task.__trace__ is not None:
                    task.__trace__ = _recorded(task.__trace__, task)
            signals = import_module("celery.signals")
            for signal, receiver in (
                (signals.worker_process_shutdown, _flush),
                (signals.worker_shutdown, _flush),
                (signals.task_failure, _failed),
            ):
                signal.connect(receiver, weak=False)
                _patches.later(partial(signal.disconnect, receiver))
    except Exception as error:  # noqa: BLE001 - an import must not fail for our sake
        guard.caught(error, "celery.install")


def _restore_tracers(ours: Any, original: Any) -> None:
    for task in _tasks():
        if type(task.__trace__) is Recorded:
            task.__trace__ = task.__trace__.original
    consumer: Any = sys.modules.get(_CONSUMER)
    if getattr(consumer, "build_tracer", None) is ours:  # it was imported while we were installed
        consumer.build_tracer = original


def _tasks() -> Iterator[Any]:
    """Yield the tasks of every application in this process."""
    for app in import_module("celery._state")._get_active_apps():  # noqa: SLF001 - the one list there is
        yield from list(app._tasks.values())  # noqa: SLF001 - ``tasks`` would finalize the application


def _build_tracer(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``build_tracer``, which makes the function that runs a task."""

    @wraps(original)
    def build_tracer(name: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        tracer = original(name, task, *args, **kwargs)
        return _recorded(tracer, task) if _patches else tracer

    return build_tracer


def _recorded(tracer: Any, task: Any) -> Recorded:
    return tracer if type(tracer) is Recorded else Recorded(tracer, task)


class Recorded:
    """Stands for the function that runs a task: each call is a Trace."""

    __slots__ = ("original", "task")

    def __init__(self, original: Callable[..., Any], task: Any) -> None:
        """Take what Celery made for a task."""
        self.original = original
        self.task = task

    def __call__(self, uuid: Any, args: Any, kwargs: Any, request: Any = None) -> Any:
        """Run the task once and return what Celery's function returns."""
        if not _patches:
            return self.original(uuid, args, kwargs, request)
        before = ACTIVE.get()
        try:
            found, recorder = _begin(self.task, uuid, request)
            if recorder is None:
                return self.original(uuid, args, kwargs, request)
            try:
                done = self.original(uuid, args, kwargs, request)
            except BaseException as error:
                _end(found, recorder, *_raised(error))
                if isinstance(error, SystemExit):
                    _flush()
                raise
            _end(found, recorder, *_returned(done))
            return done
        finally:
            # Wherever a soft time limit arrived in between: this thread goes on as it came.
            ACTIVE.set(before)


codes.register(Recorded.__call__, codes.BOUNDARY)


def _begin(task: Any, uuid: Any, request: Any) -> tuple[Runtime, Recorder | None]:
    """Return an open Recorder for an execution, None when it is not recorded."""
    found = runtimes.get()
    try:
        if not found.settings.enabled:
            return found, None
        asked = request or {}
        if not asked.get("is_eager"):
            global _runs_tasks
            _runs_tasks = True
            requests.begins()
        recorder = found.recorder("task", str(task.name))
        recorder.attributes = _attributes(str(uuid), asked)
        recorder.w3c_trace_id = requests.w3c_trace_id(
            asked.get("traceparent") or (asked.get("headers") or {}).get("traceparent")
        )
        recorder.open()
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "celery.begin")
        return found, None
    return found, recorder


def _attributes(uuid: str, request: Mapping[str, Any]) -> dict[str, str]:
    """Return what the message tells of an execution: never its arguments."""
    told = {
        "task_id": uuid,
        "parent_id": request.get("parent_id"),
        "root_id": request.get("root_id"),
        "queue": (request.get("delivery_info") or {}).get("routing_key"),
        "retries": request.get("retries"),
    }
    if told["root_id"] == uuid:
        del told["root_id"]
    return {name: str(value)[:MAX_ATTRIBUTE_CHARS] for name, value in told.items() if value}


def _returned(done: Any) -> tuple[str, BaseException | None]:
    """Return the state of a task whose outcome Celery has handled, and its error."""
    # (result, None or what went wrong, seconds, text)
    info = done[1]
    if info is None:
        return "SUCCESS", None
    error = info.retval if info.state == "FAILURE" else None
    return str(info.state), error if isinstance(error, BaseException) else None


_QUOTING = "MaxRetriesExceededError"
"""Celery's own text of it has the task's arguments, which are values."""
_PREDICATES = {"Retry": "RETRY", "Ignore": "IGNORED", "Reject": "REJECTED"}
"""What tasks raise to tell Celery what to do, by the name of its class: no errors."""


def _raised(error: BaseException) -> tuple[str, BaseException | None]:
    """Return the state of a task whose outcome the caller handles, and its error."""
    for kind in type(error).__mro__:
        if kind.__module__ == "celery.exceptions" and kind.__name__ in _PREDICATES:
            return _PREDICATES[kind.__name__], None
    return "FAILURE", error


def _end(found: Runtime, recorder: Recorder, state: str, error: BaseException | None) -> None:
    """Close a task's Recorder and send it to the sinks."""
    try:
        recorder.attributes["status"] = state
        recorder.close(error)
        if error is not None and type(error).__name__ == _QUOTING:
            recorder.error = describe(type(error)())
        found.finished(recorder)
    except Exception as failure:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(failure, "celery.end")


_KILLED = re.compile(r"\bsignal \d+")
"""What Celery's main process says of a task whose process died of a signal that it did not send.
One that ended by itself has run its exit handlers, and written what it had."""


def _failed(
    sender: Any = None, task_id: object = "", exception: BaseException | None = None, **_: Any
) -> None:
    """Leave a Trace of a task whose own went with its process; others fail where they run."""
    if (
        type(exception).__name__ != "WorkerLostError"
        or not _KILLED.search(str(exception))
        or _runs_tasks  # in this very process
    ):
        return
    before = ACTIVE.get()
    try:
        found = runtimes.get()
        if not found.settings.enabled:
            return
        requests.begins()
        recorder = found.recorder("task", str(sender.name))
        recorder.attributes = _attributes(str(task_id), {})
        recorder.open()
        recorder.drop("killed", 1)
        _end(found, recorder, "FAILURE", exception)
    except Exception as failure:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(failure, "celery.killed")
    finally:
        ACTIVE.set(before)


def _flush(**_: Any) -> None:
    """Write what is waiting: a process of the pool ends without Python's own exit handlers."""
    try:
        runtimes.get().flush(FLUSH_S)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "celery.flush")
