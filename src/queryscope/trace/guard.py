"""The one guard around every hook: our own errors are swallowed, counted and shown."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import TracebackType

MAX_KINDS = 50
"""Distinct failures kept; the rest are counted under one name."""


class Failure(NamedTuple):
    """An error of ours that a guard swallowed: where, what, how often in this process."""

    place: str
    error: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody wants here


_OURS = frozenset({"queryscope", "django", "sqlalchemy", "jinja2"})
"""Top-level packages whose functions hooks call; none of them installs a signal handler."""

_lock = threading.Lock()
_failures: Counter[tuple[str, str]] = Counter()


def caught(error: Exception, place: str) -> None:
    """Count an error that one of our hooks raised, or raise it again when it is not ours.

    An ``Exception`` can arrive in our frames from outside: a signal handler such as Celery's
    for its soft time limit, or ``PyThreadState_SetAsyncExc``. It belongs to the application and
    must pass. Ours are the errors of a built-in kind, or of a framework's own, raised by a frame
    of queryscope, of a framework function that a hook called, or of a C function.

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
    with _lock:
        key = (place, f"{type(error).__name__}: {error}"[:200])
        if key not in _failures and len(_failures) >= MAX_KINDS:
            key = ("other", "more kinds of failures than are kept apart")
        _failures[key] += 1


def is_ours(error: BaseException) -> bool:
    """Tell whether queryscope's own code, or what it called, raised ``error``."""
    kind = type(error).__module__
    if kind != "builtins" and not _module_is_ours(kind):
        return False
    traceback: TracebackType | None = error.__traceback__
    last = None
    while traceback is not None:
        last = traceback.tb_frame
        traceback = traceback.tb_next
    return last is None or _module_is_ours(last.f_globals.get("__name__") or "")


def _module_is_ours(name: str) -> bool:
    return name.partition(".")[0] in _OURS


def failures() -> tuple[Failure, ...]:
    """Return every failure counted so far in this process."""
    with _lock:
        return tuple(Failure(place, error, n) for (place, error), n in _failures.items())


def clear() -> None:
    """Forget all counted failures."""
    with _lock:
        _failures.clear()
