"""``GET /v2/items/<location_id>``: what can be booked at a location, in four statements."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Avg, Exists, FilteredRelation, Max, OuterRef, Prefetch, Q, Subquery
from rest_framework.response import Response
from rest_framework.views import APIView

from booking.clock import now, start_of, today
from booking.models import (
    Account,
    Booking,
    BookingStatus,
    DayPass,
    Item,
    Location,
    OpeningHours,
)
from booking.params import token_of
from booking.repaired.serializers import ItemSerializer
from booking.repaired.settings_table import current_settings

if TYPE_CHECKING:
    from rest_framework.request import Request

WITH_SENSOR = ("room", "event_space")
"""Codes of the item types whose items have a sensor."""


class LocationItemsView(APIView):
    """The items of one location."""

    def get(self, request: Request, location_id: int) -> Response:
        """Answer the items with bookings, status, occupancy and day pass."""
        token = token_of(request)
        if not token:
            return Response({"detail": "Give a token."}, status=401)
        account = Account.objects.select_related("plan").filter(token=token).order_by("pk").first()
        if account is None:
            return Response({"detail": "Unknown token."}, status=401)
        if not account.is_active:
            return Response({"detail": "The account is closed."}, status=403)
        location = location_for(account, location_id)
        if location is None:
            return Response({"detail": "No such location."}, status=404)
        items = items_of(location)
        settings = current_settings()
        # Everything is read: what follows takes its time and needs no connection.
        connection.close()

        for item in items:
            item.status = status_of(location, item.upcoming)
            item.day_pass = None
            if item.item_type.code == "day_pass":
                item.day_pass = day_pass_of(location)
            item.occupancy = occupancy_of(item)
        return Response(
            {
                "location": {"id": location.pk, "name": location.name},
                "account": {"name": account.name, "plan": account.plan and account.plan.name},
                "currency": settings.get("currency") or "EUR",
                "items": ItemSerializer(items, many=True, context={"account": account}).data,
            }
        )


def location_for(account: Account, location_id: int) -> Location | None:
    """Return an active location with ``opens_today`` and the account's day pass in ``pass_*``."""
    passes = DayPass.objects.filter(
        account_id=account.pk, location_id=OuterRef("pk"), valid_until__gte=today()
    ).order_by("-valid_until", "pk")
    opens = OpeningHours.objects.filter(location_id=OuterRef("pk"), weekday=today().weekday())
    return (
        Location.objects.filter(pk=location_id, active=True)
        .annotate(
            opens_today=Exists(opens),
            pass_until=Subquery(passes.values("valid_until")[:1]),
            pass_remaining=Subquery(passes.values("remaining")[:1]),
        )
        .first()
    )


def items_of(location: Location) -> list[Item]:
    """Return the items of a location with everything they refer to.

    Each has its ``upcoming`` bookings, and in ``mean_people`` and
    ``peak_people`` what a sensor counted in the last two days.
    """
    upcoming = Booking.objects.filter(ends_at__gte=start_of(today())).order_by("starts_at", "pk")
    until = start_of(today()) + dt.timedelta(days=1)
    recent = Q(readings__at__gte=until - dt.timedelta(days=2), readings__at__lt=until)
    return list(
        Item.objects.filter(location_id=location.pk)
        .select_related("item_type", "layout__floor__building")
        .annotate(recent=FilteredRelation("readings", condition=recent))
        .annotate(mean_people=Avg("recent__people"), peak_people=Max("recent__people"))
        .prefetch_related(Prefetch("bookings", upcoming, to_attr="upcoming"))
        .order_by("position", "pk")
    )


def occupancy_of(item: Any) -> dict[str, float | int] | None:
    """Return mean and peak at an item with a sensor, None when nobody was there."""
    if item.item_type.code not in WITH_SENSOR or not item.mean_people:
        return None
    return {"mean": round(item.mean_people, 2), "peak": item.peak_people}


def status_of(location: Any, bookings: list[Booking]) -> str:
    """Return ``closed``, ``busy`` or ``free`` for an item with these bookings."""
    if not location.opens_today:
        return "closed"
    busy = any(
        booking.status_id != BookingStatus.CANCELLED
        and booking.starts_at <= now() < booking.ends_at
        for booking in bookings
    )
    return "busy" if busy else "free"


def day_pass_of(location: Any) -> dict[str, Any]:
    """Return whether the account has a usable pass here, until when and how many days."""
    if location.pass_until is None:
        return {"active": False, "valid_until": None, "remaining": None}
    return {
        "active": location.pass_remaining != 0,
        "valid_until": location.pass_until.isoformat(),
        "remaining": location.pass_remaining,
    }
