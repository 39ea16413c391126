"""QS504: the request waited for a connection from its pool.

## What it does

Names the line that waited for a connection, how long, who held the pool's connections in the
meantime, and whether the wait ended in a time-out.

## Why it is bad

Waiting is added to the answer's time, and the request holds its worker, and any connection it
has already, in the meantime. A pool with ``S`` connections is always waited for once requests
arrive faster than ``S / (connection-seconds of a request)`` a second. Cost: the time waited,
as connection-time where the request held connections while it waited.

## Example

    engine = create_engine(url, pool_size=5, max_overflow=0)
    # each request holds three connections for 400 ms: the second one waits

## Use instead

Give connections back sooner (QS502, QS501, QS505 name the lines); enlarge the pool only when
the database has room for it.

## Not flagged

Waits shorter than the threshold. Time for opening a new connection, which is not waiting. A
checkout that failed because the database refused the connection, or did not answer.

## Settings

``pool_wait_min_ms`` (milliseconds that one checkout waited, default 10).

## Source

SQLAlchemy blocks in ``QueuePool._do_get`` before it raises error 3o7r:
https://docs.sqlalchemy.org/en/20/errors.html#error-3o7r
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._openers import milliseconds
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.pool import capacity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.registry import Case
    from queryscope.trace.connections import Checkout
    from queryscope.trace.events import Frame, TemplateNode

CODE = "QS504"
NAME = "pool-wait"
LOOKS_AT = ("checkouts",)
THRESHOLDS: Mapping[str, Threshold] = {
    "pool_wait_min_ms": Threshold(10, "Milliseconds that one checkout waited for a connection."),
}
MAX_HOLDERS_NAMED = 5
"""Holders listed in the evidence."""


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line and pool that waited."""
    minimum_ns = case.threshold("pool_wait_min_ms") * 1e6
    by_opener: dict[tuple[int, Frame | TemplateNode | None], list[Checkout]] = {}
    for checkout in case.trace.checkouts:
        if checkout.waited_ns >= minimum_ns > 0 or timed_out(checkout):
            key = checkout.pool_number, checkout.opener.first
            by_opener.setdefault(key, []).append(checkout)
    for checkouts in by_opener.values():
        yield _finding(checkouts)


def timed_out(checkout: Checkout) -> bool:
    """Tell whether a checkout ended in the pool's time-out, not in another error.

    A server that does not answer ends in a time-out, too, but nobody waited for a holder.
    """
    kind = (checkout.error or "").partition(":")[0]
    return checkout.got_ns is None and checkout.waited_ns > 0 and "Timeout" in kind


def _finding(checkouts: list[Checkout]) -> Finding:
    longest = max(checkouts, key=lambda item: item.waited_ns)
    waited_ns = sum(item.waited_ns for item in checkouts)
    failures = sum(timed_out(item) for item in checkouts)
    bound = capacity(longest)
    holders = dict.fromkeys(line for item in checkouts for line in item.holders)
    own = max(item.held_before for item in checkouts)
    evidence: dict[str, str | int | float] = {
        "waited_ms": milliseconds(waited_ns),
        "longest_wait_ms": milliseconds(longest.waited_ns),
        "timed_out": failures,
        "pool": longest.pool,
        "held_by_this_request": own,
    }
    if bound is not None:
        evidence["capacity"] = bound
    for number, holder in enumerate(list(holders)[:MAX_HOLDERS_NAMED], 1):
        evidence[f"holder_{number}"] = holder
    ended = f" and gave up {failures} x" if failures else ""
    itself = f" while this request held {own} of them itself" if own else ""
    return Finding(
        code=CODE,
        name=NAME,
        severity="critical" if failures else "warning",
        confidence="high",
        message=(
            f"Waited {milliseconds(waited_ns)} ms for a connection of the pool {longest.pool}"
            f"{f' of {bound}' if bound is not None else ''}{ended}{itself}."
        ),
        count=len(checkouts),
        cost=Cost(
            duration_ns=waited_ns,
            connection_ns=sum(item.waited_ns * item.held_before for item in checkouts),
        ),
        origin=longest.opener,
        mend=_mend(longest, own),
        sessions=tuple(sorted({c.session for c in checkouts if c.session is not None})),
        checkouts=tuple(item.number for item in checkouts),
        subject=longest.pool,
        evidence=evidence,
    )


def _mend(checkout: Checkout, own: int) -> Mend | None:
    if own:
        how = "Use the connection that this request holds already instead of asking for another."
    elif checkout.holders:
        how = f"Have the connection given back sooner where it was held: {checkout.holders[0]}."
    else:
        how = "Have connections given back sooner, or enlarge the pool if the database has room."
    return Mend(checkout.opener.frame, "", how)
