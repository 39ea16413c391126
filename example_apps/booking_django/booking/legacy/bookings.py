"""Bookings of items, and whether an item is free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from booking.clock import now, start_of, today
from booking.models import Booking, OpeningHours

if TYPE_CHECKING:
    from booking.models import Item, Location


def upcoming_bookings(item: Item) -> list[Booking]:
    """Return the bookings of an item that end today or later, the earliest first."""
    found = list(item.bookings.filter(ends_at__gte=start_of(today())))  # bottleneck 13a
    return sorted(found, key=lambda booking: (booking.starts_at, booking.pk))  # bottleneck 19a


def status_of(location: Location, bookings: list[Booking], names: dict[int, str]) -> str:
    """Return ``closed``, ``busy`` or ``free`` for an item of a location with these bookings."""
    opens = OpeningHours.objects.filter(location_id=location.pk, weekday=today().weekday())
    if not opens.exists():  # bottleneck 13b
        return "closed"
    for booking in bookings:
        if names.get(booking.status_id) == "cancelled":
            continue
        if booking.starts_at <= now() < booking.ends_at:
            return "busy"
    return "free"
