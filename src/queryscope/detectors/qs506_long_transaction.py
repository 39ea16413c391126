"""QS506: a transaction holds row locks while nothing is executed in it.

## What it does

Takes every transaction that has written or locked rows (`SELECT ... FOR UPDATE`), from that
statement until its commit, and finds the time in which it sent nothing: the program computed,
rendered, slept, or asked another service. Where HTTP requests are recorded, one that is sent in
that time is named, however fast it was answered this time.

## Why it is bad

Who wants the same rows waits until the commit, and PostgreSQL cannot clean up old row versions
meanwhile. Of an HTTP request nobody knows how long it takes: 30 seconds of a service that does not
answer are 30 seconds of locks. Cost: the idle time.

    cost = idle time x requests that want the same rows

## Example

```python
with transaction.atomic():
    order.save()
    charge(order)                    # asks the payment service
    receipt = render(order)
```

## Use instead

```python
charge(order)                        # before, with a state that says so
with transaction.atomic():
    order.save()
transaction.on_commit(lambda: send_receipt(order.pk))
```

## Not flagged

- transactions that only read: QS502 speaks of the connection they hold;
- idle time shorter than the thresholds, as in a short view under `ATOMIC_REQUESTS`;
- a long transaction that is busy, such as an import; many savepoints in one;
- time before the first write, and after the commit;
- what other threads do meanwhile;
- tests, whose transaction is the test case's. Scripts are information only.

## Settings

- `transaction_idle_min_ms` (idle milliseconds of one transaction with locks, default 20 in
  development and tests, 50 in production).
- `held_idle_gap_min_ms` (shortest gap that counts, default 10; the same as for QS502).

## Source

PostgreSQL, `idle_in_transaction_session_timeout`:
https://www.postgresql.org/docs/current/runtime-config-client.html.
Django, `transaction.on_commit`:
https://docs.djangoproject.com/en/5.2/topics/db/transactions/#performing-actions-after-commit
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors import qs502_held_idle as held_idle
from queryscope.detectors._openers import bare, milliseconds, place, step_in
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.pool import SentStatements, locked_intervals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.registry import Case
    from queryscope.trace.connections import Transaction
    from queryscope.trace.events import ExternalCall, Trace
    from queryscope.trace.pool import Gap

CODE = "QS506"
NAME = "long-transaction"
LOOKS_AT = ("transactions",)
_GAP = "held_idle_gap_min_ms"
THRESHOLDS: Mapping[str, Threshold] = {
    "transaction_idle_min_ms": Threshold(
        {"development": 20, "tests": 20, "production": 50},
        "Idle milliseconds of one transaction that holds row locks.",
    ),
    _GAP: held_idle.THRESHOLDS[_GAP],
}


class _Hold(NamedTuple):
    """A transaction that held locks for nothing."""

    transaction: Transaction
    locked_ns: int
    gaps: tuple[Gap, ...]
    calls: tuple[ExternalCall, ...]

    @property
    def idle_ns(self) -> int:
        """How long nothing was executed."""
        return max(
            sum(gap.idle_ns for gap in self.gaps), sum(call.duration_ns for call in self.calls)
        )


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that began transactions which held locks for nothing."""
    trace = case.trace
    if trace.kind == "test":
        return
    locked = sorted(locked_intervals(trace).items(), key=lambda item: item[1][0] - item[1][1])
    if not locked:
        return
    shortest_ns = case.threshold(_GAP) * 1e6
    sent = SentStatements(trace, max(int(shortest_ns), 1))
    by_opener: dict[object, list[_Hold]] = {}
    for number, (start_ns, end_ns) in locked[: held_idle.MAX_JUDGED]:
        transaction = trace.transactions[number]
        gaps = [
            gap
            for gap in sent.gaps(transaction.connection, transaction.thread, start_ns, end_ns)
            if gap.idle_ns >= shortest_ns
            and (gap.after is not None or transaction.ended_ns is not None)
        ]
        calls = tuple(
            call
            for call in trace.external_calls
            if call.thread == transaction.thread and start_ns <= call.start_ns < end_ns
        )
        if sum(gap.idle_ns for gap in gaps) < case.threshold("transaction_idle_min_ms") * 1e6:
            gaps = []
        if gaps or calls:
            hold = _Hold(transaction, end_ns - start_ns, tuple(gaps), calls)
            by_opener.setdefault(transaction.opener.first, []).append(hold)
    for holds in by_opener.values():
        yield _finding(trace, holds)


def _finding(trace: Trace, holds: list[_Hold]) -> Finding:
    worst = max(holds, key=lambda hold: hold.idle_ns)
    idle_ns = sum(hold.idle_ns for hold in holds)
    calls = [call for hold in holds for call in hold.calls]
    evidence: dict[str, str | int | float] = {
        "locked_ms": milliseconds(sum(hold.locked_ns for hold in holds)),
        "idle_ms": milliseconds(idle_ns),
    }
    if calls:
        evidence["asked"] = ", ".join(sorted({call.host for call in calls}))
        evidence["asked_at"] = ", ".join(dict.fromkeys(place(call.origin) for call in calls[:10]))
    where = ""
    if worst.gaps:
        longest = max(worst.gaps, key=lambda gap: gap.idle_ns)
        where = _where(longest)
        evidence["longest_gap_ms"] = milliseconds(longest.duration_ns)
        if longest.before is not None:
            evidence["idle_after"] = place(longest.before.origin)
        if longest.after is not None:
            evidence["idle_before"] = place(longest.after.origin)
    if calls:
        asked = sum(call.duration_ns for call in calls)
        where += f", {milliseconds(asked)} ms of it asking {evidence['asked']}"
    opened = "A transaction that began here" if len(holds) == 1 else f"{len(holds)} that began here"
    return Finding(
        code=CODE,
        name=NAME,
        severity="info" if trace.kind == "script" else "warning",
        confidence="high",
        message=(
            f"{opened} held row locks for {milliseconds(idle_ns)} ms with nothing executed{where}."
        ),
        count=len(holds),
        cost=Cost(connection_ns=idle_ns),
        origin=worst.transaction.opener,
        mend=_mend(worst),
        subject="transaction",
        evidence=evidence,
    )


def _where(gap: Gap) -> str:
    after = f" after {place(gap.before.origin)}" if gap.before is not None else ""
    before = f" before {place(gap.after.origin)}" if gap.after is not None else ""
    return after + (" and" if after and before else "") + before


def _mend(hold: _Hold) -> Mend | None:
    """Return the line from which on the transaction is not needed, or the call to move out."""
    opener = hold.transaction.opener
    if hold.calls:
        call = hold.calls[0]
        at = step_in(opener, call.origin) or call.origin.first
        if at is not None:
            return Mend(
                at,
                "",
                f"Ask {call.host} before the transaction begins, or after its commit "
                "(transaction.on_commit in Django).",
            )
    longest = max(hold.gaps, key=lambda gap: gap.idle_ns, default=None)
    if longest is None or longest.before is None:
        return None
    line = step_in(opener, longest.before.origin) or longest.before.origin.frame
    if line is None:
        return None
    if longest.after is None:
        return Mend(line, "", f"Commit after line {line.line} of {bare(line.function)}().")
    return Mend(
        line,
        "",
        f"Do what follows line {line.line} of {bare(line.function)}() before the first write, or "
        "commit before it.",
    )
