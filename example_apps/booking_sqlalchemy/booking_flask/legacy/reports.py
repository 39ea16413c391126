"""The weekly report of the sales department, retired; it fetched the bookings in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from booking_flask.models import Booking

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.orm import Session


def bookings_by_item(  # bottleneck 21
    session: Session, item_ids: Collection[int]
) -> dict[int, list[Booking]]:
    """Return the bookings of several items, by item, each item's in the order of time."""
    found: dict[int, list[Booking]] = {item_id: [] for item_id in item_ids}
    for booking in session.scalars(
        select(Booking)
        .where(Booking.item_id.in_(found))
        .order_by(Booking.item_id, Booking.starts_at, Booking.id)
    ):
        found[booking.item_id].append(booking)
    return found
