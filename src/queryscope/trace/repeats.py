"""The repetitions in a Trace, grouped once: what one place asked again, what was asked twice.

One pass, linear in the number of statements. Nothing is judged here: whether a repetition is
worth a word is for the detectors.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.trace.events import Frame
from queryscope.trace.source import Loop, enclosing_loop, is_generator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queryscope.trace.events import Load, Origin, Query, TemplateNode, Trace

WRITE_VERBS = frozenset(
    {
        "autoflush",
        "bulk_create",
        "bulk_update",
        "create",
        "delete",
        "flush",
        "m2m_write",
        "save",
        "update",
    }
)
"""Operations that write; SELECTs that they send on the way are part of the write."""
EVERY_TABLE = "*"
"""What a write of unknown tables, a rollback or a failed statement changed."""
NO_OBJECTS = frozenset({"aggregate", "count", "exists", "values"})
"""Verbs of SELECTs that return no objects whose relations could be loaded."""
_CONTENT_TYPES = frozenset({"django_content_type"})
MAX_HOPS = 10
"""Loads followed from a row back to the statement that started them all."""
MAX_TURNS = 50
"""Turns of a loop looked at for the function in which it is."""
MAX_LOOKED_AT = 200
"""Earlier statements of a class looked at for the one that loaded a row."""
_IN_PLACE = re.compile(r"\.<locals>\.<(listcomp|setcomp|dictcomp|genexpr)>$")

Site = tuple["Frame | TemplateNode", ...]
"""A place in the user's code: the steps of an Origin with recursion folded."""


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
class Repeat:
    """Two or more statements of one kind that one place asked for.

    A place is the whole chain of user frames and template nodes: several calls of one helper
    are several places, turns of one loop are one.

    Attributes:
        queries: The statements, in order.
        site: The place, with recursion folded.
        operation: The ORM's verb, the same for all.
        load: What the first of them filled; relation, class and attribute are the same for all.
        is_write: They write, or belong to writes.
        recursive: The place called itself.
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
    _parents: dict[int, Parent | None] = field(default_factory=dict)

    @classmethod
    def of(cls, trace: Trace) -> Repeats:
        """Group the statements of a Trace; its nested Traces count only for what they wrote."""
        return _Grouping(trace).repeats()

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
        # Django names tables so unless told otherwise.
        table = load.owner.replace(".", "_").lower()
        found = self._returned(self._by_table.get(table, ()), query, parents)
        return Parent(found[0], "table", len(found)) if found else None

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
        """Return how many of the parent rows one statement loaded, at most."""
        found: dict[int, set[int | None]] = defaultdict(set)
        for query in repeat.queries:
            if query.load is not None and query.load.parent_query is not None:
                found[query.load.parent_query].add(query.load.parent)
        if found:
            return max(map(len, found.values()))
        parent = self.parent(repeat)
        return repeat.parents if parent is not None and parent.is_sure else 0

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


@dataclass(slots=True)
class _Group:
    """A repeat while it grows."""

    queries: list[Query]
    site: Site
    is_write: bool
    recursive: bool


class _Grouping:
    """The tables of the one pass."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.sites: dict[int, tuple[Site, bool]] = {}
        self.folded: dict[Origin, tuple[Site, bool]] = {}
        self.numbers: dict[Site, int] = {}
        self.groups: dict[tuple[object, ...], _Group] = {}
        self.runs: dict[tuple[object, ...], list[Query]] = {}
        self.batches: dict[tuple[str, str], list[Query]] = defaultdict(list)
        self.by_model: dict[str, list[Query]] = defaultdict(list)
        self.by_table: dict[str, list[Query]] = defaultdict(list)
        self.savepoints: list[int] = []
        self.changes = 0
        self.changed: dict[str, int] = {}

    def repeats(self) -> Repeats:
        queries = self.trace.queries
        events = self._events()
        event = 0
        for query in queries:
            while event < len(events) and events[event][0] <= query.start_ns:
                self._write(events[event][1])
                event += 1
            self._add(query)
        found = [group for group in self.groups.values() if len(group.queries) > 1]
        return Repeats(
            queries=queries,
            sites=tuple(self._repeat(group, number) for number, group in enumerate(found)),
            duplicates=tuple(self._duplicate(run) for run in self.runs.values() if len(run) > 1),
            _site_of={
                query.number: number
                for number, group in enumerate(found)
                for query in group.queries
            },
            _batches=self.batches,
            _by_model=self.by_model,
            _by_table=self.by_table,
        )

    def _events(self) -> list[tuple[int, frozenset[str]]]:
        """Return (time, tables changed) of what changed tables other than by our statements."""
        trace = self.trace
        events: list[tuple[int, frozenset[str]]] = []
        undone = [item for item in trace.transactions if item.outcome.startswith("roll")]
        if undone:
            # A session that only read ends with a rollback, too: it took nothing back.
            wrote = {query.transaction for query in trace.queries if query.shape.writes}
            events.extend(
                (item.ended_ns, frozenset({EVERY_TABLE}))
                for item in undone
                if item.ended_ns is not None and item.number in wrote
            )
        for child in trace.children:
            tables: set[str] = set()
            for part in child.subtree():
                for query in part.queries:
                    tables |= query.shape.writes
            if tables:
                end_ns = child.started_at_ns + child.duration_ns - trace.started_at_ns
                events.append((end_ns, frozenset(tables)))
        events.sort(key=lambda item: item[0])
        return events

    def _write(self, tables: frozenset[str]) -> None:
        self.changes += 1
        for table in tables:
            self.changed[table] = self.changes

    def _version(self, reads: frozenset[str]) -> int:
        """Return a number that grows whenever one of the tables is written."""
        changed = self.changed
        if not changed:
            return 0
        latest = changed.get(EVERY_TABLE, 0)
        for table in reads:
            latest = max(latest, changed.get(table, 0))
        return latest

    def _add(self, query: Query) -> None:
        shape = query.shape
        kind = shape.kind
        if kind in ("savepoint", "transaction", "catalogue"):
            if kind == "savepoint" and shape.text.startswith("SAVEPOINT"):
                self.savepoints.append(query.number)
            elif shape.text.startswith("ROLLBACK"):
                self._write(frozenset({EVERY_TABLE}))
            return
        if query.error is not None:
            # What is asked again after an error is a retry.
            self._write(frozenset({EVERY_TABLE}))
            return
        if shape.writes:
            self._write(shape.writes)
        elif shape.reads == _CONTENT_TYPES:
            # Django looks these few rows up once per process and caches them.
            return
        load = query.load
        site, recursive = self._site(query.origin)
        number = self.numbers.setdefault(site, len(self.numbers))
        is_write = bool(shape.writes) or query.operation in WRITE_VERBS
        key: tuple[object, ...]
        if is_write:
            key = (number, query.operation, query.database, True)
        elif load is not None:
            key = (
                number, query.operation, query.database, load.relation, load.owner, load.attribute,
            )  # fmt: skip
            if load.batched:
                self.batches[load.owner, load.attribute].append(query)
        else:
            key = (number, query.operation, query.database, shape.text)
        group = self.groups.get(key)
        if group is None:
            self.groups[key] = _Group([query], site, is_write, recursive)
        else:
            group.queries.append(query)
            group.recursive = group.recursive or recursive
        if is_write:
            return
        if query.operation not in NO_OBJECTS and not shape.aggregate:
            if query.model:
                self.by_model[query.model].append(query)
            if shape.joins or (load is not None and load.batched):
                for table in shape.reads:
                    self.by_table[table].append(query)
        if shape.reads:
            asked = (query.database, query.statement, query.parameters_key)
            parent = load.parent if load is not None else None
            self.runs.setdefault((*asked, parent, self._version(shape.reads)), []).append(query)

    def _site(self, origin: Origin) -> tuple[Site, bool]:
        found = self.sites.get(id(origin))
        if found is None:
            found = self.folded.get(origin)
            if found is None:
                found = self.folded[origin] = fold(origin)
            # The Trace keeps the origin alive, so that the id stays its own.
            self.sites[id(origin)] = found
        return found

    def _repeat(self, group: _Group, number: int) -> Repeat:
        queries = tuple(group.queries)
        first = queries[0]
        parents = {
            query.load.parent
            for query in queries
            if query.load is not None and query.load.parent is not None
        }
        return Repeat(
            queries=queries,
            site=group.site,
            operation=first.operation,
            load=first.load,
            is_write=group.is_write,
            recursive=group.recursive,
            parents=len(parents),
            questions=len({(query.statement, query.parameters_key) for query in queries}),
            isolated=group.is_write and self._isolated(queries),
            number=number,
            everything=self.trace.queries,
        )

    def _isolated(self, queries: tuple[Query, ...]) -> bool:
        """Tell whether a savepoint stands between one write and the next, nearly every time."""
        points = self.savepoints
        if len(points) < len(queries) - 1:
            return False
        between = sum(
            bisect_left(points, one.number) < bisect_left(points, two.number)
            for one, two in pairwise(queries)
        )
        return between >= (len(queries) - 1) * 0.9

    def _duplicate(self, run: list[Query]) -> Duplicate:
        sites: dict[Site, list[Query]] = {}
        for query in run:
            sites.setdefault(self._site(query.origin)[0], []).append(query)
        return Duplicate(tuple(run), {site: tuple(found) for site, found in sites.items()})


def turned_at(
    queries: Sequence[Query], everything: Sequence[Query]
) -> tuple[int, Frame | TemplateNode | None]:
    """Return where control was between the statements of one place.

    A statement of another line that was sent in between shows how far the calls returned: the
    functions further in were left and entered again, so that none of their loops turned. Half of
    the statements or more have to agree.

    Args:
        queries: The statements of one place, in order.
        everything: All statements of the Trace, by number.

    Returns:
        Index of the step of their origin; the other position in the same function, if known.
    """
    found: list[tuple[int, Frame | TemplateNode | None]] = []
    for one, two in pairwise(queries[: MAX_TURNS + 1]):
        furthest: tuple[int, Frame | TemplateNode | None] = (0, None)
        if one.number + 1 < two.number <= len(everything):
            for other in (everything[one.number + 1], everything[two.number - 1]):
                if other.thread == two.thread == one.thread:
                    way = _parting(two.origin.steps, other.origin.steps)
                    furthest = max(furthest, way, key=_distance)
        found.append(furthest)
    if not found:
        return 0, None
    found.sort(key=_distance)
    start, beside = found[(len(found) - 1) // 2]
    steps = queries[0].origin.steps
    if any(isinstance(step, Frame) and is_generator(step) for step in steps[:start]):
        return 0, None  # suspended, not left
    return start, beside


def _distance(way: tuple[int, Frame | TemplateNode | None]) -> tuple[int, bool]:
    return way[0], way[1] is not None


def _parting(
    steps: Sequence[Frame | TemplateNode], other: Sequence[Frame | TemplateNode]
) -> tuple[int, Frame | TemplateNode | None]:
    """Return (index of the innermost step where both were, where the other was in it)."""
    common = 0
    shorter = min(len(steps), len(other))
    while common < shorter and steps[-1 - common] == other[-1 - common]:
        common += 1
    if common == len(steps):
        return 0, None  # the same place, or one further in
    index = len(steps) - 1 - common
    if common < len(other):
        mine, others = steps[index], other[-1 - common]
        if not isinstance(mine, Frame):
            return index, None  # light recording keeps one tag: its file tells of the loop
        if isinstance(others, Frame) and (mine.file, mine.function) == (
            others.file, others.function,
        ):  # fmt: skip
            return index, others
    return (index + 1, None) if common else (0, None)


def fold(origin: Origin) -> tuple[Site, bool]:
    """Return (the steps of an origin with recursion folded, whether there was any).

    A function that called itself stands once, with its innermost position; a position that is
    active twice in one chain is recursion through others, and stands once. So a walk through a
    tree is one place at every depth.
    """
    steps = origin.steps
    if len(steps) < 2:  # noqa: PLR2004 - nothing to fold
        return steps, False
    kept: dict[Frame | TemplateNode, None] = {}
    recursive = False
    run_of: tuple[str, str] | None = None
    run: set[str] = set()
    for step in steps:
        if not isinstance(step, Frame):
            run_of = None
        else:
            # A comprehension is a function of its own up to Python 3.11, a generator always.
            function = (step.file, _IN_PLACE.sub("", step.function))
            if function == run_of:
                recursive = recursive or step.function in run
                run.add(step.function)
                continue
            run_of, run = function, {step.function}
        recursive = recursive or step in kept
        kept[step] = None
    return tuple(kept), recursive
