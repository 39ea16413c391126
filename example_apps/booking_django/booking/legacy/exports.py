"""Helpers of the monthly export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from booking.models import Booking

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable


def bookings_by_item(  # bottleneck 21
    item_ids: Iterable[int], since: dt.datetime
) -> dict[int, list[Booking]]:
    """Return the bookings of many items that end at ``since`` or later, in one statement."""
    grouped: dict[int, list[Booking]] = {item_id: [] for item_id in item_ids}
    found = Booking.objects.filter(item_id__in=list(grouped), ends_at__gte=since)
    for booking in found.order_by("starts_at", "pk"):
        grouped[booking.item_id].append(booking)
    return grouped
