"""``manage.py add_indexes``: build the indexes of the hot paths on the tables as they are."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from booking.repaired.indexes import create_hot_indexes


class Command(BaseCommand):
    """Builds each missing index of ``booking/repaired/indexes.py``."""

    help = "Build the indexes that the hot paths need and the tables lack."

    def handle(self, *_args: object, **_options: object) -> None:
        """Do it and name what was built."""
        built = create_hot_indexes()
        self.stdout.write(f"built: {', '.join(built) or 'none, all are there'}")
