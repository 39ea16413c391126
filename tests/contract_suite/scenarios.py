"""What a scenario is; the applications' scenarios are functions that carry this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Raised(Exception):  # noqa: N818 - it is no error, and reads as what was done
    """What a scenario raises on purpose."""


@dataclass(frozen=True)
class Scenario:
    """One plain function that runs in any adapter.

    Attributes:
        run: The function; what it returns is iterated by the adapter, unless it is None.
        writes: It changes rows, so the next scenario gets new ones.
        streams: It returns an iterator of strings.
        asynchronous: It is a coroutine function, or gives an asynchronous iterator.
        only: Databases that have what it needs; empty for all.
    """

    run: Callable[[], Any]
    writes: bool = False
    streams: bool = False
    asynchronous: bool = False
    only: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The function's name."""
        return self.run.__name__


class Scenarios(dict[str, Scenario]):
    """The scenarios of one application, by name and in the order of their definition."""

    def add(self, **facts: Any) -> Callable[[Any], Any]:
        """Take a function in; the arguments are those of ``Scenario``."""

        def added(function: Any) -> Any:
            self[function.__name__] = Scenario(function, **facts)
            return function

        return added

    def on(self, database: str, *, asynchronous: bool) -> list[Scenario]:
        """Return those that a database can run."""
        return [
            item
            for item in self.values()
            if item.asynchronous is asynchronous and (not item.only or database in item.only)
        ]
