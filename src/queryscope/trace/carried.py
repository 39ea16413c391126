"""The place in a Trace, carried to where Python's contexts do not go: threads, pools, greenlets.

Only our own Scope is carried, set around the callable and taken back. A copied context would
show the user's own context variables where they were not seen before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryscope.trace import codes
from queryscope.trace.scope import ACTIVE, Scope, active, recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def here() -> Scope | None:
    """Return the place that work started here belongs to, None outside every open Recorder.

    The Scope is a new one: when its Recorder closes, whoever still has it keeps nothing alive.
    """
    scope = active()
    if scope is None:
        return None
    if not scope.recorder.closed:
        return scope.recorder.carry(scope.stage)
    recorder = recording()
    return None if recorder is None else recorder.carry(-1)


class Carried:
    """A callable that runs at the place in a Trace where it was handed over.

    It looks like the callable in its place as far as attributes and ``repr`` go.
    """

    __slots__ = ("_function", "_scope")

    def __init__(self, function: Callable[..., Any], scope: Scope) -> None:
        """Take a callable and the place it belongs to, see ``here``."""
        self._function = function
        self._scope = scope

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it, and leave the thread as it was: pools use theirs again."""
        before = active()
        try:
            ACTIVE.set(self._scope)
            return self._function(*args, **kwargs)
        finally:
            ACTIVE.set(before)

    def __getattr__(self, name: str) -> Any:
        """Give the callable's own attributes: who logs ``__name__`` logs the same."""
        return getattr(self._function, name)

    def __repr__(self) -> str:
        return repr(self._function)


class CarriedItems:
    """An iterable whose items are made at the place in a Trace where it was handed over."""

    __slots__ = ("_items", "_iterator", "_scope")

    def __init__(self, items: Iterable[Any], scope: Scope) -> None:
        """Take an iterable and the place it belongs to, see ``here``."""
        self._items = items
        self._iterator: Iterator[Any] | None = None
        self._scope = scope

    def __iter__(self) -> Iterator[Any]:
        """Return itself: each item is made inside the Recorder."""
        return self

    def __next__(self) -> Any:
        """Return the next item."""
        before = active()
        try:
            ACTIVE.set(self._scope)
            if self._iterator is None:
                self._iterator = iter(self._items)
            return next(self._iterator)
        finally:
            ACTIVE.set(before)


# A pool's worker is as deep in its stack for each task, so a walk that ends here can be followed
# again, and a statement of a task is told from one that its submitter sends by itself.
codes.register(Carried.__call__, codes.BOUNDARY)
codes.register(CarriedItems.__next__, codes.BOUNDARY)
