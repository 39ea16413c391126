"""An index tried, not guessed: built on a copy of the tables, and the statement run with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from queryscope.plans import copies
from queryscope.plans.connection import CannotExplainError
from queryscope.plans.copies import Work
from queryscope.plans.database import brief
from queryscope.plans.explain import planned
from queryscope.plans.values import values_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.plans.candidates import Candidate
    from queryscope.plans.copies import Copy
    from queryscope.plans.database import Database
    from queryscope.plans.schema import Schema
    from queryscope.plans.statement import Statement
    from queryscope.plans.values import Values

RUNS = 5
"""The statement is run so often with and without the index; the shortest time counts."""


FASTER = 0.8
"""The share of the time that is left at most where an index helps; less of a change is noise."""


NO_WORK = Work(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of trying an index.

    Attributes:
        table: The table.
        columns: The columns of the index, in order.
        unit: What work is counted in: ``steps``, ``pages`` or ``rows read``.
        before: What the statement took without the index.
        after: What it took with it.
        used: The database used the index.
        rows: Rows of the table that were copied.
        whole: Every table was copied to its last row.
        refusal: Why it was not tried; the numbers are 0 then.
    """

    table: str
    columns: tuple[str, ...]
    unit: str = ""
    before: Work = NO_WORK
    after: Work = NO_WORK
    used: bool = False
    rows: int = 0
    whole: bool = True
    refusal: str = ""

    @property
    def saved(self) -> float:
        """The share of the work that the index saves; 0.0 if it saves none, or was not tried."""
        if not self.used or not self.before.amount:
            return 0.0
        return max(0.0, 1 - self.after.amount / self.before.amount)

    @property
    def is_better(self) -> bool:
        """Both the work and the time became less: the one alone can lie."""
        return self.saved > 0 and self.after.duration_ns <= FASTER * self.before.duration_ns


def try_indexes(
    database: Database, statement: Statement, schema: Schema, candidates: Sequence[Candidate]
) -> Trial | None:
    """Try indexes one after the other, and return what came of the best; None without any.

    Nothing is written but to a copy that nobody else sees: of SQLite in our memory, else in
    temporary tables of a connection of our own, with their names.

    Args:
        database: Where it is.
        statement: A SELECT.
        schema: Its tables.
        candidates: The indexes.
    """
    if not candidates:
        return None
    try:
        with copies.copied(database, statement, schema) as copy:
            values = _known_values(copy, statement)
            before = _measured(copy, statement, values)
            tried = [_tried(copy, statement, values, one, before) for one in candidates]
    except Exception as error:  # noqa: BLE001 - whatever a database refuses is the reason
        table, columns = candidates[0]
        return Trial(table=table, columns=columns, refusal=brief(error))
    # Of those that save alike the narrowest: an index is paid for with each write.
    return max(tried, key=lambda one: (one.is_better, round(one.saved, 2), -len(one.columns)))


def _known_values(copy: Copy, statement: Statement) -> Values:
    values = values_for(copy.connection, statement)
    if values.of is None:
        raise CannotExplainError(
            "its values were not kept, and none can be sampled for some of them"
        )
    return values


def _tried(
    copy: Copy, statement: Statement, values: Values, candidate: Candidate, before: Work
) -> Trial:
    with copy.index(candidate.table, candidate.columns) as name:
        plan = planned(copy.connection, statement, values=values)
        used = any(node.index == name for node in plan.nodes())
        after = _measured(copy, statement, values) if used else before
    return Trial(
        table=candidate.table,
        columns=candidate.columns,
        unit=copy.unit,
        before=before,
        after=after,
        used=used,
        rows=copy.rows[candidate.table.lower()],
        whole=copy.whole,
    )


def _measured(copy: Copy, statement: Statement, values: Values) -> Work:
    runs = [copy.work(statement, values) for _ in range(RUNS)]
    return Work(min(run.amount for run in runs), min(run.duration_ns for run in runs))
