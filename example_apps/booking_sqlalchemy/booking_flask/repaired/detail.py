"""The items of a location, for the account that asks: one session, given back early."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from flask import Blueprint, abort, jsonify, request
from sqlalchemy import and_, func, select
from sqlalchemy.orm import contains_eager, joinedload

from booking_flask.calendar_strip import free_times
from booking_flask.clock import midnight, today
from booking_flask.database import SessionLocal
from booking_flask.legacy.detail import CANCELLED_ID, place_of, spelled_booking
from booking_flask.legacy.occupancy import SENSED_TYPES, WINDOW_DAYS, summary
from booking_flask.legacy.reports import bookings_by_item
from booking_flask.models import Account, DayPass, Floor, Item, Layout, Location, OccupancyReading
from booking_flask.money import discounted, spelled
from booking_flask.params import token_of
from booking_flask.repaired.configuration import current_configuration

if TYPE_CHECKING:
    from flask import Response
    from sqlalchemy.orm import Session

blueprint = Blueprint("detail", __name__, url_prefix="/v2")

STATUS_NAMES = {1: "pending", 2: "confirmed", CANCELLED_ID: "cancelled", 4: "done"}
"""The table of statuses, which has not changed since the launch."""


@blueprint.get("/items/<int(max=2147483647):location_id>")
def items(location_id: int) -> Response:
    """Return the items of a location with bookings, day pass, occupancy and place."""
    token = token_of(request)
    if not token:
        abort(401)
    with SessionLocal() as session:
        answer = build(session, location_id, token)
    # From here on the connection serves somebody else.
    for entry in answer["items"]:
        entry["calendar"] = free_times(entry.pop("spans"), midnight(today()))
    return jsonify(answer)


def build(session: Session, location_id: int, token: str) -> dict[str, Any]:
    """Return the answer, but for the calendars."""
    account, day_pass = caller(session, location_id, token)
    if account is None or not account.is_active:
        abort(401)
    location = location_with_items(session, location_id)
    if location is None:
        abort(404)
    config = current_configuration(session)
    bookings = bookings_by_item(session, [item.id for item in location.items])
    occupancy = occupancy_of(
        session, [item.id for item in location.items if item.item_type.code in SENSED_TYPES]
    )
    discount = account.plan.discount_percent if account.plan else 0
    entries = []
    for item in location.items:
        kept = [booking for booking in bookings[item.id] if booking.status_id != CANCELLED_ID]
        price_cents = item.price_cents or config.default_price_cents
        entries.append(
            {
                "id": item.id,
                "name": item.name,
                "type": item.item_type.code,
                "price": spelled(discounted(price_cents, discount)),
                **place_of(item),
                "bookings": [spelled_booking(b, account.id, STATUS_NAMES) for b in kept],
                "spans": [(b.starts_at, b.ends_at) for b in kept],
                "day_pass": spelled_pass(day_pass),
                "occupancy": occupancy.get(item.id),
            }
        )
    return {
        "location": {"id": location.id, "name": location.name, "city": location.city.name},
        "account": {"name": account.name, "plan": account.plan.name if account.plan else None},
        "currency": config.currency,
        "greeting": config.greeting,
        "items": entries,
    }


def caller(session: Session, location_id: int, token: str) -> tuple[Account | None, DayPass | None]:
    """Return the account of a token with its plan, and its first valid day pass for a location."""
    row = session.execute(
        select(Account, DayPass)
        .outerjoin(
            DayPass,
            and_(
                DayPass.account_id == Account.id,
                DayPass.location_id == location_id,
                DayPass.valid_until >= today(),
            ),
        )
        .options(joinedload(Account.plan))
        .where(Account.token == token)
        .order_by(Account.id, DayPass.id)
        .limit(1)
    ).first()
    return (row[0], row[1]) if row else (None, None)


def location_with_items(session: Session, location_id: int) -> Location | None:
    """Return an active location with its items in order, and where each of them stands."""
    place = joinedload(Item.layout).joinedload(Layout.floor).joinedload(Floor.building)
    return (
        session.scalars(
            select(Location)
            .outerjoin(Location.items)
            .options(
                joinedload(Location.city, innerjoin=True),
                # An inner join here would lose locations without items.
                contains_eager(Location.items).options(
                    place, joinedload(Item.item_type, innerjoin=False)
                ),
            )
            .where(Location.id == location_id, Location.active)
            .order_by(func.coalesce(Item.position, 0), Item.id)
        )
        .unique()
        .one_or_none()
    )


def spelled_pass(day_pass: DayPass | None) -> dict[str, Any] | None:
    """Return a day pass as the API spells it."""
    if day_pass is None:
        return None
    return {
        "valid_until": day_pass.valid_until.isoformat(),
        "remaining": day_pass.remaining or None,
    }


def occupancy_of(session: Session, item_ids: list[int]) -> dict[int, dict[str, Any]]:
    """Return the occupancy of items, one GROUP BY for all of them."""
    if not item_ids:
        return {}
    rows = session.execute(
        select(
            OccupancyReading.item_id,
            func.count().label("readings"),
            func.sum(OccupancyReading.people).label("people"),
            func.max(OccupancyReading.people).label("most"),
        )
        .where(
            OccupancyReading.item_id.in_(item_ids),
            OccupancyReading.read_at >= midnight(today()) - dt.timedelta(days=WINDOW_DAYS),
        )
        .group_by(OccupancyReading.item_id)
    )
    found = {row.item_id: summary(row.readings, row.people, row.most) for row in rows}
    return {item_id: found.get(item_id) or summary(0, None, None) for item_id in item_ids}
