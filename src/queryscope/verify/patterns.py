"""What a value that differs each time still has to look like."""

from __future__ import annotations

import re

LONGEST = 400
"""Characters of a text whose pattern is written out; longer ones are a text of any pattern."""

_PIECES = (
    (r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", "uuid"),
    (
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
        "datetime",
    ),
    (r"[A-Z][a-z]{2}, \d\d[ -][A-Z][a-z]{2}[ -]\d{4} \d\d:\d\d:\d\d GMT", "datetime"),
    (r"\d{4}-\d\d-\d\d", "date"),
    (r"\d\d:\d\d:\d\d(?:\.\d+)?", "time"),
    (r"0x[0-9a-fA-F]+", "address"),
    (r"(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}(?![0-9A-Za-z])", "hex"),
    (r"(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,}", "token"),
    (r"[A-Za-z]{24,}", "token"),
    (r"\d+", "digits"),
)
_WITH_LENGTH = frozenset({"hex", "token"})
_ANY_PIECE = re.compile(
    "|".join(f"(?P<n{number}>{expression})" for number, (expression, _) in enumerate(_PIECES))
)


def type_of(value: object) -> str:
    """Return the name that JSON has for the type of a value; integers and floats are two."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else type(value).__name__.lower()


def pattern_of(value: object) -> str:
    """Return what a value looks like: its type, and of a text what stands where.

    Example:
        >>> pattern_of("order 1041 of 2026-03-02")
        'text order <digits> of <date>'
        >>> pattern_of(1.5)
        'float'
    """
    kind = type_of(value)
    if not isinstance(value, str):
        return kind
    if len(value) > LONGEST:
        return kind
    return f"{kind} {_ANY_PIECE.sub(_name, value)}"


def _name(match: re.Match[str]) -> str:
    name = _PIECES[int((match.lastgroup or "n0")[1:])][1]
    return f"<{name} {len(match[0])}>" if name in _WITH_LENGTH else f"<{name}>"
