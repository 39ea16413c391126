"""The health check: is the process up, and does the database answer?"""

from __future__ import annotations

from flask import Blueprint
from sqlalchemy import text

from booking_flask.database import SessionLocal

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def health() -> str:
    """Return ``ok`` after one statement."""
    with SessionLocal() as session:
        session.execute(text("SELECT 1"))
    return "ok"
