"""Reading of query parameters: what is not a number or a day counts as absent."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest

FIRST_YEAR, LAST_YEAR = 2000, 2100


def whole(text: str | None) -> int | None:
    """Return the integer that ``text`` spells as Python reads it, else None."""
    try:
        return int(text) if text else None
    except ValueError:
        return None


def number(text: str | None) -> float | None:
    """Return the finite number that ``text`` spells as Python reads it, else None."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) else None


def day(text: str | None) -> dt.date | None:
    """Return the ISO day of this century that ``text`` spells, else None."""
    try:
        value = dt.date.fromisoformat(text) if text else None
    except ValueError:
        return None
    return value if value and FIRST_YEAR <= value.year <= LAST_YEAR else None


def token_of(request: HttpRequest) -> str:
    """Return the key of an ``Authorization: Token <key>`` header, or an empty string."""
    parts = request.headers.get("Authorization", "").split()
    return parts[1] if len(parts) == 2 and parts[0] == "Token" else ""
