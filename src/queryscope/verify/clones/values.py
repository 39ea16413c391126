"""Values that make errors visible: what a cell may hold that recorded data seldom does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from queryscope.plans.schema import Column
    from queryscope.verify.clones.kinds import Kind
    from queryscope.verify.parts import Literal

NON_ASCII = "Zoë 100%_É"
"""Folds in Python and not in SQLite, and has both wildcards of LIKE."""
LEADING_SPACE = " a"
HALF_CENTS = 0.125
"""Rounds to 0.12 as a float and to 0.13 as a Decimal."""
SUMMER_TIME = "2026-03-29 22:30:00"
"""UTC, the evening after clocks in Europe went forward: where they are two hours ahead it is the
next day, and not where a patch adds winter's one hour."""
LEAP_DAY = "2028-02-29"
LATE = "23:30:00"
"""UTC; the next day east of Greenwich."""
_DATE_LENGTH = 10
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?")


class Value(NamedTuple):
    """A value for a cell.

    Attributes:
        name: In a word or two, for the evidence.
        expression: SQL with ``{column}`` for what the cell holds and ``{mark}`` for the value.
        values: What stands for the marks.
    """

    name: str
    expression: str = "{mark}"
    values: tuple[Any, ...] = ()


def values_for(
    column: Column, kind: Kind, literals: Collection[Literal], vendor: str
) -> tuple[Value, ...]:
    """Return what to put into the cells of a column, the most telling first.

    Values of the type alone, what it allows: a column that may not be NULL gets no NULL, a short
    one no long text. What a CHECK forbids, the database will say.
    """
    plain = list(_of_family(kind, vendor))
    made = [*_nulls(column), *plain[:1], *_literals(kind, literals), *plain[1:]]
    found: dict[tuple[object, ...], Value] = {}
    for value in made:
        found.setdefault((value.expression, *map(repr, value.values)), value)
    return tuple(found.values())


def _nulls(column: Column) -> Iterator[Value]:
    if column.nullable:
        yield Value("NULL", "NULL")


def _literals(kind: Kind, literals: Collection[Literal]) -> Iterator[Value]:
    """Yield what source code compares with, where a column of this kind could hold it."""
    near = []
    for literal in literals:
        if isinstance(literal, str):
            if kind.family == "text" and (
                literal in kind.samples
                or (not kind.structured and literal and len(literal) <= (kind.size or len(literal)))
            ):
                yield Value(repr(literal), values=(literal,))
        elif isinstance(literal, bool) or abs(literal) > kind.largest:
            continue
        elif kind.family == "integer" and float(literal).is_integer():
            yield Value(str(int(literal)), values=(int(literal),))
            near += [int(literal) - 1, int(literal) + 1]
        elif kind.family in ("decimal", "float") and _holds(kind, float(literal)):
            yield Value(str(literal), values=(literal,))
    yield from (Value(str(one), values=(one,)) for one in near)


def _of_family(kind: Kind, vendor: str) -> Iterator[Value]:
    others = [Value(f"{sample!r} of another row", values=(sample,)) for sample in kind.samples]
    if kind.family == "boolean":
        yield Value("NOT", "NOT {column}" if vendor != "sqlite" else "1 - {column}")
    elif kind.choice:
        if kind.family == "integer":
            yield Value("0", values=(0,))
        yield from others
        if kind.family == "integer":
            yield Value("-1", values=(-1,))
        elif kind.family == "text" and not kind.structured:
            yield Value("''", values=("",))
    elif kind.family == "integer":
        yield from (Value(str(one), values=(one,)) for one in (0, -1, kind.largest, 1))
    elif kind.family in ("decimal", "float"):
        yield from _numbers(kind, vendor)
    elif kind.family == "text":
        yield from others if kind.structured else _texts(kind)
    elif kind.family in ("date", "datetime", "time"):
        yield from _moments(kind, vendor)
    else:
        yield from others[:2]


def _numbers(kind: Kind, vendor: str) -> Iterator[Value]:
    yield Value("0", values=(0,))
    if kind.family == "decimal" and not kind.scale and kind.size:
        yield Value("-1", values=(-1,))
    else:
        # x.50 keeps the order of magnitude, so that what is filtered by price stays.
        whole = "CAST({column} AS integer)" if vendor == "sqlite" else "floor({column})"
        yield Value("x.50", f"{whole} + 0.5")
        yield Value("0.1", values=(0.1,))
        yield Value("-1", values=(-1,))
    if _holds(kind, HALF_CENTS):
        yield Value("half cents", values=(HALF_CENTS,))
    if kind.family == "float":
        yield Value("100000.0", values=(100_000.0,))
    elif kind.size:
        yield Value("max", values=(int("9" * max(min(kind.size - kind.scale, 9), 1)),))


def _holds(kind: Kind, number: float) -> bool:
    """Return whether a column holds a number as it is, without rounding it."""
    if kind.family == "float":
        return True
    fits = kind.size is None or abs(number) < 10 ** (kind.size - kind.scale)
    return fits and round(number, kind.scale) == number


def _texts(kind: Kind) -> Iterator[Value]:
    longest = "x" * min(kind.size or 300, 300)
    for name, text in (
        ("''", ""),
        ("'0'", "0"),
        ("non-ASCII", NON_ASCII),
        ("leading space", LEADING_SPACE),
        ("longest", longest),
    ):
        yield Value(name, values=(text[: kind.size] if kind.size else text,))
    yield Value("upper case", "upper({column})")


def _moments(kind: Kind, vendor: str) -> Iterator[Value]:
    """Yield days and times, written as the column's other values are."""
    if vendor == "sqlite" and any(not isinstance(sample, str) for sample in kind.samples):
        return  # seconds since some day, or a day's number: only who wrote them knows
    if kind.family == "date":
        next_day = {
            "sqlite": "date({column}, '+1 day')",
            "postgresql": "{column} + 1",
            "mysql": "DATE_ADD({column}, INTERVAL 1 DAY)",
        }
        yield Value("a day later", next_day[vendor])
        yield Value("29 February", values=(LEAP_DAY,))
    elif kind.family == "time":
        for text in (LATE, "00:00:00"):
            yield Value(text, values=(_as_time(text, kind.samples),))
    else:
        yield Value("23:30 UTC", _at(LATE, kind.samples, vendor))
        yield Value("midnight UTC", _at("00:00:00", kind.samples, vendor))
        day, time = SUMMER_TIME.split()
        yield Value("night after the clock change", values=(_written(day, time, kind.samples),))


def _at(time: str, samples: Sequence[Any], vendor: str) -> str:
    """Return SQL for the cell's own day at another time of it."""
    if vendor == "postgresql":
        return f"date_trunc('day', {{column}}) + interval '{time}'"
    if vendor == "mysql":
        return f"TIMESTAMP(DATE({{column}}), '{time}')"
    separator, ending = _form(time, samples)
    return f"substr({{column}}, 1, {_DATE_LENGTH}) || '{separator}{ending}'"


def _written(day: str, time: str, samples: Sequence[Any]) -> str:
    separator, ending = _form(time, samples)
    return f"{day}{separator}{ending}"


def _form(time: str, samples: Sequence[Any]) -> tuple[str, str]:
    """Return what separates day and time in a column, and the time with its fraction and zone."""
    found = next(
        (match for one in samples if isinstance(one, str) and (match := _ISO.fullmatch(one))), None
    )
    if found is None:
        return " ", time
    separator, seconds, fraction, zone = found.groups()
    written = time if seconds else time[:5]
    if fraction:
        written += "." + "0" * (len(fraction) - 1)
    return separator, written + (zone or "")


def _as_time(time: str, samples: Sequence[Any]) -> str:
    sample = next((one for one in samples if isinstance(one, str)), "")
    return time + "." + "0" * len(sample.partition(".")[2]) if "." in sample else time
