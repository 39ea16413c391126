"""gevent: what a greenlet does belongs to who spawned it.

A greenlet starts in an empty context. gevent tells of each one before it starts, also of those
that stand for threads under monkey patching; it gets a context with our Scope in it and nothing
else. ``spawn_raw`` and bare greenlets are not told of.
"""

from __future__ import annotations

import threading
from contextvars import Context
from functools import wraps
from typing import TYPE_CHECKING, Any

from gevent.greenlet import Greenlet
from gevent.threadpool import ThreadPool

from queryscope.trace import carried, guard
from queryscope.trace.carried import Carried
from queryscope.trace.patches import Patches
from queryscope.trace.scope import ACTIVE, active

if TYPE_CHECKING:
    from collections.abc import Callable

_lock = threading.RLock()
_patches = Patches("gevent.install")


def install() -> None:
    """Carry Traces into greenlets and gevent's thread pool; a second call changes nothing."""
    with _lock:
        if _patches:
            return
        Greenlet.add_spawn_callback(_spawned)
        _patches.later(lambda: Greenlet.remove_spawn_callback(_spawned))
        _patches.replace(ThreadPool, "spawn", _spawn)


def uninstall() -> None:
    """Put everything back."""
    with _lock:
        _patches.restore()


def _spawned(greenlet: Any) -> None:
    """Give a greenlet that is about to start the place in a Trace where it was spawned."""
    if active() is None:
        return
    try:
        if greenlet.gr_context is not None:
            return  # somebody else's, perhaps shared
        scope = carried.here()
        if scope is not None:
            context = Context()
            context.run(ACTIVE.set, scope)
            greenlet.gr_context = context
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "gevent.spawn")


def _spawn(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``ThreadPool.spawn``, by which all its methods hand work to native threads."""

    @wraps(original)
    def spawn(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        if active() is not None:
            try:
                scope = carried.here()
                if scope is not None:
                    func = Carried(func, scope)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "gevent.threadpool")
        return original(self, func, *args, **kwargs)

    return spawn
