"""The headline of a Trace: its figures, and where its wall time went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.finding import SEVERITIES
from queryscope.report.text import counted, duration, noun, share
from queryscope.report.timeline import UNITS, merged
from queryscope.trace.pool import most_held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.report.views.reading import Shapes
    from queryscope.trace.events import Trace
    from queryscope.waste import Account

_PARALLEL = 1.02
"""Sums beyond the covered time by more than this ran in parallel."""


class Segment(NamedTuple):
    """A part of the wall time: ``database``, ``wait``, ``connect`` or ``own``."""

    kind: str
    label: str
    duration_ns: int
    percent: str
    start: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Where the wall time went; the segments add up to it.

    A moment in which any thread's statement runs is database time; else, one in which any waits
    for a connection is pool wait; else, one in which any opens a connection is connecting; the
    rest is the application's own.
    """

    wall_ns: int
    segments: tuple[Segment, ...]
    note: str


class Totals(NamedTuple):
    """Numbers of a Trace, those nested in it included."""

    statements: int
    rows: int
    sessions: int
    connections_held: int
    transactions: int


class Figure(NamedTuple):
    """One number of the headline, with its name and what else is to say of it."""

    key: str
    value: str
    label: str
    note: str = ""


def split_of(root: Trace) -> Split:
    """Return where the wall time of a Trace went, its nested ones included."""
    statements: list[tuple[int, int]] = []
    waits: list[tuple[int, int]] = []
    connects: list[tuple[int, int]] = []
    wall = root.duration_ns
    in_statements = waited = dropped = 0
    for trace in root.subtree():
        shift = trace.started_at_ns - root.started_at_ns
        for query in trace.queries:
            in_statements += query.duration_ns
            statements.append((query.start_ns + shift, query.end_ns + shift))
        for checkout in trace.checkouts:
            asked = checkout.asked_ns + shift
            waited += checkout.waited_ns
            if checkout.waited_ns:
                waits.append((asked, asked + checkout.waited_ns))
            if checkout.connect_ns:
                begin = asked + checkout.waited_ns
                connects.append((begin, begin + checkout.connect_ns))
        dropped += trace.dropped.get("query_ns", 0)
    running = merged(statements)
    database = _covered(running, wall)
    waiting = _covered(merged(running + waits), wall) - database if waits else 0
    connecting = 0
    if connects:
        connecting = _covered(merged(running + waits + connects), wall) - database - waiting
    # Statements over the cap have no place in time; they are counted one after another.
    database += min(dropped, max(wall - database - waiting - connecting, 0))
    own = max(wall - database - waiting - connecting, 0)
    # Without a pool nothing can be waited for.
    unused = ("connect",) if any(item.checkouts for item in root.subtree()) else ("connect", "wait")
    segments = []
    start = 0.0
    for kind, label, ns in (
        ("database", "database", database),
        ("wait", "pool wait", waiting),
        ("connect", "connecting", connecting),
        ("own", "own code", own),
    ):
        if kind in unused and not ns:
            continue
        width = UNITS * ns / wall if wall else 0.0
        segments.append(Segment(kind, label, ns, share(ns, wall), round(start, 1), round(width, 1)))
        start += width
    notes = []
    # In parallel the sums exceed what the clock on the wall shows.
    total = in_statements + dropped
    if total > database * _PARALLEL:
        notes.append(f"{duration(total)} in statements")
    if waited > waiting * _PARALLEL:
        notes.append(f"{duration(waited)} in pool wait")
    note = f"summed over threads and tasks: {', '.join(notes)}" if notes else ""
    return Split(wall_ns=wall, segments=tuple(segments), note=note)


def _covered(spans: list[tuple[int, int]], wall: int) -> int:
    """Return how much of the wall time spans cover that do not overlap."""
    return sum(max(min(end, wall) - max(start, 0), 0) for start, end in spans)


def totals_of(trace: Trace, shapes: Shapes) -> Totals:
    """Return the numbers of a Trace and of those nested in it."""
    everything = list(trace.subtree())
    return Totals(
        statements=sum(shapes.statements(item) for item in everything),
        rows=sum(shapes.rows(item) for item in everything),
        sessions=sum(len(item.sessions_at_work) for item in everything),
        connections_held=most_held(trace),
        transactions=sum(len(item.transactions) for item in everything),
    )


def figures_of(
    trace: Trace,
    totals: Totals,
    own_statements: int,
    findings: Sequence[Finding],
    account: Account,
) -> tuple[Figure, ...]:
    """Return the numbers of the headline.

    Args:
        trace: The Trace.
        totals: Its numbers with those of nested Traces.
        own_statements: Its statements without those of nested Traces.
        findings: What was found in it and in nested ones.
        account: What its statements cost, and what would be left.
    """
    everything = list(trace.subtree())
    statements, rows, sessions, held, transactions = totals
    kept = sum(len(item.queries) for item in everything)
    over = sum(item.dropped.get("queries", 0) for item in everything)
    notes = []
    if statements > own_statements:
        notes.append(f"{statements - own_statements:,} in nested Traces")
    if kept + over > statements:
        notes.append(f"and {kept + over - statements:,} of transactions or catalogue")
    checkouts = sum(len(item.checkouts) for item in everything)
    if checkouts:
        note = f"held at most, {counted(checkouts, 'checkout')}"
        connections = Figure(
            "connections", f"{held:,}", noun(held, "connection") + " at once", note
        )
    else:
        used = len({query.connection for item in everything for query in item.queries})
        connections = Figure("connections", f"{used:,}", noun(used, "connection"), "no pool")
    worst = dict.fromkeys(SEVERITIES, 0)
    for finding in findings:
        if finding.known is None:
            worst[finding.severity] += 1
    graver = ", ".join(f"{worst[name]} {name}" for name in reversed(SEVERITIES) if worst[name])
    found = sum(worst.values())
    if found < len(findings):
        graver = ", ".join(filter(None, (graver, f"{len(findings) - found:,} known")))
    return (
        Figure("wall", duration(trace.duration_ns), "wall time"),
        Figure("statements", f"{statements:,}", noun(statements, "statement"), ", ".join(notes)),
        Figure("rows", f"{rows:,}", noun(rows, "row") + " read"),
        Figure("sessions", f"{sessions:,}", noun(sessions, "session")),
        connections,
        Figure("transactions", f"{transactions:,}", noun(transactions, "transaction")),
        Figure("findings", f"{found:,}", noun(found, "finding"), graver),
        Figure("waste", share(account.ratio, 1), "waste", _wasted(account)),
    )


def _wasted(account: Account) -> str:
    """Return how many statements could be spared, with their time; ``""`` for none."""
    wasted = account.wasted
    number = round(wasted.statements)
    if not number:
        return ""
    return f"{counted(number, 'statement')} to spare, {duration(wasted.duration_ns)}"


def summary_of(split: Split) -> str:
    """Return the sentence that says where most of the time went, ``""`` without any time."""
    largest = max(split.segments, key=lambda segment: segment.duration_ns)
    place = {
        "database": "in the database",
        "wait": "waiting for connections",
        "connect": "opening connections",
        "own": "in the application's own code",
    }[largest.kind]
    return f"Most of the time is spent {place} ({largest.percent})." if split.wall_ns > 0 else ""
