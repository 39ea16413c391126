"""Signals that a process sends to itself: what is waiting is written before it dies of one.

A server that was told to end may, when all is done, end the way the signal would have ended it:
uvicorn puts the old handler back and raises the signal again. Where that is the default action
Python runs nothing any more, no ``atexit`` either.
"""

from __future__ import annotations

import signal
import threading
from functools import wraps
from typing import TYPE_CHECKING, Any

from queryscope import runtime
from queryscope.trace import guard
from queryscope.trace.patches import Patches

if TYPE_CHECKING:
    from collections.abc import Callable

FLUSH_S = 2.0
"""Seconds given to what is waiting; the process ends that much later at most."""

_FATAL = frozenset(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGBREAK")
    if hasattr(signal, name)
)
"""What servers are told to end by."""

_lock = threading.RLock()
_patches = Patches("signals.install")


def install() -> None:
    """Write what is waiting before the process ends itself; a second call changes nothing."""
    with _lock:
        if not _patches:
            _patches.replace(signal, "raise_signal", _raise_signal)


def uninstall() -> None:
    """Put everything back."""
    with _lock:
        _patches.restore()


def _raise_signal(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def raise_signal(signalnum: int, /) -> None:
        try:
            if signalnum in _FATAL and signal.getsignal(signalnum) == signal.SIG_DFL:
                runtime.flush_waiting(FLUSH_S)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "signals.raise_signal")
        original(signalnum)

    return raise_signal
