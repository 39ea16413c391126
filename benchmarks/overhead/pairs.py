"""Medians of paired measurements, with the interval that tells how far to believe them."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Middle(NamedTuple):
    """A median with its interval of 95 %."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Middle:
        """Return this in another unit."""
        return Middle(self.value * factor, self.low * factor, self.high * factor)

    def show(self, digits: int) -> str:
        """Return ``value (low-high)``."""
        return f"{self.value:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def middle(values: Sequence[float]) -> Middle:
    """Return the median and its interval of 95 %.

    The interval lies between two of the values, by their rank: it assumes nothing about how the
    noise is distributed. Of fewer than six values it is all of them.

    Args:
        values: At least one.

    Source:
        Conover, Practical Nonparametric Statistics, section 3.2: ranks n/2 -+ 1.96 sqrt(n)/2.
    """
    ranked = sorted(values)
    count = len(ranked)
    spread = 0.98 * count**0.5
    low = max(int(count / 2 - spread), 0)
    high = min(int(count / 2 + spread + 1), count - 1)
    return Middle(median(ranked), ranked[low], ranked[high])


def ratio(measured: Sequence[float], bare: Sequence[float]) -> float:
    """Return the median of the ratios of pairs: of each round, what was measured by its bare."""
    return median(a / b for a, b in zip(measured, bare, strict=True))


def added(measured: Sequence[float], bare: Sequence[float]) -> float:
    """Return the median of the differences of pairs."""
    return median(a - b for a, b in zip(measured, bare, strict=True))
