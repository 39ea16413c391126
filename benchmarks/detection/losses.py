"""The losses that are known, with the reason of each: ``losses.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("losses.toml")


class Loss(NamedTuple):
    """One thing that is known to come out wrong.

    Attributes:
        scenario: ORM and name, with a dot between.
        what: ``missed``, ``line``, or ``false alarm QSnnn``.
        reason: Why, in a sentence.
        rows: With how many rows it does on SQLite; empty for any number.
    """

    scenario: str
    what: str
    reason: str
    rows: tuple[int, ...] = ()

    def holds_with(self, size: int) -> bool:
        """Tell whether it comes out wrong with so many rows."""
        return not self.rows or size in self.rows


def known() -> tuple[Loss, ...]:
    """Return the list."""
    with FILE.open("rb") as file:
        items = tomllib.load(file).get("loss", ())
    return tuple(Loss(**{**item, "rows": tuple(item.get("rows", ()))}) for item in items)
