"""The routes of the tests' Django project: none; a test that needs some brings its own."""

from __future__ import annotations

from typing import Any

urlpatterns: list[Any] = []
