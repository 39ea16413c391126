"""The place in a Trace under way that a thread, task or greenlet is at."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queryscope.trace.recorder import Recorder


class Scope:
    """What the context variable holds: the innermost Recorder and the stage we are in."""

    __slots__ = ("__weakref__", "recorder", "stage")

    def __init__(self, recorder: Recorder, stage: int) -> None:
        """Name a place inside a Recorder; ``stage`` is -1 outside every stage."""
        self.recorder = recorder
        self.stage = stage


ACTIVE: ContextVar[Scope | None] = ContextVar("queryscope_scope", default=None)
active = ACTIVE.get


def recording() -> Recorder | None:
    """Return the innermost Recorder that still takes facts."""
    scope = ACTIVE.get()
    if scope is None:
        return None
    recorder = scope.recorder
    while recorder.closed:
        if recorder.outer is None:
            return None
        recorder = recorder.outer
    return recorder
