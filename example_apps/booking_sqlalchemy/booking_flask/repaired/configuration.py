"""The configuration, read from the database once in five minutes by each process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import current_app
from sqlalchemy import select

from booking_flask.configuration import Configuration, expand
from booking_flask.models import Setting

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

CACHE_KEY = "booking_configuration"
KEPT_S = 300.0


def current_configuration(session: Session) -> Configuration:
    """Return the configuration, at most ``KEPT_S`` seconds old."""
    kept: tuple[float, Configuration] | None = current_app.extensions.get(CACHE_KEY)
    now = time.monotonic()
    if kept is not None and now - kept[0] < KEPT_S:
        return kept[1]
    rows = session.execute(select(Setting.key, Setting.value).order_by(Setting.id))
    config = expand({row.key: row.value for row in rows})
    current_app.extensions[CACHE_KEY] = (now, config)
    return config
