"""The repetitions in a Trace, and whose rows they were for: grouped once, asked by detectors.

Nothing is judged here: whether a repetition is worth a word is for the detectors.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.trace.grouping import Grouping
from queryscope.trace.sets import asks_of, members, several

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queryscope.trace.events import Load, Query, Trace
    from queryscope.trace.repeat import Duplicate, Repeat
    from queryscope.trace.sets import Ask, Wanted

MAX_HOPS = 10
"""Loads followed from a row back to the statement that started them all."""
MAX_LOOKED_AT = 200
"""Earlier statements of a class looked at for the one that loaded a row."""


class Parent(NamedTuple):
    """The statement that loaded the rows whose relation was then loaded.

    Attributes:
        query: The statement; of a repeat, its first.
        known_by: ``recorded``; or looked for by the ``class`` of the rows, or by their ``table``
            among the tables that a statement read, as joins bring rows along.
        candidates: How many statements it could be; the latest of them is taken.
    """

    query: Query
    known_by: Literal["recorded", "class", "table"]
    candidates: int

    @property
    def is_sure(self) -> bool:
        """Whether no other statement may have loaded the rows."""
        return self.candidates == 1 and self.known_by != "table"


@dataclass(frozen=True, kw_only=True, eq=False)
class Repeats:
    """What was repeated in one Trace.

    Attributes:
        queries: The Trace's statements.
        sites: What one place asked for at least twice, in order of the first statement.
        duplicates: What was asked at least twice with the same parameters.
    """

    queries: tuple[Query, ...] = ()
    sites: tuple[Repeat, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    _site_of: Mapping[int, int] = field(default_factory=dict)
    _batches: Mapping[tuple[str, str], list[Query]] = field(default_factory=dict)
    _by_model: Mapping[str, list[Query]] = field(default_factory=dict)
    _by_table: Mapping[str, list[Query]] = field(default_factory=dict)
    _states: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    _parents: dict[int, Parent | None] = field(default_factory=dict)

    @classmethod
    def of(cls, trace: Trace) -> Repeats:
        """Group the statements of a Trace; its nested Traces count only for what they wrote."""
        grouping = Grouping(trace)
        sites = grouping.repeats()
        return cls(
            queries=trace.queries,
            sites=sites,
            duplicates=grouping.duplicates(),
            _site_of={query.number: repeat.number for repeat in sites for query in repeat.queries},
            _batches=grouping.batches,
            _by_model=grouping.by_model,
            _by_table=grouping.by_table,
            _states=grouping.states,
        )

    @cached_property
    def sets(self) -> tuple[tuple[Ask, ...], ...]:
        """The sets of rows that two or more statements asked for."""
        return several(self._asks)

    @cached_property
    def members(self) -> tuple[tuple[Ask, Ask], ...]:
        """What was fetched whole, each with an ask for one row of it by its key after that."""
        return members(self._asks)

    @cached_property
    def _asks(self) -> Mapping[Wanted, list[Ask]]:
        return asks_of(self.lines, self._states)

    @cached_property
    def lines(self) -> tuple[tuple[Query, ...], ...]:
        """The statements by text and place, so that what a text says is asked once, not of each.

        A Trace has each origin once, and goes by its identity here: two of equal steps, as only
        Traces made by hand have them, are two places.
        """
        found: dict[tuple[str, int], list[Query]] = {}
        for query in self.queries:
            found.setdefault((query.statement, id(query.origin)), []).append(query)
        return tuple(map(tuple, found.values()))

    @cached_property
    def writes(self) -> tuple[Query, ...]:
        """The statements that write, in order: of most requests there are none."""
        found = [line for line in self.lines if line[0].shape.is_write]
        return tuple(sorted((query for line in found for query in line), key=lambda q: q.number))

    def unchanged(self, earlier: Query, later: Query) -> bool:
        """Tell whether nothing was written between to the tables that ``later`` read.

        False where that cannot be told: for writes and their own SELECTs, and after an error.
        """
        before, after = self._states.get(earlier.number), self._states.get(later.number)
        return before is not None and after is not None and after[1] <= before[0]

    def parent_of(self, query: Query, parents: int = 1) -> Parent | None:
        """Return the statement that loaded the row whose relation ``query`` loaded.

        Light recording on some versions does not know it. Then it is looked for: the latest
        earlier statement, or repeat, that returned at least ``parents`` rows of the row's class.
        """
        load = query.load
        if load is None:
            return None
        number = load.parent_query
        if number is not None and 0 <= number < len(self.queries):
            return Parent(self.queries[number], "recorded", 1)
        found = self._returned(self._by_model.get(load.owner, ()), query, parents)
        if found:
            return Parent(found[0], "class", len(found))
        found = self._returned(self._joining(load), query, parents)
        return Parent(found[0], "table", len(found)) if found else None

    def _joining(self, load: Load) -> Sequence[Query]:
        """Return the statements whose joins may have brought rows of the class along."""
        # Django names tables so unless told otherwise.
        return self._by_table.get(load.owner.replace(".", "_").lower(), ())

    def _returned(self, earlier: Sequence[Query], query: Query, parents: int) -> list[Query]:
        """Return those of ``earlier`` before ``query`` that returned enough rows, latest first."""
        end = bisect_left(earlier, query.number, key=lambda item: item.number)
        own = self._site_of.get(query.number)
        found: dict[int, Query] = {}
        for item in reversed(earlier[max(end - MAX_LOOKED_AT, 0) : end]):
            site = self._site_of.get(item.number)
            if site is None:
                if (item.rows or 0) >= parents:
                    found[-1 - item.number] = item
            elif site != own and self.sites[site].rows >= parents:
                found.setdefault(site, self.sites[site].queries[0])
        return list(found.values())

    def parent(self, repeat: Repeat) -> Parent | None:
        """Return the statement that loaded the rows, for most of the statements of a repeat."""
        if repeat.number not in self._parents:
            self._parents[repeat.number] = self._find_parent(repeat)
        return self._parents[repeat.number]

    def _find_parent(self, repeat: Repeat) -> Parent | None:
        recorded = Counter(
            query.load.parent_query
            for query in repeat.queries
            if query.load is not None
            and query.load.parent_query is not None
            and 0 <= query.load.parent_query < len(self.queries)
        )
        # Of a tree, the statement that loaded its roots, not those that loaded other nodes.
        for query in repeat.queries:
            if len(recorded) > 1:
                recorded.pop(query.number, None)
        if recorded:
            number = recorded.most_common(1)[0][0]
            return Parent(self.queries[number], "recorded", 1)
        return self.parent_of(repeat.queries[0], repeat.parents)

    def repeat_of(self, query: Query) -> Repeat | None:
        """Return the repeat that a statement is part of."""
        index = self._site_of.get(query.number)
        return None if index is None else self.sites[index]

    def outer(self, repeat: Repeat) -> Repeat | None:
        """Return the repeat that loaded the rows of this one: the loop around the loop."""
        parent = self.parent(repeat)
        if parent is None:
            return None
        found = self.repeat_of(parent.query)
        return None if found is repeat else found

    def inner(self, repeat: Repeat) -> Sequence[Repeat]:
        """Return the repeats whose rows were loaded by this one."""
        return self._inner.get(repeat.number, ())

    @cached_property
    def _inner(self) -> Mapping[int, Sequence[Repeat]]:
        found: dict[int, list[Repeat]] = defaultdict(list)
        for repeat in self.sites:
            outer = self.outer(repeat)
            if outer is not None:
                found[outer.number].append(repeat)
        return found

    def is_chain(self, repeat: Repeat) -> bool:
        """Tell whether each row was loaded by the statement before: a walk up, not a fan-out.

        A walk from a row to its parent's parent sends a statement a step, however it is written;
        there are no rows side by side that one statement could serve.
        """
        own = {query.number for query in repeat.queries}
        side_by_side: dict[int | None, set[int | None]] = defaultdict(set)
        recorded = 0
        for query in repeat.queries:
            load = query.load
            if load is None:
                return False
            side_by_side[load.parent_query].add(load.parent)
            recorded += load.parent_query in own
        if side_by_side.keys() == {None}:
            # Not recorded: a class that leads to itself, and no statement has all the rows.
            load = repeat.load
            itself = load is not None and repeat.queries[0].model == load.owner
            one_by_one = all((query.rows or 0) <= 1 for query in repeat.queries)
            return itself and one_by_one and self.parent(repeat) is None
        return recorded >= len(own) - 1 and all(len(rows) == 1 for rows in side_by_side.values())

    def instances(self, repeat: Repeat) -> int:
        """Return how many objects a relation was loaded for, at least.

        An object keeps the relation that it loaded by attribute access, so that each such
        statement is another object, even where a join gave several objects of one row. That
        counts where one statement, or one loop around, loaded them.
        """
        if repeat.operation != "lazy" or repeat.load is None:
            return repeat.parents
        if repeat.load.relation in ("column", "expired"):
            return repeat.parents
        loaders = Counter(query.load.parent_query for query in repeat.queries if query.load)
        outer = self.outer(repeat)
        recorded = len(repeat.queries) - loaders.pop(None, 0)
        if recorded:
            nested = outer is not None and outer.load is not None
            return max(repeat.parents, recorded if nested else max(loaders.values()))
        parent = self.parent(repeat)
        if parent is None:
            return repeat.parents
        rows = outer.rows if outer is not None else parent.query.rows or 0
        return len(repeat.queries) if rows >= len(repeat.queries) else repeat.parents

    def is_tree(self, repeat: Repeat) -> bool:
        """Tell whether some of the rows were loaded by the repeat itself: children of children."""
        own = {query.number for query in repeat.queries}
        return any(q.load is not None and q.load.parent_query in own for q in repeat.queries)

    def rows_side_by_side(self, repeat: Repeat) -> int:
        """Return how many of the parent rows one statement loaded, at most.

        Where that is not recorded, rows of few statements have to share them: of twenty rows from
        two statements, one has loaded ten.
        """
        found: dict[int, set[int | None]] = defaultdict(set)
        for query in repeat.queries:
            if query.load is not None and query.load.parent_query is not None:
                found[query.load.parent_query].add(query.load.parent)
        if found:
            return max(map(len, found.values()))
        parent = self.parent(repeat)
        if parent is None or parent.known_by == "table":
            return 0
        return repeat.parents if parent.is_sure else -(-repeat.parents // self._loaders(repeat))

    def _loaders(self, repeat: Repeat) -> int:
        """Return how many statements may have loaded the parent rows of a repeat."""
        load, last = repeat.load, repeat.queries[-1].number
        if load is None:
            return 1
        earlier = (*self._by_model.get(load.owner, ()), *self._joining(load))
        found = {
            query.number
            for query in earlier
            if query.number < last
            and query.rows
            and self._site_of.get(query.number) != repeat.number
        }
        return max(len(found), 1)

    def prefetched(self, repeat: Repeat) -> Query | None:
        """Return the batch that had loaded the same relation for the same rows before."""
        load = repeat.load
        if load is None:
            return None
        first, last = repeat.queries[0].number, repeat.queries[-1].number
        asked_for = {query.load.parent_query for query in repeat.queries if query.load is not None}
        parent = self.parent(repeat)
        found = []
        served = 0
        for query in self._batches.get((load.owner, load.attribute), ()):
            batch = query.load
            if query.number > last or batch is None:
                continue
            if batch.parent_query is not None and None not in asked_for:
                same = batch.parent_query in asked_for
            else:
                # A batch follows the statement whose rows it is for: not those selected later.
                same = parent is None or parent.query.number < query.number
            if same:
                found.append(query)
                # A subquery load does not know how many rows it serves: all of them.
                served += batch.parents or repeat.parents
        if not found or found[0].number > first or served < repeat.parents:
            return None
        return found[0]

    def hops(self, query: Query) -> tuple[tuple[Load, ...], Query | None]:
        """Return (loads from the outermost to this one, the statement that started them).

        A load of a single row through a manager ends the way: its rows can be joined there. So
        does one that the asker narrowed, since a batch cannot stand in for it.
        """
        loads: list[Load] = []
        seen = {query.number}
        at: Query = query
        while at.load is not None and len(loads) < MAX_HOPS:
            if at.load.relation not in ("column", "expired"):
                loads.insert(0, at.load)
            parent = self._parent_in_path(at)
            if parent is None:
                return tuple(loads), None
            at = parent
            repeated = self.repeat_of(at)
            if at.number in seen or at.load is None or at.load.narrowed:
                break
            if repeated is not None and repeated is self.repeat_of(query):
                break  # a relation from a class to itself
            if at.operation in ("iterate", "values") and repeated is None:
                break
            seen.add(at.number)
        return tuple(loads), at

    def _parent_in_path(self, query: Query) -> Query | None:
        repeated = self.repeat_of(query)
        found = self.parent_of(query) if repeated is None else self.parent(repeated)
        return None if found is None else found.query
