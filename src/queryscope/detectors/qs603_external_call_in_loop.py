"""QS603: a loop sends an HTTP request for each item.

## What it does

Finds one place inside a loop of your source that asks another service once per item, one request
after the other. Requests of `http.client` (urllib, urllib3, requests, botocore) and of httpx are
recorded in full recording: host, time and place, nothing else of the URL.

## Why it is bad

    cost = items x (round trip + the service's own time)

A request over a network takes 10 to 500 ms; twenty of them are seconds, during which a worker, and
often a database connection, waits.

## Example

```python
for booking in bookings:
    weather = requests.get(f"https://weather.example.com/{booking.city}").json()
```

## Use instead

```python
weather = requests.get("https://weather.example.com/", params={"cities": cities}).json()

with ThreadPoolExecutor(8) as pool:                  # where the service takes one at a time
    weather = list(pool.map(fetch, cities))
```

What the response does not need belongs into a task; what seldom changes, into a cache.

## Not flagged

- requests that overlap in time: they are sent together already;
- `while` loops: pages that name the next one, and polling; loops that sleep;
- retries, and requests that failed;
- calls from several lines, without a loop;
- loops of a test.

A loop of constant length (three services) is an `info`, and so are scripts and tasks, where nobody
waits.

## Settings

- `external_call_in_loop_min_calls` (requests): 2 in tests, 3 in development, 5 in production.
- `critical_min_count` (requests, 10): from here on the finding is critical.

## Source

RFC 9110, "HTTP Semantics": a request is a round trip, whatever it asks:
https://www.rfc-editor.org/rfc/rfc9110.html#name-introduction.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from queryscope.detectors import _loops, _words
from queryscope.detectors._openers import milliseconds, place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.loops import enclosing_loop
from queryscope.trace.site import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.detectors.finding import Severity
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import ExternalCall
    from queryscope.trace.loops import Loop
    from queryscope.trace.site import Site

CODE = "QS603"
NAME = "external-call-in-loop"
LOOKS_AT = ("external_calls",)
THRESHOLDS: Mapping[str, Threshold] = {
    "external_call_in_loop_min_calls": Threshold(
        {"tests": 2, "development": 3, "production": 5},
        "HTTP requests that one loop sends, one after the other",
    ),
    **_loops.thresholds(_loops.CRITICAL_MIN_COUNT),
}
_OVER_ITEMS = frozenset({"for", "comprehension", "call", "template"})
_MAX_HOSTS = 3
"""Hosts named in a message."""


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a place that sends a request per item."""
    least = case.threshold("external_call_in_loop_min_calls")
    sites: dict[Site, list[ExternalCall]] = {}
    for call in case.trace.external_calls:
        if call.error is None and call.origin.steps:
            sites.setdefault(fold(call.origin)[0], []).append(call)
    for calls in sites.values():
        if len(calls) < least or _together(calls):
            continue
        loop = enclosing_loop(calls[0].origin)
        if loop is None or loop.kind not in _OVER_ITEMS or loop.waits or loop.once:
            continue
        if not _loops.is_of_test(case, loop):
            yield _finding(case, calls, loop)


def _together(calls: Sequence[ExternalCall]) -> bool:
    """Tell whether most requests were sent before the one before was answered."""
    ordered = sorted(calls, key=lambda call: call.start_ns)
    overlapping = sum(two.start_ns < one.end_ns for one, two in pairwise(ordered))
    return 2 * overlapping >= len(ordered) - 1


def _finding(case: Case, calls: Sequence[ExternalCall], loop: Loop) -> Finding:
    duration_ns = sum(call.duration_ns for call in calls)
    hosts = sorted({call.host for call in calls})
    named = (hosts[0] or "a host") if len(hosts) == 1 else f"{len(hosts)} hosts"
    verb = "is" if len(hosts) == 1 else "are"
    return Finding(
        code=CODE,
        name=NAME,
        severity=_severity(case, len(calls), loop),
        confidence="high",
        message=(
            f"{named} {verb} asked {len(calls)} times over HTTP, one request after the "
            f"other{_words.in_loop(loop)}: {milliseconds(duration_ns)} ms."
        ),
        count=len(calls),
        cost=Cost(duration_ns=duration_ns),
        origin=calls[0].origin,
        mend=Mend(
            _words.loop_position(loop, calls[0].origin),
            "",
            "Ask for all items in one request in front of the loop; where the service takes one "
            "at a time, send them together, or from a task after the response.",
        ),
        subject=named if len(hosts) == 1 else "several hosts",
        evidence={
            "hosts": ", ".join(hosts[:_MAX_HOSTS]),
            "loop": place(loop.at),
            "slowest_ms": milliseconds(max(call.duration_ns for call in calls)),
        },
    )


def _severity(case: Case, count: int, loop: Loop) -> Severity:
    if loop.constant or case.trace.kind in ("script", "task"):
        return "info"
    return _loops.severity(case, count, "high")
