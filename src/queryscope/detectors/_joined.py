"""What the detectors of joins share: how many rows, and bytes, each joined class has and was sent.

A join repeats the parent with each child, and the child with each parent that has it. How often
shows where the rows of each class were told apart while they were loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._results import results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.detectors._results import Result
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query, Read


class Side(NamedTuple):
    """The rows of one path of a join.

    Attributes:
        path: The relations that lead to it, ``""`` for the statement's own class.
        model: Its class.
        rows: Its rows, each once for each row that has it.
        distinct: Different ones among them; None where they were not told apart.
        size: Bytes of a row.
        read_size: Bytes of those columns of a row that were read.
    """

    path: str
    model: str
    rows: int
    distinct: int | None
    size: int
    read_size: int

    @property
    def outer(self) -> str:
        """The path to the rows that have these."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The relation's own name."""
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class Joined:
    """The result of a statement with joins.

    Attributes:
        result: The result.
        rows: Rows that the database sent.
        sides: Its own class first, then those that were joined.
    """

    result: Result
    rows: int
    sides: Sequence[Side]

    @property
    def query(self) -> Query:
        """The statement."""
        return self.result.query

    @cached_property
    def by_path(self) -> dict[str, Side]:
        """Each side by its path."""
        return {side.path: side for side in self.sides}

    @property
    def sent(self) -> int:
        """About how many bytes were sent."""
        return self.rows * sum(side.size for side in self.sides)

    @property
    def collections(self) -> list[Side]:
        """The sides of which some row of the outer side has several."""
        found = []
        for side in self.sides[1:]:
            outer = self.by_path.get(side.outer)
            if outer is not None and outer.distinct is not None and side.rows > outer.distinct:
                found.append(side)
        return found

    def is_read(self, side: Side) -> bool:
        """Tell whether a relation, or something of the rows it leads to, was read."""
        inside = f"{side.path}."
        return any(
            bool(read.read) and f"{read.path}.".startswith(inside)
            if read.path != side.outer
            else side.name in read.read
            for read in self.result.reads
        )


def joins(case: Case) -> Iterator[Joined]:
    """Yield the results that came by joins and of which it is certain what was read."""
    for result in results(case):
        if result.joined and result.own and result.is_read and result.query.rows:
            paths = dict.fromkeys(read.path for read in (*result.own, *result.joined))
            sides = [_side(path, result) for path in paths]
            yield Joined(result, result.query.rows, sides)


def _side(path: str, result: Result) -> Side:
    """Return all classes of one path as one: subclasses have records of their own."""
    reads = [read for read in result.reads if read.path == path]
    rows = sum(read.rows for read in reads)
    counts = [read.distinct for read in reads]
    return Side(
        path,
        reads[0].model,
        rows,
        None if None in counts else sum(count or 0 for count in counts),
        sum(sum(read.sizes) * read.rows for read in reads) // max(rows, 1),
        sum(_read_size(read) * read.rows for read in reads) // max(rows, 1),
    )


def _read_size(read: Read) -> int:
    sizes = zip(read.columns, read.sizes, strict=False)
    return sum(size for name, size in sizes if name in read.read)
