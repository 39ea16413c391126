"""Attributes that we replaced, and how each is put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryscope.trace import guard

if TYPE_CHECKING:
    from collections.abc import Callable

    Maker = Callable[[Callable[..., Any]], Callable[..., Any]]


class Patches:
    """The attributes that one adapter replaced.

    Args:
        place: The name under which what cannot be replaced is counted.
    """

    def __init__(self, place: str) -> None:
        """Start with none."""
        self._place = place
        self._undo: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        """Tell whether anything is replaced."""
        return bool(self._undo)

    def replace(self, owner: Any, name: str, make: Maker) -> Callable[..., Any] | None:
        """Replace an attribute by what ``make`` makes of it, and return that.

        An inherited one is replaced on ``owner`` alone. Where this version of a library has no
        such attribute, that is counted as a failure and None is returned.
        """
        original = getattr(owner, name, None)
        if original is None:
            guard.count(AttributeError(f"{owner.__name__} has no {name}"), self._place)
            return None
        own = name in vars(owner)
        ours = make(original)
        setattr(owner, name, ours)

        def undo() -> None:
            # Who wrapped ours since then must not lose his: ours does nothing without a Recorder.
            if vars(owner).get(name) is not ours:
                return
            if own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)

        self._undo.append(undo)
        return ours

    def later(self, undo: Callable[[], None]) -> None:
        """Remember something else to do when all is put back."""
        self._undo.append(undo)

    def restore(self) -> None:
        """Put everything back, the last first."""
        while self._undo:
            self._undo.pop()()
