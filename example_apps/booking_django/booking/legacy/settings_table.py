"""The configuration that operations edit in the settings table."""

from __future__ import annotations

from booking.legacy.connections import isolated_connection
from booking.models import Setting


def read_settings(using: str = "default") -> dict[str, str]:
    """Return all settings with their ``${references}`` expanded, as of now."""
    rows = list(Setting.objects.using(using).order_by("pk"))  # bottleneck 8, 14d
    raw = {row.key: row.value for row in rows}
    expanded = {}
    for key, text in raw.items():
        value = text
        for other, replacement in raw.items():
            value = value.replace("${" + other + "}", replacement)
        expanded[key] = value
    return expanded


def read_settings_apart() -> dict[str, str]:
    """Return all settings, read on a connection that no open transaction can make stale."""
    with isolated_connection("settings") as alias:  # mend 14d
        return read_settings(alias)
