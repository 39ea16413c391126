"""Captured requests in the store's file: each once, the latest of each endpoint."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

MAX_PER_ENDPOINT = 50
MAX_REQUESTS = 2_000

# Beside the tables of the Traces, and made where it is first needed: a version that does not know
# it reads the file all the same.
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS requests (number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE,"
    " endpoint TEXT NOT NULL, request TEXT NOT NULL)"
)


class Captured(NamedTuple):
    """A request as it came.

    Attributes:
        endpoint: Method and route: ``GET /items/{id}``.
        request: JSON, as a contract's file has it, without credentials.
    """

    endpoint: str
    request: str


def keep(connection: sqlite3.Connection, found: Iterable[Captured]) -> None:
    """Write requests, then delete the oldest where there are too many; in a transaction."""
    connection.execute(_SCHEMA)
    for one in found:
        digest = hashlib.sha256(repr(one).encode()).hexdigest()
        connection.execute(
            "INSERT OR REPLACE INTO requests (digest, endpoint, request) VALUES (?, ?, ?)",
            (digest, *one),
        )
    connection.execute(
        "DELETE FROM requests WHERE number IN (SELECT number FROM (SELECT number, row_number()"
        " OVER (PARTITION BY endpoint ORDER BY number DESC) AS place FROM requests)"
        " WHERE place > ?) OR number <= (SELECT max(number) FROM requests) - ?",
        (MAX_PER_ENDPOINT, MAX_REQUESTS),
    )


def read(connection: sqlite3.Connection) -> list[Captured]:
    """Return the requests, the oldest first."""
    known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'requests'"
    if connection.execute(known).fetchone() is None:
        return []
    rows = connection.execute("SELECT endpoint, request FROM requests ORDER BY number")
    return [Captured(*row) for row in rows]
