"""Growth from runs at stated sizes: how the statements of each line follow the number of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from queryscope.growth.law import EXACT, LAWS, Fit, Point, fit
from queryscope.growth.lines import TO_MANY, Line, Roots, lines_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.growth.law import Law
    from queryscope.growth.lines import Sent
    from queryscope.trace.events import Query, Trace

SELECT_IN_KEYS = 500
"""Keys that one statement of SQLAlchemy's select-in loader asks for
(``SelectInLoader._chunksize``): one statement at 8 rows is 20 at 10,000."""


class Run(NamedTuple):
    """What was recorded with so many rows."""

    size: int
    trace: Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class LineGrowth:
    """How one line's statements follow the size.

    Attributes:
        line: The line.
        times: Its statements in each run.
        rows: Rows that they fetched in each run.
        fit: The law of the statements.
        rows_fit: The law of the rows.
        law: The law, a second size seen: of loops in loops, ``n*m``.
        evidence: What carries the law, one sentence without a full stop.
        sample: One of its statements, of the largest run that has any.
        trace_id: The Trace of the sample.
        limit: Rows that the parent statement's LIMIT allows: the count stops there.
        limited: The parent statement has a LIMIT, of whatever number.
        keys: Of a batch, keys that one statement takes; 0 for all others.
    """

    line: Line
    times: tuple[int, ...]
    rows: tuple[int, ...]
    fit: Fit
    rows_fit: Fit
    law: Law
    evidence: str
    sample: Query
    trace_id: str
    limit: int | None = None
    limited: bool = False
    keys: int = 0
    keys_fit: Fit | None = None

    @property
    def rises(self) -> bool:
        """Whether the largest size sent more statements than every smaller one."""
        return self.times[-1] > max(self.times[:-1])

    def at(self, size: int) -> int:
        """Return how many statements the line would send for so many rows."""
        if self.keys and self.keys_fit is not None:
            # At the sizes of the runs each batch was one statement.
            return round(self.fit.at(size) * max(math.ceil(self.keys_fit.at(size) / self.keys), 1))
        if self.limit is not None:
            size = min(size, self.limit)
        return math.ceil(round(self.fit.at(size), 6))


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How a piece of work follows the size of its data.

    Attributes:
        sizes: Rows of each run, ascending.
        statements: Statements sent in each run.
        lines: Every line that sent any, those that grow fastest first.
    """

    sizes: tuple[int, ...]
    statements: tuple[int, ...]
    lines: tuple[LineGrowth, ...]

    @property
    def law(self) -> Law:
        """The law of the whole: that of the line that grows fastest."""
        return max((line.law for line in self.lines), key=LAWS.index, default="1")

    def at(self, size: int) -> int:
        """Return how many statements would be sent for so many rows."""
        return sum(line.at(size) for line in self.lines)


def growth_of(runs: Sequence[Run], *, tolerance: float = EXACT) -> Growth:
    """Return how the statements of each line follow the size.

    Args:
        runs: Traces of one piece of work, at two different sizes or more; the law of three is
            checked, that of two only drawn.
        tolerance: Share of a count that a law may be off by.

    Raises:
        ValueError: There are fewer than two sizes.
    """
    ordered = sorted(runs, key=lambda run: run.size)
    sizes = tuple(run.size for run in ordered)
    if len(set(sizes)) < 2:  # noqa: PLR2004 - growth is between two
        raise ValueError(f"growth needs runs at two sizes or more, not {sizes}")
    sent = [lines_of(run.trace) for run in ordered]
    roots = Roots()
    names = dict.fromkeys(line for lines in sent for line in lines)
    found = [
        _line(line, sizes, [lines.get(line, []) for lines in sent], roots, tolerance)
        for line in names
    ]
    found.sort(key=lambda item: (-LAWS.index(item.law), -item.fit.at(sizes[-1])))
    return Growth(
        sizes=sizes,
        statements=tuple(sum(map(len, lines.values())) for lines in sent),
        lines=tuple(found),
    )


def _line(
    line: Line,
    sizes: Sequence[int],
    runs: Sequence[Sequence[Sent]],
    roots: Roots,
    tolerance: float,
) -> LineGrowth:
    times = tuple(map(len, runs))
    rows = tuple(sum(one.query.rows or 0 for one in run) for run in runs)
    law_of_times = _fitted(sizes, times, tolerance)
    law = law_of_times.law
    if law == "unknown" and times[-1] <= max(times[:-1]):
        law = "1"  # up and down without rising: what was asked once, or kept in a cache
    sample = next(run[-1] for run in reversed(runs) if run)
    evidence = law_of_times.reason
    chain = roots.chain(sample)
    if law == "n" and (fan := roots.fan_out(sample)) is not None:
        relation, share = fan
        law = "n*m"
        evidence = f"{share:.3g} rows of {relation.owner}.{relation.attribute} for each parent"
    root = chain[-1] if chain else None
    query = sample.query
    batch = query.operation == "select_in" and query.load is not None
    keys = [_keys(run) for run in runs] if batch else []
    return LineGrowth(
        line=line,
        times=times,
        rows=rows,
        fit=law_of_times,
        rows_fit=_fitted(sizes, rows, tolerance),
        law=law,
        evidence=evidence,
        sample=query,
        trace_id=sample.trace.id,
        limit=root.limit if root is not None and law == "n" else None,
        limited=root is not None and root.shape.limited,
        keys=SELECT_IN_KEYS if batch else 0,
        keys_fit=_fitted(sizes, keys, tolerance) if batch else None,
    )


def _fitted(sizes: Sequence[int], counts: Sequence[int], tolerance: float) -> Fit:
    points = (Point(size, count) for size, count in zip(sizes, counts, strict=True))
    return fit(points, tolerance=tolerance)


def _keys(run: Sequence[Sent]) -> int:
    """Return the keys that a batch of one statement asks for: the parents', or distinct targets."""
    if not run:
        return 0
    return max(
        (one.query.load.parents if one.query.load.relation in TO_MANY else one.query.rows or 0)
        for one in run
        if one.query.load is not None
    )
