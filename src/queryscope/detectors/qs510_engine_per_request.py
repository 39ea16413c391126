"""QS510: an engine is made again for each request.

## What it does

Finds calls of SQLAlchemy's `create_engine` and `create_async_engine` while a request or a task
runs, by a line that had made an engine for the same database before.

## Why it is bad

An engine is its pool and its cache of compiled statements: a new one starts with neither. Each
opens its own connections, with a handshake and a log-in each, and leaves them to the garbage
collector; under load the server runs out of connections, whatever the size of the pool says.

    cost = time for connecting, each time, + compiling every statement anew

## Example

```python
def books(request):
    engine = create_engine(settings.DATABASE_URL)
    with Session(engine) as session:
        ...
```

## Use instead

```python
engine = create_engine(settings.DATABASE_URL)      # once, when the module is imported

def books(request):
    with Session(engine) as session:
        ...
```

## Not flagged

- the first engine of a line: it may be made when it is first needed, and kept;
- an engine for each database, tenant or replica: other URLs are other engines;
- `engine.execution_options(...)`, which shares the pool, and `engine.dispose()`;
- what is made while nothing is recorded: at import time, when a worker starts;
- engines that an extension makes for your application, or without a line of yours; tests, scripts;
- Django's own connections, which need no engine.

With `NullPool` there are no connections to keep: information only.

## Settings

- `engine_per_request_min_before` (engines that the line had made before, default 1).

## Source

SQLAlchemy, "Engine Configuration": the engine is intended to be a module-level object:
https://docs.sqlalchemy.org/en/20/core/connections.html#basic-usage
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors._openers import KINDS, milliseconds, place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.registry import Case
    from queryscope.trace.connections import Engine
    from queryscope.trace.events import Frame, TemplateNode, Trace

CODE = "QS510"
NAME = "engine-per-request"
LOOKS_AT = ("engines",)
THRESHOLDS: Mapping[str, Threshold] = {
    "engine_per_request_min_before": Threshold(
        1, "Engines that a line had made for one database before it made another."
    ),
}


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that makes an engine again."""
    trace = case.trace
    if trace.kind in ("test", "script"):
        return
    by_line: dict[Frame | TemplateNode | None, list[Engine]] = {}
    for engine in trace.engines:
        if engine.opener.steps and engine.before >= case.threshold("engine_per_request_min_before"):
            by_line.setdefault(engine.opener.first, []).append(engine)
    for engines in by_line.values():
        yield _finding(trace, engines)


def _finding(trace: Trace, engines: list[Engine]) -> Finding:
    pools = {engine.pool_number for engine in engines}
    checkouts = [item for item in trace.checkouts if item.pool_number in pools]
    connect_ns = sum(item.connect_ns for item in checkouts)
    first = engines[0]
    made = "an engine" if len(engines) == 1 else f"{len(engines)} engines"
    others = len({engine.name for engine in engines}) - 1
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning" if any(engine.pooled for engine in engines) else "info",
        confidence="high",
        message=(
            f"This {KINDS[trace.kind]} makes {made} for {first.name}{_and_others(others)} at "
            f"{place(first.opener)}, which had made {first.before} before."
        ),
        count=len(engines),
        cost=Cost(duration_ns=connect_ns),
        origin=first.opener,
        mend=Mend(
            first.opener.first,
            "",
            "Make the engine once, when the module is imported or the application starts, and "
            "use it in every request.",
        ),
        checkouts=tuple(item.number for item in checkouts),
        subject=first.name,
        evidence={
            "made_before": first.before,
            "connecting_ms": milliseconds(connect_ns),
            "keeps connections": "yes" if first.pooled else "no",
        },
    )


def _and_others(others: int) -> str:
    """Return the words for databases beside the one that is named: a line may serve many."""
    if not others:
        return ""
    return " and another database" if others == 1 else f" and {others} other databases"
