"""The configuration, expanded from the database whenever somebody asks."""

from __future__ import annotations

from sqlalchemy import select

from booking_flask.configuration import Configuration, expand
from booking_flask.database import SessionLocal
from booking_flask.models import Setting


def load_configuration() -> Configuration:
    """Return the configuration as it is in the database right now."""
    session = SessionLocal()  # bottleneck 14e
    try:
        settings = session.scalars(select(Setting).order_by(Setting.id)).all()  # bottleneck 8
        return expand({setting.key: setting.value for setting in settings})
    finally:
        session.close()
