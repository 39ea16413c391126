"""Threads and thread pools of the standard library: their work belongs to who started it.

asyncio carries context variables into its tasks and ``asyncio.to_thread``; threads, executors
and ``loop.run_in_executor`` do not. Without a Recorder each of these hooks is one look at a
context variable.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING, Any

from queryscope.trace import carried, codes, guard
from queryscope.trace.carried import Carried, CarriedItems
from queryscope.trace.patches import Patches
from queryscope.trace.scope import ACTIVE, active

if TYPE_CHECKING:
    from collections.abc import Callable

    from queryscope.trace.scope import Scope

_SCOPE = "_queryscope_scope"
"""Attribute of a thread between its ``start()`` and its first step."""
_POOL_METHODS = (
    "apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered",
)  # fmt: skip
"""What of a ThreadPool takes a function; ``apply`` calls ``apply_async``."""
_LAZY = frozenset({"imap", "imap_unordered"})
"""These read their iterable in a thread of the pool."""

_lock = threading.RLock()
_patches = Patches("threads.install")
_boundaries: list[Callable[..., Any]] = []


def install() -> None:
    """Carry Traces into threads and thread pools; a second call changes nothing."""
    with _lock:
        if _patches:
            return
        _patches.replace(threading.Thread, "start", _start)
        first_step = _patches.replace(threading.Thread, "_bootstrap", _bootstrap)
        if first_step is not None:
            codes.register(first_step, codes.BOUNDARY)
            _boundaries.append(first_step)
        _patches.replace(ThreadPoolExecutor, "submit", _submit)
        _patches.replace(ThreadPool, "__init__", _made_outside)
        for name in _POOL_METHODS:
            _patches.replace(ThreadPool, name, partial(_pool_method, lazy=name in _LAZY))


def uninstall() -> None:
    """Put everything back."""
    with _lock:
        _patches.restore()
        codes.unregister(_boundaries)
        _boundaries.clear()


def _here(place: str) -> Scope | None:
    """Return the place in a Trace that work belongs to which is started now."""
    try:
        return carried.here()
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, place)
        return None


# -- threads -----------------------------------------------------------------------------------


def _start(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Thread.start``: the new thread belongs to who starts it."""

    @wraps(original)
    def start(self: Any) -> None:
        if active() is None or (scope := _here("threads.start")) is None:
            original(self)
            return
        self.__dict__[_SCOPE] = scope
        try:
            original(self)
        except BaseException:
            self.__dict__.pop(_SCOPE, None)
            raise

    return start


def _bootstrap(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Thread._bootstrap``, a thread's first step, below everything it prints or raises.

    Replacing ``run`` for one start would be seen by subclasses and stand in tracebacks.
    """

    @wraps(original)
    def _bootstrap(self: Any) -> None:
        scope = self.__dict__.pop(_SCOPE, None)
        if scope is not None:
            ACTIVE.set(scope)
        original(self)

    return _bootstrap


# -- pools -------------------------------------------------------------------------------------


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``ThreadPoolExecutor.submit``; ``map`` and ``loop.run_in_executor`` call it.

    The executor itself runs with no Recorder: a worker that it starts now serves others later.
    """

    @wraps(original)
    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        before = active()
        if before is None or (scope := _here("threads.submit")) is None:
            return original(self, fn, *args, **kwargs)
        try:
            ACTIVE.set(None)
            return original(self, Carried(fn, scope), *args, **kwargs)
        finally:
            ACTIVE.set(before)

    return submit


def _made_outside(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``ThreadPool.__init__``: its threads serve others later, so they start in no Trace."""

    @wraps(original)
    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        before = active()
        try:
            ACTIVE.set(None)
            original(self, *args, **kwargs)
        finally:
            ACTIVE.set(before)

    return made


def _pool_method(original: Callable[..., Any], *, lazy: bool) -> Callable[..., Any]:
    """Wrap a method of ``ThreadPool`` that takes a function, and an iterable where it is lazy."""

    @wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if active() is None or (scope := _here("threads.pool")) is None:
            return original(self, *args, **kwargs)
        given = list(args)
        if given:
            given[0] = Carried(given[0], scope)
        elif "func" in kwargs:
            kwargs["func"] = Carried(kwargs["func"], scope)
        if lazy and len(given) > 1:
            given[1] = CarriedItems(given[1], scope)
        elif lazy and "iterable" in kwargs:
            kwargs["iterable"] = CarriedItems(kwargs["iterable"], scope)
        return original(self, *given, **kwargs)

    return method
