"""Asks a database how it would answer a recorded statement, over a connection of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from queryscope.plans import mariadb, postgresql, sqlite
from queryscope.plans.connection import CannotExplainError
from queryscope.plans.database import TIMEOUT_MS, brief, is_mariadb, transaction
from queryscope.plans.plan import Plan
from queryscope.plans.statement import Statement
from queryscope.plans.values import Values, values_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from queryscope.plans.connection import Connection
    from queryscope.plans.plan import Node
    from queryscope.trace.events import Query

COUNTED_ROWS = 1_000_000
"""Rows counted of a table whose size the database does not know."""
_SIZE_OF: dict[str, Callable[[Connection, str, int], int]] = {
    "sqlite": sqlite.size_of,
    "postgresql": postgresql.size_of,
    "mysql": mariadb.size_of,
}


def explain(
    connection: Connection, query: Query, *, analyze: bool = False, timeout_ms: int = TIMEOUT_MS
) -> Plan:
    """Return the plan of a recorded statement.

    In a read-only transaction of its own, with a time-out, that is rolled back. The statement is
    not run unless ``analyze`` says so, and then only a SELECT.

    Args:
        connection: A connection of ours to the database, with no transaction under way.
        query: The statement.
        analyze: Run it, and say what each step did.
        timeout_ms: How long each question may take, in milliseconds.

    Raises:
        CannotExplainError: It has no plan, or the database does not tell.
    """
    statement = Statement.of(query)
    if analyze and statement.kind != "select":
        raise CannotExplainError("Only a SELECT is run to be analyzed: others would write.")
    try:
        with transaction(
            connection,
            statement.vendor,
            timeout_ms=timeout_ms,
            # MariaDB and MySQL do not even explain a write in a read-only transaction.
            writable=statement.vendor == "mysql" and statement.kind != "select",
        ):
            return planned(connection, statement, analyze=analyze)
    except CannotExplainError:
        raise
    except Exception as error:
        raise CannotExplainError(f"The database does not explain it: {brief(error)}") from error


def planned(
    connection: Connection,
    statement: Statement,
    *,
    analyze: bool = False,
    values: Values | None = None,
) -> Plan:
    """Return the plan of a statement, in the transaction that is under way.

    Args:
        connection: A connection of ours.
        statement: The statement.
        analyze: Run it.
        values: What stands for its parameters; None to look for that.
    """
    if values is None:
        values = values_for(connection, statement)
    raw, roots, cost = _ASK[statement.vendor](connection, statement, values, analyze=analyze)
    size = _SIZE_OF[statement.vendor]
    return Plan(
        vendor=statement.vendor,
        statement=statement.text,
        roots=roots,
        values=values.used,
        cost=cost,
        rows_of={
            source.name: size(connection, source.raw, COUNTED_ROWS)
            for source in set(statement.sources.values())
        },
        analyzed=analyze and statement.vendor != "sqlite",
        raw=raw,
    )


_Answer = tuple[str, "tuple[Node, ...]", float | None]


class _Ask(Protocol):
    def __call__(
        self, connection: Connection, statement: Statement, values: Values, *, analyze: bool
    ) -> _Answer: ...


def _ask_sqlite(
    connection: Connection,
    statement: Statement,
    values: Values,
    *,
    analyze: bool,  # noqa: ARG001 - it would run the statement only
) -> _Answer:
    text = statement.rendered(["?"] * len(statement.slots), doubled=False)
    # SQLite plans without looking at values: NULL stands for those that nobody knows.
    given = [None] * len(statement.slots) if values.of is None else values.of
    raw, roots = sqlite.explained(connection, text, given, statement.sources)
    return raw, roots, None


def _ask_postgresql(
    connection: Connection, statement: Statement, values: Values, *, analyze: bool
) -> _Answer:
    if values.of is None:
        if analyze:
            raise _unknown()
        marks = [f"${n}" for n in range(1, len(statement.slots) + 1)]
        text = statement.rendered(marks, doubled=False)
        return postgresql.generic(connection, text, len(marks))
    return postgresql.explained(connection, format_text(statement), values.of, analyze=analyze)


def _ask_mysql(
    connection: Connection, statement: Statement, values: Values, *, analyze: bool
) -> _Answer:
    if values.of is None:
        raise _unknown()
    return mariadb.explained(
        connection,
        format_text(statement),
        values.of,
        statement.sources,
        analyze=analyze,
        mariadb=is_mariadb(connection),
    )


_ASK: dict[str, _Ask] = {
    "sqlite": _ask_sqlite,
    "postgresql": _ask_postgresql,
    "mysql": _ask_mysql,
}


def format_text(statement: Statement) -> str:
    """Return a statement with ``%s`` for its parameters, as the servers' drivers take it."""
    marks: list[Any] = ["%s"] * len(statement.slots)
    return statement.rendered(marks, doubled=bool(marks))


def _unknown() -> CannotExplainError:
    return CannotExplainError(
        "Its values were not kept, and none can be sampled for some of them. Record with "
        "keep_values = True."
    )
