"""The SQLAlchemy adapter: statements, loads, sessions, transactions and pools become facts."""

from __future__ import annotations

from queryscope.sqlalchemy.hooks import install, installed, track, uninstall

__all__ = ["install", "installed", "track", "uninstall"]
