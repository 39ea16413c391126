"""QS209: request after request reads the same few rows, which nobody changes.

## What it does

Finds SELECTs that different requests send with the same parameters and that give the same number of
rows each time: configuration, look-up tables, menus. It needs recorded traffic: `queryscope scan`
finds it, a single Trace cannot.

## Why it is bad

    cost = requests x (round trip + statement)

Each is small; there is one in every request, and often before anything else can start.

## Example

```python
def prices(request):
    rates = {rate.code: rate.percent for rate in TaxRate.objects.all()}      # the same all year
```

## Use instead

Keep the answer in the process for some minutes, or in the cache, and drop it where it is changed:

```python
@functools.cache
def tax_rates():
    return {rate.code: rate.percent for rate in TaxRate.objects.all()}
```

What never changes may be a constant of the code.

## Not flagged

- tables that any recorded Trace wrote, and writes whose tables are not known;
- answers whose number of rows differs, and more than `request_constant_max_rows`;
- requests for one and the same path: an identical request may as well have an identical answer;
- counts and other aggregates, relations of a row, locked rows, scripts and tests;
- sessions, log-ins and content types; statements that no line of yours sends;
- a single row behind a WHERE: it may be whoever asks, and the recorded requests all of one user.

Every one is an `info`; with a WHERE its confidence is low.

## Settings

- `request_constant_min_traces` (requests and tasks, 10).
- `request_constant_max_rows` (rows of one answer, 1,000).

## Source

The case of a booking service: configuration read by a query in each request, mended by five minutes
in the process. Django's cache framework: https://docs.djangoproject.com/en/5.2/topics/cache/.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from queryscope.detectors._advice import own_step, position_of, short
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.detectors.traffic import endpoint_name
from queryscope.trace.grouping import EVERY_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.detectors.finding import Confidence
    from queryscope.detectors.traffic import Asked, Traffic

CODE = "QS209"
NAME = "request-constant"
THRESHOLDS: Mapping[str, Threshold] = {
    "request_constant_min_traces": Threshold(10, "requests and tasks that read the same rows"),
    "request_constant_max_rows": Threshold(1_000, "rows that are few enough to be kept"),
}

MIN_SHARE = 0.8
"""Share of an endpoint's requests that send the statement: else it depends on the request."""
MIN_PATHS = 3
"""Paths of one endpoint that are different requests for certain."""
_OF_THE_ACTOR = frozenset({"django_session", "auth_user", "django_content_type", "django_site"})


def detect_over(traffic: Traffic) -> Iterator[Finding]:
    """Yield one finding for each statement and its parameters."""
    groups: dict[tuple[str, str, str], list[Asked]] = defaultdict(list)
    for one in traffic.asked():
        if _may_be_constant(one):
            query = one.query
            groups[query.database, query.statement, query.parameters_key].append(one)
    least = traffic.threshold("request_constant_min_traces")
    most = traffic.threshold("request_constant_max_rows")
    for found in groups.values():
        rows = {one.query.rows for one in found}
        if len({one.trace.id for one in found}) < least or len(rows) > 1:
            continue
        if not 0 < (found[0].query.rows or 0) <= most or _is_written(found[0], traffic):
            continue
        endpoints = _endpoints(found, traffic)
        traces = {one.trace.id for one in found if endpoint_name(one.trace) in endpoints}
        if len(traces) >= least:
            yield _finding(found, len(traces), endpoints)


def _may_be_constant(one: Asked) -> bool:
    shape = one.query.shape
    if one.query.load is not None or shape.aggregate or shape.locks or not shape.reads:
        return False
    if shape.filtered and (one.query.rows or 0) <= 1:
        return False
    return not shape.reads & _OF_THE_ACTOR and own_step(one.query.origin.steps) is not None


def _is_written(one: Asked, traffic: Traffic) -> bool:
    written = traffic.written
    return EVERY_TABLE in written or bool(written & one.query.shape.reads)


def _endpoints(found: Sequence[Asked], traffic: Traffic) -> list[str]:
    """Return the endpoints of which nearly every request asks; none where all are one request."""
    by_endpoint: dict[str, set[str]] = defaultdict(set)
    paths: dict[str, set[str]] = defaultdict(set)
    for one in found:
        name = endpoint_name(one.trace)
        by_endpoint[name].add(one.trace.id)
        paths[name].add(one.trace.attributes.get("path", ""))
    whole = [
        name
        for name, ids in by_endpoint.items()
        if len(ids) > 1 and len(ids) >= MIN_SHARE * len(traffic.endpoints[name])
    ]
    if len(whole) > 1 or any(len(paths[name]) >= MIN_PATHS for name in whole):
        return whole
    return []


def _finding(found: Sequence[Asked], traces: int, endpoints: Sequence[str]) -> Finding:
    example = found[-1]
    query = example.query
    what = short(query.model) or ", ".join(sorted(query.shape.reads))
    confidence: Confidence = "low" if query.shape.filtered else "medium"
    where = endpoints[0] if len(endpoints) == 1 else f"{len(endpoints)} endpoints"
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence=confidence,
        message=(
            f"{what} is read with the same parameters and {query.rows} "
            f"{'row' if query.rows == 1 else 'rows'} by {traces} requests of {where}, "
            "and none writes it."
        ),
        count=len(found),
        cost=Cost(
            statements=len(found),
            avoidable=len(found) - 1,
            rows=sum(one.query.rows or 0 for one in found),
            duration_ns=sum(one.query.duration_ns for one in found),
        ),
        origin=query.origin,
        mend=Mend(
            position_of(query),
            "",
            f"Keep the answer in the process or the cache for some minutes, and drop it where "
            f"{what} is changed.",
        ),
        queries=tuple(one.query.number for one in found if one.part is example.part),
        subject=query.shape.text,
        evidence={"requests": traces, "endpoints": "; ".join(endpoints)},
        trace_id=example.part.id,
    )
