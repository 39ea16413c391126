"""Stages: named parts of the Trace under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE, Scope, active

if TYPE_CHECKING:
    from contextvars import Token


class StageBlock:
    """A stage as a context manager; without a Recorder it does nothing.

    Attributes:
        place: What its context points at inside it, None when it does nothing.
    """

    __slots__ = ("_kind", "_name", "_token", "place")

    def __init__(self, name: str, kind: str) -> None:
        """Prepare a stage; it begins on entry."""
        self._name = name
        self._kind = kind
        self.place: Scope | None = None
        self._token: Token[Scope | None] | None = None

    def __enter__(self) -> None:
        """Begin the stage inside the one we are in."""
        scope = active()
        if scope is None or scope.recorder.closed:
            return
        try:
            recorder = scope.recorder
            index = recorder.begin_stage(self._name, self._kind, scope.stage)
            self.place = recorder.carry(index)
            self._token = ACTIVE.set(self.place)
        except BaseException as error:
            # Nobody leaves a stage whose beginning a signal handler has interrupted.
            ACTIVE.set(scope)
            if not isinstance(error, Exception):
                raise
            guard.caught(error, "stage")

    def __exit__(self, *_: object) -> None:
        """End the stage."""
        place = self.place
        if place is None:
            return
        try:
            try:
                place.recorder.end_stage(place.stage)
            finally:  # wherever a signal handler raises: what follows belongs to no such stage
                if self._token is not None:
                    ACTIVE.reset(self._token)
        except Exception as error:
            # A ValueError says: left in another context than entered, as a generator does that
            # is closed elsewhere. That context is gone, and our value with it.
            if not guard.is_ours(error):
                raise
            if type(error) is not ValueError:
                guard.count(error, "stage")
