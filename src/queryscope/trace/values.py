"""Parameter values as plain JSON, typed, so that they come back as what they were."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from queryscope.trace.tokens import without_literals

if TYPE_CHECKING:
    from queryscope.trace.events import Query, Trace

_PLAIN_INT = 2**63
"""Integers below stand as they are; larger ones in hexadecimal, which has no limit of digits."""
_QUOTED = re.compile(r"'[^']*'|(?<==)\([^)]*\)|(?<=: )\"[^\"]*\"")
"""What databases quote of the data: ``'x'``, ``Key (email)=(x)``, ``for type integer: "x"``."""


def to_plain(value: object) -> Any:
    """Return a value as JSON: itself, or ``[tag, text]``. An unknown class gives its name."""
    kind = type(value)
    if value is None or kind in (bool, str, float):
        return value
    if kind is int:
        return value if -_PLAIN_INT < value < _PLAIN_INT else ["int", hex(value)]  # type: ignore[operator,arg-type] # int
    if isinstance(value, (tuple, list)):
        return ["tuple", [to_plain(item) for item in value]]
    if isinstance(value, (bytes, bytearray)):
        return ["bytes", b64encode(value).decode("ascii")]
    if kind is Decimal:
        return ["decimal", str(value)]
    if isinstance(value, datetime):
        return ["datetime", _moment(value)]
    if isinstance(value, date):
        return ["date", value.isoformat()]
    if isinstance(value, time):
        return ["time", _moment(value)]
    if isinstance(value, timedelta):
        return ["timedelta", [value.days, value.seconds, value.microseconds]]
    if isinstance(value, UUID):
        return ["uuid", value.hex]
    return f"<{kind.__qualname__}>"


def from_plain(plain: Any) -> Any:
    """Return the value of what ``to_plain`` gave.

    Raises:
        ValueError, TypeError, ArithmeticError, LookupError: It is nothing that it gives.
    """
    if plain is None or isinstance(plain, (bool, str, float, int)):
        return plain
    tag, content = plain
    if tag == "tuple":
        return tuple(from_plain(item) for item in content)
    return _READERS[tag](content)


_READERS: dict[str, Any] = {
    "int": lambda text: int(text, 16),
    "bytes": lambda text: b64decode(text, validate=True),
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
    "uuid": UUID,
}


def _moment(value: datetime | time) -> str:
    """Return a moment in ISO 8601; a named time zone becomes its offset."""
    try:
        return value.isoformat()
    except Exception:  # noqa: BLE001 - utcoffset() of the user's own tzinfo class
        return value.replace(tzinfo=None).isoformat()


def without_values(trace: Trace) -> Trace:
    """Return a Trace, nested ones included, without the values of statements.

    Parameters go, and the literals in the text of statements; in error texts what the database
    quotes of the data is folded away. The digests in ``parameters_key`` stay: no value can be
    read back from them.
    """
    if trace.error is None and not trace.queries and not trace.children:
        return trace
    texts: dict[tuple[str, str], str] = {}
    return replace(
        trace,
        error=_folded(trace.error),
        queries=tuple(_without(query, texts) for query in trace.queries),
        children=tuple(without_values(child) for child in trace.children),
    )


def _without(query: Query, texts: dict[tuple[str, str], str]) -> Query:
    key = query.statement, query.vendor
    text = texts.get(key)
    if text is None:
        text = texts[key] = without_literals(*key)
    if text is query.statement and query.parameters is None and query.error is None:
        return query
    return query._replace(statement=text, parameters=None, error=_folded(query.error))


def _folded(error: str | None) -> str | None:
    return None if error is None else _QUOTED.sub("(...)", error)
