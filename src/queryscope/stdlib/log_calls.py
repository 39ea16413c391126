"""Log calls, counted by the line that makes them; full recording only.

``Logger.handle`` is given a record that names file and line already, after the level has let the
call pass: what is not logged costs nothing more. Loggers that are not the standard library's
(loguru) do not come this way.
"""

from __future__ import annotations

import logging
import threading
from functools import wraps
from typing import TYPE_CHECKING, Any

from queryscope.trace import guard
from queryscope.trace.calls import add_log_call
from queryscope.trace.codes import current_frame
from queryscope.trace.facts import clock
from queryscope.trace.patches import Patches
from queryscope.trace.scope import active, recording

if TYPE_CHECKING:
    from collections.abc import Callable

_lock = threading.RLock()
_patches = Patches("log_calls.install")


def install() -> None:
    """Count log calls; a second call changes nothing."""
    with _lock:
        if not _patches:
            _patches.replace(logging.Logger, "handle", _handle)


def uninstall() -> None:
    """Put everything back."""
    with _lock:
        _patches.restore()


def _handle(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def handle(self: Any, record: Any) -> Any:
        scope = active()
        if scope is None or not scope.recorder.full:
            return original(self, record)
        start = clock()
        try:
            return original(self, record)
        finally:
            _count(record, start, clock())

    return handle


def _count(record: Any, start_ns: int, end_ns: int) -> None:
    try:
        recorder = recording()
        if recorder is not None and type(record.pathname) is str and type(record.name) is str:
            add_log_call(
                recorder, record.pathname, record.lineno, record.name, record.levelno,
                start_ns, end_ns, current_frame(2),
            )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "log_calls.handle")
