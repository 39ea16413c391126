"""The listing of locations, with filters, sorting and pages as they were added over the years."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, request
from sqlalchemy import select

from booking_flask.database import SessionLocal
from booking_flask.geo import distance_km
from booking_flask.legacy.availability import (
    Availability,
    availability_on,
    find_city,
    is_holiday,
)
from booking_flask.legacy.configuration import load_configuration
from booking_flask.models import City, Location
from booking_flask.money import spelled
from booking_flask.params import Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Response
    from sqlalchemy.orm import Session

    from booking_flask.configuration import Configuration

blueprint = Blueprint("legacy_discovery", __name__)
log = logging.getLogger(__name__)


@blueprint.get("/discovery")
def discovery() -> Response:  # bottleneck 1
    """Return the locations that match, a page of them."""
    wanted = Wanted.read(request.args)
    config = load_configuration()  # mend 8
    session = SessionLocal()
    try:
        return jsonify(listing(session, wanted, config))  # bottleneck 12
    finally:
        session.close()


def listing(session: Session, wanted: Wanted, config: Configuration) -> dict[str, Any]:
    """Return the whole answer."""
    everything = session.scalars(  # bottleneck 4a
        select(Location).where(Location.active).order_by(Location.id)  # mend 3b, 3c, 3f, 4b
    ).all()
    for location in everything:
        log.info("candidate %s", structure_of(location))  # bottleneck 11a
    kept = matching(session, everything, wanted, config)
    kept = in_order(session, kept, wanted)
    found = Availability()
    if wanted.day:
        found = availability_on(session, kept, wanted.day, wanted.city, config)
    for location in everything:
        log.info("availability %s", structure_of(location))  # bottleneck 11b
    results = [result_of(location, wanted, config, found) for location in kept]
    for location in everything:
        log.info("answered %s", structure_of(location))  # bottleneck 11c
    page = wanted.page or 1
    page_size = min(wanted.page_size or config.page_size, config.max_page_size)
    start = (page - 1) * page_size
    shown = results[start : start + page_size]  # bottleneck 5
    name_cities(session, shown)
    return {
        "count": len(kept),
        "page": page,
        "page_size": page_size,
        "holiday": is_holiday(session, wanted.day, wanted.city),
        "currency": config.currency,
        "results": shown,
    }


def structure_of(location: Location) -> str:
    """Return a location as it is logged."""
    return json.dumps(
        {
            "id": location.id,
            "name": location.name,
            "capacity": location.capacity,
            "price_cents": location.price_cents,
            "rating": location.rating,
        }
    )


def matching(
    session: Session, locations: Sequence[Location], wanted: Wanted, config: Configuration
) -> list[Location]:
    """Return the locations that pass every filter; a filter of 0 or nothing is no filter."""
    kept = []
    city = find_city(session, wanted.city) if wanted.city else None
    for location in locations:
        if wanted.city and (city is None or location.city.id != city.id):  # bottleneck 3f, 4b
            continue
        category = location.category  # bottleneck 3b
        if wanted.category and (category is None or category.slug != wanted.category):
            continue  # bottleneck 4c
        if wanted.min_capacity and (location.capacity or 0) < wanted.min_capacity:
            continue  # bottleneck 4d
        if wanted.max_capacity and (location.capacity or 0) > wanted.max_capacity:
            continue  # bottleneck 4e
        price_cents = location.price_cents or config.default_price_cents
        if wanted.max_price and price_cents > wanted.max_price * 100:
            continue  # bottleneck 4f
        offered = [addon.slug for addon in location.addons]  # bottleneck 3c
        if any(addon not in offered for addon in wanted.addons):
            continue  # bottleneck 4g
        kept.append(location)
    return kept


def in_order(session: Session, kept: list[Location], wanted: Wanted) -> list[Location]:
    """Return the locations in the order that was asked for, by default that of their ids."""
    if wanted.sort == "distance" and wanted.lat and wanted.lng:
        return sorted(kept, key=lambda row: (away(row, wanted) is None, away(row, wanted) or 0))
    columns = {
        "price": (Location.price_cents,),
        "rating": (Location.rating.is_(None), Location.rating.desc()),
        "name": (Location.name,),
    }.get(wanted.sort)
    if not columns:
        return kept
    again = session.scalars(  # bottleneck 6
        select(Location).where(Location.active).order_by(*columns, Location.id)
    ).all()
    ordered: list[Location] = []
    for row in again:
        for location in kept:
            if location.id == row.id and row not in ordered:  # bottleneck 10b
                ordered.append(row)
    return ordered


def away(location: Location, wanted: Wanted) -> float | None:
    """Return how far a location is from where the caller stands; 0 is nowhere."""
    if not wanted.lat or not wanted.lng:
        return None
    return distance_km(wanted.lat, wanted.lng, location.lat, location.lng)


def result_of(
    location: Location, wanted: Wanted, config: Configuration, found: Availability
) -> dict[str, Any]:
    """Return a location as the API spells it."""
    distance = away(location, wanted)
    badges = list(found.badges.get(location.id, []))
    if not location.price_cents:
        badges.append("default-price")
    if not location.rating:
        badges.append("unrated")
    return {
        "id": location.id,
        "name": location.name,
        "city": location.city_id,
        "category": location.category.name if location.category else None,
        "capacity": location.capacity,
        "addons": [addon.name for addon in location.addons],
        "price": spelled(location.price_cents or config.default_price_cents),
        "rating": location.rating or None,
        "distance_km": None if distance is None else round(distance, 2),
        "available_slots": found.available_slots.get(location.id),
        "next_opening": found.next_opening.get(location.id),
        "badges": badges,
    }


def name_cities(session: Session, results: list[dict[str, Any]]) -> None:
    """Put the names of the cities in the place of their ids."""
    ids = [result["city"] for result in results]  # mend 9
    cities = session.scalars(select(City).where(City.id.in_(ids))).all()  # bottleneck 9
    names = {city.id: city.name for city in cities}
    for result in results:
        result["city"] = names[result["city"]]
