"""QS601: a loop logs a line for each item.

## What it does

Finds one line of your source that logs again and again, on each turn of a loop. Calls are counted
by line in full recording; no text of a message is kept.

## Why it is bad

    cost = items x (formatting + handlers)

A handler formats, takes a lock, writes and often flushes. 1,500 items are 1,500 writes while
somebody waits for the response, and who reads the log finds nothing else in it.

## Example

```python
for booking in bookings:
    log.info("checked booking %s", booking.pk)
```

## Use instead

```python
log.info("checked %d bookings", len(bookings))

log.debug("checked booking %s", booking.pk)      # or below the level that production logs
```

## Not flagged

- fewer calls than the threshold; calls that the logger's level does not let pass;
- lines of libraries, such as the echo of statements;
- loops that sleep or wait, and loops that only retry;
- scripts, and loops of a test: they tell how far they are.

DEBUG is off where it counts, a WARNING speaks of the item that failed, and a task tells how far it
is: those are an `info`. So is a line that comes the same way each time, without a loop in sight.

## Settings

- `log_storm_min_calls` (calls of one line, 20).

## Source

Python, "Logging HOWTO", optimization:
https://docs.python.org/3/howto/logging.html#optimization.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from queryscope.detectors import _loops, _words
from queryscope.detectors._openers import milliseconds, place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.loops import enclosing_loop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Severity
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import LogCall
    from queryscope.trace.loops import Loop

CODE = "QS601"
NAME = "log-storm"
LOOKS_AT = ("log_calls",)
THRESHOLDS: Mapping[str, Threshold] = {
    "log_storm_min_calls": Threshold(20, "calls of one line that logs, in one Trace"),
}


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a line that logs for each item."""
    if case.trace.kind == "script":
        return
    for call in case.trace.log_calls:
        if not call.is_own or call.count < case.threshold("log_storm_min_calls"):
            continue
        loop = enclosing_loop(call.origin)
        if loop is None and call.ways > 1:
            continue  # called from many lines, as a helper is
        if loop is not None and (loop.waits or loop.once or _loops.is_of_test(case, loop)):
            continue
        yield _finding(case, call, loop)


def _finding(case: Case, call: LogCall, loop: Loop | None) -> Finding:
    level = logging.getLevelName(call.level)
    return Finding(
        code=CODE,
        name=NAME,
        severity=_severity(case, call, loop),
        confidence="high" if loop is not None else "medium",
        message=(
            f"{place(call.origin)} logs {call.count:,} times to {call.logger} at {level}"
            f"{_words.in_loop(loop)}, {milliseconds(call.duration_ns)} ms in handlers."
        ),
        count=call.count,
        cost=Cost(duration_ns=call.duration_ns),
        origin=call.origin,
        mend=Mend(
            _words.loop_position(loop, call.origin),
            "",
            "Log once behind the loop, with the number of items, or each item at DEBUG.",
        ),
        subject=call.logger,
        evidence={
            "logger": call.logger,
            "level": level,
            "loop": place(loop.at) if loop is not None else "none in the source",
        },
    )


def _severity(case: Case, call: LogCall, loop: Loop | None) -> Severity:
    in_the_way = case.trace.kind != "task" and logging.INFO <= call.level < logging.WARNING
    return "warning" if loop is not None and in_the_way else "info"
