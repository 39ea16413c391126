"""The statements of a Trace by the line that asked: what is counted, and compared across Traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.trace.endpoint import endpoint_of
from queryscope.trace.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from queryscope.trace.events import Frame, Load, Query, TemplateNode, Trace
    from queryscope.trace.shape import Shape

TO_MANY = frozenset({"reverse", "many_to_many", "generic_reverse"})
"""Relations whose rows may be many for one parent: there a second size comes in."""
UNCOUNTED = frozenset({"transaction", "savepoint", "catalogue"})
"""Kinds of statements that budgets do not count, as ``Query.counts`` has it."""


class Line(NamedTuple):
    """One kind of statement at one place of the user's: what is counted.

    Not the text: a NULL among the values, or a filter that is set for some rows only, would make
    two counts of one loop.

    Attributes:
        place: The line or template tag that asked; who answers the request where only libraries
            did; None where nobody is known.
        kind: ``select``, ``update`` and so on.
        tables: What it reads or writes, in alphabetical order.
        aggregate: ``count``, ``exists`` and so on, ``""`` for rows.
        database: Alias or engine name.
    """

    place: Frame | TemplateNode | None
    kind: str
    tables: tuple[str, ...]
    aggregate: str
    database: str

    @property
    def what(self) -> str:
        """The statement in a few words: ``SELECT count FROM book``.

        Example:
            >>> Line(None, "select", ("book",), "count", "default").what
            'SELECT count FROM book'
        """
        tables = ", ".join(self.tables)
        if self.kind == "select":
            return " ".join(filter(None, ("SELECT", self.aggregate, tables and f"FROM {tables}")))
        return f"{self.kind.upper()} {tables}".rstrip()


class Sent(NamedTuple):
    """A statement, and the Trace that it is in."""

    trace: Trace
    query: Query


def lines_of(
    trace: Trace, shape_of: Callable[[Query], Shape] | None = None
) -> Mapping[Line, list[Sent]]:
    """Return the statements of a Trace and of those nested in it, by line, in order.

    Transaction, savepoint and catalogue statements are left out, as budgets leave them out.

    Args:
        trace: A finished Trace.
        shape_of: Gives the shape of a statement, for a caller that has read it already: those of
            long statements are not cached.
    """
    found: dict[Line, list[Sent]] = {}
    shape_of = shape_of or _Shapes().of
    for part in trace.subtree():
        answers: Frame | None = None
        asked = False
        for query in part.queries:
            shape = shape_of(query)
            if shape.kind in UNCOUNTED:
                continue
            place = query.origin.first
            if place is None:
                if not asked:
                    asked, answers = True, endpoint_of(part)
                place = answers
            tables = tuple(sorted(shape.writes or shape.reads))
            line = Line(place, shape.kind, tables, shape.aggregate, query.database)
            found.setdefault(line, []).append(Sent(part, query))
    return found


class _Shapes:
    """The shapes of some statements, each distinct text read once."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, str], Shape] = {}

    def of(self, query: Query) -> Shape:
        """Return the shape of a statement."""
        found = self._shapes.get((query.statement, query.vendor))
        if found is None:
            found = self._shapes[query.statement, query.vendor] = query.shape
        return found


class Roots:
    """Finds the statements whose rows a statement was sent for, in some Traces."""

    def __init__(self) -> None:
        """Group nothing yet; each Trace is grouped once, when it is asked about."""
        self._repeats: dict[str, Repeats] = {}

    def repeats(self, trace: Trace) -> Repeats:
        """Return the repeats of a Trace."""
        found = self._repeats.get(trace.id)
        if found is None:
            found = self._repeats[trace.id] = Repeats.of(trace)
        return found

    def chain(self, sent: Sent) -> tuple[Query, ...]:
        """Return the statements that loaded the parent rows, the nearest first.

        Empty where the ORM filled no relation or the parent is not known.
        """
        repeats = self.repeats(sent.trace)
        found: list[Query] = []
        seen = {sent.query.number}
        at = sent.query
        while at.load is not None:
            repeat = repeats.repeat_of(at)
            parent = repeats.parent_of(at) if repeat is None else repeats.parent(repeat)
            if parent is None or parent.query.number in seen or not parent.is_sure:
                break
            at = parent.query
            seen.add(at.number)
            found.append(at)
        return tuple(found)

    def rows(self, trace: Trace, query: Query) -> int:
        """Return the rows that a statement fetched, with those of the loop that it is part of."""
        repeat = self.repeats(trace).repeat_of(query)
        return (query.rows or 0) if repeat is None else repeat.rows

    def fan_out(self, sent: Sent) -> tuple[Load, float] | None:
        """Return the relation on the way to a statement that brings several rows for one parent.

        Returns:
            What was loaded, and its rows for one parent on average; None where there is none, as
            behind relations that lead to one row.
        """
        repeats = self.repeats(sent.trace)
        for query in self.chain(sent):
            load = query.load
            if load is None or load.relation not in TO_MANY:
                continue
            repeat = repeats.repeat_of(query)
            parents = load.parents if repeat is None or load.batched else repeat.parents
            share = self.rows(sent.trace, query) / max(parents, 1)
            if share > 1:
                return load, share
        return None
