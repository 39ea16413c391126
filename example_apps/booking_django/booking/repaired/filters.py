"""The filters of the discovery endpoint as conditions of one statement."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db.models import Count, Q

from booking.models import Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

from booking import params

HIGHEST_PRICE = Decimal("999999.99")
"""The largest value that the price column holds."""
LARGEST_INTEGER = 2**31 - 1
"""Of an integer column; comparisons with anything beyond are decided here."""


def matching_locations(query: Mapping[str, str]) -> QuerySet[Location]:
    """Return the active locations that pass every filter; absent, empty and 0 filter nothing."""
    found = Location.objects.filter(active=True)
    city, category = query.get("city"), query.get("category")
    if city:
        found = found.filter(city__slug=city.lower()) if sendable(city) else found.none()
    if category:
        found = found.filter(category__slug=category) if sendable(category) else found.none()
    if least := params.whole(query.get("min_capacity")):
        found = found.filter(_capacity("gte", least, zero_passes=least <= 0))
    if most := params.whole(query.get("max_capacity")):
        found = found.filter(_capacity("lte", most, zero_passes=most >= 0))
    if limit := params.number(query.get("max_price")):
        found = found.filter(price__lte=_highest_price_within(limit))
    if wanted := wanted_addons(query):
        found = (
            found.filter(pk__in=_offering_all(wanted))
            if all(map(sendable, wanted))
            else found.none()
        )
    return found


def sendable(text: str) -> bool:
    """Return whether every database takes the text; PostgreSQL refuses NUL, no column holds it."""
    return "\x00" not in text


def wanted_addons(query: Mapping[str, str]) -> set[str]:
    """Return the slugs in the comma list, without blanks and in lower case."""
    return {a.strip().lower() for a in (query.get("addons") or "").split(",") if a.strip()}


def _capacity(lookup: str, bound: int, *, zero_passes: bool) -> Q:
    # An unknown capacity counts as none.
    bound = max(-LARGEST_INTEGER, min(LARGEST_INTEGER, bound))
    condition = Q(**{f"capacity__{lookup}": bound})
    return condition | Q(capacity=None) if zero_passes else condition


def _highest_price_within(limit: float) -> Decimal:
    # Prices are compared as floats (10.2 lets 10.20 pass, though the decimal
    # 10.20 is larger than the float): the bound is the highest whole cent that
    # is not above the limit as a float.
    if limit >= HIGHEST_PRICE:
        return HIGHEST_PRICE
    if limit <= -HIGHEST_PRICE:
        return -HIGHEST_PRICE - 1
    cents = math.floor(limit * 100) + 1
    while float(Decimal(cents) / 100) > limit:
        cents -= 1
    return Decimal(cents) / 100


def _offering_all(slugs: set[str]) -> QuerySet[Location]:
    return (
        Location.addons.through.objects.filter(addon__slug__in=slugs)
        .values("location_id")
        .annotate(offered=Count("addon__slug", distinct=True))
        .filter(offered=len(slugs))
        .values("location_id")
    )
