"""The scenarios: one file a family of codes, ORM and framework."""

from __future__ import annotations
