"""The losses that are known, with the reason of each: ``losses.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("losses.toml")


class Loss(NamedTuple):
    """One thing that is known to come out wrong on SQLite with six rows.

    Attributes:
        scenario: ORM and name, with a dot between.
        what: ``missed``, ``line``, or ``false alarm QSnnn``.
        reason: Why, in a sentence.
    """

    scenario: str
    what: str
    reason: str


def known() -> tuple[Loss, ...]:
    """Return the list."""
    with FILE.open("rb") as file:
        return tuple(Loss(**item) for item in tomllib.load(file).get("loss", ()))
