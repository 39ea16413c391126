"""Money, kept as whole cents."""

from __future__ import annotations


def spelled(cents: int) -> str:
    """Return an amount with two decimals: 1250 becomes ``12.50``."""
    return f"{cents // 100}.{cents % 100:02d}"


def discounted(cents: int, discount_percent: int) -> int:
    """Return what is left after a discount, in cents, half cents rounded up."""
    return (cents * (100 - discount_percent) + 50) // 100
