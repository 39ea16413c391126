"""What the sensors counted."""

from __future__ import annotations

import datetime as dt

from django.db import connections

from booking.clock import start_of, today

WITH_SENSOR = ("room", "event_space")
"""Codes of the item types whose items have a sensor."""

AVERAGE = """
    SELECT AVG(people), MAX(people)
    FROM booking_occupancyreading
    WHERE item_id = %s AND at >= %s AND at < %s
"""


def occupancy_of(item_id: int, alias: str) -> dict[str, float | int] | None:
    """Return mean and peak of the last two days at one item, None when nobody was there."""
    until = start_of(today()) + dt.timedelta(days=1)
    since = until - dt.timedelta(days=2)
    with connections[alias].cursor() as cursor:
        cursor.execute(AVERAGE, [item_id, _spelled(since), _spelled(until)])  # bottleneck 13c, 14c
        mean, peak = cursor.fetchone()
    return {"mean": round(float(mean), 2), "peak": peak} if mean else None


def _spelled(moment: dt.datetime) -> str:
    # As the databases spell it: raw statements bypass Django's conversion.
    return moment.strftime("%Y-%m-%d %H:%M:%S")
