"""Free seats, next openings and badges of the locations of one page: three statements."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from booking_flask.clock import midnight
from booking_flask.legacy.availability import WINDOW_DAYS, Availability
from booking_flask.models import (
    Booking,
    DayPass,
    Item,
    Location,
    OccupancyReading,
    OpeningHours,
    Slot,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from booking_flask.configuration import Configuration


def closed(ids: Sequence[int]) -> Availability:
    """Return what locations offer on a holiday; it takes no statement."""
    return Availability(
        available_slots=dict.fromkeys(ids, 0), badges={id_: ["holiday"] for id_ in ids}
    )


def availability_on(
    session: Session, ids: Sequence[int], day: dt.date, config: Configuration
) -> Availability:
    """Return what locations offer on a working day."""
    hours: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for location_id, weekday, opens, closes in session.execute(
        select(
            OpeningHours.location_id, OpeningHours.weekday, OpeningHours.opens, OpeningHours.closes
        ).where(OpeningHours.location_id.in_(ids))
    ):
        hours[location_id, weekday].append((opens, closes))
    found = Availability(available_slots=dict.fromkeys(ids, 0))
    for location_id, hour, seats, taken in session.execute(
        select(Slot.location_id, Slot.hour, Slot.seats, Slot.taken).where(
            Slot.day == day, Slot.location_id.in_(ids)
        )
    ):
        spans = hours[location_id, day.weekday()]
        times_open = sum(opens <= hour < closes for opens, closes in spans)
        found.available_slots[location_id] += times_open * max(0, seats - taken)
    for location_id in ids:
        for ahead in range(1, 8):
            next_day = day + dt.timedelta(days=ahead)
            spans = hours[location_id, next_day.weekday()]
            if spans:
                opens = min(opens for opens, _ in spans)
                found.next_opening[location_id] = f"{next_day.isoformat()}T{opens:02d}:00"
                break
    found.badges = badges_on(session, ids, day, config)
    return found


def badges_on(
    session: Session, ids: Sequence[int], day: dt.date, config: Configuration
) -> dict[int, list[str]]:
    """Return the badges of locations on a day, from one statement with four figures a location."""
    bookings = (
        select(func.count())
        .select_from(Booking)
        .join(Item, Item.id == Booking.item_id)
        .where(
            Item.location_id == Location.id,
            Booking.starts_at >= midnight(day),
            Booking.starts_at < midnight(day) + dt.timedelta(days=1),
        )
    )
    passes = (
        select(func.count())
        .select_from(DayPass)
        .where(DayPass.location_id == Location.id, DayPass.valid_until >= day)
    )
    read = (
        Item.location_id == Location.id,
        OccupancyReading.read_at >= midnight(day) - dt.timedelta(days=WINDOW_DAYS),
        OccupancyReading.read_at < midnight(day),
    )
    readings = (
        select(func.count())
        .select_from(OccupancyReading)
        .join(Item, Item.id == OccupancyReading.item_id)
        .where(*read)
    )
    people = (
        select(func.coalesce(func.sum(OccupancyReading.people), 0))
        .join(Item, Item.id == OccupancyReading.item_id)
        .where(*read)
    )
    figures = select(
        Location.id,
        *(
            query.correlate(Location).scalar_subquery().label(name)
            for name, query in (
                ("bookings", bookings),
                ("passes", passes),
                ("readings", readings),
                ("people", people),
            )
        ),
    ).where(Location.id.in_(ids))
    return {
        row.id: [
            badge
            for badge, earned in (
                ("popular", row.bookings >= config.popular_from),
                ("day-pass", row.passes > 0),
                ("busy", row.readings and row.people >= config.busy_from * row.readings),
            )
            if earned
        ]
        for row in session.execute(figures)
    }
