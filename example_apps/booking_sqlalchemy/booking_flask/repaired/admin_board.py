"""The page for the people at the desk, with everything that its template reads loaded before."""

from __future__ import annotations

from flask import Blueprint, render_template
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from booking_flask.database import SessionLocal
from booking_flask.legacy.admin_board import SHOWN
from booking_flask.models import Location

blueprint = Blueprint("admin_board", __name__, url_prefix="/v2")


@blueprint.get("/admin-board/")
def admin_board() -> str:
    """Return the first active locations as a page."""
    with SessionLocal() as session:
        locations = session.scalars(
            select(Location)
            .options(joinedload(Location.city, innerjoin=True), selectinload(Location.addons))
            .where(Location.active)
            .order_by(Location.id)
            .limit(SHOWN)
        ).all()
    return render_template("admin_board.html", locations=locations)
