"""How far it is to walk inside a floor plan: a breadth-first search over its cells."""

from __future__ import annotations

from collections import deque

DEFAULT_CELLS = (140, 90)
"""Width and depth, in cells of one metre, of a place without a layout."""


def walking_distances(item_id: int, width: int, depth: int) -> dict[str, float | int]:
    """Return how far the cells of a floor plan are from its door.

    Every seventh cell or so is furniture; which ones depends on the item, so
    that no two items share a plan.

    Args:
        item_id: Decides where the furniture stands.
        width: Cells across, each one metre; below 1 counts as 1.
        depth: Cells from the door to the far wall; below 1 counts as 1.

    Returns:
        ``reachable_cells``, ``mean_m`` (two decimals) and ``longest_m``.
    """
    width, depth = max(1, width), max(1, depth)
    furniture = {
        cell
        for cell in range(1, width * depth)
        if (cell * 2_654_435_761 + item_id * 40_503) % 4_294_967_296 % 7 == 0
    }
    steps = {0: 0}
    frontier = deque([0])
    while frontier:
        cell = frontier.popleft()
        column = cell % width
        neighbours = [cell - width, cell + width]
        if column > 0:
            neighbours.append(cell - 1)
        if column < width - 1:
            neighbours.append(cell + 1)
        for neighbour in neighbours:
            if (
                0 <= neighbour < width * depth
                and neighbour not in steps
                and neighbour not in furniture
            ):
                steps[neighbour] = steps[cell] + 1
                frontier.append(neighbour)
    return {
        "reachable_cells": len(steps),
        "mean_m": round(sum(steps.values()) / len(steps), 2),
        "longest_m": max(steps.values()),
    }
