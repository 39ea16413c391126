"""The one guard around every hook: our own errors are swallowed, counted and shown."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from inspect import CO_VARARGS
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import FrameType, TracebackType

MAX_KINDS = 50
"""Distinct failures kept; the rest are counted under one name."""


class Failure(NamedTuple):
    """An error of ours that a guard swallowed: where, what, how often in this process."""

    place: str
    error: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody wants here


_OURS = frozenset({"queryscope", "django", "sqlalchemy", "jinja2"})
"""Top-level packages whose functions hooks call; none of them installs a signal handler."""

# Reentrant: a signal handler or the garbage collector may run a hook while this thread counts.
_lock = threading.RLock()
_failures: Counter[tuple[str, str]] = Counter()


def caught(error: Exception, place: str) -> None:
    """Count an error that one of our hooks raised, or raise it again when it is not ours.

    An ``Exception`` can arrive in our frames from outside: a signal handler such as Celery's
    for its soft time limit, or ``PyThreadState_SetAsyncExc``. It belongs to the application and
    must pass. All others are ours, also those of the user's code where a hook made it run, such
    as a property of a model: without us it would not have run.

    Args:
        error: What a hook's ``except Exception`` caught.
        place: The name of the hook, such as ``"django.execute"``.

    Raises:
        Exception: ``error`` itself, when it came from outside.
    """
    if not is_ours(error):
        raise error
    count(error, place)


def count(error: Exception, place: str) -> None:
    """Count an error swallowed off the request's path, whoever raised it."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error of the user's whose text cannot be had
        text = "no text"
    with _lock:
        key = (place, f"{type(error).__name__}: {text}"[:200])
        if key not in _failures and len(_failures) >= MAX_KINDS:
            key = ("other", "more kinds of failures than are kept apart")
        _failures[key] += 1


def is_ours(error: BaseException) -> bool:
    """Tell whether queryscope's own code, or what it called, raised ``error``."""
    frames: list[FrameType] = []
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    if any(_interrupts(inner, outer) for outer, inner in pairwise(frames)):
        return False
    kind = _top(type(error).__module__)
    place = _top(frames[-1].f_globals.get("__name__") or "") if frames else "queryscope"
    if place not in _OURS and place not in sys.stdlib_module_names:
        return True  # a hook made it run
    # An asynchronous exception has no frame of its own; it is mostly of a class of its own,
    # which neither we nor the standard library raise.
    return kind in _OURS or kind in sys.stdlib_module_names


def _interrupts(inner: FrameType, outer: FrameType) -> bool:
    """Tell whether a frame is a signal handler's: one is given the frame that it interrupts."""
    code = inner.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & CO_VARARGS)
    names = inner.f_locals
    for name in code.co_varnames[:count]:
        value = names.get(name)
        if value is outer or (type(value) is tuple and any(item is outer for item in value)):
            return True
    return False


def after_fork() -> None:
    """Make the lock anew in a child process: another thread of the parent may have held it."""
    global _lock
    _lock = threading.RLock()


def _top(module: str) -> str:
    return module.partition(".")[0]


def failures() -> tuple[Failure, ...]:
    """Return every failure counted so far in this process."""
    with _lock:
        return tuple(Failure(place, error, n) for (place, error), n in _failures.items())


def clear() -> None:
    """Forget all counted failures."""
    with _lock:
        _failures.clear()
