"""How text, durations and counts are written in every report."""

from __future__ import annotations

import math
import re
import reprlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_S
MAX_NAME_CHARS = 300
"""Routes, template names, file names and messages are cut here."""
MAX_VALUES = 40
MAX_VALUES_CHARS = 300
"""The parameters of one statement are cut here."""

# What is not seen or moves what is seen: control characters, zero-width ones, marks and overrides
# of the writing direction, line separators, tags, halves of surrogate pairs, noncharacters. The
# joiners U+200C and U+200D stay: words of several scripts need them.
_HIDDEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f"
)
_HIDDEN_IN_LINES = re.compile(f"[{_HIDDEN}\r]")
_HIDDEN_IN_LINE = re.compile(f"[{_HIDDEN}\r\n\t]")
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, *, limit: int = MAX_NAME_CHARS) -> str:
    r"""Return ``text`` as one line in which nothing is hidden.

    Control characters, direction overrides and broken surrogates come out as escapes, so that
    the result can be encoded as UTF-8 and reads in the order in which it is written.

    Args:
        text: Anything that was recorded.
        limit: Characters kept; what is cut is said.

    Example:
        >>> visible("a\x00b")
        'a\\x00b'
    """
    return _HIDDEN_IN_LINE.sub(_escape, _cut(text, limit))


def visible_lines(text: str, *, limit: int) -> str:
    """Return ``text`` as ``visible`` does, with its line ends and tabs kept."""
    text = _cut(text, limit).replace("\r\n", "\n")
    return _HIDDEN_IN_LINES.sub(_escape, text)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    short = _SHORT_ESCAPES.get(character)
    if short is not None:
        return short
    if code <= 0xFF:  # noqa: PLR2004 - the range of each escape, as in Python's own literals
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - as above


def duration(ns: float, *, digits: int = 3) -> str:
    """Return a duration with its unit, to so many significant digits.

    Example:
        >>> duration(1_942_000_000), duration(1_942_000_000, digits=2), duration(430_000)
        ('1.94 s', '1.9 s', '0.43 ms')
    """
    if ns >= NS_PER_MINUTE:
        minutes, rest = divmod(round(ns / NS_PER_S), 60)
        return f"{minutes:,} min {rest:02d} s"
    value, unit = (ns / NS_PER_S, "s") if ns >= NS_PER_S else (ns / NS_PER_MS, "ms")
    if value < 0.005:  # noqa: PLR2004 - rounds to nothing at two decimals
        return f"0 {unit}"
    decimals = min(max(digits - 1 - math.floor(math.log10(value)), 0), 2)
    return f"{value:.{decimals}f} {unit}"


def milliseconds(ns: float) -> float:
    """Return nanoseconds as milliseconds, to the microsecond."""
    return round(ns / NS_PER_MS, 3)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 query``, ``1,200 queries``."""
    if number == 1:
        return f"1 {noun}"
    if not plural:
        plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {plural}"


def noun(number: int, name: str) -> str:
    """Return the noun alone as it stands with a number: ``query``, ``queries``."""
    return counted(number, name).partition(" ")[2]


def moment(unix_ns: int) -> str:
    """Return a moment of the calendar, ``""`` for one that no calendar has."""
    try:
        return datetime.fromtimestamp(unix_ns / NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return ""


def share(part: float, whole: float) -> str:
    """Return a part as a percentage of the whole; little is never shown as nothing."""
    if whole <= 0:
        return "0 %"
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "<1 %"
    return f"{percent:.0f} %"


class _Values(reprlib.Repr):
    """A ``repr`` of plain values that never builds more than it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = 80
        self.maxtuple = self.maxlist = self.maxdict = 20
        self.maxlong = 60
        self.maxother = 80

    def repr_bytes(self, value: bytes, level: int) -> str:  # noqa: ARG002 - reprlib's signature
        """Return short bytes as they are, long ones as their length."""
        return repr(value) if len(value) <= self.maxother else f"<{len(value):,} bytes>"


_values = _Values()


def values(parameters: Sequence[object]) -> str:
    """Return kept parameters on one line: ``7, 'paid'``, or ``id: 7`` where they had names."""
    shown = parameters[:MAX_VALUES]
    pairs = [p for p in shown if isinstance(p, tuple) and len(p) == 2]  # noqa: PLR2004 - a pair
    if pairs and len(pairs) == len(shown) and all(isinstance(name, str) for name, _ in pairs):
        parts = [f"{name}: {_value(value)}" for name, value in pairs]
    else:
        parts = [_value(value) for value in shown]
    if len(parameters) > len(parts):
        parts.append(f"… {len(parameters) - len(parts):,} more")
    return visible(", ".join(parts), limit=MAX_VALUES_CHARS)


def _value(value: object) -> str:
    if type(value) is str and len(value) <= _values.maxstring:
        return repr(value)
    try:
        return _values.repr(value)
    except ValueError:  # an integer of more digits than Python converts
        return f"<{type(value).__name__}>"


_QUOTED = re.compile(r"'(?:[^']|'')*'|(?<=: )\"[^\"]*\"$")


def error_text(error: str, *, with_values: bool) -> str:
    """Return an error for the report; databases quote the offending values in their texts.

    Without ``with_values`` only the first line is kept (PostgreSQL's ``DETAIL`` comes after it),
    and what it quotes is folded.
    """
    if with_values:
        return visible(error)
    first = error.lstrip().partition("\n")[0]
    return visible(_QUOTED.sub("'…'", first))
