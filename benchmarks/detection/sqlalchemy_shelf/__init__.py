"""The shelf of the scenarios on SQLAlchemy: models, rows, engines."""

from __future__ import annotations
