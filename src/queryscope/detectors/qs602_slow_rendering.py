"""QS602: rendering takes most of the request, and it is not the database.

## What it does

Looks at the stages that render: templates of Django and Flask, lazy responses, serializers. It
speaks where their own time, without statements and without waiting for the pool, is most of the
request, over the threshold, and where rows enough were fetched for it to be their number. The time
for one row stands in the evidence: the same in a Trace with more rows, and it grows with them.

## Why it is bad

    cost = rows x time to render one

While a page is rendered a worker is busy, and often a connection is out (QS502).

## Example

```python
return render(request, "bookings.html", {"bookings": Booking.objects.all()})   # 4,000 rows
```

## Use instead

```python
page = Paginator(bookings, 50).get_page(request.GET.get("page"))
```

Pages, fewer fields, `values()` in place of objects, a cached fragment for what seldom changes, or a
faster serializer. A profiler tells which frames take the time; this only tells that they do.

## Not flagged

- rendering below the threshold, or less than half of the request;
- few rows: their number is not what makes it slow;
- time in statements and in waiting for the pool: those have codes of their own;
- what a test renders by itself, where the first template is compiled.

It is an `info`: a clock alone does not tell a slow template from a busy machine.

## Settings

- `slow_rendering_min_ms` (own milliseconds of a rendering stage, 200).
- `slow_rendering_min_percent` (share of the request, 50).
- `slow_rendering_min_rows` (rows fetched before it ended, 50).

## Source

Own time is the stage's wall time less its statements, its waiting for a pool and its inner stages,
all from the Trace's own clocks. 200 ms is what a person notices: Nielsen, "Response Times":
https://www.nngroup.com/articles/response-times-3-important-limits/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._openers import milliseconds, place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.endpoint import endpoint_of
from queryscope.trace.events import NOWHERE, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query, Stage, Trace

CODE = "QS602"
NAME = "slow-rendering"
LOOKS_AT = ("stages",)
THRESHOLDS: Mapping[str, Threshold] = {
    "slow_rendering_min_ms": Threshold(200, "own milliseconds of a stage that renders"),
    "slow_rendering_min_percent": Threshold(50, "its share of the whole, in percent"),
    "slow_rendering_min_rows": Threshold(50, "rows fetched before it ended"),
}


class _Rendering(NamedTuple):
    """An outermost stage that renders, and its own time with that of the stages inside it."""

    stage: Stage
    own_ns: int


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a template or serializer that takes most of the request by itself."""
    trace = case.trace
    if trace.kind == "test":
        return
    by_name: dict[str, list[_Rendering]] = {}
    for rendering in _renderings(trace):
        by_name.setdefault(rendering.stage.name, []).append(rendering)
    for renderings in by_name.values():
        own_ns = sum(item.own_ns for item in renderings)
        if own_ns < case.threshold("slow_rendering_min_ms") * 1e6:
            continue
        if own_ns * 100 < trace.duration_ns * case.threshold("slow_rendering_min_percent"):
            continue
        slowest = max(renderings, key=lambda item: item.own_ns)
        fetched = _fetched_before(trace, slowest.stage)
        rows = sum(query.rows or 0 for query in fetched)
        if rows >= case.threshold("slow_rendering_min_rows"):
            yield _finding(trace, renderings, slowest, fetched, rows)


def _renderings(trace: Trace) -> Iterator[_Rendering]:
    own_ns: dict[int, int] = {}
    above: dict[int, int] = {}
    for stage in trace.stages:  # an outer stage has the smaller number
        top = above.get(stage.parent, -1)
        if top < 0 and stage.kind == "render":
            top = stage.number
        above[stage.number] = top
        if top >= 0:
            own_ns[top] = own_ns.get(top, 0) + stage.own_ns
    for number, found_ns in own_ns.items():
        yield _Rendering(trace.stages[number], found_ns)


def _fetched_before(trace: Trace, stage: Stage) -> list[Query]:
    """Return the SELECTs that were sent before a stage ended."""
    end_ns = stage.start_ns + stage.duration_ns
    return [q for q in trace.queries if q.start_ns < end_ns and q.shape.kind == "select"]


def _finding(
    trace: Trace,
    renderings: Sequence[_Rendering],
    slowest: _Rendering,
    queries: Sequence[Query],
    rows: int,
) -> Finding:
    name = slowest.stage.name
    own_ns = sum(item.own_ns for item in renderings)
    fetched = max(queries, key=lambda query: query.rows or 0, default=None)
    endpoint = endpoint_of(trace)
    origin = NOWHERE
    if fetched is not None and fetched.origin.steps:
        origin = fetched.origin
    elif endpoint is not None:
        origin = Origin((endpoint,))
    evidence: dict[str, str | int | float] = {
        "own_ms": milliseconds(own_ns),
        "rows": rows,
        "own_us_per_row": round(slowest.own_ns / 1_000 / max(rows, 1), 1),
        "share_percent": round(own_ns * 100 / max(trace.duration_ns, 1)),
    }
    if fetched is not None:
        evidence["most rows from"] = place(fetched.origin)
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="medium",
        message=(
            f"The stage {name} takes {milliseconds(own_ns)} ms by itself, "
            f"{evidence['share_percent']} % of the request, after {rows:,} rows were fetched."
        ),
        count=len(renderings),
        cost=Cost(rows=rows, duration_ns=own_ns),
        origin=origin,
        mend=Mend(
            origin.first,
            "",
            "Show a page of the rows, or fewer columns of them; a profiler tells which frames of "
            "the rendering take the time.",
        ),
        subject=name,
        evidence=evidence,
    )
