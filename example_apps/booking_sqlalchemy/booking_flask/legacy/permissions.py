"""Who may see what."""

from __future__ import annotations

from sqlalchemy import select

from booking_flask.database import SessionLocal
from booking_flask.models import Account


def is_allowed(token: str) -> bool:
    """Return whether a token belongs to an active account."""
    if not token:
        return False
    session = SessionLocal()  # bottleneck 14a
    try:
        account = session.scalars(  # bottleneck 15a, 17a
            select(Account).where(Account.token == token).order_by(Account.id).limit(1)
        ).first()
        return account is not None and account.is_active
    finally:
        session.close()
