"""QS502: a connection is held while nothing is executed on it.

## What it does

For every connection out of a pool it takes the gaps in which no statement ran: between two
statements, before the first, after the last. On Django without a pool it takes the gaps
inside transactions. Gaps shorter than ``held_idle_gap_min_ms`` are the program's own way
from one statement to the next and do not count, nor does the time that making objects of the
fetched rows takes.

## Why it is bad

A pool of ``S`` connections admits ``S / (connection-seconds of a request)`` requests a
second. Rendering, an HTTP call, a sleep or a lock while the connection is out is
connection-time that no statement needs; in a transaction it also keeps locks and old row
versions. Cost: the idle connection-time.

## Example

    with Session(engine) as session:
        order = session.get(Order, key)
        return render(order)              # 300 ms, with the connection

## Use instead

Load what the answer needs, close the session, then build the answer:

    with Session(engine) as session:
        order = session.get(Order, key, options=[selectinload(Order.items)])
    return render(order)

## Not flagged

A connection that Django keeps by ``CONN_MAX_AGE``: it is nobody's while no transaction is open.
Idle time outside a transaction where there is no pool: with Django's ``OPTIONS["pool"]`` there is
one, and the connection is out until the response is closed. Idle time while a transaction holds row
locks is QS506's, and a commit that waits for the disk is no idling. Short gaps. A block that began
on a connection which was out before. A connection that a nested block uses. Time in which the same
thread asks on another connection: that is QS501's and QS505's. Tests. A connection that was never
returned is QS503's: here only its gaps between statements count. Pools without a bound and
scripts, where nobody waits, are information only. Statements on a cursor of the driver's own
(SQLAlchemy's ``raw_connection()``) are not recorded: where nothing else ran on the connection,
confidence is medium.

## Settings

``held_idle_min_ms`` (idle milliseconds of one connection, default 50: a
machine with other work lets any request wait for 20), ``held_idle_gap_min_ms`` (shortest gap that
counts, default 10) and ``held_idle_min_percent`` (idle share of the time held, default 10). The
share is low on purpose: statements sent one by one make a connection busy, and would hide the
rest.

## Source

Rows to objects: 4-7 us a row of ten columns with SQLAlchemy 2.0 on CPython 3.11, so 20 us a
fetched row are left out. PostgreSQL, ``idle_in_transaction_session_timeout``:
https://www.postgresql.org/docs/current/runtime-config-client.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._openers import bare, milliseconds, opener_of, place, step_in, taken_as
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.connections import Checkout, Transaction
from queryscope.trace.pool import (
    SentStatements,
    capacity,
    gaps_outside,
    held_interval,
    locked_intervals,
    transactions_without_pool,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Severity
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Frame, Origin, TemplateNode, Trace
    from queryscope.trace.pool import Gap

CODE = "QS502"
NAME = "held-idle"
LOOKS_AT = ("checkouts", "transactions")
THRESHOLDS: Mapping[str, Threshold] = {
    "held_idle_min_ms": Threshold(
        50, "Idle milliseconds of one connection from which on it is flagged."
    ),
    "held_idle_gap_min_ms": Threshold(10, "Shortest gap between statements that counts, in ms."),
    "held_idle_min_percent": Threshold(10, "Share of the time held that was idle, in percent."),
}
MAX_JUDGED = 500
"""The longest holds of a Trace are judged, so many of them."""


class _Hold(NamedTuple):
    """A connection held by a checkout or, without a pool, by a transaction."""

    fact: Checkout | Transaction
    opener: Origin
    held_ns: int
    idle_ns: int
    longest: Gap


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that opened connections which then stood idle."""
    trace = case.trace
    if trace.kind == "test":
        return
    held = sorted(_held(trace), key=lambda pair: pair[1][0] - pair[1][1])
    if not held:
        return
    sent = SentStatements(trace, int(case.threshold("held_idle_gap_min_ms") * 1e6))
    by_opener: dict[tuple[type, Frame | TemplateNode | None], list[_Hold]] = {}
    locked: dict[int, list[tuple[int, int]]] = {}
    for number, interval in locked_intervals(trace).items():
        locked.setdefault(trace.transactions[number].connection, []).append(interval)
    for transaction in trace.transactions:
        if transaction.ended_ns is not None and transaction.ending_ns:
            committing = transaction.ended_ns - transaction.ending_ns, transaction.ended_ns
            locked.setdefault(transaction.connection, []).append(committing)
    for fact, interval in held[:MAX_JUDGED]:
        gaps = sent.gaps(fact.connection, fact.thread, *interval)
        if isinstance(fact, Checkout) and fact.returned_ns is None:
            gaps = [gap for gap in gaps if gap.after is not None]
        gaps = gaps_outside(gaps, locked.get(fact.connection or 0, ()))
        _judge(case, fact, interval, gaps, by_opener)
    for holds in by_opener.values():
        yield _finding(trace, holds)


def _held(trace: Trace) -> Iterator[tuple[Checkout | Transaction, tuple[int, int]]]:
    """Yield what held a connection, and from when to when; what began before is the caller's."""
    for checkout in trace.checkouts:
        interval = held_interval(checkout, trace)
        if interval is not None and checkout.asked_ns >= 0:
            yield checkout, interval
    for transaction in transactions_without_pool(trace):
        if transaction.started_ns >= 0:
            ended = trace.duration_ns if transaction.ended_ns is None else transaction.ended_ns
            yield transaction, (transaction.started_ns, ended)


def _judge(
    case: Case,
    fact: Checkout | Transaction,
    interval: tuple[int, int],
    gaps: list[Gap],
    by_opener: dict[tuple[type, Frame | TemplateNode | None], list[_Hold]],
) -> None:
    """Add a hold to those of its opener where its idle time is over the thresholds."""
    shortest_ns = case.threshold("held_idle_gap_min_ms") * 1e6
    counted = [(gap, ns) for gap in gaps if (ns := gap.idle_ns) >= shortest_ns]
    idle_ns = sum(ns for _, ns in counted)
    held_ns = interval[1] - interval[0]
    if (
        counted
        and idle_ns >= case.threshold("held_idle_min_ms") * 1e6
        and idle_ns * 100 >= held_ns * case.threshold("held_idle_min_percent")
    ):
        longest = max(counted, key=lambda pair: pair[1])[0]
        opener = opener_of(fact, case.trace) if isinstance(fact, Checkout) else fact.opener
        hold = _Hold(fact, opener, held_ns, idle_ns, longest)
        by_opener.setdefault((type(fact), opener.first), []).append(hold)


def _finding(trace: Trace, holds: list[_Hold]) -> Finding:
    worst = max(holds, key=lambda hold: hold.idle_ns)
    idle_ns = sum(hold.idle_ns for hold in holds)
    held_ns = sum(hold.held_ns for hold in holds)
    gap = worst.longest
    stage = _stage_of(trace, gap, worst.fact.thread)
    evidence: dict[str, str | int | float] = {
        "held_ms": milliseconds(held_ns),
        "idle_ms": milliseconds(idle_ns),
        "longest_gap_ms": milliseconds(gap.duration_ns),
        "longest_gap_from_ms": milliseconds(gap.start_ns),
    }
    if gap.before is not None:
        evidence["idle_after"] = place(gap.before.origin)
    if gap.after is not None:
        evidence["idle_before"] = place(gap.after.origin)
    if stage:
        evidence["stage"] = stage
    facts = [hold.fact for hold in holds]
    checkouts = tuple(fact.number for fact in facts if isinstance(fact, Checkout))
    what = "connection" if checkouts else "transaction"
    took = (
        f"A {what} opened here was" if len(holds) == 1 else f"{len(holds)} {what}s opened here were"
    )
    return Finding(
        code=CODE,
        name=NAME,
        severity=_severity(trace, worst.fact),
        confidence="medium" if gap.before is None and gap.after is None else "high",
        message=(
            f"{took} held for {milliseconds(held_ns)} ms, {milliseconds(idle_ns)} ms of it with "
            f"nothing executed{_where(gap)}{f', in the stage {stage}' if stage else ''}."
        ),
        count=len(holds),
        cost=Cost(connection_ns=idle_ns),
        origin=worst.opener,
        mend=_mend(worst, trace),
        sessions=tuple(
            sorted({f.session for f in facts if isinstance(f, Checkout) and f.session is not None})
        ),
        checkouts=checkouts,
        subject=what,
        evidence=evidence,
    )


def _severity(trace: Trace, fact: Checkout | Transaction) -> Severity:
    nobody_waits = isinstance(fact, Checkout) and capacity(fact) is None
    return "info" if nobody_waits or trace.kind == "script" else "warning"


def _where(gap: Gap) -> str:
    """Return between which lines a gap lies, in words."""
    after = f" after {place(gap.before.origin)}" if gap.before is not None else ""
    before = f" before {place(gap.after.origin)}" if gap.after is not None else ""
    return (
        f": {milliseconds(gap.duration_ns)} ms{after}{' and' if after and before else ''}{before}"
    )


def _stage_of(trace: Trace, gap: Gap, thread: int) -> str:
    """Return the name of the innermost stage in whose time the middle of a gap lies."""
    middle = (gap.start_ns + gap.end_ns) // 2
    found = [
        stage
        for stage in trace.stages
        if stage.thread == thread and stage.start_ns <= middle <= stage.start_ns + stage.duration_ns
    ]
    return min(found, key=lambda stage: stage.duration_ns).name if found else ""


def _mend(hold: _Hold, trace: Trace) -> Mend | None:
    """Return where to give the connection back, or where to take it."""
    gap = hold.longest
    if isinstance(hold.fact, Checkout):
        what = taken_as(hold.fact, trace)
        write, close = f"{what}.close()", f"Close the {what}"
        if hold.fact.session is not None and what == "connection":  # Django's own, by its alias
            write = f'connections["{hold.fact.pool}"].close()'
    else:
        what = "transaction"
        write, close = "", "Leave the transaction.atomic() block"
    if gap.before is None:
        if hold.opener.frame is None:
            return None
        later = "" if gap.after is None else f", next to {place(gap.after.origin)}"
        how = f"Open the {what} only when its first statement is due{later}."
        return Mend(hold.opener.frame, "", how)
    at = step_in(hold.opener, gap.before.origin) or gap.before.origin.frame
    if at is None:
        return None
    how = f"{close} after line {at.line} of {bare(at.function)}()"
    if gap.after is None:
        return Mend(at, write, f"{how}: nothing is asked of the database after it.")
    return Mend(
        at,
        write,
        f"{how} and take a new one for {place(gap.after.origin)}, or ask for both before the "
        f"{milliseconds(gap.duration_ns)} ms in between.",
    )
