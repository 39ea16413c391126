"""``manage.py seed``: create the tables anew and fill them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand

from booking.repaired.indexes import create_hot_indexes
from booking.seeding import create_tables, fill_tables

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Drops what this application stored, creates its tables and fills them."""

    help = "Create the tables anew and fill them with deterministic data."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the size and the indexes."""
        parser.add_argument(
            "--locations", type=int, default=500, help="active locations; 0 leaves all tables empty"
        )
        parser.add_argument(
            "--indexes", action="store_true", help="also build the indexes of the hot paths"
        )

    def handle(self, *_args: object, locations: int, indexes: bool, **_options: object) -> None:
        """Do it and say how many rows there are and how long it took."""
        started_ns = time.perf_counter_ns()
        create_tables()
        counts = fill_tables(locations=locations)
        if indexes:
            create_hot_indexes()
        seconds = (time.perf_counter_ns() - started_ns) / 1e9
        self.stdout.write(f"{sum(counts.values())} rows in {len(counts)} tables, {seconds:.1f} s")
