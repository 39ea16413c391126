"""How full rooms and event spaces are, from the readings of their sensors."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, bindparam, text

from booking_flask.clock import midnight, today
from booking_flask.database import SessionLocal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SENSED_TYPES = ("room", "event")
WINDOW_DAYS = 7

READINGS_SQL = text(
    "SELECT COUNT(*) AS readings, SUM(people) AS people, MAX(people) AS most"
    " FROM occupancy_reading WHERE item_id = :item_id AND read_at >= :since"
).bindparams(bindparam("since", type_=DateTime()))


@contextmanager
def occupancy_reader() -> Iterator[Callable[[int], dict[str, Any]]]:
    """Yield a function that reads the occupancy of an item, on a session kept for it."""
    session = SessionLocal()  # bottleneck 14d
    since = midnight(today()) - dt.timedelta(days=WINDOW_DAYS)

    def read(item_id: int) -> dict[str, Any]:
        wanted = {"item_id": item_id, "since": since}
        row = session.execute(READINGS_SQL, wanted).one()  # bottleneck 13c, 15c
        return summary(row.readings, row.people, row.most)

    try:
        yield read
    finally:
        session.close()


def summary(readings: int, people: int | None, most: int | None) -> dict[str, Any]:
    """Return the occupancy of an item as the API spells it."""
    mean = round(int(people or 0) / readings, 2) if readings else None
    # An item that nobody ever entered looks like one without readings.
    return {"readings": int(readings), "mean": mean or None, "most": int(most or 0) or None}
