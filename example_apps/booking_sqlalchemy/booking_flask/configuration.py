"""What the lines of the settings table say together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Configuration:
    """What the settings say, with defaults for those that are not there."""

    currency: str
    default_price_cents: int
    page_size: int
    max_page_size: int
    popular_from: int
    busy_from: int
    greeting: str


def expand(values: dict[str, str]) -> Configuration:
    """Return the configuration with ``${other}`` replaced by what the other setting says."""
    expanded = {}
    for key, value in values.items():
        for other, text in values.items():
            value = value.replace("${" + other + "}", text)  # noqa: PLW2901 - one of the bottlenecks
        expanded[key] = value
    return Configuration(
        currency=expanded.get("currency", "EUR"),
        default_price_cents=int(expanded.get("default_price_cents", "2000")),
        page_size=int(expanded.get("page_size", "20")),
        max_page_size=int(expanded.get("max_page_size", "100")),
        popular_from=int(expanded.get("popular_from", "2")),
        busy_from=int(expanded.get("busy_from", "9")),
        greeting=expanded.get("greeting", ""),
    )
