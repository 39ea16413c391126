"""Recorded statements with what their databases say of them: plans, schemas, indexes tried."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from queryscope.errors import QueryscopeError
from queryscope.plans.alternative import alternative_to
from queryscope.plans.candidates import candidates_for
from queryscope.plans.catalogue import schema_of
from queryscope.plans.connection import CannotExplainError
from queryscope.plans.database import brief, transaction
from queryscope.plans.explain import explain
from queryscope.plans.statement import Statement
from queryscope.plans.trial import Trial, try_indexes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from queryscope.plans.alternative import Alternative
    from queryscope.plans.connection import Connection
    from queryscope.plans.database import Database
    from queryscope.plans.declared import Model
    from queryscope.plans.plan import Plan
    from queryscope.plans.schema import Schema
    from queryscope.trace.events import Query, Trace

MAX_STATEMENTS = 300
"""Different statements that are explained, those that took the most time first."""
STUDIED = frozenset({"select", "update", "delete"})
"""Kinds of statements that are explained without being asked for one by one."""
ANY = ""
"""The name of a database that stands for every one of its vendor."""


class Sent(NamedTuple):
    """One statement of a Trace; ``part`` is the Trace itself, or the one nested in it."""

    trace: Trace
    part: Trace
    query: Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """One statement, and what its database says of it.

    Attributes:
        sent: Each time it was sent, the one that was explained first.
        plan: Its plan, None where there is none.
        refusal: Why there is no plan.
        trial: What came of trying an index for it; None where none was worth it.
        alternative: The same with a join in place of a subquery; None where there is no such text.
        schema: The tables of its database, None where they could not be read.
    """

    sent: tuple[Sent, ...]
    plan: Plan | None = None
    refusal: str = ""
    trial: Trial | None = None
    alternative: Alternative | None = None
    schema: Schema | None = None

    @property
    def query(self) -> Query:
        """The one that was explained."""
        return self.sent[0].query

    @property
    def statement(self) -> Statement:
        """That one, made ready to be read.

        Raises:
            CannotExplainError: It is none that has a plan.
        """
        return Statement.of(self.query)


@dataclass(frozen=True, kw_only=True)
class Study:
    """What databases say of recorded traffic.

    Attributes:
        traces: The Traces, the outermost ones.
        statements: Their statements by shape, those that took the most time first.
        schemas: The tables of each database, by its alias or engine name.
        models: What an ORM's models promise of the tables of each, ``ANY`` where it does not say.
        left_off: Shapes beyond the bound, which were not looked at.
    """

    traces: tuple[Trace, ...] = ()
    statements: tuple[Studied, ...] = ()
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    models: Mapping[str, Sequence[Model]] = field(default_factory=dict)
    left_off: int = 0


def study(
    traces: Iterable[Trace],
    databases: Mapping[str, Database],
    *,
    least_rows: float,
    tries: bool = True,
    models: Mapping[str, Sequence[Model]] | None = None,
) -> Study:
    """Explain the statements of recorded Traces, and try the indexes that may be missing.

    Args:
        traces: The outermost Traces.
        databases: Where each database is, by its alias or engine name; ``ANY`` for those that are
            not named.
        least_rows: Rows from which on a table is worth an index.
        tries: Try indexes on copies.
        models: What an ORM's models promise, by alias; ``ANY`` for every database.
    """
    kept = tuple(traces)
    groups = _by_shape(kept)
    with ExitStack() as stack:
        students: dict[str, _Student] = {}
        studied = []
        for sent in groups[:MAX_STATEMENTS]:
            query = sent[0].query
            if query.database not in students:
                students[query.database] = _Student(
                    database_of(databases, query), stack, least_rows, tries=tries
                )
            studied.append(students[query.database].studied(sent))
    return Study(
        traces=kept,
        statements=tuple(studied),
        schemas={name: one.schema for name, one in students.items() if one.schema is not None},
        models=models or {},
        left_off=max(0, len(groups) - MAX_STATEMENTS),
    )


def database_of(databases: Mapping[str, Database], query: Query) -> Database | None:
    """Return where the database of a statement is; None if nobody said so."""
    found = databases.get(query.database) or databases.get(ANY)
    vendor = "mysql" if query.vendor == "mariadb" else query.vendor
    return found if found is not None and found.vendor == vendor else None


def not_named(query: Query) -> str:
    """Return what is said of a statement whose database nobody named."""
    return (
        f"Nobody said where the {query.vendor} database {query.database!r} is: name it with "
        "--database URL."
    )


def _by_shape(traces: Sequence[Trace]) -> list[tuple[Sent, ...]]:
    """Return the statements of each shape; first the one to explain: with values, and slow."""
    groups: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    for trace in traces:
        for part in trace.subtree():
            for query in part.queries:
                if query.error is None and query.shape.kind in STUDIED:
                    groups[query.database, query.shape.text].append(Sent(trace, part, query))
    for group in groups.values():
        group.sort(key=lambda one: (one.query.parameters is None, -one.query.duration_ns))
    return sorted(
        map(tuple, groups.values()), key=lambda group: -sum(one.query.duration_ns for one in group)
    )


class _Student:
    """Asks one database; why it cannot be asked is said of each statement."""

    def __init__(
        self, database: Database | None, stack: ExitStack, least_rows: float, *, tries: bool
    ) -> None:
        self.database = database
        self.least_rows = least_rows
        self.tries = tries
        self.connection: Connection | None = None
        self.schema: Schema | None = None
        self.refusal = ""
        if database is None:
            return
        try:
            self.connection = stack.enter_context(closing(database.connect()))
            with transaction(self.connection, database.vendor):
                self.schema = schema_of(self.connection, database.vendor)
        except QueryscopeError as error:
            self.refusal = str(error)
        except Exception as error:  # noqa: BLE001 - without the catalogue plans may still be had
            self.refusal = f"The schema cannot be read: {brief(error)}"

    def studied(self, sent: tuple[Sent, ...]) -> Studied:
        query = sent[0].query
        if self.database is None:
            return Studied(sent=sent, refusal=not_named(query))
        if self.connection is None:
            return Studied(sent=sent, refusal=self.refusal)
        try:
            plan = explain(self.connection, query)
        except CannotExplainError as error:
            return Studied(sent=sent, refusal=str(error), schema=self.schema)
        return Studied(
            sent=sent,
            plan=plan,
            trial=self.trial(query, plan),
            alternative=self.alternative(query),
            schema=self.schema,
        )

    def alternative(self, query: Query) -> Alternative | None:
        if self.connection is None or self.schema is None:
            return None
        return alternative_to(self.connection, query, self.schema)

    def trial(self, query: Query, plan: Plan) -> Trial | None:
        if self.database is None or self.schema is None or query.shape.kind != "select":
            return None
        statement = Statement.of(query)
        wanted = candidates_for(statement, plan, self.schema, self.least_rows)
        if wanted and not self.tries:
            table, columns = wanted[0]
            return Trial(table=table, columns=columns, refusal="nobody asked for it")
        return try_indexes(self.database, statement, self.schema, wanted)
