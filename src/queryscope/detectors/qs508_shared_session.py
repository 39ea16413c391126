"""QS508: one session is used by several threads or tasks at the same time.

## What it does

Finds statements of one ORM session that ran at the same time: in two threads, or in two tasks of
one event loop. It also takes the word of SQLAlchemy and of the drivers, where they noticed it and
refused (`concurrent operations are not permitted`, `another operation is in progress`).

## Why it is bad

A session is one conversation with one connection. Two users of it wait for each other at best;
at worst one commits or rolls back what the other is writing, or reads half of a flush. Where it
goes well for now, it goes well by luck.

    cost = time in which its statements ran side by side, that is waited for one another

## Example

```python
async with AsyncSession(engine) as session:
    await asyncio.gather(*(load(session, key) for key in keys))
```

## Use instead

A session for each task or thread, or one statement for all keys:

```python
async def load(key):
    async with AsyncSession(engine) as session:
        return await session.get(Book, key)
```

## Not flagged

- a session that is handed on: one thread at a time, as when a framework makes the session in one
  thread of its pool, runs the endpoint in another and closes it in a third;
- a session for each thread or task, `scoped_session`;
- one statement inside another of the same thread, such as a generator of parameters that asks;
- Django's connections: Django itself keeps each to its thread. Tests of Django's share one on
  purpose with the live server.

Quick statements seldom meet. Where those of one place come from several threads in turns, back
and forth, confidence is medium.

## Settings

- `shared_session_min_overlaps` (statements that ran beside another of their session, default 1).
- `shared_session_min_turns` (changes of the thread at one place that nobody saw overlap,
  default 4).

## Source

SQLAlchemy, "Is the Session thread-safe? Is AsyncSession safe to share in concurrent tasks?":
https://docs.sqlalchemy.org/en/20/orm/session_basics.html#is-the-session-thread-safe-is-asyncsession-safe-to-share-in-concurrent-tasks
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._openers import place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.events import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Confidence
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query, Trace

CODE = "QS508"
NAME = "shared-session"
LOOKS_AT = ("queries", "error")
THRESHOLDS: Mapping[str, Threshold] = {
    "shared_session_min_overlaps": Threshold(
        1, "Statements that ran at the same time as another one of their session."
    ),
    "shared_session_min_turns": Threshold(
        4, "Changes of thread, back and forth, at one place of one session, without an overlap."
    ),
}
_REFUSED = re.compile(
    r"concurrent operations are not permitted"
    r"|another (operation|command) is (already )?in progress"
    r"|can't be called here; method '[^']*' is already in progress"
    r"|readexactly\(\) called while another coroutine",
)


class _Shared(NamedTuple):
    """Statements of one session that met, and for how long they ran side by side."""

    queries: tuple[Query, ...]
    beside_ns: int
    overlaps: int
    refused: str


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each session that several threads or tasks used at a time."""
    trace = case.trace
    by_session: dict[int, list[Query]] = {}
    for query in trace.queries:
        if query.session is not None and trace.sessions[query.session].framework != "django":
            by_session.setdefault(query.session, []).append(query)
    spoken = False
    for number, queries in by_session.items():
        shared = _met(queries)
        if shared.refused or (
            shared.overlaps and shared.overlaps >= case.threshold("shared_session_min_overlaps")
        ):
            spoken = True
            yield _finding(trace, number, shared, "high")
            continue
        turns = _turns(queries)
        if len(turns) > case.threshold("shared_session_min_turns"):
            yield _finding(trace, number, _Shared(turns, 0, 0, ""), "medium")
    refused = _refusal(trace.error)
    if refused and not spoken:
        yield _finding(trace, None, _Shared((), 0, 0, refused), "high")


def _met(queries: list[Query]) -> _Shared:
    """Return the statements of one session that ran at the same time."""
    met: dict[int, Query] = {}
    beside_ns = overlaps = 0
    running: list[Query] = []
    for query in sorted(queries, key=lambda item: item.start_ns):
        running = [other for other in running if other.end_ns > query.start_ns]
        beside = [other for other in running if _beside(other, query)]
        if beside:
            overlaps += 1
            beside_ns += min(max(other.end_ns for other in beside), query.end_ns) - query.start_ns
            met.update({item.number: item for item in (*beside, query)})
        running.append(query)
    refused = ""
    for query in queries:
        if text := _refusal(query.error):
            refused = text
            met[query.number] = query
    return _Shared(tuple(met[number] for number in sorted(met)), beside_ns, overlaps, refused)


def _beside(first: Query, second: Query) -> bool:
    """Tell whether two statements that overlap were sent by two threads or tasks.

    In one thread, what began later and ended first may have run inside the other: a function of
    the database's that asks, a generator of parameters.
    """
    return first.thread != second.thread or second.end_ns > first.end_ns


def _refusal(error: str | None) -> str:
    return error if error is not None and _REFUSED.search(error) else ""


def _turns(queries: list[Query]) -> tuple[Query, ...]:
    """Return a statement for each turn that two threads or more took at one place, in order."""
    by_place: dict[object, list[Query]] = {}
    for query in queries:
        if query.origin.steps:
            by_place.setdefault(query.origin.steps, []).append(query)
    most: tuple[Query, ...] = ()
    for found in by_place.values():
        turns: list[Query] = []
        back = False
        seen: set[int] = set()
        for query in found:
            if not turns or turns[-1].thread != query.thread:
                back = back or query.thread in seen
                seen.add(query.thread)
                turns.append(query)
        if back and len(turns) > len(most):
            most = tuple(turns)
    return most


def _finding(trace: Trace, number: int | None, shared: _Shared, confidence: Confidence) -> Finding:
    queries = shared.queries
    threads = len({query.thread for query in queries})
    users = f"{threads} threads" if threads > 1 else "several tasks"
    opener = NOWHERE if number is None else trace.sessions[number].opener
    opened = "One session" if opener.first is None else f"The session opened at {place(opener)}"
    if shared.overlaps:
        how = f"{shared.overlaps} of its statements ran beside another one"
    elif shared.refused:
        how = "one was refused"
    else:
        how = f"they changed {len(queries) - 1} times"
    used = next((query.origin for query in queries if query.origin.steps), opener)
    evidence: dict[str, str | int | float] = {"threads": threads, "overlaps": shared.overlaps}
    for place_number, where in enumerate(
        dict.fromkeys(place(query.origin) for query in queries[:20]), 1
    ):
        evidence[f"used_{place_number}"] = where
    if shared.refused:
        evidence["refused"] = shared.refused[:200]
    return Finding(
        code=CODE,
        name=NAME,
        severity="critical" if confidence == "high" else "warning",
        confidence=confidence,
        message=f"{opened} is used by {users} at the same time: {how}.",
        count=max(len(queries), 1),
        cost=Cost(
            statements=len(queries),
            duration_ns=shared.beside_ns,
        ),
        origin=used,
        mend=Mend(
            used.first,
            "",
            "Open a session of its own in each thread or task, or ask for everything in one "
            "statement before they start.",
        ),
        queries=tuple(query.number for query in queries),
        sessions=() if number is None else (number,),
        subject="session",
        evidence=evidence,
    )
