"""The configuration that operations edit in the settings table, kept for five minutes."""

from __future__ import annotations

from django.core.cache import cache

from booking.models import Setting

KEPT_S = 300
CACHE_KEY = "booking.settings"


def current_settings() -> dict[str, str]:
    """Return all settings with their ``${references}`` expanded, at most five minutes old."""
    settings = cache.get(CACHE_KEY)
    if settings is None:
        raw = dict(Setting.objects.order_by("pk").values_list("key", "value"))
        settings = {key: _expanded(value, raw) for key, value in raw.items()}
        cache.set(CACHE_KEY, settings, KEPT_S)
    return settings


def _expanded(value: str, raw: dict[str, str]) -> str:
    for key, replacement in raw.items():
        value = value.replace("${" + key + "}", replacement)
    return value
