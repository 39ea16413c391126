"""The budgets, and the check of what a user wrote for them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from queryscope.errors import SettingsError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMES = (
    "queries",
    "sessions",
    "connections_held",
    "n_plus_one",
    "duplicates",
    "rows",
    "time_ms",
    "waste",
)
"""In the order of the signature: the first may be given by position."""

Limits = dict[str, float]
"""Maxima by the name of their budget; what is not checked is not there."""


def checked(source: str, positional: Sequence[Any], named: Mapping[str, Any]) -> Limits:
    """Return the maxima that a fixture's call, a mark or the configuration sets.

    Args:
        source: Where they stand, for the error text.
        positional: At most one value, for ``queries``.
        named: Values by name; None is not checked.

    Raises:
        SettingsError: A name is unknown or doubled, a value is no number from 0 on.
    """
    if len(positional) > 1:
        raise SettingsError(
            f"{source}: only the first budget, queries, may be given by position, "
            f"not {len(positional)} of them. Write the others by name, such as sessions=1."
        )
    values = dict(named)
    if positional:
        if NAMES[0] in values:
            raise SettingsError(f"{source}: queries is given twice, by position and by name.")
        values = {NAMES[0]: positional[0], **values}
    for name, value in values.items():
        if name not in NAMES:
            raise SettingsError(
                f"{source}: there is no budget {name!r}.{nearest(str(name), NAMES)} "
                f"There are {', '.join(NAMES)}."
            )
        if value is not None:
            _check(source, name, value)
    return {name: values[name] for name in NAMES if values.get(name) is not None}


def _check(source: str, name: str, value: object) -> None:
    if name == "waste":
        if (type(value) is int or type(value) is float) and 0 <= value <= 1:
            return
        raise SettingsError(
            f"{source}: waste must be a share of the statements from 0.0 to 1.0, not {value!r}."
        )
    if name == "time_ms":
        if (type(value) is int or type(value) is float) and math.isfinite(value) and value >= 0:
            return
        raise SettingsError(f"{source}: time_ms must be milliseconds from 0 on, not {value!r}.")
    if type(value) is not int or value < 0:
        raise SettingsError(f"{source}: {name} must be a whole number from 0 on, not {value!r}.")
