"""A library: the Django application that the tests query."""

from __future__ import annotations
