"""What a day pass is good for; the desk keeps its session until the request is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import g
from sqlalchemy import select

from booking_flask.clock import today
from booking_flask.database import SessionLocal
from booking_flask.models import DayPass

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def _desk() -> Session:
    """Return the session of the desk, opened when first asked for."""
    if "day_pass_session" not in g:
        g.day_pass_session = SessionLocal()  # bottleneck 14c
    session: Session = g.day_pass_session
    return session


def close_desk(_error: BaseException | None = None) -> None:
    """Close the session of the desk; the application calls it after each request."""
    session = g.pop("day_pass_session", None)
    if session is not None:
        session.close()


def status(account_id: int, location_id: int) -> dict[str, Any] | None:
    """Return the first valid day pass of an account at a location, None without one."""
    session = _desk()
    found = session.scalars(  # bottleneck 13b, 15b
        select(DayPass)
        .where(
            DayPass.account_id == account_id,
            DayPass.location_id == location_id,
            DayPass.valid_until >= today(),
        )
        .order_by(DayPass.id)
    ).first()
    if found is None:
        return None
    return {"valid_until": found.valid_until.isoformat(), "remaining": found.remaining or None}
