"""The listing of locations: filtered, sorted and cut to a page by the database."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, jsonify, request
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from booking_flask.clock import today
from booking_flask.database import SessionLocal
from booking_flask.geo import distance_km
from booking_flask.legacy.availability import Availability
from booking_flask.legacy.discovery import result_of
from booking_flask.models import Location
from booking_flask.params import Wanted
from booking_flask.repaired.availability import availability_on, closed
from booking_flask.repaired.configuration import current_configuration
from booking_flask.repaired.response_cache import ResponseCache
from booking_flask.repaired.selection import conditions, look_up, order_of
from booking_flask.repaired.stages import Stages

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

blueprint = Blueprint("discovery", __name__, url_prefix="/v2")
log = logging.getLogger(__name__)

CACHE_KEY = "booking_responses"
JSON = "application/json"


@blueprint.get("/discovery")
def discovery() -> Response:
    """Return the locations that match, a page of them; with ``cache=1`` up to a minute old."""
    wanted = Wanted.read(request.args)
    cache: ResponseCache = current_app.extensions.setdefault(CACHE_KEY, ResponseCache())
    key = (wanted, today())
    if wanted.cache == "1":
        kept = cache.get(key)
        if kept is not None:
            return Response(kept, mimetype=JSON)
    stages = Stages()
    with SessionLocal() as session:
        answer = listing(session, wanted, stages)
    response = jsonify(answer)
    log.info("discovery %s", stages)
    if wanted.cache == "1":
        cache.put(key, response.get_data())
    return response


def listing(session: Session, wanted: Wanted, stages: Stages) -> dict[str, Any]:
    """Return the whole answer."""
    config = current_configuration(session)
    with stages("look-up"):
        ids = look_up(session, wanted)
    page = wanted.page or 1
    page_size = min(wanted.page_size or config.page_size, config.max_page_size)
    start = (page - 1) * page_size
    with stages("selection"):
        count, locations = page_of(
            session, wanted, conditions(wanted, config, ids), slice(start, start + page_size)
        )
    found = Availability()
    shown = [location.id for location in locations]
    with stages("availability"):
        if ids.holiday:
            found = closed(shown)
        elif wanted.day and shown:
            found = availability_on(session, shown, wanted.day, config)
    with stages("results"):
        results = [
            {**result_of(location, wanted, config, found), "city": location.city.name}
            for location in locations
        ]
    return {
        "count": count,
        "page": page,
        "page_size": page_size,
        "holiday": ids.holiday,
        "currency": config.currency,
        "results": results,
    }


def page_of(
    session: Session, wanted: Wanted, asked: list[ColumnElement[bool]], page: slice
) -> tuple[int, list[Location]]:
    """Return how many locations match, and those of the page.

    A page is a slice of the whole listing as Python cuts it: pages below 1
    count from the end, and a negative size leaves off the last ones.
    """
    whole_rows = select(Location).options(
        joinedload(Location.city, innerjoin=True),
        joinedload(Location.category),
        joinedload(Location.addons),
    )
    if wanted.sort == "distance" and wanted.lat and wanted.lng:
        # Databases without trigonometry: the keys alone come here to be sorted.
        ids = ids_by_distance(session, asked, wanted.lat, wanted.lng)
        shown = ids[page]
        if not shown:
            return len(ids), []
        found = session.scalars(whole_rows.where(Location.id.in_(shown))).unique()
        by_id = {location.id: location for location in found}
        return len(ids), [by_id[id_] for id_ in shown]
    count = session.scalar(select(func.count()).select_from(Location).where(*asked)) or 0
    first, stop, _ = page.indices(count)
    if first >= stop:
        return count, []
    rows = whole_rows.where(*asked).order_by(*order_of(wanted.sort))
    return count, list(session.scalars(rows.offset(first).limit(stop - first)).unique())


def ids_by_distance(
    session: Session, asked: list[ColumnElement[bool]], lat: float, lng: float
) -> list[int]:
    """Return the ids of the locations that match, the nearest first, unplaced ones last."""
    rows = session.execute(select(Location.id, Location.lat, Location.lng).where(*asked))
    far = {row.id: distance_km(lat, lng, row.lat, row.lng) for row in rows}
    return sorted(far, key=lambda id_: (far[id_] is None, far[id_] or 0, id_))
