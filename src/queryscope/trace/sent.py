"""What parameters say without their values: which are equal, and how many rows were asked for."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

MAX_VALUES = 64
"""Parameters of one statement that are numbered; of more only the digest of all is known."""
_TAIL_CHARS = 160
_NAMED = re.compile(r"%\((\w+)\)s|(?<![:\w]):([A-Za-z_]\w*)")
_NUMBERED = re.compile(r"[$?](\d+)\b")
_BOUND = r"(\d+|%s|%\(\w+\)s|\?\d*|:\w+|\$\d+)(?:::\w+)?"
_WINDOW = re.compile(
    rf"""\bLIMIT\s+(?:{_BOUND}|ALL|-1)
         (?:\s+OFFSET\s+{_BOUND}|\s*,\s*{_BOUND})?
         (?:\s+FOR\s+(?:NO\s+KEY\s+)?(?:UPDATE|SHARE|KEY\s+SHARE)[\w\s",.]*)?
         [\s;]*\Z""",
    re.VERBOSE | re.IGNORECASE,
)
_OFFSET_ALONE = re.compile(rf"\bOFFSET\s+{_BOUND}(?:\s+ROWS?)?[\s;]*\Z", re.IGNORECASE)


class Window(NamedTuple):
    """How many rows a statement asks for, and from which on; None where there is no such number."""

    limit: int | None
    offset: int | None


NO_WINDOW = Window(None, None)


@lru_cache(maxsize=1024)
def _slots(statement: str) -> tuple[str, ...]:
    """Return the names of a statement's placeholders in the order of its text."""
    return tuple(one or two for one, two in _NAMED.findall(statement))


@lru_cache(maxsize=1024)
def _numbers(statement: str) -> tuple[int, ...]:
    """Return the numbers of ``$1``, ``$2`` or ``?1``, ``?2`` in the order of the text."""
    return tuple(map(int, _NUMBERED.findall(statement)))


def in_order(statement: str, parameters: Any) -> tuple[Any, ...] | None:
    """Return the parameters in the order in which their placeholders stand in the text.

    Args:
        statement: The text as sent.
        parameters: What the driver was given: a sequence, a mapping or None.

    Returns:
        A value for each placeholder; None where they are too many, or it cannot be told.
    """
    if parameters is None:
        return ()
    kind = type(parameters)
    if issubclass(kind, dict):
        # By the base class, here and below: a subclass's own methods are the user's code.
        if dict.__len__(parameters) > MAX_VALUES:
            return None
        names = _slots(statement)
        if len(names) > MAX_VALUES:
            return None
        if not all(dict.__contains__(parameters, name) for name in names):
            return None
        return tuple(dict.__getitem__(parameters, name) for name in names)
    if not issubclass(kind, (tuple, list)):
        return None
    base = tuple if issubclass(kind, tuple) else list
    if base.__len__(parameters) > MAX_VALUES:
        return None
    values = tuple(base.__iter__(parameters))
    numbers = _numbers(statement) if "$" in statement or "?1" in statement else ()
    if not numbers or "%s" in statement:
        return values
    if max(numbers) > len(values) or min(numbers) < 1:
        return None
    return tuple(values[number - 1] for number in numbers)


def window_of(statement: str, values: tuple[Any, ...] | None) -> Window:
    """Return the LIMIT and OFFSET that a statement ends with, written out or as parameters.

    They are numbers of rows and of pages: nothing that the data hold.

    Args:
        statement: The text as sent.
        values: Its parameters in the order of the text, None where that is not known.
    """
    tail = statement[-_TAIL_CHARS:]
    found = _WINDOW.search(tail)
    if found is None:
        alone = _OFFSET_ALONE.search(tail)
        if alone is None:
            return NO_WINDOW
        return Window(None, _number(alone[1], values, -1))
    limit, offset, count = found.groups()
    if count is not None:  # MySQL's LIMIT offset, count
        behind = not count[0].isdigit()
        return Window(_number(count, values, -1), _number(limit, values, -1 - behind))
    behind = offset is not None and not offset[0].isdigit()
    return Window(
        None if limit is None else _number(limit, values, -1 - behind),
        None if offset is None else _number(offset, values, -1),
    )


def _number(bound: str, values: tuple[Any, ...] | None, place: int) -> int | None:
    """Return the number that stands in the text, or is the parameter at ``place`` from the end."""
    if bound[0].isdigit():
        return int(bound) if len(bound) < 20 else None  # noqa: PLR2004 - digits of 64 bits
    if not values or len(values) < -place:
        return None
    value = values[place]
    if not issubclass(type(value), int):
        return None
    number = int.__index__(value)
    return number if -1 <= number < 2**63 else None
