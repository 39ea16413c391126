"""What the detectors of work left to Python share: results, what is done to them, what is read.

The source says what is done to the rows, and what was read of them says that it was done to all
and what else left. Where one of the two is not known, nothing is yielded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._results import by_place, results
from queryscope.detectors.qs304_large_result import CRITICAL_FACTOR
from queryscope.trace.events import Frame
from queryscope.trace.rework import rework_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors._results import Result
    from queryscope.detectors.finding import Severity
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query
    from queryscope.trace.rework import Kind, Rework

ALL = 0.9
"""Share of the rows on which a column was read, from which on it was read on all: the rows looked
at one by one are a sample."""


class Reworked(NamedTuple):
    """The results of one line, and what was done to them.

    Attributes:
        results: Those of each run.
        rework: What the source does to them.
        rows: Rows that they had.
        read_rows: On about how many of the rows each attribute was read.
    """

    results: list[Result]
    rework: Rework
    rows: int
    read_rows: Mapping[str, int]

    @property
    def query(self) -> Query:
        """The statement of the first run."""
        return self.results[0].query

    @property
    def keys(self) -> frozenset[str]:
        """The columns that the ORM reads for itself."""
        return frozenset(key for result in self.results for key in result.own[0].keys)

    @property
    def duration_ns(self) -> int:
        """Time in the statements."""
        return sum(result.query.duration_ns for result in self.results)


def reworked(case: Case, kind: Kind) -> Iterator[Reworked]:
    """Yield the lines whose rows are filtered, added up or sorted in Python, all of them."""
    for group in by_place([result for result in results(case) if _is_whole(result)]):
        at = group[0].query.origin.first
        rework = rework_of(at) if isinstance(at, Frame) else None
        if rework is None or rework.kind != kind:
            continue
        read_rows: dict[str, int] = {}
        for result in group:
            read = result.own[0]
            for name, rows in zip(read.read, read.read_rows, strict=False):
                read_rows[name] = read_rows.get(name, 0) + rows
        rows = sum(result.own[0].rows for result in group)
        wanted = {_column(name, group) for name in rework.columns}
        if all(wanted <= set(result.own[0].columns) for result in group) and all(
            read_rows.get(name, 0) >= ALL * rows for name in wanted
        ):
            yield Reworked(group, rework, rows, read_rows)


def _column(name: str, group: list[Result]) -> str:
    """Return the column of an attribute: Django calls the key ``pk`` as well."""
    columns = group[0].own[0].columns
    return "id" if name == "pk" and name not in columns and "id" in columns else name


def _is_whole(result: Result) -> bool:
    """Tell whether a result has all rows of one class that there are, and is read."""
    query = result.query
    if query.shape.limited or query.shape.aggregate or query.limit is not None:
        return False
    if query.load is not None and query.load.batched:
        return False  # the rows are for others
    return len(result.own) == 1 and bool(result.own[0].read_rows)


def severity_of(case: Case, rows: int) -> Severity:
    """Return how grave it is to fetch so many rows: as QS304 would, which then is silent."""
    least = case.threshold("large_result_min_rows")
    if rows < least or case.trace.kind in ("script", "task"):
        return "info"
    return "critical" if rows >= CRITICAL_FACTOR * least else "warning"
