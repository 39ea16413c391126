"""The engine of an application and the sessions on it."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import current_app
from sqlalchemy import create_engine, make_url
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

ENGINE_KEY = "booking_engine"
DEFAULT_URL = f"sqlite:///{Path(__file__).resolve().parent.parent / 'booking.sqlite3'}"
DEFAULT_POOL_SIZE = 5
DEFAULT_POOL_TIMEOUT_S = 30.0
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


def database_url(text: str | None = None) -> URL:
    """Return ``text``, else ``DATABASE_URL``, else the default file, with the driver filled in."""
    url = make_url(text or os.environ.get("DATABASE_URL") or DEFAULT_URL)
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


def make_engine(url: URL, *, rtt_ms: float | None = None) -> Engine:
    """Return an engine with a pool that never grows, on SQLite as well.

    Args:
        url: Where the database is.
        rtt_ms: Milliseconds to sleep for each statement sent, as if the
            database were that far away; None reads ``BOOKING_RTT_MS``.

    Raises:
        ValueError: ``BOOKING_POOL_SIZE``, ``BOOKING_POOL_TIMEOUT_S`` or
            ``BOOKING_RTT_MS`` is no number.
    """
    if rtt_ms is None:
        rtt_ms = float(os.environ.get("BOOKING_RTT_MS") or 0)
    return create_engine(
        url,
        connect_args=_far_away(url, rtt_ms) if rtt_ms > 0 else {},
        poolclass=QueuePool,
        pool_size=int(os.environ.get("BOOKING_POOL_SIZE") or DEFAULT_POOL_SIZE),
        max_overflow=0,
        pool_timeout=float(os.environ.get("BOOKING_POOL_TIMEOUT_S") or DEFAULT_POOL_TIMEOUT_S),
    )


def _far_away(url: URL, rtt_ms: float) -> dict[str, Any]:
    """Return driver arguments that make each statement sleep in the driver's own cursor.

    In the driver, since that is where a distant database spends its time: what measures the
    statements from outside has to see it in them.
    """

    def travelling(base: type[Any]) -> type[Any]:
        class TravellingCursor(base):
            def execute(self, *args: Any, **kwargs: Any) -> Any:
                time.sleep(rtt_ms / 1000)
                return super().execute(*args, **kwargs)

            def executemany(self, *args: Any, **kwargs: Any) -> Any:
                time.sleep(rtt_ms / 1000)
                return super().executemany(*args, **kwargs)

        return TravellingCursor

    if url.get_backend_name() == "postgresql":
        import psycopg

        return {"cursor_factory": travelling(psycopg.Cursor)}
    if url.get_backend_name() == "mysql":
        import pymysql.cursors

        return {"cursorclass": travelling(pymysql.cursors.Cursor)}
    far_cursor = travelling(sqlite3.Cursor)

    class FarConnection(sqlite3.Connection):
        def cursor(self, factory: Any = far_cursor) -> Any:
            return super().cursor(factory)

    return {"factory": FarConnection}


class AppSession(Session):
    """A session on the engine of the Flask application that serves the request."""

    def get_bind(self, *_args: Any, **_kwargs: Any) -> Engine:
        """Return the application's only engine."""
        engine: Engine = current_app.extensions[ENGINE_KEY]
        return engine


SessionLocal = sessionmaker(class_=AppSession)
