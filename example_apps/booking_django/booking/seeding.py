"""Deterministic data of any size, built around ``clock.EPOCH``."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from booking import models
from booking.clock import EPOCH, start_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

ALL_MODELS: tuple[type[Model], ...] = (
    models.City,
    models.Category,
    models.AddOn,
    models.Location,
    models.OpeningHours,
    models.Slot,
    models.Holiday,
    models.Setting,
    models.Plan,
    models.Account,
    models.Building,
    models.Floor,
    models.Layout,
    models.ItemType,
    models.Item,
    models.BookingStatus,
    models.Booking,
    models.DayPass,
    models.OccupancyReading,
)
"""Every model, parents before children."""

CITIES = ("Aarhus", "Berlin", "Córdoba", "Dublin", "Évora", "Gdańsk", "Kraków", "Łódź", "Zürich")
CITY_SLUGS = (
    "aarhus",
    "berlin",
    "cordoba",
    "dublin",
    "evora",
    "gdansk",
    "krakow",
    "lodz",
    "zuerich",
)
CATEGORIES = ("Coworking", "Loft", "Hotel", "Library", "Studio")
ADDONS = ("Parking", "Coffee", "Projector", "Lockers", "Printer", "Showers", "Catering", "Terrace")
ADJECTIVES = ("Blue", "Old", "Quiet", "Tall", "Übersee", "Green", "Øst", "Corner")
NOUNS = ("Harbour", "Mill", "Station", "Arcade", "Works", "Garden", "Depot", "Exchange")
ITEM_KINDS = ("desk",) * 5 + ("room",) * 2 + ("day_pass",) * 2 + ("event_space",)
"""What the ten items of every location are."""
KINDS = ("desk", "room", "day_pass", "event_space")
SETTINGS = {
    "currency": "EUR",
    "popular_from": "4",
    "quiet_below": "${popular_from}",
    "top_rating": "4.5",
    "late_from": "20",
    "max_page_size": "100",
    "support_address": "help@${domain}",
    "domain": "booking.example",
}
ACCOUNTS = 200
BOOKINGS_PER_ITEM = 4
READINGS_PER_SENSOR = 7


def create_tables() -> None:
    """Drop the tables of this application, if there, and create them empty, without hot indexes."""
    if connection.vendor == "mysql":
        # MariaDB compares text loosely by default ("a" = "A" = "a "); Python and
        # the other databases do not, and the application expects what they do.
        with connection.cursor() as cursor:
            name = connection.ops.quote_name(connection.settings_dict["NAME"])
            cursor.execute(f"ALTER DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin")
    there = set(connection.introspection.table_names())
    with connection.schema_editor() as editor:
        for model in reversed(ALL_MODELS):
            if model._meta.db_table in there:
                editor.delete_model(model)
        for model in ALL_MODELS:
            editor.create_model(model)


def fill_tables(*, locations: int, seed: int = 7) -> dict[str, int]:
    """Fill empty tables.

    Args:
        locations: Number of active locations; there is one inactive more for
            every 25 of them, and ten items for each active one. 0 fills nothing.
        seed: Of the random generator; equal seeds give equal rows.

    Returns:
        Number of rows by table name.
    """
    if locations < 1:
        return {}
    rows = _Rows(random.Random(seed), locations)
    counts: dict[str, int] = {}
    with transaction.atomic():
        for objects in rows.by_table():
            manager = type(objects[0])._default_manager
            manager.bulk_create(objects, batch_size=2_000)
            counts[type(objects[0])._meta.db_table] = len(objects)
    with connection.cursor() as cursor:
        for statement in _sequence_resets():
            cursor.execute(statement)
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE")
    return counts


def _sequence_resets() -> list[str]:
    # The rows carry their ids; PostgreSQL's sequences have to hear of it.
    from django.core.management.color import no_style

    return connection.ops.sequence_reset_sql(no_style(), list(ALL_MODELS))


class _Rows:
    """The rows of all tables, with explicit ids, in an order that foreign keys allow."""

    def __init__(self, rng: random.Random, locations: int) -> None:
        self.rng = rng
        self.active = locations
        self.locations = locations + max(1, locations // 25)

    def by_table(self) -> Iterator[list[Any]]:
        yield [
            models.City(id=n, slug=slug, name=name)
            for n, (slug, name) in enumerate(zip(CITY_SLUGS, CITIES, strict=True), 1)
        ]
        yield [models.Category(id=n, slug=c.lower(), name=c) for n, c in enumerate(CATEGORIES, 1)]
        yield [models.AddOn(id=n, slug=a.lower(), name=a) for n, a in enumerate(ADDONS, 1)]
        yield [self._location(n) for n in range(1, self.locations + 1)]
        yield self._addon_links()
        yield self._opening_hours()
        yield self._slots()
        yield [
            models.Holiday(id=1, day=EPOCH + dt.timedelta(days=2), city=None),
            models.Holiday(id=2, day=EPOCH + dt.timedelta(days=4), city_id=2),
            models.Holiday(id=3, day=EPOCH + dt.timedelta(days=4), city_id=9),
            models.Holiday(id=4, day=EPOCH + dt.timedelta(days=60), city=None),
        ]
        yield [models.Setting(id=n, key=k, value=v) for n, (k, v) in enumerate(SETTINGS.items(), 1)]
        yield [
            models.Plan(id=1, name="Basic", discount_percent=0),
            models.Plan(id=2, name="Team", discount_percent=15),
            models.Plan(id=3, name="Patron", discount_percent=33),
        ]
        yield [
            models.Account(
                id=n,
                name=f"Account {n}",
                token=f"token-{n}",
                plan_id=None if n % 10 == 0 else 1 + n % 3,
                is_active=n % 20 != 19,
            )
            for n in range(1, ACCOUNTS + 1)
        ]
        yield from self._plans_and_items()
        yield [models.BookingStatus(id=n, name=s) for n, s in models.BookingStatus.NAMES.items()]
        yield self._bookings()
        yield self._day_passes()
        yield self._readings()

    def _location(self, n: int) -> models.Location:
        rng = self.rng
        return models.Location(
            id=n,
            name=f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)} {rng.randrange(1, 60)}",
            city_id=rng.randrange(1, len(CITIES) + 1),
            category_id=None if n % 17 == 0 else rng.randrange(1, len(CATEGORIES) + 1),
            lat=None if n % 23 == 0 else 0.0 if n % 29 == 0 else round(rng.uniform(36, 60), 4),
            lng=None if n % 23 == 0 else round(rng.uniform(-9, 24), 4),
            capacity=None if n % 19 == 0 else 0 if n % 31 == 0 else rng.randrange(1, 250),
            price=Decimal(0) if n % 27 == 0 else Decimal(rng.randrange(200, 30_000, 10)) / 100,
            rating=None if n % 13 == 0 else 0.0 if n % 37 == 0 else rng.randrange(20, 51) / 10,
            active=n <= self.active,
        )

    def _addon_links(self) -> list[Any]:
        through = models.Location.addons.through
        links = [
            (location, addon)
            for location in range(1, self.locations + 1)
            for addon in sorted(self.rng.sample(range(1, len(ADDONS) + 1), self.rng.randrange(6)))
        ]
        return [
            through(id=n, location_id=location, addon_id=addon)
            for n, (location, addon) in enumerate(links, 1)
        ]

    def _opening_hours(self) -> list[models.OpeningHours]:
        days = [
            (location, weekday)
            for location in range(1, self.locations + 1)
            if location % 41  # some places never say when they open
            for weekday in range(6)
            if self.rng.random() < (0.4 if weekday == 5 else 0.9)
        ]
        return [
            models.OpeningHours(
                id=n,
                location_id=location,
                weekday=weekday,
                opens=dt.time(self.rng.choice((7, 8, 9))),
                closes=dt.time(self.rng.choice((18, 20, 22))),
            )
            for n, (location, weekday) in enumerate(days, 1)
        ]

    def _slots(self) -> list[models.Slot]:
        wanted = [
            (location, EPOCH + dt.timedelta(days=offset), hour)
            for location in range(1, self.active + 1)
            for offset in range(-1, 7)
            for hour in (9, 11, 14, 16)
        ]
        slots = []
        for n, (location, day, hour) in enumerate(wanted, 1):
            seats = self.rng.randrange(12)
            slots.append(
                models.Slot(
                    id=n,
                    location_id=location,
                    day=day,
                    hour=hour,
                    seats=seats,
                    taken=self.rng.randrange(seats + 1),
                )
            )
        return slots

    def _plans_and_items(self) -> Iterator[list[Any]]:
        buildings, floors, layouts, items = [], [], [], []
        for location in range(1, self.active + 1):
            buildings.append(
                models.Building(
                    id=location, name=f"House {location}", address=f"{location} Mole Street"
                )
            )
            floors += [
                models.Floor(id=2 * location - 1, building_id=location, name="Ground floor"),
                models.Floor(id=2 * location, building_id=location, name="First floor"),
            ]
            places = self.rng.sample(range(1, 11), len(ITEM_KINDS))
            for kind, position in zip(ITEM_KINDS, places, strict=True):
                item = models.Item(
                    id=len(items) + 1,
                    location_id=location,
                    item_type_id=KINDS.index(kind) + 1,
                    name=f"{kind.replace('_', ' ').capitalize()} {position}",
                    # Two items of a place share a position, so that ties occur.
                    position=min(position, 9),
                    price=Decimal(self.rng.randrange(0, 20_000, 5)) / 100,
                )
                if kind in {"room", "event_space"} and self.rng.random() < 5 / 6:
                    layouts.append(
                        models.Layout(
                            id=len(layouts) + 1,
                            floor_id=2 * location - self.rng.randrange(2),
                            name=f"Plan {len(layouts) + 1}",
                            width=self.rng.randrange(95, 145),
                            depth=self.rng.randrange(65, 110),
                        )
                    )
                    item.layout_id = len(layouts)
                items.append(item)
        yield buildings
        yield floors
        yield layouts
        yield [
            models.ItemType(id=n, code=k, name=k.replace("_", " ").capitalize())
            for n, k in enumerate(KINDS, 1)
        ]
        yield items

    def _bookings(self) -> list[models.Booking]:
        rng = self.rng
        bookings = []
        midnight = start_of(EPOCH)
        for n in range(1, self.active * len(ITEM_KINDS) * BOOKINGS_PER_ITEM + 1):
            starts_at = midnight + dt.timedelta(
                days=rng.randrange(-7, 21), hours=rng.randrange(6, 24)
            )
            bookings.append(
                models.Booking(
                    id=n,
                    item_id=rng.randrange(1, self.active * len(ITEM_KINDS) + 1),
                    account_id=rng.randrange(1, ACCOUNTS + 1) if n % 12 else 1,
                    status_id=rng.choices((1, 2, 3, 4), (15, 61, 2, 22))[0],
                    starts_at=starts_at,
                    ends_at=starts_at + dt.timedelta(minutes=30 * rng.randrange(1, 16)),
                )
            )
        return bookings

    def _day_passes(self) -> list[models.DayPass]:
        rng = self.rng
        passes = []
        for account in range(1, ACCOUNTS + 1):
            held = (
                range(1, self.active + 1, 2)
                if account == 1
                else [rng.randrange(1, self.active + 1)]
            )
            for location in held:
                for _ in range(rng.randrange(1, 3)):
                    passes.append(
                        models.DayPass(
                            id=len(passes) + 1,
                            account_id=account,
                            location_id=location,
                            valid_until=EPOCH + dt.timedelta(days=rng.randrange(-3, 10)),
                            remaining=rng.choice((None, 0, 1, 5)),
                        )
                    )
        return passes

    def _readings(self) -> list[models.OccupancyReading]:
        rng = self.rng
        readings = []
        midnight = start_of(EPOCH)
        for place in range(self.active):
            for slot, kind in enumerate(ITEM_KINDS):
                item = place * len(ITEM_KINDS) + slot + 1
                if kind not in {"room", "event_space"} or item % 11 == 0:
                    continue
                most = 0 if item % 7 == 0 else 12
                for _ in range(READINGS_PER_SENSOR):
                    readings.append(
                        models.OccupancyReading(
                            id=len(readings) + 1,
                            item_id=item,
                            at=midnight + dt.timedelta(minutes=rng.randrange(-3_000, 4_000)),
                            people=rng.randint(0, most),
                        )
                    )
        return readings
