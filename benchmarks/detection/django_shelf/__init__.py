"""The shelf of the scenarios on Django: models, rows, settings."""

from __future__ import annotations
