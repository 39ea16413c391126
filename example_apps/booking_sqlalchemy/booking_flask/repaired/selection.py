"""Which locations match, in SQL; the values of a request are settled in Python beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Double, false, func, literal, literal_column, select, union_all

from booking_flask.models import AddOn, Category, City, Holiday, Location, location_addon

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    from booking_flask.configuration import Configuration
    from booking_flask.params import Wanted

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
"""What an INTEGER column can hold: a number beyond is never sent."""


@dataclass
class LookUp:
    """The ids behind the slugs of a request, and whether its day is a holiday."""

    city_id: int | None = None
    category_ids: list[int] = field(default_factory=list)
    addon_ids: list[list[int]] = field(default_factory=list)
    holiday: bool = False


def look_up(session: Session, wanted: Wanted) -> LookUp:
    """Return the ids behind the slugs and whether the day is a holiday, from one statement.

    Slugs are compared here, since databases differ on case, accents and
    trailing blanks; with nothing to look up no statement is sent.
    """
    parts: list[Select[Any]] = [
        select(literal_column(f"'{kind}'").label("kind"), table.id.label("id"), table.slug)
        for kind, table, asked in (
            ("city", City, wanted.city),
            ("category", Category, wanted.category),
            ("addon", AddOn, wanted.addons),
        )
        if asked
    ]
    if wanted.day:
        parts.append(
            select(
                literal_column("'holiday'").label("kind"),
                Holiday.city_id.label("id"),
                literal_column("''").label("slug"),
            ).where(Holiday.day == wanted.day)
        )
    if not parts:
        return LookUp()
    rows = session.execute(union_all(*parts) if len(parts) > 1 else parts[0]).all()
    city_ids = [row.id for row in rows if (row.kind, row.slug) == ("city", wanted.city)]
    found = LookUp(city_id=min(city_ids, default=None))
    found.category_ids = [
        row.id for row in rows if (row.kind, row.slug) == ("category", wanted.category)
    ]
    found.addon_ids = [
        [row.id for row in rows if (row.kind, row.slug) == ("addon", slug)]
        for slug in dict.fromkeys(wanted.addons)
    ]
    closed_in = (None,) if found.city_id is None else (None, found.city_id)
    found.holiday = any(row.kind == "holiday" and row.id in closed_in for row in rows)
    return found


def conditions(wanted: Wanted, config: Configuration, ids: LookUp) -> list[ColumnElement[bool]]:
    """Return what a location must meet; a filter of 0 or nothing is no filter."""
    asked: list[ColumnElement[bool]] = [Location.active.is_(True)]
    if wanted.city:
        asked.append(false() if ids.city_id is None else Location.city_id == ids.city_id)
    if wanted.category:
        asked.append(Location.category_id.in_(ids.category_ids))
    capacity = func.coalesce(Location.capacity, 0)
    if wanted.min_capacity:
        if wanted.min_capacity > INT_MAX:
            asked.append(false())
        elif wanted.min_capacity > INT_MIN:
            asked.append(capacity >= wanted.min_capacity)
    if wanted.max_capacity:
        if wanted.max_capacity < INT_MIN:
            asked.append(false())
        elif wanted.max_capacity < INT_MAX:
            asked.append(capacity <= wanted.max_capacity)
    if wanted.max_price:
        price = func.coalesce(func.nullif(Location.price_cents, 0), config.default_price_cents)
        most = min(max(wanted.max_price * 100, INT_MIN), INT_MAX)
        asked.append(price <= literal(most, Double()))
    for addon_ids in ids.addon_ids:
        offering = select(location_addon.c.location_id).where(
            location_addon.c.addon_id.in_(addon_ids)
        )
        asked.append(Location.id.in_(offering))
    return asked


def order_of(sort: str) -> tuple[Any, ...]:
    """Return what to order by; ids settle ties, and are the order of an unknown ``sort``."""
    columns: dict[str, tuple[Any, ...]] = {
        "price": (Location.price_cents,),
        "rating": (Location.rating.is_(None), Location.rating.desc()),
        "name": (Location.name,),
    }
    return (*columns.get(sort, ()), Location.id)
