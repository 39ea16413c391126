"""QS210: identical requests are answered identically, each time by asking the database.

## What it does

Finds endpoints whose recorded `GET` requests came again with the same path and query, and had the
same body each time. Full recording keeps a keyed digest of each request and of each answer, and
nothing that can be read back. It needs recorded traffic: `queryscope scan` finds it, a single Trace
cannot.

## Why it is bad

    cost = requests but the first x (statements + rendering)

## Example

```python
def prices(request):
    return JsonResponse({"prices": list(Price.objects.values("name", "amount"))})
```

## Use instead

```python
@cache_page(60)
def prices(request): ...
```

Elsewhere `Cache-Control: max-age=60`, or a cache in front, and drop the answer where its tables are
written. How stale it may be is for you to say: the finding tells which of the tables recorded
traffic wrote meanwhile. Who asked is not recorded: an answer that depends on it has to be kept for
each of them, or not at all.

## Not flagged

- answers that differ once, for the same path and query;
- answers that say how they may be kept (`Cache-Control`, `Expires`), bring a cookie, or vary by who
  asks (`Vary: Cookie`);
- other methods, other answers than 200, streams, answers of more than 1 MiB, light recording;
- requests that write; requests without a statement;
- fewer than `cacheable_response_min_requests` identical ones, or too few statements in all.

Every one is an `info`. Its confidence is low where a request said who it was by a cookie or an
authorization.

## Settings

- `cacheable_response_min_requests` (identical requests, 5).
- `cacheable_response_min_statements` (statements that a cache would have spared, 10).

## Source

Five: the first has to be computed anyway, and of five the cache spares 80 %. RFC 9111, "HTTP
Caching": https://www.rfc-editor.org/rfc/rfc9111. Django's cache framework:
https://docs.djangoproject.com/en/5.2/topics/cache/.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._results import size_text
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.detectors.traffic import endpoint_name
from queryscope.trace.endpoint import endpoint_of
from queryscope.trace.events import NOWHERE, Origin
from queryscope.trace.grouping import EVERY_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.detectors.traffic import Traffic
    from queryscope.trace.events import Answer, Query, Trace

CODE = "QS210"
NAME = "cacheable-response"
THRESHOLDS: Mapping[str, Threshold] = {
    "cacheable_response_min_requests": Threshold(5, "identical requests with identical answers"),
    "cacheable_response_min_statements": Threshold(
        10, "statements of one endpoint that a cache would have spared"
    ),
}
_WHO = ("cookie", "authorization", "*")
"""What an answer varies by that depends on who asks."""


class Answered(NamedTuple):
    """One request, its answer, and the statements that made it."""

    trace: Trace
    answer: Answer
    queries: Sequence[Query]


def detect_over(traffic: Traffic) -> Iterator[Finding]:
    """Yield a finding for each endpoint that answers identical requests identically."""
    least = traffic.threshold("cacheable_response_min_requests")
    fewest = traffic.threshold("cacheable_response_min_statements")
    endpoints: dict[str, dict[str, list[Answered]]] = defaultdict(lambda: defaultdict(list))
    for one in _answered(traffic):
        endpoints[endpoint_name(one.trace)][one.answer.asked].append(one)
    for name, asked in endpoints.items():
        same = [group for group in asked.values() if len(group) >= least and _is_same(group)]
        spared = sum(len(one.queries) for group in same for one in group[1:])
        if same and spared >= fewest:
            yield _finding(traffic, name, same, spared)


def _answered(traffic: Traffic) -> Iterator[Answered]:
    """Yield the requests whose answers are known, in order."""
    for outer in traffic.traces:
        for trace in outer.subtree():
            answer = trace.answer
            if trace.kind == "request" and answer is not None:
                queries = [query for part in trace.subtree() for query in part.queries]
                yield Answered(trace, answer, [query for query in queries if query.counts])


def _is_same(group: Sequence[Answered]) -> bool:
    """Tell whether identical requests had one answer, which says nothing of being kept."""
    return len({one.answer.said for one in group}) == 1 and not any(
        one.answer.cache
        or one.answer.sets_cookie
        or _varies(one.answer)
        or not one.queries
        or any(query.shape.is_write for query in one.queries)
        for one in group
    )


def _finding(traffic: Traffic, name: str, same: Sequence[list[Answered]], spared: int) -> Finding:
    every = [one for group in same for one in group]
    example = every[-1]
    at = endpoint_of(example.trace)
    avoidable = [query for group in same for one in group[1:] for query in one.queries]
    tables = frozenset(table for query in avoidable for table in query.shape.reads)
    written = _written(traffic, same, tables)
    known = any(one.answer.credentials for one in every)
    if written:
        stale = f"{', '.join(written)} were written meanwhile, and the answer stayed as it was"
    else:
        stale = "none of its tables was written by recorded traffic meanwhile"
    who = " for each of those who ask" if known else ""
    django = bool(example.trace.attributes.get("view"))
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="low" if known else "medium",
        message=(
            f"{name} gave identical answers to identical requests, {len(every)} in all: kept, they "
            f"would have spared {spared} statements; {stale}."
        ),
        count=len(every),
        cost=Cost(
            statements=sum(len(one.queries) for one in every),
            avoidable=spared,
            rows=sum(query.rows or 0 for query in avoidable),
            duration_ns=sum(query.duration_ns for query in avoidable),
        ),
        origin=NOWHERE if at is None else Origin((at,)),
        mend=Mend(
            at,
            "@cache_page(60)" if django else "Cache-Control: max-age=60",
            f"Keep the answer{who} as long as it may be stale, and drop it where its tables are "
            "written.",
        ),
        queries=tuple(query.number for query in example.queries if query in example.trace.queries),
        subject=name,
        evidence={
            "requests": len(every),
            "different requests": len(same),
            "size of an answer": size_text(example.answer.size_bytes),
            "tables": ", ".join(sorted(tables)),
            "written meanwhile": ", ".join(written) or "none",
            "who asks is told by the request": "yes" if known else "no",
        },
        trace_id=example.trace.id,
    )


def _varies(answer: Answer) -> bool:
    words = answer.vary.lower().replace(",", " ").split()
    return any(word in words for word in _WHO)


def _written(traffic: Traffic, same: Sequence[list[Answered]], tables: frozenset[str]) -> list[str]:
    """Return which tables recorded traffic wrote between the first and the last such request."""
    first = min(group[0].trace.started_at_ns for group in same)
    last = max(group[-1].trace.started_at_ns for group in same)
    found: set[str] = set()
    for trace in traffic.traces:
        if first <= trace.started_at_ns <= last:
            for part in trace.subtree():
                for query in part.queries:
                    writes = query.shape.writes
                    found |= tables if EVERY_TABLE in writes else writes & tables
    return sorted(found)
