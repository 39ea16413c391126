"""``GET /discovery``: find a location."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from django.db.models import F
from rest_framework.response import Response
from rest_framework.views import APIView

from booking import params
from booking.clock import start_of, today
from booking.geo import distance_km
from booking.legacy.settings_table import read_settings
from booking.models import (
    AddOn,
    Booking,
    Holiday,
    Location,
    OccupancyReading,
    OpeningHours,
    Slot,
)
from booking.pricing import spelled

if TYPE_CHECKING:
    from rest_framework.request import Request

logger = logging.getLogger(__name__)

ORDERINGS: dict[str, tuple[Any, ...]] = {
    "price": ("price", "pk"),
    "rating": (F("rating").desc(nulls_last=True), "pk"),
    "name": ("name", "pk"),
}


class DiscoveryView(APIView):
    """Locations by thirteen parameters."""

    def get(self, request: Request) -> Response:  # bottleneck 1, 12
        """Answer one page of locations."""
        query = request.query_params
        city = query.get("city")
        category = query.get("category")
        min_capacity = params.whole(query.get("min_capacity"))
        max_capacity = params.whole(query.get("max_capacity"))
        max_price = params.number(query.get("max_price"))
        addons = [a.strip().lower() for a in (query.get("addons") or "").split(",") if a.strip()]
        day = params.day(query.get("date")) or today()
        lat, lng = params.number(query.get("lat")), params.number(query.get("lng"))
        sort = query.get("sort")

        active = Location.objects.filter(active=True).select_related("city")
        every = list(active)  # bottleneck 4; mend 3a, 3b
        kept = []
        for location in every:
            logger.info("considering %s", describe(location))  # bottleneck 11a
            if matches(location, city, category, min_capacity, max_capacity, max_price, addons):
                kept.append(location)
            logger.info("considered %s", describe(location))  # bottleneck 11b
        kept = in_order(kept, sort, lat, lng)  # mend 6

        availability = day_data(day)  # mend 7
        holiday = is_holiday(day, city)
        if holiday:
            availability = None

        limit = int(read_settings().get("max_page_size") or 100)  # mend 8
        page = params.whole(query.get("page")) or 1
        page_size = min(params.whole(query.get("page_size")) or 20, limit)
        shown = kept[(page - 1) * page_size : page * page_size]  # bottleneck 5
        busy = count_bookings(kept, availability)

        settings = read_settings()  # mend 8
        results = [
            as_result(location, day, availability, busy, settings, lat, lng)
            for location in shown  # mend 3d, 9
        ]
        for location in every:
            logger.info("done with %s", describe(location))  # bottleneck 11c
        return Response(
            {
                "count": len(kept),
                "page": page,
                "page_size": page_size,
                "holiday": holiday,
                "currency": settings.get("currency") or "EUR",
                "results": results,
            }
        )


def describe(location: Location) -> dict[str, Any]:
    """Return what the log should say about a location."""
    return {
        "id": location.pk,
        "name": location.name,
        "city": location.city.name,
        "category": location.category.name if location.category else None,  # bottleneck 3a
        "price": spelled(location.price),
    }


def matches(
    location: Location,
    city: str | None,
    category: str | None,
    min_capacity: int | None,
    max_capacity: int | None,
    max_price: float | None,
    addons: list[str],
) -> bool:
    """Return whether a location passes every filter that is not empty."""
    if city and location.city.slug != city.lower():
        return False
    if category and (not location.category or location.category.slug != category):
        return False
    if min_capacity and (location.capacity or 0) < min_capacity:
        return False
    if max_capacity and (location.capacity or 0) > max_capacity:
        return False
    if max_price and float(location.price) > max_price:
        return False
    if addons:
        offered = [addon.slug for addon in location.addons.all()]  # bottleneck 3b
        for wanted in addons:
            if wanted not in offered:
                return False
    return True


def how_far(location: Location, lat: float | None, lng: float | None) -> float | None:
    """Return the distance of a location in km, None when either end is unknown."""
    if lat and lng and location.lat and location.lng:
        return distance_km(lat, lng, location.lat, location.lng)
    return None


def in_order(
    kept: list[Location], sort: str | None, lat: float | None, lng: float | None
) -> list[Location]:
    """Return locations in the order asked for, by id where nothing was."""
    ordering = ORDERINGS.get(sort or "", ("pk",))
    again = Location.objects.filter(active=True).select_related("city").order_by(*ordering)
    place = {location.pk: n for n, location in enumerate(again)}  # bottleneck 6
    kept = sorted(kept, key=lambda location: place[location.pk])
    if sort == "distance":
        far = {location.pk: how_far(location, lat, lng) for location in kept}
        kept = sorted(kept, key=lambda one: (far[one.pk] is None, far[one.pk] or 0, one.pk))
    return kept


def is_holiday(day: dt.date, city: str | None) -> bool:
    """Return whether a day is a holiday everywhere, or in the city asked for."""
    for holiday in Holiday.objects.filter(day=day):  # mend 3c
        if holiday.city is None:  # bottleneck 3c
            return True
        if city and holiday.city.slug == city.lower():
            return True
    return False


def day_data(day: dt.date) -> dict[str, Any]:
    """Return everything that happens on a day, at all locations."""
    begin, end = start_of(day), start_of(day) + dt.timedelta(days=1)
    bookings = Booking.objects.filter(starts_at__gte=begin, starts_at__lt=end)
    bookings = bookings.select_related("item", "status")
    readings = OccupancyReading.objects.filter(at__gte=begin, at__lt=end).select_related("item")
    return {
        "slots": list(Slot.objects.filter(day=day)),  # bottleneck 7a
        "today": list(OpeningHours.objects.filter(weekday=day.weekday())),  # bottleneck 7b
        "week": list(OpeningHours.objects.all()),  # bottleneck 7c
        "bookings": list(bookings),  # bottleneck 7d
        "readings": list(readings),  # bottleneck 7e
    }


def count_bookings(
    locations: list[Location], availability: dict[str, Any] | None
) -> dict[int, int]:
    """Return how many bookings of the day stand, by location."""
    if availability is None:
        return {}
    cancelled = [b for b in availability["bookings"] if b.status.name == "cancelled"]
    counts = {}
    for location in locations:
        count = 0
        for booking in availability["bookings"]:
            for gone in cancelled:  # bottleneck 10
                if gone.pk == booking.pk:
                    break
            else:
                if booking.item.location_id == location.pk:
                    count += 1
        counts[location.pk] = count
    return counts


def next_opening(location: Location, day: dt.date, week: list[OpeningHours]) -> str | None:
    """Return the first opening after a day, within a week, as ``2026-03-02T08:00``."""
    for ahead in range(1, 8):
        later = day + dt.timedelta(days=ahead)
        times = [
            hours.opens
            for hours in week
            if hours.location_id == location.pk and hours.weekday == later.weekday()
        ]
        if times:
            return f"{later.isoformat()}T{min(times):%H:%M}"
    return None


def badges(
    location: Location,
    availability: dict[str, Any] | None,
    busy: dict[int, int],
    settings: dict[str, str],
) -> list[str]:
    """Return what the app shows in colour beside the name."""
    found = []
    if location.rating and location.rating >= float(settings.get("top_rating") or 5):
        found.append("top-rated")
    if availability is None:
        return found
    if busy[location.pk] >= int(settings.get("popular_from") or 1):
        found.append("popular")
    people = [r.people for r in availability["readings"] if r.item.location_id == location.pk]
    if people and max(people) < int(settings.get("quiet_below") or 1):
        found.append("quiet")
    for hours in availability["today"]:
        if hours.location_id == location.pk:
            if hours.closes.hour >= int(settings.get("late_from") or 20):
                found.append("open-late")
                break
    return found


def as_result(
    location: Location,
    day: dt.date,
    availability: dict[str, Any] | None,
    busy: dict[int, int],
    settings: dict[str, str],
    lat: float | None,
    lng: float | None,
) -> dict[str, Any]:
    """Return one result."""
    fresh = Location.objects.select_related("city").get(pk=location.pk)  # bottleneck 9
    addons = AddOn.objects.filter(location=location)
    far = how_far(location, lat, lng)
    free = opening = None
    if availability is not None:
        free = 0
        for slot in availability["slots"]:
            if slot.location_id == location.pk and slot.seats > slot.taken:
                free += 1
        opening = next_opening(location, day, availability["week"])
    return {
        "id": fresh.pk,
        "name": fresh.name,
        "city": fresh.city.name,
        "category": location.category.name if location.category else None,
        "capacity": location.capacity,
        "addons": sorted(addon.name for addon in addons),  # bottleneck 3d
        "price": spelled(location.price),
        "rating": location.rating,
        "distance_km": None if far is None else round(far, 1),
        "available_slots": free,
        "next_opening": opening,
        "badges": badges(location, availability, busy, settings),
    }
