"""What the detail endpoint says about items that were loaded whole."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from booking.models import Booking, BookingStatus, Item
from booking.pricing import discounted
from booking.walking import DEFAULT_CELLS, walking_distances


class BuildingSerializer(serializers.Serializer):
    """A building."""

    name = serializers.CharField()
    address = serializers.CharField()


class FloorSerializer(serializers.Serializer):
    """A floor with its building."""

    name = serializers.CharField()
    building = BuildingSerializer()


class LayoutSerializer(serializers.Serializer):
    """A layout with its floor."""

    name = serializers.CharField()
    width = serializers.IntegerField()
    depth = serializers.IntegerField()
    floor = FloorSerializer()


class BookingSerializer(serializers.Serializer):
    """A booking, from the point of view of ``context["account"]``."""

    id = serializers.IntegerField()
    status = serializers.SerializerMethodField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    mine = serializers.SerializerMethodField()

    def get_status(self, booking: Booking) -> str | None:
        """Return the name of the status."""
        return BookingStatus.NAMES.get(booking.status_id)

    def get_mine(self, booking: Booking) -> bool:
        """Return whether the caller made the booking."""
        return booking.account_id == self.context["account"].pk


class ItemSerializer(serializers.Serializer):
    """An item; the view has put ``upcoming``, ``status``, ``occupancy`` and ``day_pass`` on it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.CharField(source="item_type.code")
    price = serializers.SerializerMethodField()
    layout = LayoutSerializer()
    bookings = BookingSerializer(many=True, source="upcoming")
    status = serializers.CharField()
    occupancy = serializers.JSONField()
    day_pass = serializers.JSONField()
    walking = serializers.SerializerMethodField()

    def get_price(self, item: Item) -> str:
        """Return the price that the caller pays."""
        plan = self.context["account"].plan
        return discounted(item.price, plan.discount_percent if plan else 0)

    def get_walking(self, item: Item) -> dict[str, Any]:
        """Return how far it is to walk inside the item."""
        width, depth = DEFAULT_CELLS
        if item.layout:
            width, depth = item.layout.width, item.layout.depth
        return walking_distances(item.pk, width, depth)
