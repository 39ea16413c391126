"""The raw statements of a Recorder: all their values in one list, one statement after the other.

A tuple for each would be one more object that the garbage collector looks through, twice for each
of its generations, with everything that it holds. The list is old after a few collections, and is
passed over then.
"""

from __future__ import annotations

from typing import Any

WIDTH = 15
"""Values of one statement, see ``Recorder.add_query``."""
UID, DURATION, TEXT, THREAD = 0, 2, 3, 10
"""Where some of them stand."""

Raw = tuple[Any, ...]
"""One statement: uid, start, duration, text, parameters, size of the batch, connection, checkout,
session, transaction, thread, stage, chain, label, error."""


class Statements(list[Any]):
    """``WIDTH`` values a statement, added in one step: there are never only some of them."""

    __slots__ = ()

    def since(self, place: int = 0) -> list[Raw]:
        """Return the statements from a place in the list on; a copy, made in one step."""
        values = iter(self[place:])
        return list(zip(*[values] * WIDTH, strict=True))
