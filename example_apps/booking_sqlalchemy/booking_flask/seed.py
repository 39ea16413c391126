"""The demonstration data: the same rows on every run, built around ``clock.EPOCH``.

Run ``python -m booking_flask.seed`` to drop, make and fill the tables of
``DATABASE_URL``; ``--indexes`` adds the indexes of the repaired application.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import sys
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from booking_flask.clock import EPOCH, midnight
from booking_flask.database import database_url, make_engine
from booking_flask.models import (
    Account,
    AddOn,
    Base,
    Booking,
    BookingStatus,
    Building,
    Category,
    City,
    DayPass,
    Floor,
    Holiday,
    Item,
    ItemType,
    Layout,
    Location,
    OccupancyReading,
    OpeningHours,
    Plan,
    Setting,
    Slot,
    location_addon,
)
from booking_flask.repaired.indexes import create_indexes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine, Table

Row = dict[str, Any]

LOCATIONS = 500
ITEMS_PER_LOCATION = 10
BOOKINGS_PER_LOCATION = 40
READINGS_PER_LOCATION = 20
PASSES_PER_LOCATION = 3
ACCOUNTS = 200
SLOT_DAYS = 14
SLOT_HOURS = (7, 9, 13, 17)

CITIES = (
    "Aarhus", "Basel", "Bergen", "Bilbao", "Bologna", "Brno", "Cork", "Gdańsk", "Ghent", "Graz",
    "Köln", "Leeds", "Lille", "Linz", "Malmö", "Nantes", "Porto", "Riga", "Sofia", "Split",
    "Tallinn", "Turin", "Utrecht", "Zürich",
)  # fmt: skip
CATEGORIES = ("Coworking", "Office", "Studio", "Library", "Café", "Campus")
ADDONS = (
    "Wifi", "Coffee", "Parking", "Printer", "Shower", "Lockers", "Phone booth", "Whiteboard",
    "Projector", "Bike rack", "Garden", "Reception",
)  # fmt: skip
# Code, name and how many of the ten items of a location are of the type.
ITEM_TYPES = (
    ("desk", "Desk", 5),
    ("room", "Meeting room", 2),
    ("day_pass", "Day pass", 2),
    ("event", "Event space", 1),
)
STATUSES = ("pending", "confirmed", "cancelled", "done")
PLANS = (("Basic", 0), ("Team", 10), ("Company", 25))
SETTINGS = (
    ("currency", "EUR"),
    ("default_price_cents", "2500"),
    ("page_size", "20"),
    ("max_page_size", "100"),
    ("popular_from", "2"),
    ("busy_from", "9"),
    ("brand", "Deskhub"),
    ("greeting", "${brand}: all prices in ${currency}"),
)


def slug(name: str) -> str:
    """Return a name as it stands in a query string."""
    return name.lower().replace(" ", "-")


def named(names: Sequence[str]) -> list[Row]:
    """Return the rows of a table of slugs and names."""
    return [{"id": n, "slug": slug(name), "name": name} for n, name in enumerate(names, 1)]


def fixed_tables() -> Iterator[tuple[type[Base], list[Row]]]:
    """Yield the tables whose size does not depend on the number of locations."""
    yield City, named(CITIES)
    yield Category, named(CATEGORIES)
    yield AddOn, named(ADDONS)
    yield Setting, [{"id": n, "key": k, "value": v} for n, (k, v) in enumerate(SETTINGS, 1)]
    yield ItemType, [{"id": n, "code": t[0], "name": t[1]} for n, t in enumerate(ITEM_TYPES, 1)]
    yield BookingStatus, [{"id": n, "name": name} for n, name in enumerate(STATUSES, 1)]
    yield Plan, [{"id": n, "name": p[0], "discount_percent": p[1]} for n, p in enumerate(PLANS, 1)]
    yield (
        Holiday,
        [
            {"id": 1, "day": EPOCH + dt.timedelta(days=4), "city_id": None},
            {"id": 2, "day": EPOCH + dt.timedelta(days=9), "city_id": 1},
            {"id": 3, "day": EPOCH + dt.timedelta(days=9), "city_id": 2},
            {"id": 4, "day": EPOCH + dt.timedelta(days=30), "city_id": None},
        ],
    )
    yield (
        Account,
        [
            {
                "id": n,
                "name": f"Account {n}",
                "token": f"token-{n}",
                "plan_id": None if n % 7 == 0 else n % len(PLANS) + 1,
                "is_active": n % 20 != 0,
            }
            for n in range(1, ACCOUNTS + 1)
        ],
    )


class LocationRows:
    """The rows that belong to locations, table by table, in the order they may be inserted in."""

    def __init__(self, locations: int, rng: random.Random) -> None:
        """Prepare the empty lists.

        Args:
            locations: How many active locations; one in 25 more is inactive.
            rng: Where every choice comes from.
        """
        self._rng = rng
        self.rows: dict[Table | type[Base], list[Row]] = {
            table: []
            for table in (
                Location, location_addon, OpeningHours, Slot, Building, Floor, Layout, Item,
                Booking, DayPass, OccupancyReading,
            )
        }  # fmt: skip
        for number in range(1, locations + 1):
            self._location(number, active=True)
            self._opening(number)
            self._items(number)
            self._passes(number)
        for number in range(locations + 1, locations + locations // 25 + 1):
            self._location(number, active=False)

    def _add(self, table: type[Base], **values: Any) -> int:
        rows = self.rows[table]
        rows.append({"id": len(rows) + 1, **values})
        return len(rows)

    def _location(self, number: int, *, active: bool) -> None:
        rng = self._rng
        word = rng.choice(("Loft", "loft", "Harbour", "Öl Mill", "Zebra", "annex", "Tower", "Yard"))
        placed = rng.random() > 0.04
        self._add(
            Location,
            # Names repeat on purpose: a sort by name must settle ties.
            name=f"{word} {rng.randrange(1, 120)}",
            city_id=rng.randrange(1, len(CITIES) + 1),
            category_id=rng.choice((None, *range(1, len(CATEGORIES) + 1))),
            lat=round(rng.uniform(38, 62), 4) if placed else None,
            lng=round(rng.uniform(-9, 28), 4) if placed else None,
            capacity=rng.choice((None, None, 0, 0, 1, *range(2, 80, 3))),
            price_cents=rng.choice((0, 0, *range(500, 9000, 250))),
            rating=rng.choice((None, None, None, 0.0, *(tenths / 10 for tenths in range(20, 51)))),
            active=active,
        )
        self.rows[location_addon] += [
            {"location_id": number, "addon_id": addon}
            for addon in sorted(rng.sample(range(1, len(ADDONS) + 1), rng.randrange(6)))
        ]

    def _opening(self, location: int) -> None:
        rng = self._rng
        open_days = rng.choice((range(0), range(5), range(6), range(1, 6), range(7)))
        opens = rng.choice((7, 8, 9, 10))
        for weekday in open_days:
            self._add(
                OpeningHours,
                location_id=location,
                weekday=weekday,
                opens=opens,
                closes=rng.choice((14, 16, 18, 20)),
            )
        for offset in range(SLOT_DAYS):
            for hour in SLOT_HOURS:
                seats = rng.randrange(12)
                self._add(
                    Slot,
                    location_id=location,
                    day=EPOCH + dt.timedelta(days=offset),
                    hour=hour,
                    seats=seats,
                    # One seat more than there are: the platform overbooks.
                    taken=rng.randrange(seats + 2),
                )

    def _items(self, location: int) -> None:
        rng = self._rng
        layouts = self._layouts(location)
        sensors: list[int] = []
        items: list[int] = []
        types = [n for n, (_, _, times) in enumerate(ITEM_TYPES, 1) for _ in range(times)]
        for number, item_type in enumerate(types):
            item = self._add(
                Item,
                location_id=location,
                item_type_id=item_type,
                layout_id=layouts[number % len(layouts)],
                name=f"{ITEM_TYPES[item_type - 1][1]} {number + 1}",
                position=rng.choice((None, 0, *range(1, 8))),
                price_cents=rng.choice((0, *range(300, 4000, 155))),
            )
            items.append(item)
            if ITEM_TYPES[item_type - 1][0] in ("room", "event"):
                sensors.append(item)
        for _ in range(BOOKINGS_PER_LOCATION):
            starts = midnight(EPOCH) + dt.timedelta(minutes=15 * rng.randrange(-960, 2880))
            self._add(
                Booking,
                item_id=rng.choice(items),
                account_id=rng.randrange(1, ACCOUNTS + 1),
                status_id=rng.randrange(1, len(STATUSES) + 1),
                starts_at=starts,
                ends_at=starts + dt.timedelta(minutes=15 * rng.randrange(0, 33)),
            )
        for _ in range(READINGS_PER_LOCATION):
            self._add(
                OccupancyReading,
                item_id=rng.choice(sensors),
                read_at=midnight(EPOCH) - dt.timedelta(minutes=5 * rng.randrange(4032)),
                people=rng.randrange(18),
            )

    def _layouts(self, location: int) -> list[int | None]:
        """Return the layouts of a location: none, or three on three floors of two buildings."""
        if location % 29 == 0:
            return [None]
        buildings = [
            self._add(Building, name=f"House {location}{letter}", address=f"{location} Main Street")
            for letter in "AB"
        ]
        layouts: list[int | None] = [
            self._add(
                Layout,
                floor_id=self._add(Floor, building_id=building, name=f"Floor {level}"),
                name=f"Plan {location}-{level}",
            )
            for level, building in enumerate((*buildings, buildings[0]))
        ]
        return [*layouts, None] if location % 3 == 0 else layouts

    def _passes(self, location: int) -> None:
        rng = self._rng
        # The first account holds a pass nearly everywhere, so that a demonstration shows some.
        for account in (1, *(rng.randrange(2, ACCOUNTS + 1) for _ in range(PASSES_PER_LOCATION))):
            self._add(
                DayPass,
                account_id=account,
                location_id=location,
                valid_until=EPOCH + dt.timedelta(days=rng.randrange(-3, 25)),
                remaining=rng.choice((None, 0, 1, 5, 10)),
            )


def make_tables(engine: Engine) -> None:
    """Drop all tables of the application and make them again, empty and without indexes."""
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)


def seed(engine: Engine, *, locations: int = LOCATIONS) -> dict[str, int]:
    """Make the tables and fill them.

    Args:
        engine: Of the database to overwrite.
        locations: How many active locations, each with ten items.

    Returns:
        The number of rows by table name.
    """
    make_tables(engine)
    counts: dict[str, int] = {}
    own = LocationRows(locations, random.Random(7))
    with engine.begin() as connection:
        for table, rows in (*fixed_tables(), *own.rows.items()):
            if rows:
                connection.execute(insert(table), rows)
            counts[getattr(table, "__tablename__", None) or str(table)] = len(rows)
    return counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill the database of the environment and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m booking_flask.seed", description=__doc__)
    parser.add_argument("--locations", type=int, default=LOCATIONS, help="active locations")
    parser.add_argument("--indexes", action="store_true", help="also make the repaired indexes")
    options = parser.parse_args(arguments)
    engine = make_engine(database_url(), rtt_ms=0)
    started = time.perf_counter()
    counts = seed(engine, locations=options.locations)
    if options.indexes:
        create_indexes(engine)
    engine.dispose()
    seconds = time.perf_counter() - started
    sys.stdout.write(
        f"{sum(counts.values())} rows in {seconds:.1f} s: "
        + ", ".join(f"{name} {count}" for name, count in counts.items())
        + "\n"
    )


if __name__ == "__main__":
    main()
