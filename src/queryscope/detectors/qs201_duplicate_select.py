"""QS201: the same SELECT with the same parameters is sent again.

## What it does

Finds statements that were sent twice or more with equal parameters, from whatever lines, while
nothing was written to the tables they read: the answer was already there. Values are compared by a
keyed digest.

## Why it is bad

    cost = (times - 1) x (round trip + statement)

## Example

```python
def may_edit(request):
    return Account.objects.get(token=request.token).is_editor

def edit(request):
    if may_edit(request):
        account = Account.objects.get(token=request.token)       # asked a second time
```

## Use instead

Ask once and pass the result on, or keep it on the request:

```python
account = Account.objects.get(token=request.token)
if account.is_editor: ...
```

A queryset that is iterated several times keeps its rows: keep the queryset, not its expression.

## Not flagged

- a write to one of the tables, a rollback, or a failed statement in between (retries), also a
  write of a nested Trace;
- another schema, role or tenant in between (`SET search_path`, `SET ROLE`, `USE`);
- `refresh_from_db()`, loops that sleep (polling), `get_or_create()`, `SELECT ... FOR UPDATE`;
- random rows and sequences;
- count and page, `exists()` and the rows: two different statements;
- relations of different parent rows with the same foreign key (QS101 judges those);
- look-ups of content types, catalogue statements, and data migrations.

Duplicates that only library code sent are an `info`; those of a library's template only up to
`critical_min_count`.

## Settings

- `duplicates_min_statements` (equal statements, 2).
- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

Django, "Caching and QuerySets":
https://docs.djangoproject.com/en/5.2/topics/db/queries/#caching-and-querysets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors import _again, _loops
from queryscope.detectors._advice import eager_load, own_step, short
from queryscope.detectors._openers import place
from queryscope.detectors.finding import Mend
from queryscope.trace.endpoint import endpoint_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors._again import Again
    from queryscope.detectors.finding import Confidence, Finding
    from queryscope.detectors.registry import Case

CODE = "QS201"
NAME = "duplicate-select"
THRESHOLDS = _loops.thresholds(_loops.DUPLICATES_MIN_STATEMENTS, _loops.CRITICAL_MIN_COUNT)

MAX_NAMED = 3
"""Places that the message names; the evidence has all of them."""
_LIBRARIES = "library code"
_SESSION_TABLES = frozenset({"django_session"})


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a statement and set of lines that sent it."""
    for again in _again.asked_again(case, "elsewhere"):
        queries = again.queries
        first = queries[0]
        if not any(again.sites) and first.shape.reads <= _SESSION_TABLES:
            continue
        confidence: Confidence = "low" if _by_libraries(case, again) else "high"
        what = short(first.model) or ", ".join(sorted(first.shape.reads))
        places = again.places
        lines = list(dict.fromkeys(map(place, places))) if any(again.sites) else [_LIBRARIES]
        named = lines[:MAX_NAMED]
        if len(lines) > MAX_NAMED:
            named.append(f"{len(lines) - MAX_NAMED} more places")
        enough = f", where {len(again.runs)} would do," if len(again.runs) > 1 else ""
        second = next((q.origin for q in queries[1:] if q.origin != first.origin), first.origin)
        yield _loops.finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            confidence=confidence,
            message=(
                f"{what} is selected {len(queries)} times{enough} with the same statement and "
                f"parameters, from {' and '.join(named)}."
            ),
            saved=sum(len(run) - 1 for run in again.runs),
            mend=_mend(case, again, lines),
            subject=first.shape.text,
            origin=second,
            evidence={"lines": "; ".join(lines), "runs": len(again.runs)},
        )


def _by_libraries(case: Case, again: Again) -> bool:
    """Tell whether no line of the user's asked.

    A library's template that asks ten times and more does so for what the user gave it to show.
    """
    if any(own_step(site) is not None for site in again.sites):
        return False
    few = len(again.queries) < case.threshold(_loops.CRITICAL_MIN_COUNT)
    return few or not any(again.sites)


def _mend(case: Case, again: Again, lines: list[str]) -> Mend:
    """Return how to keep the result, or, for a relation, how to load it with its rows."""
    repeat = case.repeats.repeat_of(again.queries[0])
    if repeat is not None and repeat.operation == "lazy" and repeat.load is not None:
        return eager_load(case.trace, case.repeats, repeat)
    if lines == [_LIBRARIES]:
        endpoint = endpoint_of(case.trace)
        whose = "of yours" if endpoint is None else f"of {endpoint.function}"
        return Mend(None, "", f"Only library code asked: an option {whose} may spare it.")
    return Mend(
        own_step(again.places[::-1]),
        "",
        f"Use the result of {lines[0]} again instead of asking a second time.",
    )
