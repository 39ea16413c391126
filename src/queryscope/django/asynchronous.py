"""Django's bridges between coroutines and threads: who waits on the other side of each.

Django's async ORM runs the sync one in a thread, on whose stack the user's line is not. The
coroutine that awaits the thread stands still meanwhile, so its chain is noted before it does.
"""

from __future__ import annotations

import sys
from functools import wraps
from itertools import islice
from typing import TYPE_CHECKING, Any

from queryscope.trace import guard
from queryscope.trace.scope import recording
from queryscope.trace.walk import CAUSE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from types import FrameType

_frame = sys._getframe


def sync_to_async(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``SyncToAsync.__call__``: a coroutine awaits a thread."""

    @wraps(original)
    async def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = _waits(_frame(1))
        try:
            return await original(self, *args, **kwargs)
        finally:
            _goes_on(token)

    return __call__


def async_to_sync(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``AsyncToSync.__call__``: a thread waits for a coroutine, in a loop of its own."""

    @wraps(original)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = _waits(_frame(1))
        try:
            return original(self, *args, **kwargs)
        finally:
            _goes_on(token)

    return __call__


def _waits(frame: FrameType) -> Token[tuple[int, ...]] | None:
    """Note the chain of who waits; asgiref copies the context to the other side."""
    try:
        recorder = recording()
        if recorder is None:
            return None
        site = recorder.site(frame)
        return CAUSE.set(next(islice(recorder.chains, site, None), ()))
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.asgiref")
        return None


def _goes_on(token: Token[tuple[int, ...]] | None) -> None:
    if token is None:
        return
    try:
        CAUSE.reset(token)
    except Exception as error:
        # A ValueError says: goes on in another context than it waited in, as a generator does
        # that is closed elsewhere. That context is gone, and our value with it.
        if not guard.is_ours(error):
            raise
        if type(error) is not ValueError:
            guard.count(error, "django.asgiref")
