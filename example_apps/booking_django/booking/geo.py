"""Distances on the globe."""

from __future__ import annotations

import math

EARTH_RADIUS_KM = 6371.0


def distance_km(lat_a: float, lng_a: float, lat_b: float, lng_b: float) -> float:
    """Return the great-circle distance of two points given in degrees (haversine formula)."""
    a, b = math.radians(lat_a), math.radians(lat_b)
    half_lat = math.sin((b - a) / 2)
    half_lng = math.sin(math.radians(lng_b - lng_a) / 2)
    chord = half_lat * half_lat + math.cos(a) * math.cos(b) * half_lng * half_lng
    # Rounding may push opposite points a hair above one, and below zero for huge degrees.
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, max(0.0, chord))))
