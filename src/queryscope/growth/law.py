"""The law that counts follow as a size grows: constant, linear, or a product of two sizes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Law = Literal["1", "n", "n*m", "unknown"]
Confidence = Literal["low", "medium", "high"]

LAWS: tuple[Law, ...] = ("1", "n", "n*m", "unknown")
"""From the slowest growth to the fastest; what is not known may be anything."""
MIN_SPREAD = 2.0
"""Largest size over the smallest: below this nothing can be told from noise."""
SURE_SIZES = 3
"""Distinct sizes from which a law with two coefficients is checked and not only drawn."""
ROUNDING = 0.5
"""Statements that a law may be off by: they come whole, and a last chunk is seldom full."""
_NOTHING = 1e-6
EXACT = 0.02
"""Share that counts may be off by in runs that were made for it."""


class Point(NamedTuple):
    """What was counted at one size."""

    size: float
    times: float


class Fit(NamedTuple):
    """The law of some points: ``constant + per_row * n + per_pair * n * n``.

    Attributes:
        law: How the counts grow; ``unknown`` where the points do not tell.
        confidence: How sure that is.
        reason: Why, in a few words.
        constant: Counts that no size changes.
        per_row: Counts for each row.
        per_pair: Counts for each pair of rows.
    """

    law: Law
    confidence: Confidence
    reason: str
    constant: float = 0.0
    per_row: float = 0.0
    per_pair: float = 0.0

    def at(self, size: float) -> float:
        """Return the count that the law gives for a size, never below 0."""
        return max(self.constant + self.per_row * size + self.per_pair * size * size, 0.0)


def faster(law: Law, than: Law) -> bool:
    """Tell whether a law grows faster than another one; an unknown law does.

    Example:
        >>> faster("n", than="1"), faster("n", than="n*m"), faster("unknown", than="n*m")
        (True, False, True)
    """
    return LAWS.index(law) > LAWS.index(than)


def fit(points: Iterable[Point], *, tolerance: float = EXACT) -> Fit:
    """Return the law that counts follow.

    The simplest law that hits every point wins, else the simplest that misses none by more than
    ``tolerance``. Counts that end level are constant, even where they rose before: a cap
    or a cache was reached.

    Args:
        points: Sizes and what was counted there; several of one size count as their mean.
        tolerance: Share of a count that a law may be off by; half a statement is always allowed.

    Returns:
        ``unknown`` for fewer than two sizes, for sizes too close together, and for counts that
        follow none of the laws. Its coefficients are then those of the last two points.

    Example:
        >>> fit([Point(2, 3), Point(4, 5), Point(8, 9)])[:2]
        ('n', 'high')
        >>> fit([Point(2, 4), Point(4, 16), Point(8, 64)]).at(100)
        10000.0

    Source:
        Linear least squares on the bases 1, n; 1, n*n; n, n*n: two coefficients, so
        that three sizes leave one equation to check the law with.
    """
    found = _merged(points)
    if len(found) < 2:  # noqa: PLR2004 - one point lies on every law
        only = found[0].times if found else 0.0
        return Fit("unknown", "low", "seen at one size only", constant=only)
    sizes = [point.size for point in found]
    if sizes[-1] < MIN_SPREAD * sizes[0]:
        reason = f"the sizes, {sizes[0]:g} to {sizes[-1]:g}, are too close together"
        return Fit("unknown", "low", reason, constant=found[-1].times)
    few = len(found) < SURE_SIZES
    if (level := _level(found, tolerance)) is not None:
        same = len({point.times for point in found}) == 1
        reason = "the same at every size" if same else "level at the larger sizes"
        sure: Confidence = "medium" if few or not same else "high"
        return Fit("1", sure, reason, constant=level)
    if found[-1].times <= max(point.times for point in found[:-1]):
        return Fit("unknown", "low", "neither level nor rising", constant=found[-1].times)
    rising = _rising(found, tolerance)
    if rising is not None:
        return rising._replace(confidence="low") if few else rising
    last, before = found[-1], found[-2]
    slope = (last.times - before.times) / (last.size - before.size)
    reason = "rises, and follows none of the laws"
    return Fit("unknown", "low", reason, last.times - slope * last.size, slope)


def _rising(found: Sequence[Point], tolerance: float) -> Fit | None:
    """Return the law that hits every point, else chunks, else the simplest that comes near."""
    near: list[Fit] = []
    for law, words, basis in _BASES:
        if law == "n*m" and len(found) < SURE_SIZES:
            break
        solved = _solved(found, basis)
        if solved[1] <= 0:
            continue
        misses = [abs(_value(basis, solved, p.size) - p.times) for p in found]
        law_found = Fit(law, "high", words, *_coefficients(basis, *solved))
        if max(misses) < _NOTHING:
            return law_found
        if all(
            miss <= max(ROUNDING, tolerance * p.times)
            for miss, p in zip(misses, found, strict=True)
        ):
            near.append(law_found._replace(confidence="medium"))
    chunks = _chunks(found)
    if chunks is not None:
        return chunks
    # One statement more from the smallest size to the largest lies near every law.
    return near[0] if near and found[-1].times - found[0].times > 1 else None


def _chunks(found: Sequence[Point]) -> Fit | None:
    """Return the law of one statement for each so many rows, where only one length fits."""
    fitting = []
    for length in range(2, int(found[-1].size)):
        first, *others = (p.times - math.ceil(p.size / length) for p in found)
        if all(other == first for other in others):
            fitting.append((length, first))
    if len(fitting) != 1:
        return None
    length, constant = fitting[0]
    return Fit("n", "medium", f"one for each {length} rows", constant, 1 / length)


_Basis = tuple["Callable[[float], float]", "Callable[[float], float]"]


def _one(_: float) -> float:
    return 1.0


def _itself(size: float) -> float:
    return size


def _square(size: float) -> float:
    return size * size


_BASES: tuple[tuple[Law, str, _Basis], ...] = (
    ("n", "in proportion to the rows", (_one, _itself)),
    ("n*m", "in proportion to pairs of rows", (_one, _square)),
    ("n*m", "in proportion to rows and pairs of rows", (_itself, _square)),
)


def _merged(points: Iterable[Point]) -> list[Point]:
    by_size: dict[float, list[float]] = {}
    for point in points:
        by_size.setdefault(point.size, []).append(point.times)
    return [Point(size, sum(by_size[size]) / len(by_size[size])) for size in sorted(by_size)]


def _level(found: Sequence[Point], tolerance: float) -> float | None:
    """Return the count that no longer changes, None where it does."""
    counts = [point.times for point in found]
    if counts[-1] == counts[-2]:
        return counts[-1]
    if max(counts) - min(counts) <= tolerance * max(counts):
        return sum(counts) / len(counts)
    return None


def _solved(found: Sequence[Point], basis: _Basis) -> tuple[float, float]:
    """Return the two coefficients of least squares."""
    f, g = basis
    ff = sum(f(p.size) ** 2 for p in found)
    gg = sum(g(p.size) ** 2 for p in found)
    fg = sum(f(p.size) * g(p.size) for p in found)
    fy = sum(f(p.size) * p.times for p in found)
    gy = sum(g(p.size) * p.times for p in found)
    determinant = ff * gg - fg * fg
    if not determinant:
        return 0.0, 0.0
    return (fy * gg - gy * fg) / determinant, (gy * ff - fy * fg) / determinant


def _value(basis: _Basis, solved: tuple[float, float], size: float) -> float:
    return solved[0] * basis[0](size) + solved[1] * basis[1](size)


def _coefficients(basis: _Basis, first: float, second: float) -> tuple[float, float, float]:
    """Return (constant, per row, per pair), free of what least squares leaves behind."""
    first, second = round(first, 9), round(second, 9)
    if basis[1] is _itself:
        return first, second, 0.0
    return (0.0, first, second) if basis[0] is _itself else (first, 0.0, second)
