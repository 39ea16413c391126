"""A repetition: statements of one kind that one place asked for, or that were asked again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from queryscope.trace.loops import Loop, enclosing_loop
from queryscope.trace.site import turned_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from queryscope.trace.events import Load, Origin, Query
    from queryscope.trace.site import Site


@dataclass(frozen=True, kw_only=True, eq=False)
class Repeat:
    """Two or more statements of one kind that one place asked for.

    A place is the whole chain of user frames and template nodes: several calls of one helper
    are several places, turns of one loop are one.

    Attributes:
        queries: The statements, in order.
        site: The place, with recursion folded.
        operation: The ORM's verb, the same for all.
        load: What the first of them filled; relation, class and attribute are the same for all.
            None where one statement asks for the relation of one row by other values each time:
            what differs are keys, as in any look-up.
        is_write: They write, or belong to writes.
        recursive: The place called itself, from one depth or another.
        parents: Number of distinct parent rows.
        questions: Number of distinct (statement, parameters).
        isolated: A savepoint was set before nearly every one of them.
        number: Index in ``Repeats.sites``.
        everything: All statements of the Trace, by number.
    """

    queries: tuple[Query, ...]
    site: Site
    operation: str
    load: Load | None
    is_write: bool
    recursive: bool
    parents: int
    questions: int
    isolated: bool
    number: int
    everything: tuple[Query, ...] = ()

    @property
    def origin(self) -> Origin:
        """Where the first of them was asked for."""
        return self.queries[0].origin

    @cached_property
    def loop(self) -> Loop | None:
        """The loop of the user's around the place that turned, if the source shows one."""
        start, beside = turned_at(self.queries, self.everything)
        return enclosing_loop(self.origin, start, beside)

    @property
    def relation(self) -> str:
        """Class and attribute that were loaded, ``library.Book.publisher``, else ``""``."""
        if self.load is None:
            return ""
        return f"{self.load.owner}.{self.load.attribute}".rstrip(".")

    @property
    def name(self) -> str:
        """What it loads in one word: its relation, or verb and class."""
        return self.relation or f"{self.operation or 'statement'} {self.queries[0].model}".strip()

    @property
    def narrowed(self) -> bool:
        """Whether the relation's rows were filtered, ordered, sliced or aggregated."""
        return self.load is not None and self.load.narrowed

    @property
    def rows(self) -> int:
        """Rows fetched or written by all of them."""
        return sum(query.rows or 0 for query in self.queries)

    @property
    def duration_ns(self) -> int:
        """Time spent in all of them."""
        return sum(query.duration_ns for query in self.queries)


class Duplicate(NamedTuple):
    """One statement with the same parameters, asked again with no write to its tables between.

    ``sites`` has the statements by the place that asked, in order of the first.
    """

    queries: tuple[Query, ...]
    sites: Mapping[Site, tuple[Query, ...]]
