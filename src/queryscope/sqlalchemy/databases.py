"""Where the database of an engine is, for a connection of our own to ask it for a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.errors import SettingsError
from queryscope.plans.database import Database
from queryscope.sqlalchemy.pools import known_urls

if TYPE_CHECKING:
    from sqlalchemy import URL


def database_of(name: str) -> Database | None:
    """Return where the engine of a name connects to; None for none, or for several that differ."""
    found = {_plain(url) for url in known_urls(name)}
    if len(found) != 1:
        return None
    try:
        return Database.of_url(found.pop())
    except SettingsError:
        return None


def _plain(url: URL) -> str:
    return url.render_as_string(hide_password=False)
