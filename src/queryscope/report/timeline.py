"""The timeline as bars in lanes: stages, sessions, connections and statements per thread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from queryscope.report.text import counted, duration, share, visible
from queryscope.trace.pool import held_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from queryscope.report.views.reading import Reading
    from queryscope.trace.connections import Checkout, Session
    from queryscope.trace.events import Query, Trace

UNITS = 10_000
"""Length of a track: bars are placed in ten-thousandths of the Trace's wall time."""
MAX_ROWS = 16
"""Rows of one lane; the sessions, connections or threads beyond are counted."""
MAX_SINGLE = 400
"""Statements of one row drawn one by one, each with its text; more go into bins."""
MAX_MARKS = 2_000
"""Marks in all rows of statements together."""
MAX_STAGES = 300
TICKS = 8
"""Marks on the time axis, about."""
_LEVELS = 4
_MIN_WIDTH = 6.0
"""Units; shorter bars would not be seen."""


class Bar(NamedTuple):
    """A bar on a track: where, how long, what it stands for, and its text for the pointer."""

    start: float
    width: float
    kind: str
    title: str = ""
    label: str = ""


class Row(NamedTuple):
    """One track with what is written beside it."""

    label: str
    detail: str
    bars: tuple[Bar, ...]
    thread: int = -1


class Lane(NamedTuple):
    """Rows of one sort, and how many more there are."""

    name: str
    key: str
    rows: tuple[Row, ...]
    more: int


class Tick(NamedTuple):
    """A mark on the time axis, its place in percent."""

    percent: float
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """All lanes of one Trace over its wall time."""

    wall_ns: int
    ticks: tuple[Tick, ...]
    lanes: tuple[Lane, ...]


def timeline_of(
    reading: Reading, kind_of: Callable[[Query], str], title: Callable[[Query], str]
) -> Timeline:
    """Return the timeline of one Trace, without its nested ones.

    Args:
        reading: The Trace, with its threads and connections numbered.
        kind_of: The class of a statement's mark: ``read``, ``write``, ``other``, ``error``.
        title: What the pointer shows over a statement.
    """
    trace = reading.trace
    scale = _Scale(trace.duration_ns)
    lanes = (
        _stages(trace, scale),
        _sessions(trace, scale),
        _connections(reading, scale),
        _threads(reading, scale, kind_of, title),
    )
    return Timeline(trace.duration_ns, ticks(trace.duration_ns), tuple(x for x in lanes if x.rows))


def ticks(wall_ns: int) -> tuple[Tick, ...]:
    """Return about ``TICKS`` round moments over the wall time."""
    if wall_ns <= 0:
        return ()
    raw = wall_ns / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= raw)
    return tuple(
        Tick(round(100 * n * step / wall_ns, 2), duration(n * step))
        for n in range(int(wall_ns / step) + 1)
    )


def merged(spans: Iterable[tuple[int, int]], *, gap_ns: float = 0) -> list[tuple[int, int]]:
    """Return (start, end) pairs with those joined that overlap or lie within ``gap_ns``."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + gap_ns:
            if end > found[-1][1]:
                found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


class _Scale:
    """From nanoseconds to units of the track, clamped to the Trace."""

    def __init__(self, wall_ns: int) -> None:
        self.wall_ns = max(wall_ns, 1)
        self.gap_ns = self.wall_ns / MAX_MARKS

    def bar(self, start_ns: int, end_ns: int, kind: str, title: str = "", label: str = "") -> Bar:
        start = min(max(start_ns, 0), self.wall_ns) * UNITS / self.wall_ns
        end = min(max(end_ns, 0), self.wall_ns) * UNITS / self.wall_ns
        width = max(end - start, _MIN_WIDTH)
        start = min(start, UNITS - width)
        return Bar(round(start, 1), round(width, 1), kind, title, label)

    def busy(self, spans: Iterable[tuple[int, int]]) -> list[Bar]:
        return [
            self.bar(start, end, "busy", f"busy {duration(end - start)}")
            for start, end in merged(spans, gap_ns=self.gap_ns)
        ]


def _stages(trace: Trace, scale: _Scale) -> Lane:
    """Return stages below one another by depth; those of other threads get rows of their own."""
    rows: list[list[Bar]] = []
    ends: list[list[tuple[int, int]]] = []
    shown = trace.stages[:MAX_STAGES]
    depths: dict[int, int] = {}
    for stage in shown:
        end_ns = stage.start_ns + stage.duration_ns
        depth = depths.get(stage.parent, -1) + 1
        while depth < len(rows) and any(a < end_ns and stage.start_ns < b for a, b in ends[depth]):
            depth += 1
        depths[stage.number] = depth
        if depth >= MAX_ROWS:
            continue
        while len(rows) <= depth:
            rows.append([])
            ends.append([])
        ends[depth].append((stage.start_ns, end_ns))
        name = visible(stage.name)
        text = (
            f"{name}: {duration(stage.duration_ns)}, own {duration(stage.own_ns)}, "
            f"database {duration(stage.database_ns)}, {counted(stage.queries, 'query')}"
        )
        kind = "stage" if stage.kind == "named" else "stage auto"
        rows[depth].append(scale.bar(stage.start_ns, end_ns, kind, text, name))
    lane = tuple(Row("Stages" if n == 0 else "", "", tuple(bars)) for n, bars in enumerate(rows))
    return Lane("Stages", "stages", lane, len(trace.stages) - len(shown))


def _sessions(trace: Trace, scale: _Scale) -> Lane:
    by_session: dict[int, list[tuple[int, int]]] = {}
    for query in trace.queries:
        if query.session is not None:
            by_session.setdefault(query.session, []).append((query.start_ns, query.end_ns))
    rows = tuple(
        _session_row(session, by_session.get(session.number, []), trace, scale)
        for session in trace.sessions[:MAX_ROWS]
    )
    return Lane("Sessions", "sessions", rows, len(trace.sessions) - len(rows))


def _session_row(
    session: Session, spans: list[tuple[int, int]], trace: Trace, scale: _Scale
) -> Row:
    end_ns = trace.duration_ns if session.closed_ns is None else session.closed_ns
    still = ", still open at the end" if session.closed_ns is None else ""
    text = f"session {session.number}: {duration(end_ns - session.first_used_ns)} in use{still}"
    bars = []
    if session.opened_ns < session.first_used_ns:
        opened = f"session {session.number}: open, not used yet"
        bars.append(scale.bar(session.opened_ns, session.first_used_ns, "open", opened))
    bars.append(scale.bar(session.first_used_ns, end_ns, "session", text))
    bars += scale.busy(spans)
    detail = f"{counted(len(spans), 'query')}, {duration(sum(b - a for a, b in spans))}"
    return Row(f"session {session.number}", detail, tuple(bars))


def _connections(reading: Reading, scale: _Scale) -> Lane:
    """Return one row per pooled connection; failed checkouts get a row each."""
    trace = reading.trace
    by_checkout: dict[int, list[tuple[int, int]]] = {}
    for query in trace.queries:
        if query.checkout is not None:
            by_checkout.setdefault(query.checkout, []).append((query.start_ns, query.end_ns))
    by_connection: dict[tuple[int, int], list[Checkout]] = {}
    for checkout in trace.checkouts:
        key = (0, checkout.connection) if checkout.connection is not None else (1, checkout.number)
        by_connection.setdefault(key, []).append(checkout)
    kept = list(by_connection.values())[:MAX_ROWS]
    several = len({checkout.pool_number for checkout in trace.checkouts}) > 1
    rows = tuple(
        _connection_row(reading, checkouts, by_checkout, scale, several=several)
        for checkouts in kept
    )
    return Lane("Connections", "connections", rows, len(by_connection) - len(rows))


def _connection_row(
    reading: Reading,
    checkouts: Sequence[Checkout],
    by_checkout: dict[int, list[tuple[int, int]]],
    scale: _Scale,
    *,
    several: bool,
) -> Row:
    bars: list[Bar] = []
    held_ns = busy_ns = 0
    for checkout in checkouts:
        name = f"checkout {checkout.number}"
        asked, waited, connect = checkout.asked_ns, checkout.waited_ns, checkout.connect_ns
        if waited or checkout.got_ns is None:
            outcome = f", then {visible(checkout.error)}" if checkout.error else ""
            kind = "wait" if checkout.got_ns is not None else "wait failed"
            text = f"{name}: waited {duration(waited)} for a connection{outcome}"
            bars.append(scale.bar(asked, asked + waited, kind, text))
        held = held_interval(checkout, reading.trace)
        if held is None:
            continue
        start_ns, end_ns = held
        if connect:
            text = f"{name}: {duration(connect)} to connect"
            bars.append(scale.bar(start_ns - connect, start_ns, "connect", text))
        hold = end_ns - start_ns
        held_ns += hold
        busy_ns += checkout.busy_ns
        never = ", not returned" if checkout.returned_ns is None else ""
        kind = "held" if checkout.returned_ns is not None else "held leaked"
        text = f"{name}: held {duration(hold)}, busy {duration(checkout.busy_ns)}{never}"
        bars.append(scale.bar(start_ns, end_ns, kind, text))
        bars += scale.busy(by_checkout.get(checkout.number, ()))
    pool = f" · {visible(checkouts[0].pool, limit=40)}" if several else ""
    connection = checkouts[0].connection
    if connection is None:
        return Row(f"no connection{pool}", "time-out or error", tuple(bars))
    detail = f"held {duration(held_ns)}, busy {share(busy_ns, held_ns)}"
    return Row(f"connection {reading.connections[connection]}{pool}", detail, tuple(bars))


def _threads(
    reading: Reading,
    scale: _Scale,
    kind_of: Callable[[Query], str],
    title: Callable[[Query], str],
) -> Lane:
    by_thread: dict[int, list[Query]] = {}
    for query in reading.trace.queries:
        by_thread.setdefault(query.thread, []).append(query)
    kept = list(by_thread.items())[:MAX_ROWS]
    bins = MAX_MARKS // max(len(kept), 1)
    rows = []
    for ident, queries in kept:
        if len(queries) <= min(MAX_SINGLE, bins):
            bars = tuple(
                scale.bar(query.start_ns, query.end_ns, kind_of(query), title(query))
                for query in queries
            )
        else:
            bars = _binned(queries, scale, bins)
        spent = sum(query.duration_ns for query in queries)
        label = "Queries" if len(kept) == 1 else f"thread {reading.threads[ident]}"
        detail = f"{counted(len(queries), 'query')}, {duration(spent)}"
        rows.append(Row(label, detail, bars, ident))
    return Lane("Queries", "queries", tuple(rows), len(by_thread) - len(kept))


def _binned(queries: Sequence[Query], scale: _Scale, bins: int) -> tuple[Bar, ...]:
    """Return one bar per bin that is not empty, its level by the share of it that is busy."""
    width_ns = scale.wall_ns / bins
    least = width_ns / (2 * _LEVELS)
    busy = [0.0] * (bins + 1)
    # Statements of one thread overlap under asyncio: whole bins are added as differences, so
    # that a long statement costs as much as a short one.
    whole = [0] * (bins + 2)
    for query in queries:
        start = min(max(query.start_ns, 0), scale.wall_ns)
        end = min(query.end_ns, scale.wall_ns)
        first = min(int(start / width_ns), bins - 1)
        last = min(max(int(end / width_ns), first), bins - 1)
        if first == last:
            busy[first] += max(end - start, least)
        else:
            busy[first] += max((first + 1) * width_ns - start, least)
            busy[last] += max(end - last * width_ns, least)
            whole[first + 1] += 1
            whole[last] -= 1
    running = 0
    for n in range(bins):
        running += whole[n]
        busy[n] += running * width_ns
    unit = UNITS / bins
    found: list[Bar] = []
    for n, part in enumerate(busy[:bins]):
        if part:
            level = min(max(math.ceil(_LEVELS * part / width_ns), 1), _LEVELS)
            kind = f"bin l{level}"
            last_bar = found[-1] if found else None
            # Neighbours of one level are one bar: fewer marks, no seams between them.
            if last_bar and last_bar.kind == kind and n and busy[n - 1]:
                found[-1] = last_bar._replace(width=round(last_bar.width + unit, 1))
            else:
                found.append(Bar(round(n * unit, 1), round(unit, 1), kind))
    return tuple(found)
