"""QS503: a connection was not returned to its pool when the request ended.

## What it does

Names the line that took a connection which was still out when the Trace ended. What garbage
collection brings back later was out, too.

## Why it is bad

A pool of ``S`` connections is empty after ``S`` such requests: the next one waits for
``pool_timeout`` and fails. Where garbage collection returns them, it does so at a time of its
own. Cost: connection-time from when it was handed out to the end of the request, and beyond.

## Example

    session = SessionLocal()
    order = session.get(Order, key)       # and no session.close()
    cache[key] = order, session

## Use instead

    with SessionLocal() as session:
        order = session.get(Order, key)

## Not flagged

A block inside an open session: its connection, or its session, was opened before the block
began. Connections of the threads in which Django runs a request: it returns them itself after
the response. What another thread of the request took from Django's pool is that thread's to
return, and lost to the pool where it ends without. Tests, whose fixtures close later. In blocks
and scripts it is information only: what is opened in one may be meant for what follows.

## Settings

None.

## Source

SQLAlchemy, error 3o7r: https://docs.sqlalchemy.org/en/20/errors.html#error-3o7r
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._openers import KINDS, milliseconds, opener_of, taken_as
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.trace.pool import capacity, held_ns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Severity
    from queryscope.detectors.registry import Case, Threshold
    from queryscope.trace.connections import Checkout
    from queryscope.trace.events import Frame, TemplateNode, Trace

CODE = "QS503"
NAME = "leaked-connection"
LOOKS_AT = ("checkouts",)
THRESHOLDS: Mapping[str, Threshold] = {}


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that took connections which were never returned."""
    trace = case.trace
    if trace.kind == "test":
        return
    by_opener: dict[tuple[int, Frame | TemplateNode | None], list[Checkout]] = {}
    for checkout in trace.checkouts:
        if _leaked(checkout, trace):
            key = checkout.pool_number, opener_of(checkout, trace).first
            by_opener.setdefault(key, []).append(checkout)
    for checkouts in by_opener.values():
        yield _finding(trace, checkouts)


def _leaked(checkout: Checkout, trace: Trace) -> bool:
    if checkout.got_ns is None or checkout.returned_ns is not None or checkout.asked_ns < 0:
        return False
    if checkout.session is None:
        return True
    session = trace.sessions[checkout.session]
    if session.framework == "django" and not _is_threads_own(checkout, trace):
        return False
    return session.opened_ns >= 0


def _is_threads_own(checkout: Checkout, trace: Trace) -> bool:
    """Tell whether a thread that the request's code started took the connection.

    Django closes connections of the threads in which it runs middleware, views and templates.
    """
    threads = {stage.thread for stage in trace.stages if stage.kind != "named"}
    if trace.kind != "request" or trace.mode == "tests" or not threads:
        return False
    return checkout.thread not in threads


def _finding(trace: Trace, checkouts: list[Checkout]) -> Finding:
    first = checkouts[0]
    bound = capacity(first)
    severity: Severity = "warning" if bound is None else "critical"
    if trace.kind in ("block", "script"):
        severity = "info"
    many = len(checkouts)
    held = held_ns(checkouts, trace)
    dry = "" if bound is None else f"; its pool of {bound} is empty after {-(-bound // many)} such"
    evidence: dict[str, str | int | float] = {
        "connections": many,
        "pool": first.pool,
        "held_ms": milliseconds(held),
    }
    if bound is not None:
        evidence["capacity"] = bound
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity,
        confidence="high",
        message=(
            f"{'A connection' if many == 1 else f'{many} connections'} of the pool {first.pool} "
            f"taken here {'was' if many == 1 else 'were'} not returned when the "
            f"{KINDS[trace.kind]} ended{dry}."
        ),
        count=many,
        cost=Cost(connection_ns=held),
        origin=opener_of(first, trace),
        mend=_mend(first, trace),
        sessions=tuple(sorted({c.session for c in checkouts if c.session is not None})),
        checkouts=tuple(item.number for item in checkouts),
        subject=first.pool,
        evidence=evidence,
    )


def _mend(checkout: Checkout, trace: Trace) -> Mend | None:
    frame = opener_of(checkout, trace).frame
    if frame is None:
        return None
    what, write = "session", "with Session(engine) as session:"
    if checkout.session is not None and taken_as(checkout, trace) == "connection":
        write = f'connections["{checkout.pool}"].close()'
        return Mend(frame, write, "Close the connection where the work of the thread ends.")
    if checkout.session is None:
        what, write = "connection", "with engine.connect() as connection:"
    return Mend(frame, write, f"Open the {what} in a with block, which closes it on every way out.")
