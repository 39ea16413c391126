"""QS505: a request holds several connections of one pool at once, and can deadlock with others.

## What it does

Takes ``C``, the most connections of one pool that the Trace claimed at the same time, and
``S``, the pool's ``pool_size + max_overflow``, and says from how many concurrent requests
``T`` on they can wait for each other until ``pool_timeout``.

## Why it is bad

Each of ``T`` requests holds ``C - 1`` connections and asks for its last one. When
``T * (C - 1) >= S`` all connections can be out with nobody able to go on:

    deadlock from    T = ceil(S / (C - 1)) concurrent requests
    safe from        S = T * (C - 1) + 1 connections

Short of that the pool still admits only ``S / (connection-seconds of a request)`` requests a
second. Cost: connection-time of the connections beyond the first.

## Example

    with Session(engine) as session:      # the first connection
        order = session.get(Order, key)
        log_access(key)                   # opens a second one inside

## Use instead

Pass the session on, or close it first:

    log_access(session, key)

## Not flagged

One connection at a time, however many in turn (``C = 1``). Pools without a bound:
``max_overflow=-1``, ``NullPool``. Connections of different pools. Tests, whose fixtures hold
one beside the code under test, and scripts, which do not run beside themselves. Where several
threads of a request held one each, confidence is medium: they deadlock only if one of them
waits for another while it holds its own.

## Settings

``deadlock_critical_requests`` (concurrent requests, default 40): critical when that many or
fewer can deadlock, a warning above.

## Source

The condition of hold and wait, counted: with ``T * (C - 1) < S`` one request always gets its
last connection, ends, and gives all of them back. 40 is the number of threads in which
Starlette and FastAPI run synchronous endpoints (AnyIO's default limiter):
https://anyio.readthedocs.io/en/stable/threads.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._openers import KINDS, opener_of, place, share, taken_as
from queryscope.detectors.finding import Cost, Finding
from queryscope.detectors.registry import Threshold
from queryscope.trace.pool import (
    admitted_per_second,
    deadlock_from,
    held_ns,
    pools,
    safe_capacity,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Trace
    from queryscope.trace.pool import Pool

CODE = "QS505"
NAME = "nested-checkout"
LOOKS_AT = ("checkouts",)
THRESHOLDS: Mapping[str, Threshold] = {
    "deadlock_critical_requests": Threshold(
        40, "Concurrent requests: critical when so many or fewer can deadlock."
    ),
}


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each pool of which the Trace claimed several connections at once."""
    if case.trace.kind in ("test", "script"):
        return
    for pool in pools(case.trace):
        requests = deadlock_from(pool.capacity, len(pool.most))
        if requests is not None:
            yield _finding(case, pool, requests)


def _finding(case: Case, pool: Pool, requests: int) -> Finding:
    trace = case.trace
    inner = pool.most[-1]
    openers = [opener_of(checkout, trace) for checkout in pool.most]
    held = len(pool.most)
    evidence: dict[str, str | int | float] = {
        "held_at_once": held,
        "capacity": pool.capacity or 0,
        "deadlock_from_requests": requests,
        "safe_capacity_for_those": safe_capacity(requests, held),
        "pool": pool.name,
    }
    admitted = admitted_per_second(pool, trace)
    if admitted is not None:
        evidence["requests_per_second_admitted"] = round(admitted, 1)
    for number, opener in enumerate(openers, 1):
        evidence[f"held_{number}"] = place(opener)
    one_thread = len({checkout.thread for checkout in pool.most}) == 1
    alone = requests == 1
    return Finding(
        code=CODE,
        name=NAME,
        severity=(
            "critical" if requests <= case.threshold("deadlock_critical_requests") else "warning"
        ),
        confidence="high" if one_thread else "medium",
        message=(
            f"This {KINDS[trace.kind]} holds {held} connections of the pool {pool.name} at once; "
            f"with its {pool.capacity} connections "
            + (
                "it can wait for itself."
                if alone
                else f"{requests} such at the same time can deadlock."
            )
        ),
        count=held,
        cost=Cost(connection_ns=held_ns(pool.most[1:], trace)),
        origin=openers[-1],
        mend=share(openers[0], openers[-1], taken_as(inner, trace)),
        sessions=tuple(sorted({c.session for c in pool.most if c.session is not None})),
        checkouts=tuple(checkout.number for checkout in pool.most),
        subject=_subject(trace, pool),
        evidence=evidence,
    )


def _subject(trace: Trace, pool: Pool) -> str:
    """Return the pool's name, with its place among those of the same name."""
    same = [found.number for found in pools(trace) if found.name == pool.name]
    return pool.name if len(same) == 1 else f"{pool.name} {same.index(pool.number) + 1}"
