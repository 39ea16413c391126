"""Distances on the globe."""

from __future__ import annotations

import math

EARTH_RADIUS_KM = 6371.0


def distance_km(
    lat: float | None, lng: float | None, to_lat: float | None, to_lng: float | None
) -> float | None:
    """Return the great-circle distance of two points in degrees, or None if a part is missing.

    Source:
        The haversine formula, which stays exact for points close to each other.
    """
    if lat is None or lng is None or to_lat is None or to_lng is None:
        return None
    d_lat, d_lng = math.radians(to_lat - lat), math.radians(to_lng - lng)
    a = (
        math.sin(d_lat / 2) ** 2
        + math.cos(math.radians(lat)) * math.cos(math.radians(to_lat)) * math.sin(d_lng / 2) ** 2
    )
    # Latitudes beyond the poles are let through by the API and push a out of its range.
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, max(0.0, a))))
