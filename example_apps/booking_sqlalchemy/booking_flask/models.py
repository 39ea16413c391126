"""The tables of the booking platform, as typed declarative models.

SQLAlchemy makes no index for a foreign key by itself and nobody added any:
``repaired/indexes.py`` has those that the hot paths need.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Column, Double, ForeignKey, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

NAME_LENGTH = 120

# Names and keys compare and sort by code point on every database, as they do in Python.
BINARY_TEXT = (
    String(NAME_LENGTH)
    .with_variant(String(NAME_LENGTH, collation="C"), "postgresql")
    .with_variant(String(NAME_LENGTH, collation="utf8mb4_bin"), "mysql", "mariadb")
)


class Base(DeclarativeBase):
    """What all tables share."""

    type_annotation_map = {str: BINARY_TEXT, float: Double()}
    __table_args__ = {"mysql_charset": "utf8mb4"}


location_addon = Table(
    "location_addon",
    Base.metadata,
    Column("location_id", ForeignKey("location.id"), primary_key=True),
    Column("addon_id", ForeignKey("addon.id"), primary_key=True),
    mysql_charset="utf8mb4",
)


class City(Base):
    """A city with at least one location."""

    __tablename__ = "city"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str]
    name: Mapped[str]


class Category(Base):
    """What kind of place a location is."""

    __tablename__ = "category"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str]
    name: Mapped[str]


class AddOn(Base):
    """Something a location offers beside its space."""

    __tablename__ = "addon"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str]
    name: Mapped[str]


class Location(Base):
    """A place that rents out items; a price of 0 means "the default price of the configuration"."""

    __tablename__ = "location"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    city_id: Mapped[int] = mapped_column(ForeignKey("city.id"))  # bottleneck 2a
    category_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"))
    lat: Mapped[float | None]
    lng: Mapped[float | None]
    capacity: Mapped[int | None]
    price_cents: Mapped[int]
    rating: Mapped[float | None]
    active: Mapped[bool]

    city: Mapped[City] = relationship()
    category: Mapped[Category | None] = relationship()
    addons: Mapped[list[AddOn]] = relationship(secondary=location_addon, order_by=AddOn.id)
    items: Mapped[list[Item]] = relationship(back_populates="location")


class OpeningHours(Base):
    """One weekday (0 = Monday) on which a location opens, in whole hours."""

    __tablename__ = "opening_hours"
    id: Mapped[int] = mapped_column(primary_key=True)
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))  # bottleneck 2b
    weekday: Mapped[int]
    opens: Mapped[int]
    closes: Mapped[int]


class Slot(Base):
    """Seats of a location in one hour of one day."""

    __tablename__ = "slot"
    id: Mapped[int] = mapped_column(primary_key=True)
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    day: Mapped[dt.date]  # bottleneck 2c
    hour: Mapped[int]
    seats: Mapped[int]
    taken: Mapped[int]


class Holiday(Base):
    """A public holiday, everywhere (``city_id`` NULL) or in one city."""

    __tablename__ = "holiday"
    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[dt.date]
    city_id: Mapped[int | None] = mapped_column(ForeignKey("city.id"))


class Setting(Base):
    """One line of the configuration; ``${other}`` in a value stands for another line's value."""

    __tablename__ = "setting"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]
    value: Mapped[str]


class Plan(Base):
    """What an account pays for."""

    __tablename__ = "plan"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    discount_percent: Mapped[int]


class Account(Base):
    """A customer, known by a token."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    token: Mapped[str]  # bottleneck 2d
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id"))
    is_active: Mapped[bool]

    plan: Mapped[Plan | None] = relationship()


class Building(Base):
    """A building with an address."""

    __tablename__ = "building"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    address: Mapped[str]


class Floor(Base):
    """A floor of a building."""

    __tablename__ = "floor"
    id: Mapped[int] = mapped_column(primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"))
    name: Mapped[str]

    building: Mapped[Building] = relationship()


class Layout(Base):
    """The plan of a part of a floor."""

    __tablename__ = "layout"
    id: Mapped[int] = mapped_column(primary_key=True)
    floor_id: Mapped[int] = mapped_column(ForeignKey("floor.id"))
    name: Mapped[str]

    floor: Mapped[Floor] = relationship()


class ItemType(Base):
    """Desk, room, day pass or event space."""

    __tablename__ = "item_type"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    name: Mapped[str]


class Item(Base):
    """Something that can be booked at a location."""

    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))  # bottleneck 2e
    item_type_id: Mapped[int] = mapped_column(ForeignKey("item_type.id"))
    layout_id: Mapped[int | None] = mapped_column(ForeignKey("layout.id"))
    name: Mapped[str]
    position: Mapped[int | None]
    price_cents: Mapped[int]

    location: Mapped[Location] = relationship(back_populates="items")
    item_type: Mapped[ItemType] = relationship(lazy="joined", innerjoin=True)
    layout: Mapped[Layout | None] = relationship()
    bookings: Mapped[list[Booking]] = relationship(back_populates="item")


class BookingStatus(Base):
    """The look-up table of what can become of a booking; it has not changed since the launch."""

    __tablename__ = "booking_status"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Booking(Base):
    """An item, booked by an account from one moment to another."""

    __tablename__ = "booking"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))  # bottleneck 2f
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    status_id: Mapped[int] = mapped_column(ForeignKey("booking_status.id"))
    starts_at: Mapped[dt.datetime]  # bottleneck 2g
    ends_at: Mapped[dt.datetime]

    item: Mapped[Item] = relationship(back_populates="bookings")


class DayPass(Base):
    """Days that an account may spend at a location; ``remaining`` NULL means any number."""

    __tablename__ = "day_pass"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))  # bottleneck 2h
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    valid_until: Mapped[dt.date]
    remaining: Mapped[int | None]


class OccupancyReading(Base):
    """How many people a sensor counted at an item."""

    __tablename__ = "occupancy_reading"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))  # bottleneck 2i
    read_at: Mapped[dt.datetime]
    people: Mapped[int]
