"""Copies of the user's data on which errors show, for SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from queryscope.verify.clones.source import CloneSource


def source_of(url: str, folder: Path, run: str, fixed: Collection[str] = ()) -> CloneSource:
    """Return what makes copies of a database.

    Args:
        url: The user's database.
        folder: Where files may be written.
        run: The run's name; what is made on a server carries it, so that a later run can sweep.
        fixed: Tables that never change: statuses, types. A patch may hold them in the source.

    Raises:
        SettingsError: It is no URL of a database that can be copied.
    """
    from queryscope.plans.database import Database

    vendor = Database.of_url(url).vendor
    if vendor == "postgresql":
        from queryscope.verify.clones.postgresql import PostgresqlSource

        return PostgresqlSource(url, folder, run, fixed)
    if vendor == "mysql":
        from queryscope.verify.clones.mariadb import MariadbSource

        return MariadbSource(url, folder, run, fixed)
    from queryscope.verify.clones.sqlite import SqliteSource

    return SqliteSource(url, folder, run, fixed)
