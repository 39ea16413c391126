"""The items of a location, for the account that asks while a person waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, abort, jsonify, request
from sqlalchemy import select

from booking_flask.calendar_strip import free_times
from booking_flask.clock import midnight, today
from booking_flask.database import SessionLocal
from booking_flask.legacy import day_passes
from booking_flask.legacy.configuration import load_configuration
from booking_flask.legacy.occupancy import SENSED_TYPES, occupancy_reader
from booking_flask.legacy.permissions import is_allowed
from booking_flask.models import Account, Booking, BookingStatus, Item, Location
from booking_flask.money import discounted, spelled
from booking_flask.params import token_of

if TYPE_CHECKING:
    from flask import Response
    from sqlalchemy.orm import Session

blueprint = Blueprint("legacy_detail", __name__)

CANCELLED_ID = 3


@blueprint.get("/items/<int(max=2147483647):location_id>")
def items(location_id: int) -> Response:
    """Return the items of a location with bookings, day pass, occupancy and place."""
    session = SessionLocal()  # bottleneck 14b
    try:
        location = session.get(Location, location_id)  # mend 16d
        if not is_allowed(token_of(request)):  # mend 14a, 15a, 17a, 17b
            abort(401)
        if location is None or not location.active:
            abort(404)
        answer = build(session, location, token_of(request))
        for entry in answer["items"]:
            spans = entry.pop("spans")
            entry["calendar"] = free_times(spans, midnight(today()))  # bottleneck 20
        return jsonify(answer)
    finally:
        session.close()  # mend 20


def build(session: Session, location: Location, token: str) -> dict[str, Any]:
    """Return the answer, but for the calendars."""
    config = load_configuration()  # mend 14e
    account = session.scalars(  # bottleneck 17b
        select(Account).where(Account.token == token).order_by(Account.id).limit(1)  # mend 16e
    ).one()
    discount = account.plan.discount_percent if account.plan else 0  # bottleneck 16e
    statuses = session.scalars(select(BookingStatus)).all()  # bottleneck 18
    status_names = {status.id: status.name for status in statuses}
    entries = []
    with occupancy_reader() as people_at:  # mend 13c, 14d, 15c
        for item in items_of(session, location.id):
            price_cents = item.price_cents or config.default_price_cents
            sensed = item.item_type.code in SENSED_TYPES
            bookings = bookings_of(item)
            entries.append(
                {
                    "id": item.id,
                    "name": item.name,
                    "type": item.item_type.code,
                    "price": spelled(discounted(price_cents, discount)),
                    **place_of(item),
                    "bookings": [spelled_booking(b, account.id, status_names) for b in bookings],
                    "spans": [(b.starts_at, b.ends_at) for b in bookings],
                    "day_pass": day_passes.status(account.id, location.id),  # mend 13b, 14c, 15b
                    "occupancy": people_at(item.id) if sensed else None,
                }
            )
    city = location.city.name  # bottleneck 16d
    return {
        "location": {"id": location.id, "name": location.name, "city": city},
        "account": {"name": account.name, "plan": account.plan.name if account.plan else None},
        "currency": config.currency,
        "greeting": config.greeting,
        "items": entries,
    }


def items_of(session: Session, location_id: int) -> list[Item]:
    """Return the items of a location by position; one without a position counts as 0."""
    wanted = select(Item).where(Item.location_id == location_id)  # mend 13a, 16a, 16b, 16c
    return sorted(session.scalars(wanted), key=lambda i: (i.position or 0, i.id))  # bottleneck 19a


def bookings_of(item: Item) -> list[Booking]:
    """Return the bookings of an item that were not cancelled, in the order of time."""
    kept = [b for b in item.bookings if b.status_id != CANCELLED_ID]  # bottleneck 13a
    return sorted(kept, key=lambda b: (b.starts_at, b.id))  # bottleneck 19b


def place_of(item: Item) -> dict[str, str | None]:
    """Return where an item stands: its layout, the floor of that and the building of that."""
    layout = item.layout  # bottleneck 16a
    if not layout:
        return {"layout": None, "floor": None, "building": None}
    floor = layout.floor  # bottleneck 16b
    building = floor.building  # bottleneck 16c
    return {"layout": layout.name, "floor": floor.name, "building": building.name}


def spelled_booking(booking: Booking, account_id: int, names: dict[int, str]) -> dict[str, Any]:
    """Return a booking as the API spells it."""
    return {
        "id": booking.id,
        "status": names[booking.status_id],
        "starts_at": booking.starts_at.isoformat(),
        "ends_at": booking.ends_at.isoformat(),
        "mine": booking.account_id == account_id,
    }
