"""Clocks of a replayed application, shifted: what happens on one day only is seen on no other.

Shifted and not frozen: time goes on, so that loops which wait end and caches grow old. The clocks
of databases stay what they are, and so do those that only measure how long something takes.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import gc
import time
from calendar import monthrange
from itertools import chain, permutations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from queryscope.verify.parts import Clone, Literal

MOST_NAMED = 12
"""Moments at most that the source's own numbers and days name."""
NIGHT, NOON = dt.time(23, 30, tzinfo=dt.UTC), dt.time(12, tzinfo=dt.UTC)
"""At night it is the next day already east of Greenwich."""
CLOCKS_FORWARD_HOUR = dt.time(1, 30, tzinfo=dt.UTC)
"""Half an hour after Europe's clocks went forward."""
MONTHS, DAYS, HOURS, WEEKDAYS = 12, 31, 24, 7
FIRST_YEAR, LAST_YEAR = 1970, 2100
FIRST_S, LAST_S = 1_000_000_000, 4_000_000_000
"""Numbers between them are rather seconds since the epoch than amounts: 2001 to 2096."""
LEAP_MONTH, LEAP_DAY, LEAP_YEARS = 2, 29, 4


class Clock:
    """Every clock of this process that says what time it is, put ahead or back at once.

    It is put into the modules ``time`` and ``datetime`` for good: for a process that ends with what
    it replays. Classes stay the same, so that drivers' values are still instances of them.
    """

    def __init__(self) -> None:
        """Keep the clocks as they are."""
        self._ahead_s = 0.0
        self._time = time.time

    def put_in(self) -> None:
        """Let whoever asks what time it is ask us from now on, also who has a class imported."""
        real_ns, localtime, gmtime = time.time_ns, time.localtime, time.gmtime
        ctime, asctime, strftime = time.ctime, time.asctime, time.strftime
        put: dict[str, Any] = {
            "time": self._now_s,
            "time_ns": lambda: real_ns() + int(self._ahead_s * 1e9),
            "localtime": lambda at=None: localtime(self._now_s() if at is None else at),
            "gmtime": lambda at=None: gmtime(self._now_s() if at is None else at),
            "ctime": lambda at=None: ctime(self._now_s() if at is None else at),
            "asctime": lambda *at: asctime(*(at or (localtime(self._now_s()),))),
            "strftime": lambda form, *at: strftime(form, *(at or (localtime(self._now_s()),))),
        }
        for name, function in put.items():
            setattr(time, name, function)
        # Today is what ``time.time`` says; now and utcnow are asked of the system, in C.
        space: dict[str, Any] = gc.get_referents(dt.datetime.__dict__)[0]
        now, utcnow = space["now"], space["utcnow"]

        def shifted_now(cls: type[dt.datetime], tz: dt.tzinfo | None = None) -> dt.datetime:
            if not self._ahead_s:
                found: dt.datetime = now.__get__(None, cls)(tz)
                return found
            return cls.fromtimestamp(self._now_s(), tz)

        def shifted_utcnow(cls: type[dt.datetime]) -> dt.datetime:
            found: dt.datetime = utcnow.__get__(None, cls)()
            return found + dt.timedelta(seconds=self._ahead_s)

        space["now"] = classmethod(shifted_now)
        space["utcnow"] = classmethod(shifted_utcnow)
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(dt.datetime))

    def turn_to(self, at: float | None) -> None:
        """Say that it is so many seconds after the epoch now; None says what the system does."""
        self._ahead_s = 0.0 if at is None else at - self._time()

    def _now_s(self) -> float:
        return self._time() + self._ahead_s


def at_moments(
    clone: Clone, named: Collection[Literal], now: dt.datetime | None = None
) -> list[Clone]:
    """Return a clone once for each moment that is worth asking at.

    Args:
        clone: The data as it is.
        named: Numbers and days that the patched source names and the original does not.
        now: The time that is shifted; None asks the system.
    """
    found = []
    for moment in moments(named, now or dt.datetime.now(dt.UTC)):
        shown = f"on {moment:%A, %-d %B %Y, %H:%M} UTC"
        found.append(
            clone._replace(
                name=shown, changed=f"the data as it is, asked {shown}.", at=moment.timestamp()
            )
        )
    return found


def moments(named: Collection[Literal], now: dt.datetime) -> list[dt.datetime]:
    """Return the moments that clocks are shifted to: those that often matter, then the named ones.

    A number is a month, a day and an hour in one moment, the next one to come, and a weekday in
    another; two are a month and a day; a year is its last night and the noon after; seconds since
    the epoch are the day after; a day that is spelled out, it and the next.
    """
    year = now.year + 1
    leap = year + -year % LEAP_YEARS
    forward = dt.date(year, 3, 31)
    forward -= dt.timedelta(days=(forward.weekday() + 1) % WEEKDAYS)
    found = dict.fromkeys(
        [
            _at(dt.date(now.year, 12, 25), NIGHT, now),
            dt.datetime.combine(forward, CLOCKS_FORWARD_HOUR),
            dt.datetime.combine(dt.date(leap, LEAP_MONTH, LEAP_DAY), NOON),
        ]
    )
    often = len(found)
    for moment in chain.from_iterable(
        [*(_named(literal, now) for literal in named), _pairs(named, now)]
    ):
        if len(found) < often + MOST_NAMED:
            found.setdefault(moment)
    return list(found)


def _named(literal: Literal, now: dt.datetime) -> Iterator[dt.datetime]:
    if isinstance(literal, str):
        try:
            day = dt.date.fromisoformat(literal[:10])
        except ValueError:
            return
        if FIRST_YEAR <= day.year <= LAST_YEAR:
            yield dt.datetime.combine(day, NOON)
            yield dt.datetime.combine(day + dt.timedelta(days=1), NOON)
    elif isinstance(literal, bool) or not float(literal).is_integer():
        return
    elif FIRST_YEAR <= literal <= LAST_YEAR:
        yield dt.datetime.combine(dt.date(int(literal), 12, 31), NIGHT)
        yield dt.datetime.combine(dt.date(int(literal) + 1, 1, 1), NOON)
    elif FIRST_S <= literal <= LAST_S:
        yield dt.datetime.fromtimestamp(float(literal), dt.UTC) + dt.timedelta(days=1)
    elif 0 <= literal <= DAYS:
        yield from _of_number(int(literal), now)


def _pairs(named: Collection[Literal], now: dt.datetime) -> Iterator[dt.datetime]:
    """Yield the days of every two numbers, one the month and one the day: Christmas is two."""
    numbers = [one for one in named if isinstance(one, int) and 1 <= one <= DAYS]
    for month, day in permutations(numbers, 2):
        if month <= MONTHS and day <= monthrange(now.year, month)[1]:
            yield _at(dt.date(now.year, month, day), NOON, now)


def _of_number(number: int, now: dt.datetime) -> Iterator[dt.datetime]:
    # January has every day that a month can have.
    month = number if 1 <= number <= MONTHS else 1
    hour = dt.time(number if number < HOURS else NOON.hour, tzinfo=dt.UTC)
    yield _at(dt.date(now.year, month, max(number, 1)), hour, now)
    if number < WEEKDAYS:
        ahead = (number - now.weekday()) % WEEKDAYS or WEEKDAYS
        yield dt.datetime.combine(now.date() + dt.timedelta(days=ahead), NOON)


def _at(day: dt.date, hour: dt.time, now: dt.datetime) -> dt.datetime:
    """Return the next such day and hour to come; of 29 February the day before it."""
    moment = dt.datetime.combine(day, hour)
    if moment > now:
        return moment
    last = monthrange(now.year + 1, day.month)[1]
    return moment.replace(year=now.year + 1, day=min(day.day, last))
