"""Free seats, next openings and badges of locations on a day: five batch queries and a loop."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from booking_flask.clock import midnight
from booking_flask.models import (
    Booking,
    City,
    DayPass,
    Holiday,
    Item,
    Location,
    OccupancyReading,
    OpeningHours,
    Slot,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from booking_flask.configuration import Configuration

WINDOW_DAYS = 7


@dataclass
class Availability:
    """What the day has to offer, by location id."""

    available_slots: dict[int, int] = field(default_factory=dict)
    next_opening: dict[int, str] = field(default_factory=dict)
    badges: dict[int, list[str]] = field(default_factory=dict)


def find_city(session: Session, slug: str) -> City | None:
    """Return the city of a slug, None for an unknown one."""
    cities = session.scalars(select(City).order_by(City.id)).all()  # bottleneck 3a
    return next((city for city in cities if city.slug == slug), None)


def is_holiday(session: Session, day: dt.date | None, city_slug: str) -> bool:
    """Return whether a day is a public holiday, everywhere or in the city that was asked for."""
    if not day:
        return False
    city = find_city(session, city_slug) if city_slug else None  # mend 3a
    holidays = session.scalars(select(Holiday).where(Holiday.day == day)).all()
    return any(h.city_id is None or (city and h.city_id == city.id) for h in holidays)


def availability_on(
    session: Session, locations: list[Location], day: dt.date, city: str, config: Configuration
) -> Availability:
    """Return what locations have to offer on a day; on a holiday, nothing."""
    ids = [location.id for location in locations]
    slots = session.scalars(  # bottleneck 7a
        select(Slot).where(Slot.day == day, Slot.location_id.in_(ids))
    ).all()
    hours = session.scalars(  # bottleneck 7b
        select(OpeningHours).where(OpeningHours.location_id.in_(ids))
    ).all()
    bookings = session.execute(  # bottleneck 7c
        select(Item.location_id, Booking.id)
        .join(Booking.item)
        .where(
            Item.location_id.in_(ids),
            Booking.starts_at >= midnight(day),
            Booking.starts_at < midnight(day) + dt.timedelta(days=1),
        )
    ).all()
    passes = session.scalars(  # bottleneck 7d
        select(DayPass).where(DayPass.location_id.in_(ids), DayPass.valid_until >= day)
    ).all()
    readings = session.execute(  # bottleneck 7e
        select(Item.location_id, OccupancyReading.people)
        .join(OccupancyReading, OccupancyReading.item_id == Item.id)
        .where(
            Item.location_id.in_(ids),
            OccupancyReading.read_at >= midnight(day) - dt.timedelta(days=WINDOW_DAYS),
            OccupancyReading.read_at < midnight(day),
        )
    ).all()
    found = Availability()
    if is_holiday(session, day, city):  # mend 7a, 7b, 7c, 7d, 7e
        for location in locations:
            found.available_slots[location.id] = 0
            found.badges[location.id] = ["holiday"]
        return found
    for location in locations:
        free = 0
        for slot in slots:
            if slot.location_id != location.id:
                continue
            for opening in hours:  # bottleneck 10a
                if opening.location_id != location.id or opening.weekday != day.weekday():
                    continue
                if opening.opens <= slot.hour < opening.closes:
                    free += max(0, slot.seats - slot.taken)
        found.available_slots[location.id] = free
    for location in locations:
        own = [opening for opening in hours if opening.location_id == location.id]
        for ahead in range(1, 8):
            next_day = day + dt.timedelta(days=ahead)
            opens = [opening.opens for opening in own if opening.weekday == next_day.weekday()]
            if opens and location.id not in found.next_opening:
                found.next_opening[location.id] = f"{next_day.isoformat()}T{min(opens):02d}:00"
    for location in locations:
        badges = []
        if len([b for b in bookings if b.location_id == location.id]) >= config.popular_from:
            badges.append("popular")
        if [p for p in passes if p.location_id == location.id]:
            badges.append("day-pass")
        people = [r.people for r in readings if r.location_id == location.id]
        if people and sum(people) >= config.busy_from * len(people):
            badges.append("busy")
        found.badges[location.id] = badges
    return found
