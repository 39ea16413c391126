"""QS202: a loop sends the same SELECT with the same parameters on every turn.

## What it does

Finds one line inside a loop of your source that asks the same question on each turn, while nothing
was written to the tables it reads.

## Why it is bad

    cost = (turns - 1) x (round trip + statement)

## Example

```python
for item in items:
    currency = Setting.objects.get(key="currency").value     # the same on every turn
```

## Use instead

```python
currency = Setting.objects.get(key="currency").value
for item in items: ...
```

A look-up behind a cache that does not cache (a dummy cache in development) shows up here, too.

## Not flagged

- a write to one of the tables, a rollback, or a failed statement in between;
- loops that sleep or wait (polling), `refresh_from_db()`, `get_or_create()`, row locks;
- different parameters (QS102), also when less than half of the turns ask for a key again;
- relations of different parent rows (QS101);
- the same statement from several lines, or from one line without a loop (QS201).

## Settings

- `duplicates_min_statements` (equal statements, 2).
- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

Loop-invariant code motion, as compilers do it, by hand: a query has effects that no compiler may
move. Django, "Understand QuerySet evaluation":
https://docs.djangoproject.com/en/5.2/topics/db/optimization/#understand-queryset-evaluation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors import _again, _loops, _words
from queryscope.detectors._advice import short
from queryscope.detectors._openers import place
from queryscope.detectors.finding import Mend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case

CODE = "QS202"
NAME = "loop-invariant"
THRESHOLDS = _loops.thresholds(_loops.DUPLICATES_MIN_STATEMENTS, _loops.CRITICAL_MIN_COUNT)


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a line that asks the same in each turn of its loop."""
    for again in _again.asked_again(case, "loop"):
        queries = again.queries
        first = queries[0]
        what = short(first.model) or ", ".join(sorted(first.shape.reads))
        loop = again.loop
        yield _loops.finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            confidence="medium",
            message=(
                f"{what} is selected {len(queries)} times with the same statement and parameters"
                f"{_words.in_loop(loop)}."
            ),
            saved=sum(len(run) - 1 for run in again.runs),
            mend=Mend(
                _words.loop_position(loop, first.origin),
                "",
                f"Ask once in front of the loop{f' at {place(loop.at)}' if loop else ''} and use "
                "the result inside.",
            ),
            subject=first.shape.text,
            evidence={"loop": place(loop.at) if loop else "", "runs": len(again.runs)},
        )
