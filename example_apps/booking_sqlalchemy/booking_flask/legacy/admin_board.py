"""A page for the people at the desk: locations with city and add-ons, straight from a template."""

from __future__ import annotations

from flask import Blueprint, render_template
from sqlalchemy import select

from booking_flask.database import SessionLocal
from booking_flask.models import Location

blueprint = Blueprint("legacy_admin_board", __name__)

SHOWN = 40


@blueprint.get("/admin-board/")
def admin_board() -> str:
    """Return the first active locations as a page."""
    session = SessionLocal()
    try:
        locations = session.scalars(  # mend 3d, 3e
            select(Location).where(Location.active).order_by(Location.id).limit(SHOWN)
        ).all()
        return render_template("legacy_admin_board.html", locations=locations)
    finally:
        session.close()
