"""What is done to copies of the data so that errors show, one recipe for each copy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from queryscope.verify.clones.cells import COPIES, change_cells, name_of
from queryscope.verify.clones.crowds import fill_up
from queryscope.verify.clones.rows import (
    change_children,
    delete_all,
    leave_one,
    make_twins,
)
from queryscope.verify.clones.ties import make_ties

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from queryscope.verify.clones.edited import Edited
    from queryscope.verify.parts import Literal

SMALLEST_SIZE = 10
"""Smaller integers of source code are no limits that recorded data does not reach."""


FIRST_STATUS, LAST_STATUS = 200, 600
"""Between them a number that is no full hundred is rather a status code of HTTP than a limit."""


class Recipe(NamedTuple):
    """How one clone is made.

    Attributes:
        name: The clone's name.
        change: What is done to its rows; None leaves them.
        turned: Whether the order of rows that nothing orders is turned, and how: the key
            ``down`` or ``up`` in the indexes; ``""`` leaves it.
    """

    name: str
    change: Callable[[Edited], None] | None = None
    turned: str = ""


def _is_status(number: int) -> bool:
    """Return whether a number is rather what an answer is given than how many rows are many."""
    return FIRST_STATUS < number < LAST_STATUS and number % 100 != 0


def recipes_for(literals: Collection[Literal]) -> tuple[Recipe, ...]:
    """Return the recipes, untouched data first and large data last.

    Args:
        literals: What the original and the patched source compare with; its integers say how many
            rows are many.
    """
    cells = [
        Recipe(name_of(number), partial(change_cells, number=number, literals=literals))
        for number in range(COPIES)
    ]
    sizes = sorted(
        {
            int(literal)
            for literal in literals
            if isinstance(literal, (int, float))
            and not isinstance(literal, bool)
            and float(literal).is_integer()
            and SMALLEST_SIZE <= literal < 2**31
            and not _is_status(int(literal))
        }
    )
    many = [Recipe("more rows than the source has numbers", partial(fill_up, sizes=sizes))]
    return (
        Recipe("as is"),
        *cells[COPIES // 2 :],
        Recipe("ties, last first", make_ties, "down"),
        Recipe("ties, last first downwards", make_ties, "up"),
        Recipe("other order", None, "down"),
        Recipe("children gone and doubled", change_children),
        Recipe("twins", make_twins),
        *cells[: COPIES // 2],
        Recipe("one row", leave_one),
        Recipe("empty", delete_all),
        *(many if sizes else ()),
    )
