"""What is asked of a DB-API connection, and why a statement could not be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from queryscope.errors import QueryscopeError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Cursor(Protocol):
    """A DB-API cursor, as far as it is used."""

    @property
    def description(self) -> Sequence[Sequence[Any]] | None:
        """The columns of the result."""

    def execute(self, statement: str, parameters: Any = ..., /) -> Any:
        """Send one statement."""

    def fetchall(self) -> Sequence[Any]:
        """Return the rows."""

    def close(self) -> object:
        """Give the cursor back."""


class Connection(Protocol):
    """A DB-API connection of our own, as far as it is used."""

    def cursor(self) -> Any:
        """Return a new cursor."""

    def commit(self) -> object:
        """Keep what the transaction did."""

    def rollback(self) -> object:
        """Undo what the transaction did."""

    def close(self) -> object:
        """End it."""


class CannotExplainError(QueryscopeError):
    """A statement has no plan: the database or its settings refuse, or we do."""


def rows_of(connection: Connection, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """Send a statement of ours and return its rows.

    ``parameters`` go in the driver's own style: ``?`` for sqlite3, ``%s`` for the others.
    """
    cursor = connection.cursor()
    try:
        if parameters:
            cursor.execute(statement, parameters)
        else:
            cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description is not None else []
    finally:
        cursor.close()
