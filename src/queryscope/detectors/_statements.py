"""Findings about how a statement is written: one for each line that sends it, however often."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from queryscope.detectors import _loops
from queryscope.detectors._loops import in_migration
from queryscope.trace.events import Frame
from queryscope.trace.expressions import methods_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from queryscope.detectors.finding import Confidence, Finding, Mend, Severity
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query

_PIECEWISE = frozenset(
    {"aiterator", "iterator", "partitions", "stream", "stream_scalars", "yield_per"}
)


def _any(_: Query) -> bool:
    return True


def by_line(
    case: Case,
    wanted: Callable[[Query], bool] = _any,
    *,
    each: Callable[[Query], bool] = _any,
) -> Iterator[list[Query]]:
    """Yield the SELECTs that are wanted, those of one shape and one place together.

    Args:
        case: The Trace; what a data migration sends is left out.
        wanted: Tells it by the text and the place; asked once for all statements of both.
        each: Tells it by what differs from one to the next, such as rows.
    """
    found: dict[object, list[Query]] = {}
    for queries in case.repeats.lines:
        first = queries[0]
        kept = [query for query in queries if query.error is None and each(query)]
        if kept and first.shape.kind == "select" and wanted(first):
            found.setdefault((first.shape.text, first.origin.steps), []).extend(kept)
    for kept in found.values():
        if not in_migration(kept[0].origin.steps):
            yield sorted(kept, key=lambda query: query.number)


def finding(
    case: Case,
    queries: list[Query],
    *,
    code: str,
    name: str,
    severity: Severity,
    confidence: Confidence,
    message: str,
    mend: Mend | None,
    subject: str,
    evidence: Mapping[str, str | int | float],
) -> Finding:
    """Return a Finding whose severity does not come from how often a statement was sent.

    Args:
        case: The Trace and the thresholds.
        queries: The statements it explains, in order.
        code: Catalogue code.
        name: Catalogue name.
        severity: How grave it is.
        confidence: How sure it is.
        message: One sentence.
        mend: What to edit.
        subject: The class, or the shape.
        evidence: What carries the verdict.
    """
    made = _loops.finding(
        case,
        queries,
        code=code,
        name=name,
        confidence=confidence,
        message=message,
        saved=0,
        mend=mend,
        subject=subject,
        evidence=evidence,
    )
    return replace(made, severity=severity)


def times(queries: list[Query]) -> str:
    """Return ``""`` for one statement, ``, 3 times`` for more."""
    return "" if len(queries) == 1 else f", {len(queries)} times"


def in_pieces(query: Query) -> bool:
    """Tell whether the line reads the rows in pieces, as far as its source shows."""
    frames = [query.created, *(step for step in query.origin.steps if isinstance(step, Frame))]
    return any(frame is not None and methods_at(frame) & _PIECEWISE for frame in frames[:3])
