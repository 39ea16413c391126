"""The Django application object, which also stretches statements by a simulated round trip."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.conf import settings
from django.db import connections
from django.db.backends.signals import connection_created

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper


class BookingConfig(AppConfig):
    """Registers the models, and the round trip when ``BOOKING_RTT_MS`` asks for one."""

    name = "booking"

    def ready(self) -> None:
        """Put the round trip on every connection, also on those opened later."""
        if settings.BOOKING_RTT_MS <= 0:
            return
        connection_created.connect(_add_round_trip, dispatch_uid="booking-round-trip")
        for connection in connections.all(initialized_only=True):
            _add_round_trip(connection=connection)


def _add_round_trip(*, connection: BaseDatabaseWrapper, **_signal: object) -> None:
    # The signal fires again at each reconnect, and the wrappers survive those.
    if _round_trip not in connection.execute_wrappers:
        connection.execute_wrappers.append(_round_trip)


def _round_trip(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    time.sleep(settings.BOOKING_RTT_MS / 1_000)
    return execute(sql, params, many, context)
