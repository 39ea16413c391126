"""The indexes that the hot paths need and the legacy schema lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Index, MetaData, Table, inspect
from sqlalchemy.schema import CreateIndex

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Table and columns; an index is named after both.
INDEXES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("location", ("city_id",)),
    ("opening_hours", ("location_id",)),
    ("slot", ("location_id", "day")),
    ("account", ("token",)),
    ("item", ("location_id",)),
    ("booking", ("item_id", "starts_at")),
    ("day_pass", ("account_id", "location_id")),
    ("day_pass", ("location_id", "valid_until")),
    ("occupancy_reading", ("item_id", "read_at")),
)


def create_indexes(engine: Engine) -> None:
    """Make every index of ``INDEXES`` that the database does not have yet."""
    present = inspect(engine)
    # Reflected copies of the tables: the models themselves stay without indexes.
    metadata = MetaData()
    with engine.begin() as connection:
        for table_name, columns in INDEXES:
            name = f"ix_{table_name}_{'_'.join(columns)}"
            if any(index["name"] == name for index in present.get_indexes(table_name)):
                continue
            table = Table(table_name, metadata, autoload_with=connection)
            connection.execute(CreateIndex(Index(name, *(table.c[column] for column in columns))))
