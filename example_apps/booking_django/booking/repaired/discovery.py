"""``GET /v2/discovery``: find a location, in eight statements at most."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.db.models import Count, F, Max, Q, Window
from rest_framework.response import Response
from rest_framework.views import APIView

from booking import params
from booking.clock import start_of, today
from booking.geo import distance_km
from booking.models import (
    Booking,
    BookingStatus,
    Holiday,
    Location,
    OccupancyReading,
    OpeningHours,
    Slot,
)
from booking.pricing import spelled
from booking.repaired.filters import matching_locations, sendable
from booking.repaired.settings_table import current_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

logger = logging.getLogger(__name__)

ORDERINGS: dict[str, tuple[Any, ...]] = {
    "price": ("price", "pk"),
    "rating": (F("rating").desc(nulls_last=True), "pk"),
    "name": ("name", "pk"),
}
LARGEST_OFFSET = 2**31
RESPONSE_KEPT_S = 60


class DiscoveryView(APIView):
    """Locations by thirteen parameters."""

    def get(self, request: Request) -> Response:
        """Answer one page of locations; with ``cache=1`` one that may be a minute old."""
        query = request.query_params
        if query.get("cache") != "1":
            return Response(discover(query))
        key = f"booking.discovery:{today()}:{hash_of(query)}"
        answer = cache.get(key)
        if answer is None:
            answer = discover(query)
            cache.set(key, answer, RESPONSE_KEPT_S)
        return Response(answer)


def hash_of(query: Mapping[str, str]) -> str:
    """Return a key for the parameters, the last of repeated ones, whatever their order."""
    return hashlib.sha256(repr(sorted(query.items())).encode()).hexdigest()


def discover(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to the parameters, and log once how long each stage took."""
    watch = _Watch()
    settings = current_settings()
    day = params.day(query.get("date")) or today()
    point = params.number(query.get("lat")), params.number(query.get("lng"))
    page = params.whole(query.get("page")) or 1
    limit = int(settings.get("max_page_size") or 100)
    page_size = min(params.whole(query.get("page_size")) or 20, limit)
    watch.lap("settings")

    cut = slice((page - 1) * page_size, page * page_size)
    found = matching_locations(query)
    if query.get("sort") == "distance":
        shown, total = nearest_page(found, cut, point)
    else:
        shown, total = ordered_page(found, ORDERINGS.get(query.get("sort") or "", ("pk",)), cut)
    watch.lap("locations")

    holiday = is_holiday(day, query.get("city"))
    happening = None if holiday or not shown else happening_on(day, [one.pk for one in shown])
    watch.lap("availability")

    results = [as_result(location, day, happening, settings, point) for location in shown]
    watch.lap("results")
    logger.info("%s of %s locations, %s", len(shown), total, watch)
    return {
        "count": total,
        "page": page,
        "page_size": page_size,
        "holiday": holiday,
        "currency": settings.get("currency") or "EUR",
        "results": results,
    }


class _Watch:
    """Milliseconds by stage."""

    def __init__(self) -> None:
        self._since_ns = time.perf_counter_ns()
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now_ns = time.perf_counter_ns()
        self._laps[stage] = (now_ns - self._since_ns) / 1e6
        self._since_ns = now_ns

    def __str__(self) -> str:
        return ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in self._laps.items())


def ordered_page(
    found: QuerySet[Location], ordering: tuple[Any, ...], cut: slice
) -> tuple[list[Location], int]:
    """Return a page in an order the database knows, and how many locations there are in all.

    Pages before the first count from the end, as slices of lists do.
    """
    start, stop = cut.start, cut.stop
    rows = _with_names(found).order_by(*ordering)
    if start < 0 or stop < 0 or stop > LARGEST_OFFSET:
        total = found.count()
        start, stop, _ = cut.indices(total)
        return (list(rows[start:stop]) if start < stop else []), total
    shown = list(rows.annotate(total=Window(Count("*")))[start:stop]) if start < stop else []
    if shown:
        return shown, shown[0].total
    # The page lies behind the last one: there was no row to carry the count.
    return [], found.count()


def nearest_page(
    found: QuerySet[Location], cut: slice, point: tuple[float | None, float | None]
) -> tuple[list[Location], int]:
    """Return a page of the nearest locations, unknown distances last, and how many there are."""
    places = [
        (how_far(lat, lng, point), pk) for pk, lat, lng in found.values_list("pk", "lat", "lng")
    ]
    places.sort(key=lambda place: (place[0] is None, place[0] or 0, place[1]))
    wanted = [pk for _, pk in places[cut]]
    rows = _with_names(Location.objects.filter(pk__in=wanted)).in_bulk() if wanted else {}
    return [rows[pk] for pk in wanted], len(places)


def _with_names(found: QuerySet[Location]) -> QuerySet[Location]:
    return found.select_related("city", "category").prefetch_related("addons")


def how_far(
    lat: float | None, lng: float | None, point: tuple[float | None, float | None]
) -> float | None:
    """Return the distance to a point in km, None when a coordinate is unknown or 0."""
    if point[0] and point[1] and lat and lng:
        return distance_km(point[0], point[1], lat, lng)
    return None


def is_holiday(day: dt.date, city: str | None) -> bool:
    """Return whether a day is a holiday everywhere, or in the city asked for."""
    where = Q(city=None)
    if city and sendable(city):
        where |= Q(city__slug=city.lower())
    return Holiday.objects.filter(where, day=day).exists()


@dataclass
class Happening:
    """What happens on a day, by location id."""

    free_slots: dict[int, int] = field(default_factory=dict)
    hours: dict[int, list[OpeningHours]] = field(default_factory=lambda: defaultdict(list))
    bookings: dict[int, int] = field(default_factory=dict)
    most_people: dict[int, int] = field(default_factory=dict)


def happening_on(day: dt.date, ids: list[int]) -> Happening:
    """Return what happens on a day at the locations of one page, in four statements."""
    begin, end = start_of(day), start_of(day) + dt.timedelta(days=1)
    happening = Happening(
        free_slots=dict(
            Slot.objects.filter(day=day, location_id__in=ids, seats__gt=F("taken"))
            .values_list("location_id")
            .annotate(Count("pk"))
        ),
        bookings=dict(
            Booking.objects.filter(starts_at__gte=begin, starts_at__lt=end)
            .filter(item__location_id__in=ids)
            .exclude(status_id=BookingStatus.CANCELLED)
            .values_list("item__location_id")
            .annotate(Count("pk"))
        ),
        most_people=dict(
            OccupancyReading.objects.filter(at__gte=begin, at__lt=end)
            .filter(item__location_id__in=ids)
            .values_list("item__location_id")
            .annotate(Max("people"))
        ),
    )
    for hours in OpeningHours.objects.filter(location_id__in=ids):
        happening.hours[hours.location_id].append(hours)
    return happening


def next_opening(day: dt.date, week: list[OpeningHours]) -> str | None:
    """Return the first opening after a day, within a week, as ``2026-03-02T08:00``."""
    opens: dict[int, dt.time] = {}
    for hours in week:
        opens[hours.weekday] = min(hours.opens, opens.get(hours.weekday, hours.opens))
    for ahead in range(1, 8):
        later = day + dt.timedelta(days=ahead)
        if later.weekday() in opens:
            return f"{later.isoformat()}T{opens[later.weekday()]:%H:%M}"
    return None


def badges(
    location: Location, day: dt.date, happening: Happening | None, settings: dict[str, str]
) -> list[str]:
    """Return what the app shows in colour beside the name."""
    found = []
    if location.rating and location.rating >= float(settings.get("top_rating") or 5):
        found.append("top-rated")
    if happening is None:
        return found
    if happening.bookings.get(location.pk, 0) >= int(settings.get("popular_from") or 1):
        found.append("popular")
    most = happening.most_people.get(location.pk)
    if most is not None and most < int(settings.get("quiet_below") or 1):
        found.append("quiet")
    late_from = int(settings.get("late_from") or 20)
    if any(
        hours.weekday == day.weekday() and hours.closes.hour >= late_from
        for hours in happening.hours[location.pk]
    ):
        found.append("open-late")
    return found


def as_result(
    location: Location,
    day: dt.date,
    happening: Happening | None,
    settings: dict[str, str],
    point: tuple[float | None, float | None],
) -> dict[str, Any]:
    """Return one result."""
    far = how_far(location.lat, location.lng, point)
    return {
        "id": location.pk,
        "name": location.name,
        "city": location.city.name,
        "category": location.category.name if location.category else None,
        "capacity": location.capacity,
        "addons": sorted(addon.name for addon in location.addons.all()),
        "price": spelled(location.price),
        "rating": location.rating,
        "distance_km": None if far is None else round(far, 1),
        "available_slots": happening and happening.free_slots.get(location.pk, 0),
        "next_opening": happening and next_opening(day, happening.hours[location.pk]),
        "badges": badges(location, day, happening, settings),
    }
