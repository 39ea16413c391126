"""Attributes that we replaced, and how each is put back."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from queryscope.trace import guard

if TYPE_CHECKING:
    from collections.abc import Callable

    Maker = Callable[[Any], Any]
    """Makes what stands in for a function or property, given the original."""

MAX_WRAPPERS = 20
"""Wrappers around one another that are looked through."""


def uses_only(function: Any, *names: str) -> bool:
    """Tell whether a function's code asks for just these names, in this order.

    So a hook knows the one line of a library that it may say itself, and sees where another
    version or another tool has put something else.
    """
    code = getattr(function, "__code__", None)
    return code is not None and code.co_names == names and not code.co_freevars


class Patches:
    """The attributes that one adapter replaced.

    Args:
        place: The name under which what cannot be replaced is counted.
    """

    def __init__(self, place: str) -> None:
        """Start with none."""
        self._place = place
        self._undo: list[Callable[[], None]] = []
        self.replaced: list[str] = []
        """What is replaced, as ``module.owner.name``; for the page that tells users."""

    def __bool__(self) -> bool:
        """Tell whether anything is replaced."""
        return bool(self._undo)

    def replace(self, owner: Any, name: str, make: Maker) -> Any:
        """Replace an attribute by what ``make`` makes of it, and return that.

        An inherited one is replaced on ``owner`` alone. Where this version of a library has no
        such attribute, that is counted as a failure and None is returned.
        """
        original = getattr(owner, name, None)
        if original is None:
            guard.count(AttributeError(f"{owner.__name__} has no {name}"), self._place)
            return None
        where = "" if isinstance(owner, ModuleType) else f"{owner.__module__}."
        self.replaced.append(f"{where}{getattr(owner, '__qualname__', owner.__name__)}.{name}")
        left = _left.pop((owner, name), None)
        if left is not None and _stands_in(original, left[0]):
            self._undo.append(left[1])
            return left[0]
        own = name in vars(owner)
        ours = make(original)
        setattr(owner, name, ours)

        def undo() -> None:
            # Who wrapped ours since then must not lose his: ours does nothing without a Recorder.
            if vars(owner).get(name) is not ours:
                _left[owner, name] = (ours, undo)
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
        self.replaced.clear()


_left: dict[tuple[Any, str], tuple[Any, Callable[[], None]]] = {}
"""By owner and name: what had to stay inside somebody else's wrapper, and what takes it out.

Who replaces the attribute again takes it over: a second one around it would note all twice.
"""


def _stands_in(outer: Any, ours: Any) -> bool:
    """Tell whether ``outer`` is ours, or a wrapper that names ours as what it wraps."""
    for _ in range(MAX_WRAPPERS):
        if outer is None or outer is ours:
            break
        outer = getattr(outer, "__wrapped__", None)
    return outer is ours
