"""The indexes that the hot paths need; the seeded tables lack them on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import Index

from booking import models

if TYPE_CHECKING:
    from django.db.models import Model

HOT_INDEXES: tuple[tuple[type[Model], Index], ...] = (
    (models.Location, Index(fields=["price"], name="hot_location_price")),
    (models.OpeningHours, Index(fields=["location", "weekday"], name="hot_opening_hours")),
    (models.Slot, Index(fields=["day", "location"], name="hot_slot_day")),
    (models.Account, Index(fields=["token"], name="hot_account_token")),
    (models.Item, Index(fields=["location", "position"], name="hot_item_location")),
    (models.Booking, Index(fields=["item", "ends_at"], name="hot_booking_item")),
    (models.Booking, Index(fields=["starts_at"], name="hot_booking_day")),
    (models.DayPass, Index(fields=["account", "location"], name="hot_day_pass")),
    (models.OccupancyReading, Index(fields=["item", "at"], name="hot_reading_item")),
    (models.OccupancyReading, Index(fields=["at"], name="hot_reading_day")),
)
"""Model and index, one for each hot path."""


def create_hot_indexes() -> list[str]:
    """Build the indexes that are not there yet and return their names."""
    built = []
    with connection.cursor() as cursor:
        there = {
            name
            for model, _ in HOT_INDEXES
            for name in connection.introspection.get_constraints(cursor, model._meta.db_table)
        }
    with connection.schema_editor() as editor:
        for model, index in HOT_INDEXES:
            if index.name not in there:
                editor.add_index(model, index)
                built.append(index.name)
    return built
