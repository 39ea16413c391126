"""What clones of all kinds of databases have in common: the telling ones are made one by one."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from queryscope.errors import QueryscopeError
from queryscope.plans.connection import rows_of
from queryscope.plans.database import Database, brief
from queryscope.verify.clones.edited import Edited
from queryscope.verify.clones.order import turn_order
from queryscope.verify.clones.recipes import recipes_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from queryscope.plans.connection import Connection
    from queryscope.plans.schema import Schema
    from queryscope.verify.clones.kinds import Kind
    from queryscope.verify.clones.recipes import Recipe
    from queryscope.verify.parts import Clone, Literal

RESTORE_DEADLINE_S = 20.0
"""How long a working copy may be locked by who works on it before it cannot be restored."""


DIGEST_BYTES = 16


class DatabaseError(QueryscopeError):
    """A database cannot be copied, or a copy cannot be changed."""


class CloneSource(ABC):
    """Makes copies of one database, and copies of those with telling changes.

    Attributes:
        vendor: ``sqlite``, ``postgresql`` or ``mysql``.
    """

    vendor: str

    def __init__(self, fixed: Collection[str] = ()) -> None:
        """Say what stays.

        Args:
            fixed: Tables that never change: a copy in the source is as good as they are.
        """
        self._fixed = fixed
        self._schema: Schema | None = None
        self._kinds: dict[str, dict[str, Kind]] = {}

    @abstractmethod
    def pristine(self, deadline_s: float) -> Clone:
        """Copy the user's data once, without writing to it."""

    @abstractmethod
    def copy(self, clone: Clone, name: str) -> Clone:
        """Make a copy to work on."""

    @abstractmethod
    def restore(self, work: Clone, clone: Clone) -> None:
        """Make a working copy equal to a clone again, also with connections open to it."""

    @abstractmethod
    def state(self, clone: Clone) -> dict[str, str]:
        """Return a digest for each table: its number of rows, and its content."""

    def fingerprint(self, clone: Clone) -> str:
        """Return a digest of all that is on a clone; equal ones hold the same."""
        state = repr(sorted(self.state(clone).items()))
        return hashlib.blake2b(state.encode(), digest_size=DIGEST_BYTES).hexdigest()

    @abstractmethod
    def drop(self, clone: Clone) -> None:
        """Remove a clone for good."""

    def telling(self, pristine: Clone, literals: Collection[Literal]) -> Iterator[Clone]:
        """Make the clones that show errors, each when it is asked for; ``as is`` comes first.

        Args:
            pristine: What ``pristine`` returned; it stays as it is.
            literals: What the original and the patched source compare with.

        Raises:
            DatabaseError: One cannot be made.
        """
        for recipe in recipes_for(tuple(literals)):
            clone = self.copy(pristine, recipe.name)
            if recipe.change is None and not recipe.turned:
                yield clone
                continue
            try:
                made = self._changed(clone, pristine, recipe)
            except Exception as error:
                self.drop(clone)
                raise DatabaseError(
                    f"The copy {recipe.name!r} could not be changed: {brief(error)}"
                ) from error
            yield made

    @contextmanager
    def connection(self, clone: Clone) -> Iterator[Connection]:
        """Connect to a clone for a block."""
        with closing(Database.of_url(clone.url).connect(writable=True)) as connection:
            yield connection

    def begin(self, connection: Connection) -> None:
        """Begin a transaction in which constraints speak at once and clocks are UTC."""
        statements = {
            "sqlite": (
                "PRAGMA foreign_keys = OFF",
                "PRAGMA synchronous = OFF",
                "BEGIN IMMEDIATE",
            ),
            "postgresql": ("SET TIME ZONE 'UTC'", "SET CONSTRAINTS ALL IMMEDIATE"),
            "mysql": ("SET time_zone = '+00:00'", "START TRANSACTION"),
        }
        for statement in statements[self.vendor]:
            rows_of(connection, statement)

    def schema_of(self, pristine: Clone) -> Schema:
        """Return the tables, which all clones have alike."""
        if self._schema is None:
            with self.connection(pristine) as connection:
                edited = Edited(connection, self.vendor)
                for table in edited.tables:
                    self._kinds[table.name] = edited.kinds(table)
                self._schema = edited.schema
        return self._schema

    def _changed(self, clone: Clone, pristine: Clone, recipe: Recipe) -> Clone:
        schema = self.schema_of(pristine)
        with self.connection(clone) as connection:
            edited = Edited(connection, self.vendor, schema, self._kinds, self._fixed)
            self.begin(connection)
            if recipe.change is not None:
                recipe.change(edited)
            if self.vendor == "postgresql":
                edited.move_sequences()
            rows_of(connection, "COMMIT")
            if recipe.turned:
                turn_order(edited, descending=recipe.turned == "down")
                rows_of(connection, "COMMIT") if self.vendor == "postgresql" else None
        done = ", ".join(f"{times} {what}" for what, times in edited.done.items())
        return clone._replace(
            changed=f"{recipe.name}: {done or 'nothing to change'}.", skipped=edited.skipped()
        )
