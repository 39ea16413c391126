"""A platform that rents out desks and rooms: a slow legacy API beside its repaired twin."""

from __future__ import annotations
