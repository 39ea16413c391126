"""Pairs of classes: few combinations in which every two parameters meet in all of their classes."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    Pair = tuple[tuple[int, int], tuple[int, int]]

CANDIDATES = 24
"""Combinations of which the best is taken."""


def pairwise(sizes: Sequence[int], most: int) -> list[tuple[int, ...]]:
    """Return combinations, one class number for each parameter, the same ones each time.

    Greedy: of several combinations that begin with a missing pair, each filled up with the classes
    that bring most missing pairs, the best is taken.

    Args:
        sizes: How many classes each parameter has.
        most: Combinations after which it ends.

    Example:
        >>> pairwise([2, 2], 9)
        [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    missing = {
        ((one, first), (other, second)): None
        for one, other in combinations(range(len(sizes)), 2)
        for first in range(sizes[one])
        for second in range(sizes[other])
    }
    found: list[tuple[int, ...]] = []
    while missing and len(found) < most:
        starts = list(missing)[:: max(len(missing) // CANDIDATES, 1)]
        made = [_filled_up(start, sizes, missing) for start in starts]
        best = max(made, key=lambda one: sum(pair in missing for pair in _pairs(one)))
        for pair in _pairs(best):
            missing.pop(pair, None)
        found.append(best)
    return found


def _filled_up(start: Pair, sizes: Sequence[int], missing: Collection[Pair]) -> tuple[int, ...]:
    chosen = dict(start)
    first = start[0][0]
    for step in range(len(sizes)):
        place = (first + step) % len(sizes)
        if place not in chosen:
            brings = [
                sum(_pair(place, number, *at) in missing for at in chosen.items())
                for number in range(sizes[place])
            ]
            chosen[place] = brings.index(max(brings))
    return tuple(chosen[place] for place in range(len(sizes)))


def _pairs(combination: Sequence[int]) -> Iterator[Pair]:
    return combinations(enumerate(combination), 2)


def _pair(place: int, number: int, other: int, second: int) -> Pair:
    mine, its = (place, number), (other, second)
    return (mine, its) if place < other else (its, mine)
