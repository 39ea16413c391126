"""The one place that knows what day it is, so that answers can be reproduced."""

from __future__ import annotations

import datetime as dt
import os

EPOCH = dt.date(2026, 3, 2)
"""The day the seeded data is built around, a Monday."""


def today() -> dt.date:
    """Return the current day: ``BOOKING_TODAY`` (an ISO day) or ``EPOCH``."""
    value = os.environ.get("BOOKING_TODAY")
    return dt.date.fromisoformat(value) if value else EPOCH


def midnight(day: dt.date) -> dt.datetime:
    """Return the beginning of a day; all moments of the database are naive and mean UTC."""
    return dt.datetime.combine(day, dt.time())
