"""What the detail endpoint says about items, as nested as the tables are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework import serializers

from booking.models import Booking, Building, Floor, Item, Layout
from booking.pricing import discounted

if TYPE_CHECKING:
    from typing import ClassVar


class BuildingSerializer(serializers.ModelSerializer):
    """A building."""

    class Meta:
        model = Building
        fields: ClassVar[list[str]] = ["name", "address"]


class FloorSerializer(serializers.ModelSerializer):
    """A floor with its building."""

    building = BuildingSerializer()

    class Meta:
        model = Floor
        fields: ClassVar[list[str]] = ["name", "building"]


class LayoutSerializer(serializers.ModelSerializer):
    """A layout with its floor."""

    floor = FloorSerializer()

    class Meta:
        model = Layout
        fields: ClassVar[list[str]] = ["name", "width", "depth", "floor"]


class BookingSerializer(serializers.ModelSerializer):
    """A booking, from the point of view of ``context["account"]``."""

    status = serializers.SerializerMethodField()
    mine = serializers.SerializerMethodField()

    class Meta:
        model = Booking
        fields: ClassVar[list[str]] = ["id", "status", "starts_at", "ends_at", "mine"]

    def get_status(self, booking: Booking) -> str | None:
        """Return the name of the status."""
        return self.context["status_names"].get(booking.status_id)

    def get_mine(self, booking: Booking) -> bool:
        """Return whether the caller made the booking."""
        return booking.account_id == self.context["account"].pk


class ItemSerializer(serializers.ModelSerializer):
    """An item; the view has put ``upcoming``, ``status``, ``occupancy`` and ``day_pass`` on it."""

    kind = serializers.CharField(source="item_type.code")
    price = serializers.SerializerMethodField()
    layout = LayoutSerializer()
    bookings = BookingSerializer(many=True, source="upcoming")
    status = serializers.CharField()
    occupancy = serializers.JSONField()
    day_pass = serializers.JSONField()

    class Meta:
        model = Item
        fields: ClassVar[list[str]] = [
            "id",
            "name",
            "kind",
            "price",
            "layout",
            "bookings",
            "status",
            "occupancy",
            "day_pass",
        ]

    def get_price(self, item: Item) -> str:
        """Return the price that the caller pays."""
        plan = self.context["account"].plan
        return discounted(item.price, plan.discount_percent if plan else 0)
