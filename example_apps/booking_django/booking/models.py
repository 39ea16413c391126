"""The tables of the booking platform.

Indexes of foreign keys were switched off when the nightly import got slow;
``booking/repaired/indexes.py`` has those that the hot paths need.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class City(models.Model):
    """A city with at least one location."""

    slug = models.CharField(max_length=40)
    name = models.CharField(max_length=80)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Category(models.Model):
    """What kind of place a location is."""

    slug = models.CharField(max_length=40)
    name = models.CharField(max_length=80)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class AddOn(models.Model):
    """Something a location offers beside its space."""

    slug = models.CharField(max_length=40)
    name = models.CharField(max_length=80)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Location(models.Model):
    """A place that rents out items; 0 and NULL occur in every number."""

    name = models.CharField(max_length=120)
    city = models.ForeignKey(City, models.CASCADE)
    category = models.ForeignKey(Category, models.SET_NULL, null=True)
    addons = models.ManyToManyField(AddOn)
    lat = models.FloatField(null=True)
    lng = models.FloatField(null=True)
    capacity = models.IntegerField(null=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)  # bottleneck 2a
    rating = models.FloatField(null=True)  # bottleneck 2b
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class OpeningHours(models.Model):
    """One weekday (0 = Monday) on which a location opens."""

    location = models.ForeignKey(
        Location,
        models.CASCADE,
        related_name="opening_hours",
        db_index=False,  # bottleneck 2c
    )
    weekday = models.IntegerField()
    opens = models.TimeField()
    closes = models.TimeField()

    def __str__(self) -> str:
        """Return weekday and opening time."""
        return f"{self.weekday} {self.opens}"


class Slot(models.Model):
    """Seats of a location in one hour of one day."""

    location = models.ForeignKey(Location, models.CASCADE, related_name="slots", db_index=False)
    day = models.DateField()  # bottleneck 2d
    hour = models.IntegerField()
    seats = models.IntegerField()
    taken = models.IntegerField(default=0)

    def __str__(self) -> str:
        """Return day and hour."""
        return f"{self.day} {self.hour}"


class Holiday(models.Model):
    """A public holiday, everywhere (city NULL) or in one city."""

    day = models.DateField()
    city = models.ForeignKey(City, models.CASCADE, null=True)

    def __str__(self) -> str:
        """Return the day."""
        return str(self.day)


class Setting(models.Model):
    """One line of the configuration; ``${other}`` in a value stands for another line's value."""

    key = models.CharField(max_length=60)
    value = models.CharField(max_length=200)

    def __str__(self) -> str:
        """Return the key."""
        return self.key


class Plan(models.Model):
    """What an account pays for."""

    name = models.CharField(max_length=60)
    discount_percent = models.IntegerField(default=0)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Account(models.Model):
    """A customer, known by a token."""

    name = models.CharField(max_length=120)
    token = models.CharField(max_length=64)  # bottleneck 2e
    plan = models.ForeignKey(Plan, models.SET_NULL, null=True)
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Building(models.Model):
    """A building with an address."""

    name = models.CharField(max_length=120)
    address = models.CharField(max_length=200)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Floor(models.Model):
    """A floor of a building."""

    building = models.ForeignKey(Building, models.CASCADE)
    name = models.CharField(max_length=60)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Layout(models.Model):
    """The plan of a part of a floor, in cells of one metre."""

    floor = models.ForeignKey(Floor, models.CASCADE)
    name = models.CharField(max_length=60)
    width = models.IntegerField()
    depth = models.IntegerField()

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class ItemType(models.Model):
    """Desk, room, day pass or event space."""

    code = models.CharField(max_length=20)
    name = models.CharField(max_length=60)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Item(models.Model):
    """Something that can be booked at a location."""

    location = models.ForeignKey(
        Location,
        models.CASCADE,
        related_name="items",
        db_index=False,  # bottleneck 2f
    )
    item_type = models.ForeignKey(ItemType, models.CASCADE)
    layout = models.ForeignKey(Layout, models.SET_NULL, null=True)
    name = models.CharField(max_length=120)
    position = models.IntegerField()
    price = models.DecimalField(max_digits=8, decimal_places=2)

    class Meta:
        """The order in which the operations desk reads items."""

        ordering: ClassVar[list[str]] = ["pk"]

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class BookingStatus(models.Model):
    """The look-up table of what can become of a booking; it has not changed since the launch."""

    NAMES: ClassVar[dict[int, str]] = {1: "pending", 2: "confirmed", 3: "cancelled", 4: "done"}
    CANCELLED: ClassVar[int] = 3

    name = models.CharField(max_length=30)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Booking(models.Model):
    """An item, booked by an account from one moment to another."""

    item = models.ForeignKey(
        Item,
        models.CASCADE,
        related_name="bookings",
        db_index=False,  # bottleneck 2g
    )
    account = models.ForeignKey(Account, models.CASCADE, db_index=False)
    status = models.ForeignKey(BookingStatus, models.CASCADE, db_index=False)
    starts_at = models.DateTimeField()  # bottleneck 2h
    ends_at = models.DateTimeField()

    def __str__(self) -> str:
        """Return the beginning."""
        return str(self.starts_at)


class DayPass(models.Model):
    """Days that an account may spend at a location; ``remaining`` NULL means any number."""

    account = models.ForeignKey(
        Account,
        models.CASCADE,
        db_index=False,  # bottleneck 2i
    )
    location = models.ForeignKey(Location, models.CASCADE, db_index=False)
    valid_until = models.DateField()
    remaining = models.IntegerField(null=True)

    def __str__(self) -> str:
        """Return the last day."""
        return str(self.valid_until)


class OccupancyReading(models.Model):
    """How many people a sensor counted at an item."""

    item = models.ForeignKey(
        Item,
        models.CASCADE,
        related_name="readings",
        db_index=False,  # bottleneck 2j
    )
    at = models.DateTimeField()
    people = models.IntegerField()

    def __str__(self) -> str:
        """Return the moment."""
        return str(self.at)
