"""Growth from Traces that were recorded anyway: each line's statements against its parent rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from queryscope.growth.law import LAWS, MIN_SPREAD, SURE_SIZES, Fit, Point, fit
from queryscope.growth.lines import Line, Roots, lines_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queryscope.growth.law import Confidence, Law
    from queryscope.growth.lines import Sent
    from queryscope.trace.events import Query, Trace

TOLERANCE = 0.1
"""Share that counts of real traffic may miss a law by: rows without a parent, keys met before."""
MAX_CANDIDATES = 20
"""Earlier results tried as the size where the ORM does not tell the parent rows."""
_BY_STRUCTURE = 2
"""Distinct parent rows of one Trace from which a load for each row is seen for what it is."""


class Size(NamedTuple):
    """What a line's statements are counted against.

    Attributes:
        line: The line whose rows are the size; None where no result goes along with the counts.
        known: The ORM tells that these are the parent rows; else they only rise together.
        limited: The outermost statement has a LIMIT: the size ends with the page.
        limit: Rows that it allows, None where that is not known.
    """

    line: Line | None
    known: bool
    limited: bool = False
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """How one line's statements follow a size in recorded Traces.

    Attributes:
        line: The line.
        traces: Traces in which it sent any.
        points: Sizes and statements, one for each Trace that tells both.
        size: What the sizes are.
        law: The law; ``unknown`` where the Traces do not tell.
        confidence: How sure that is.
        evidence: What carries the law, one sentence without a full stop.
        fit: The law of the statements.
        fan_out: Rows for one parent between the size and the root, 1 where there are none.
        sample: One of its statements, of the Trace with the most.
        trace_id: The Trace of the sample.
    """

    line: Line
    traces: int
    points: tuple[Point, ...]
    size: Size
    law: Law
    confidence: Confidence
    evidence: str
    fit: Fit
    fan_out: float
    sample: Query
    trace_id: str

    def at(self, size: int) -> int | None:
        """Return the statements for so many rows of the outermost result; None if unknown."""
        if self.law == "unknown":
            return None
        if self.size.limit is not None:
            size = min(size, self.size.limit)
        return math.ceil(round(self.fit.at(size * self.fan_out), 6))


def law_of(lines: Sequence[Observed]) -> Law:
    """Return the law of an endpoint: that of its line that grows fastest, of those that tell."""
    known = [line.law for line in lines if line.law != "unknown"]
    return max(known, key=LAWS.index, default="unknown")


def observed(traces: Sequence[Trace]) -> tuple[Observed, ...]:
    """Return how the statements of each line follow a size, those that grow fastest first.

    Args:
        traces: Traces of one endpoint. Several sizes among them are what tells; of one size only
            a load for each parent row is seen for what it is.
    """
    sent: list[_Of] = [_Of(trace, lines_of(trace)) for trace in traces]
    roots = Roots()
    names = dict.fromkeys(line for one in sent for line in one.lines)
    found = [_observe(line, sent, roots) for line in names]
    order: dict[Law, int] = {"n*m": 0, "n": 1, "unknown": 2, "1": 3}
    found.sort(key=lambda item: (order[item.law], -max(point.times for point in item.points)))
    return tuple(found)


class _Of(NamedTuple):
    trace: Trace
    lines: Mapping[Line, list[Sent]]

    def rows(self, line: Line) -> int:
        return sum(one.query.rows or 0 for one in self.lines.get(line, ()))


def _observe(line: Line, sent: Sequence[_Of], roots: Roots) -> Observed:
    most = max(sent, key=lambda one: len(one.lines.get(line, ())))
    sample = most.lines[line][-1]
    size = _parent(sample, most, roots)
    if size is None:
        size = _alongside(line, sent)
    points = _points(line, size.line, sent)
    found = fit(points, tolerance=TOLERANCE)
    law, sure, evidence = found.law, found.confidence, found.reason
    fan_out = 1.0
    if law == "unknown" and size.known and len({point.size for point in points}) <= 1:
        repeat = roots.repeats(sample.trace).repeat_of(sample.query)
        parents = 0 if repeat is None else repeat.parents
        # Far fewer loads than rows are one for each target: there may never be more of those.
        whole = all(point.times >= (1 - TOLERANCE) * point.size for point in points)
        if parents >= _BY_STRUCTURE and points and whole:
            law, sure = "n", "medium"
            evidence = f"one for each of {parents} parent rows, at one size only"
            found = Fit(law, sure, evidence, 0.0, points[0].times / points[0].size)
    if size.line is None:
        evidence = "no result of another size goes along with it"
    if law in ("n", "n*m") and not size.known:
        # What rises together may do so for another reason; two points always do.
        if len({point.size for point in points}) < SURE_SIZES:
            law, sure, evidence = "unknown", "low", "rises with a result, at two sizes only"
        elif sure == "high":
            sure = "medium"
    if law == "n" and (fan := roots.fan_out(sample)) is not None:
        relation, fan_out = fan
        law = "n*m"
        evidence = f"{fan_out:.3g} rows of {relation.owner}.{relation.attribute} for each parent"
    if law in ("n", "n*m") and size.limited:
        evidence += "; a LIMIT bounds the rows"
    return Observed(
        line=line,
        traces=sum(line in one.lines for one in sent),
        points=points or (Point(0, len(most.lines[line])),),
        size=size,
        law=law,
        confidence=sure,
        evidence=evidence,
        fit=found,
        fan_out=fan_out,
        sample=sample.query,
        trace_id=sample.trace.id,
    )


def _points(line: Line, size: Line | None, sent: Sequence[_Of]) -> tuple[Point, ...]:
    """Return sizes and counts; Traces that do not have the size's line tell nothing."""
    if size is None:
        return tuple(Point(1, len(one.lines[line])) for one in sent if line in one.lines)
    return tuple(
        Point(rows, len(one.lines.get(line, ()))) for one in sent if (rows := one.rows(size)) > 0
    )


def _parent(sample: Sent, where: _Of, roots: Roots) -> Size | None:
    """Return the line that loaded the rows which a statement was sent for, as the ORM tells."""
    chain = roots.chain(sample)
    if not chain:
        return None
    nearest = chain[0].number
    for line, statements in where.lines.items():
        for one in statements:
            if one.query.number == nearest and one.trace.id == sample.trace.id:
                root = chain[-1]
                return Size(line, known=True, limited=root.shape.limited, limit=root.limit)
    return None


def _alongside(line: Line, sent: Sequence[_Of]) -> Size:
    """Return the earlier result whose rows the counts follow best.

    For counts that never change it is the result whose size changes most: against that they are
    constant. Without any such result nothing can be said.
    """
    here = [one for one in sent if line in one.lines]
    first = here[0]
    start = first.lines[line][0].query.number
    candidates = []
    for other, statements in first.lines.items():
        before = statements[0].query.number < start and len(statements) == 1
        everywhere = all(len(one.lines.get(other, ())) == 1 for one in here)
        is_rows = other.kind == "select" and not other.aggregate
        if other != line and before and everywhere and is_rows:
            candidates.append((other, statements[0].query.shape.limited))
    constant = len({len(one.lines[line]) for one in here}) == 1
    best: tuple[float, Size] | None = None
    for other, limited in candidates[:MAX_CANDIDATES]:
        sizes = [rows for one in here if (rows := one.rows(other)) > 0]
        if not sizes or max(sizes) < MIN_SPREAD * min(sizes):
            continue
        law = fit(_points(line, other, here), tolerance=TOLERANCE).law
        spread = max(sizes) / min(sizes)
        if (law == "1") == constant and law != "unknown" and (best is None or spread > best[0]):
            best = spread, Size(other, known=False, limited=limited)
    if best is not None:
        return best[1]
    if constant:
        own = [rows for one in here if (rows := one.rows(line)) > 0]
        if own and max(own) >= MIN_SPREAD * min(own) and line.kind == "select":
            # Its own result grew while its number stayed.
            return Size(line, known=False)
    return Size(None, known=False)
