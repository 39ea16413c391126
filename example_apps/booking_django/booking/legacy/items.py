"""``GET /items/<location_id>``: what can be booked at a location, for the calling account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from rest_framework.response import Response
from rest_framework.views import APIView

from booking.legacy.bookings import status_of, upcoming_bookings
from booking.legacy.connections import isolated_connection
from booking.legacy.day_pass import DayPassDesk
from booking.legacy.occupancy import WITH_SENSOR, occupancy_of
from booking.legacy.permissions import refusal
from booking.legacy.serializers import ItemSerializer
from booking.legacy.settings_table import read_settings_apart
from booking.models import Account, BookingStatus, Item, Location
from booking.params import token_of
from booking.walking import DEFAULT_CELLS, walking_distances

if TYPE_CHECKING:
    from rest_framework.request import Request


class LocationItemsView(APIView):
    """The items of one location."""

    def get(self, request: Request, location_id: int) -> Response:
        """Answer the items with bookings, status, occupancy and day pass."""
        token = token_of(request)
        refused = refusal(token)
        if refused:
            status, reason = refused
            return Response({"detail": reason}, status=status)
        # One transaction, so that the whole answer is of one moment.
        with transaction.atomic():  # mend 20
            callers = Account.objects.filter(token=token).order_by("pk")
            account = callers.first()  # bottleneck 17
            location = Location.objects.filter(pk=location_id, active=True).first()
            if location is None:
                return Response({"detail": "No such location."}, status=404)
            found = Item.objects.select_related("item_type", "layout")  # mend 16, 19b
            found = found.filter(location=location)
            items = sorted(found, key=lambda item: (item.position, item.pk))  # bottleneck 19b
            rows = BookingStatus.objects.all()
            names = {row.pk: row.name for row in rows}  # bottleneck 18

            for item in items:
                item.upcoming = upcoming_bookings(item)  # mend 13a
            for item in items:
                item.status = status_of(location, item.upcoming, names)  # mend 13b
            with DayPassDesk() as desk:
                for item in items:
                    item.day_pass = None
                    if item.item_type.code == "day_pass":
                        item.day_pass = desk.status_for(account, location)  # mend 14b
                with isolated_connection("occupancy") as alias:  # mend 14c
                    for item in items:
                        item.occupancy = None
                        if item.item_type.code in WITH_SENSOR:
                            item.occupancy = occupancy_of(item.pk, alias)  # mend 13c
            settings = read_settings_apart()  # mend 8
            context = {"account": account, "status_names": names}
            serializer = ItemSerializer(items, many=True, context=context)
            entries = serializer.data  # bottleneck 16
            for item, entry in zip(items, entries, strict=True):
                width, depth = DEFAULT_CELLS
                if item.layout:
                    width, depth = item.layout.width, item.layout.depth
                entry["walking"] = walking_distances(item.pk, width, depth)  # bottleneck 20
            payload = {
                "location": {"id": location.pk, "name": location.name},
                "account": {"name": account.name, "plan": account.plan and account.plan.name},
                "currency": settings.get("currency") or "EUR",
                "items": entries,
            }
        return Response(payload)
