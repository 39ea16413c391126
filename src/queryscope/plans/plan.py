"""What a database means to do for a statement, as frozen values that are alike for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NodeKind = Literal[
    "table scan",
    "index scan",
    "index search",
    "index only",
    "sort",
    "temporary",
    "join",
    "group",
    "limit",
    "subquery",
    "write",
    "other",
]
ValuesUsed = Literal["kept", "sampled", "generic", "none"]
READS: frozenset[NodeKind] = frozenset({"table scan", "index scan", "index search", "index only"})
"""Kinds of nodes that read a table."""
READS_ALL: frozenset[NodeKind] = frozenset({"table scan", "index scan"})
"""Kinds that read every row of it, or every entry of one of its indexes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One step of a plan.

    Attributes:
        kind: What it does. ``index only`` answers a search from the index alone; a walk along a
            whole index is an ``index scan``, also where it does not touch the table.
        table: The table that it reads or writes, without schema, as the database names it.
        alias: What the statement calls that table; the table's name where it has no other.
        index: The index that it uses; ``PRIMARY`` or ``""`` for the table's own key.
        columns: Columns or expressions that the index is searched by, where the database says.
        condition: What its rows are filtered by after they were read, in the database's words, with
            ``?`` for each value: they are recorded ones, or taken from the tables.
        rows: Rows that the planner expects of it, each time it runs; None where it does not say.
        cost: The planner's cost up to here, in its own unit; None where it has none.
        actual_rows: Rows that it did give, each time it ran, where the statement was run.
        loops: How often it ran, where the statement was run.
        children: The steps it takes its rows from.
        raw: What the database wrote about this step, without its children.
    """

    kind: NodeKind
    table: str = ""
    alias: str = ""
    index: str = ""
    columns: tuple[str, ...] = ()
    condition: str = ""
    rows: float | None = None
    cost: float | None = None
    actual_rows: float | None = None
    loops: float | None = None
    children: tuple[Node, ...] = ()
    raw: str = ""

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, in the order in which they are written."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The plan of one statement.

    Attributes:
        vendor: ``sqlite``, ``postgresql`` or ``mysql`` (which is MariaDB, too).
        statement: The statement that was explained, with its placeholders.
        roots: The outermost steps.
        values: What stood in place of the parameters: those that were ``kept``, others that were
            ``sampled`` from the tables, a ``generic`` plan for any; ``none`` were needed.
        cost: The planner's cost of the whole, in its own unit; None on SQLite.
        rows_of: About how many rows each table of the plan has, by its name in lower case.
        analyzed: The statement was run for it.
        raw: The plan as the database wrote it.
    """

    vendor: str
    statement: str
    roots: tuple[Node, ...]
    values: ValuesUsed = "none"
    cost: float | None = None
    rows_of: Mapping[str, int] = field(default_factory=dict)
    analyzed: bool = False
    raw: str = ""

    def nodes(self) -> Iterator[Node]:
        """Yield every step."""
        for root in self.roots:
            yield from root.walk()

    def rows_in(self, table: str) -> int:
        """Return about how many rows a table has, 0 where that is not known."""
        return self.rows_of.get(table.lower(), 0)
