"""Where the database of an alias is, for a connection of our own to ask it for a plan."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.utils.connection import ConnectionDoesNotExist

from queryscope.plans.database import VENDORS, Database

_OPTIONS = frozenset(
    {
        "sslmode", "sslrootcert", "sslcert", "sslkey", "service", "passfile", "options", "ssl",
        "unix_socket", "read_default_file",
    }
)  # fmt: skip
"""Options that say how to reach a database; others are of Django's or of its own connections."""


def database_of(alias: str) -> Database | None:
    """Return where the database of an alias is; None for an unknown one, or one of no such kind."""
    try:
        settings: dict[str, Any] = connections.settings[alias]
    except (KeyError, ConnectionDoesNotExist):
        return None
    vendor = VENDORS.get(str(settings.get("ENGINE", "")).rpartition(".")[2])
    if vendor is None:
        return None
    options = settings.get("OPTIONS") or {}
    port = str(settings.get("PORT") or "")
    return Database(
        vendor=vendor,
        name=str(settings.get("NAME") or ""),
        host=str(settings.get("HOST") or ""),
        port=int(port) if port.isdigit() else None,
        user=str(settings.get("USER") or ""),
        password=str(settings.get("PASSWORD") or ""),
        options={name: value for name, value in options.items() if name in _OPTIONS},
    )
