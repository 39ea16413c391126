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


def start_of(day: dt.date) -> dt.datetime:
    """Return midnight, UTC, at the beginning of a day."""
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)


def now() -> dt.datetime:
    """Return noon, UTC, of the current day."""
    return start_of(today()) + dt.timedelta(hours=12)
