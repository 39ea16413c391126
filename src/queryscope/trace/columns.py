"""Columns of values as they are written and read: folded, as differences, over tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from queryscope.trace.events import Query

_DIGESTS = re.compile(r"(?:[0-9a-f]{16})+")
_DIGEST_CHARS = 16


class Table:
    """Values once each, in the order of their first use."""

    def __init__(self) -> None:
        self.places: dict[Hashable, int] = {}

    def place(self, value: Hashable) -> int:
        """Return the place of a value, a new one for a new value."""
        return self.places.setdefault(value, len(self.places))

    def place_or_none(self, value: Hashable) -> int | None:
        """Return the place of a value, None for None."""
        return None if value is None else self.place(value)

    def all_places(self, values: Iterable[Any]) -> list[int]:
        """Return the places of values that repeat as the same objects, hashing each object once."""
        known: dict[int, int] = {}
        found = []
        for value in values:
            place = known.get(id(value))
            if place is None:
                place = known[id(value)] = self.place(value)
            found.append(place)
        return found


def folded(column: list[Any]) -> list[Any]:
    """Return a column of one repeated value as that value alone."""
    return column[:1] if len(column) > 1 and column.count(column[0]) == len(column) else column


def unfolded(column: list[Any], count: int) -> list[Any]:
    """Return as many values as there are facts."""
    return column * count if len(column) == 1 else column


def differences(values: Iterable[int | None]) -> list[int | None]:
    """Return each number less the one before; None stands and is passed over."""
    written: list[int | None] = []
    before = 0
    for value in values:
        if value is None:
            written.append(None)
        else:
            written.append(value - before)
            before = value
    return written


def sums_of(written: list[Any]) -> list[int | None]:
    """Return the numbers of what ``differences`` gave."""
    found: list[int | None] = []
    total = 0
    for difference in written:
        if difference is None:
            found.append(None)
        else:
            total += checked(difference, int)
            found.append(total)
    return found


def gaps_of(queries: tuple[Query, ...]) -> list[int]:
    """Return the time from the end of each statement's predecessor to its own start."""
    gaps = []
    end = 0
    for query in queries:
        gaps.append(query.start_ns - end)
        end = query.end_ns
    return gaps


def joined(keys: list[str]) -> str | list[str]:
    """Return digests without anything between them: quotes and commas cost 10 % of a Trace."""
    text = "".join(keys)
    whole = _DIGESTS.fullmatch(text) and all(len(key) == _DIGEST_CHARS for key in keys)
    return text if whole else keys


def digests_of(keys: Any) -> list[str]:
    """Return the digests of what ``joined`` gave."""
    if isinstance(keys, str):
        return [keys[n : n + _DIGEST_CHARS] for n in range(0, len(keys), _DIGEST_CHARS)]
    return [checked(key, str) for key in keys]


def entry(table: Sequence[Any], place: int) -> Any:
    """Return an entry of a table; a negative place is an error, not the table's end.

    Raises:
        IndexError: There is no such place.
    """
    if place < 0:
        raise IndexError(f"no place {place} in a table")
    return table[place]


def checked(value: Any, kind: type) -> Any:
    """Return a value of exactly this class.

    Raises:
        TypeError: It is of another class.
    """
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} where {kind.__name__} was written")
    return value
