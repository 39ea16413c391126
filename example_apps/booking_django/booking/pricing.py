"""Money: discounts and the spelling of prices."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


def spelled(price: Decimal) -> str:
    """Return a price with two decimals, half cents rounded up."""
    return str(price.quantize(CENT, rounding=ROUND_HALF_UP))


def discounted(price: Decimal, discount_percent: int) -> str:
    """Return what is left of a price after a discount, with two decimals."""
    return spelled(price * (100 - discount_percent) / 100)
