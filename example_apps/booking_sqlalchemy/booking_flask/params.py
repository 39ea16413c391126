"""The thirteen query parameters of the discovery endpoint, read but not yet interpreted."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Request
    from werkzeug.datastructures import MultiDict

FIRST_YEAR, LAST_YEAR = 2000, 2100


def whole(text: str) -> int | None:
    """Return the integer that ``text`` spells as Python reads it, else None."""
    try:
        return int(text)
    except ValueError:
        return None


def number(text: str) -> float | None:
    """Return the finite number that ``text`` spells as Python reads it, else None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def iso_day(text: str) -> dt.date | None:
    """Return the ISO day of the accepted years that ``text`` spells, else None."""
    try:
        value = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return value if FIRST_YEAR <= value.year <= LAST_YEAR else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller of the discovery endpoint asked for; None stands for absent and for invalid."""

    city: str
    category: str
    addons: tuple[str, ...]
    min_capacity: int | None
    max_capacity: int | None
    max_price: float | None
    day: dt.date | None
    page: int | None
    page_size: int | None
    sort: str
    lat: float | None
    lng: float | None
    cache: str

    @classmethod
    def read(cls, args: MultiDict[str, str]) -> Wanted:
        """Return the parameters of a request; of a repeated one the last counts."""

        def last(name: str) -> str:
            return (args.getlist(name) or [""])[-1]

        return cls(
            city=last("city"),
            category=last("category"),
            addons=tuple(part.strip() for part in last("addons").split(",") if part.strip()),
            min_capacity=whole(last("min_capacity")),
            max_capacity=whole(last("max_capacity")),
            max_price=number(last("max_price")),
            day=iso_day(last("date")),
            page=whole(last("page")),
            page_size=whole(last("page_size")),
            sort=last("sort"),
            lat=number(last("lat")),
            lng=number(last("lng")),
            cache=last("cache"),
        )


def token_of(request: Request) -> str:
    """Return the key of an ``Authorization: Token <key>`` header, or an empty string."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme == "Token" else ""
