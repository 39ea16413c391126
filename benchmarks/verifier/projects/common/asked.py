"""Who asks, and for what: parameters and times as every view reads them."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

STAFF = "staff"
PAGE = 5


class Unfit(ValueError):
    """A parameter that is no number."""


def ann() -> dict[str, str]:
    """Return the headers of a customer."""
    return {"X-User": "Ann"}


def staff() -> dict[str, str]:
    """Return the headers of the staff."""
    return {"X-User": STAFF}


def number(asked: Mapping[str, str], name: str, default: int) -> int:
    """Return a whole number; what is left out or empty is the default."""
    text = asked.get(name)
    if not text:
        return default
    try:
        return int(text)
    except ValueError as error:
        raise Unfit(f"{name} is no number") from error


def amount(asked: Mapping[str, str], name: str) -> Decimal | None:
    """Return a sum of money, None where nothing was said."""
    text = asked.get(name)
    if text is None or not text:
        return None
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise Unfit(f"{name} is no amount") from error


def shown_at(moment: datetime, zone: str) -> str:
    """Return a moment as the clock of a place shows it; times are stored as UTC."""
    try:
        place = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        place = ZoneInfo("UTC")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(place).strftime("%Y-%m-%d %H:%M")
