"""What the judge's parts promise each other: who varies requests, makes clones and compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from queryscope.verify.contract import Answer, Difference, Request

Literal = int | float | str
"""A value that source code compares something with."""


class Clone(NamedTuple):
    """A copy of the data.

    Attributes:
        name: Short, unique in a run: ``as is``, ``empty``, ``nulls on every second row``.
        url: Where it is: ``sqlite:////absolute/file``, ``postgresql://...``, ``mysql://...``.
        changed: What was done to it, one sentence; ``""`` for an untouched one.
        skipped: What a constraint forbade, one sentence each.
        at: What the clocks of the application say over it, in seconds since the epoch when it is
            put in place; None for what time it is.
    """

    name: str
    url: str
    changed: str = ""
    skipped: tuple[str, ...] = ()
    at: float | None = None


class Vary(Protocol):
    """``inputs.variants``: recorded requests with edge values."""

    def __call__(
        self,
        recorded: Sequence[Request],
        *,
        literals: Collection[Literal] = (),
        headers: Collection[str] = (),
        actors: Collection[str] = (),
        limit: int,
    ) -> tuple[Request, ...]:
        """Return the variants alone, the most telling first, at most ``limit``, always the same.

        Args:
            recorded: What was recorded of one endpoint.
            literals: What the original and the patched source compare with (``literals_of``).
            headers: Names of request headers that the source reads (``headers_read``).
            actors: Names of those who may ask, ``""`` for nobody.
            limit: The largest number of variants.
        """


class Source(Protocol):
    """The ends of a clone's life, one object for each kind of database (``clones.source_of``)."""

    def pristine(self, deadline_s: float) -> Clone:
        """Copy the user's data once, without writing to it; DatabaseError where that fails."""

    def telling(self, pristine: Clone, literals: Collection[Literal]) -> Iterable[Clone]:
        """Make the clones that show errors, each when it is asked for; ``as is`` comes first."""

    def copy(self, clone: Clone, name: str) -> Clone:
        """Make a copy to work on."""

    def restore(self, work: Clone, clone: Clone) -> None:
        """Make a working copy equal to a clone again, also with connections open to it."""

    def state(self, clone: Clone) -> dict[str, str]:
        """Return a digest for each table: its number of rows, and its content."""

    def fingerprint(self, clone: Clone) -> str:
        """Return a digest of all that is on a clone; equal ones hold the same."""

    def drop(self, clone: Clone) -> None:
        """Remove a clone for good; one that is gone already is none to complain of."""


class MakeSource(Protocol):
    """``clones.source_of``: who can clone a database."""

    def __call__(self, url: str, folder: Path, run: str) -> Source:
        """Return the source of a database's clones.

        Args:
            url: The user's database.
            folder: Where files may be written.
            run: The run's name; clones on a server carry it, so that a later run can sweep.
        """


class Differ(Protocol):
    """``compare.differences``: where two answers differ."""

    def __call__(
        self, expected: Answer, got: Answer, *, unstable: Collection[str] = ()
    ) -> tuple[Difference, ...]:
        """Return the differences, the most telling first; unstable paths by type and pattern."""


class FindUnstable(Protocol):
    """``compare.unstable_paths``: what differs between two runs of the same code."""

    def __call__(self, first: Answer, second: Answer) -> frozenset[str]:
        """Return the paths that differ, with ``[*]`` for every index."""
