"""Edge values of parameters: what a filter in Python and one in SQL often read differently."""

from __future__ import annotations

import datetime as dt
import re
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from queryscope.verify.parts import Literal

HUGE = 99_999_999_999_999_999_999
"""Larger than any integer of a database: a driver raises where Python compares."""
LITERALS_AT_MOST = 12
"""Of each type that are put into one parameter."""
LONG = "x" * 300
_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+\.\d*|\.\d+)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_BOOLEANS = {
    "true": "false",
    "false": "true",
    "yes": "no",
    "no": "yes",
    "on": "off",
    "off": "on",
}
_OTHER_UUID = "00000000-0000-4000-8000-000000000000"


class Mark(Enum):
    """What a parameter may have in place of a value."""

    ABSENT = "absent"
    TWICE = "twice"


def texts_for(
    recorded: str | None, others: Sequence[str], literals: Collection[Literal]
) -> Iterator[str | Mark]:
    """Yield values for a parameter that is a text: of a query, a form, a path, a header.

    Args:
        recorded: What was recorded, None where the parameter was absent.
        others: What other recorded requests have there.
        literals: What the source compares with.
    """
    yield Mark.ABSENT
    yield ""
    yield "0"
    yield from others[:1]
    sample = recorded if recorded is not None else next(iter(others), "")
    numeric = bool(_INTEGER.fullmatch(sample) or _NUMBER.fullmatch(sample))
    if numeric:
        yield "abc"  # an error that a patch may swallow
    elif sample:
        yield "%"  # in Python a character, in LIKE anything
    yield "-1"
    if numeric:
        yield str(HUGE)
    numbers = [one for one in literals if isinstance(one, (int, float))][:LITERALS_AT_MOST]
    words = [one for one in literals if isinstance(one, str)][:LITERALS_AT_MOST]
    unknown = not sample
    if numeric or unknown:
        yield from map(_spelled, numbers)
    if not numeric:
        yield from words
    yield from _by_form(sample)
    yield Mark.TWICE
    yield str(HUGE)
    yield from ("1", "abc", "null", "true", "1.5", "\0", "Zoë_%", "%", "_", "'", LONG)
    yield from others[1:4]
    if numeric or unknown:
        for number in numbers:
            if float(number).is_integer():
                yield str(int(number) - 1)
                yield str(int(number) + 1)
    else:
        for word in words:
            yield word.upper()


def values_for(value: Any, literals: Collection[Literal]) -> Iterator[Any]:
    """Yield values for a place in a JSON body, of its type and of others."""
    yield Mark.ABSENT
    yield None
    yield ""
    yield 0
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield from (-1, value + 1, value - 1)
        yield from [one for one in literals if isinstance(one, (int, float))][:LITERALS_AT_MOST]
        yield str(value)
        yield value + 0.5
    elif isinstance(value, str):
        yield from [one for one in literals if isinstance(one, str)][:LITERALS_AT_MOST]
        yield from _by_form(value)
        if value.lstrip("-").isdigit():
            yield int(value)
    elif isinstance(value, list):
        yield []
        yield value + value
        yield value[:-1]
        yield value[::-1]
    else:
        yield {}
    yield from (1, HUGE, True, False, 1.5, "0", "abc", [], {}, "Zoë_%", "\0", LONG)


def other_valid(sample: str, others: Sequence[str], literals: Collection[Literal]) -> str:
    """Return a value beside the recorded one that the application may well understand."""
    for other in others:
        if other != sample:
            return other
    for found in _by_form(sample):
        return found
    numbers = [one for one in literals if isinstance(one, (int, float))]
    return _spelled(numbers[0]) if numbers and not sample else "1"


def _by_form(sample: str) -> Iterator[str]:
    """Yield values of the form that a value has, the most plausible first."""
    if _INTEGER.fullmatch(sample):
        number = int(sample)
        yield from (str(number + 1), str(number - 1))
        yield from (f"{sample}.0", f" {sample}", f"+{number}", f"0{sample}", f"{sample}_0")
        yield "".join(chr(0x660 + int(digit)) if digit.isdigit() else digit for digit in sample)
        yield "1e3"
    elif _NUMBER.fullmatch(sample):
        number_ = float(sample)
        yield from (str(number_ + 0.01), str(number_ - 0.01), str(int(number_)))
        yield from ("nan", "inf", "-0.0", "1e400", f" {sample}")
    elif sample.lower() in _BOOLEANS:
        yield _BOOLEANS[sample.lower()]
        yield from (sample.upper(), sample.title(), "1")
    elif _DAY.fullmatch(sample):
        yield from _days(sample)
    elif _UUID.fullmatch(sample):
        yield from (_OTHER_UUID, sample.upper(), sample.replace("-", ""), sample[:-1])
    elif sample:
        if "," in sample:
            parts = sample.split(",")
            yield from (parts[0], ",".join(reversed(parts)), f"{sample},{parts[0]}", f"{sample},")
        yield sample.swapcase()
        yield from (sample[:-1], f"{sample} ", f" {sample}", f"{sample},{sample}", f"{sample}x")


def _days(sample: str) -> Iterator[str]:
    try:
        day = dt.date.fromisoformat(sample)
        yield (day + dt.timedelta(days=1)).isoformat()
        yield (day - dt.timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        yield "2026-03-02"
    yield from ("2028-02-29", "2026-02-30", "1999-12-31", "9999-12-31", "0001-01-01")
    yield from (f"{sample}T23:30:00Z", sample.replace("-", ""), sample.replace("-", "/"))


def _spelled(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)
