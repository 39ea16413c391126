"""What a column holds: by its declared type, and for texts and numbers by how its values look."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.plans.schema import Column

Family = Literal[
    "integer",
    "decimal",
    "float",
    "boolean",
    "text",
    "date",
    "datetime",
    "time",
    "json",
    "uuid",
    "bytes",
    "other",
]

SMALL, INTEGER = 32_767, 2_147_483_647
TINY, MEDIUM = 127, 8_388_607
_SHORT = (("tiny", TINY), ("small", SMALL), ("int2", SMALL), ("medium", MEDIUM))
TIMES, LEAST = 10, 1_000
"""Integers are made ten times as large as they are, or a thousand."""
FEW_VALUES = 12
"""Distinct values of a column that look like a choice: a status, a type, a weekday."""
CENTS = 2
"""Digits behind the point of a decimal that does not say how many."""
REPEATS = 2
"""How often a value of a choice comes on average, at least."""

_NUMBERS = re.compile(r"\((\d+)(?:\s*,\s*(\d+))?\)")
_FAMILIES: tuple[tuple[str, Family], ...] = (
    # The first that fits counts.
    (r"^tinyint\(1\)|^bool|^bit\(1\)", "boolean"),
    (r"\[\]$|^(array|enum|set|point|geometry|inet|cidr|tsvector|hstore|interval|.*range)", "other"),
    (r"timestamp|datetime", "datetime"),
    (r"^date", "date"),
    (r"^time", "time"),
    (r"int|serial", "integer"),
    (r"decimal|numeric|number|money", "decimal"),
    (r"real|double|float", "float"),
    (r"json", "json"),
    (r"uuid", "uuid"),
    (r"char|text|clob|string", "text"),
    (r"blob|bytea|binary|^bytes", "bytes"),
)
_STRUCTURED = (
    re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?"),
    re.compile(r"\d\d?:\d\d(:\d\d.*)?"),
    re.compile(r"-?\d+(\.\d+)?"),
    re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}"),
    re.compile(r"[0-9a-fA-F]{16,}"),
    re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    re.compile(r"\w+://.*|/\S*"),
    re.compile(r"[#+]\w+"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a column holds.

    Attributes:
        family: In a word.
        largest: Of integers the largest that is put in: what the type holds, and not so large that
            an application which counts up to it never ends.
        size: Of texts the longest, of decimals the digits; None where any.
        scale: Of decimals the digits behind the point.
        structured: The texts have a form that the application relies on (a date, a number, JSON,
            an address): only other rows' values are put in.
        choice: A few values that come again and again; what is shown depends on them.
        samples: Some values, each once.
        filled: Rows of the sample that have a value.
    """

    family: Family
    largest: int = INTEGER
    size: int | None = None
    scale: int = 0
    structured: bool = False
    choice: bool = False
    samples: tuple[Any, ...] = ()
    filled: int = 0

    @property
    def decides(self) -> bool:
        """Whether such columns decide what is shown, rather than being shown."""
        return self.choice or self.family in ("boolean", "date", "datetime")


def kind_of(column: Column, values: Sequence[Any]) -> Kind:
    """Return what a column holds.

    Args:
        column: The column.
        values: Its values in some rows, None among them.
    """
    declared = column.type.strip().lower()
    family: Family = next(
        (family for expression, family in _FAMILIES if re.search(expression, declared)), "other"
    )
    present = [value for value in values if value is not None]
    distinct = _distinct(present)
    numbers = _NUMBERS.search(declared)
    size = int(numbers[1]) if numbers and family in ("text", "decimal") else None
    scale = _scale(numbers, present) if family == "decimal" else 0
    amounts = [abs(float(value)) for value in present if isinstance(value, (int, float, Decimal))]
    if family == "decimal" and size is None and amounts:
        # SQLite keeps no digits for Django's decimals, and reading more of them is an error.
        size = scale + len(str(int(max(amounts))))
    if size and family == "text" and distinct and max(len(str(one)) for one in distinct) > size:
        size = None  # SQLite does not hold texts to the length that they were declared with
    choice = (
        family in ("integer", "text", "other")
        and 1 <= len(distinct) <= FEW_VALUES
        and len(present) >= REPEATS * len(distinct)
    )
    if family == "datetime" and any(not isinstance(one, str) for one in distinct[:1]):
        choice = False
    return Kind(
        family=family,
        largest=_largest(declared, present) if family == "integer" else INTEGER,
        size=size,
        scale=scale,
        structured=family == "text" and _structured(distinct),
        choice=choice,
        samples=tuple(distinct[:FEW_VALUES]),
        filled=len(present),
    )


def _scale(numbers: re.Match[str] | None, values: Sequence[Any]) -> int:
    """Return the digits behind the point: as declared, else as the values have, two at least."""
    if numbers:
        return int(numbers[2] or 0)
    behind = (str(value).partition(".")[2] for value in values)
    return max([CENTS, *(len(digits) for digits in behind if digits.isdigit())])


def _distinct(values: Sequence[Any]) -> list[Any]:
    found = []
    seen = set()
    for value in values:
        key = (type(value), value if isinstance(value, (str, int, float, bytes)) else str(value))
        if key not in seen:
            seen.add(key)
            found.append(value)
    return found


def _largest(declared: str, values: Sequence[Any]) -> int:
    """Return the largest integer to put in: a size of a billion is a loop that never ends."""
    limits = [INTEGER, *(largest for word, largest in _SHORT if word in declared)]
    numbers = [abs(value) for value in values if isinstance(value, int)]
    return min(*limits, max([TIMES * number for number in numbers] + [LEAST]))


def _structured(values: Sequence[Any]) -> bool:
    texts = [value for value in values if isinstance(value, str) and value]
    if not texts:
        return False
    if any(all(form.fullmatch(text) for text in texts) for form in _STRUCTURED):
        return True
    return all(_is_json(text) for text in texts)


def _is_json(text: str) -> bool:
    if text[:1] not in "[{":
        return False
    with suppress(ValueError, RecursionError):
        json.loads(text)
        return True
    return False
