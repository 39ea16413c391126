"""The one pass over a Trace that finds its repetitions, linear in the number of statements."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from queryscope.trace.repeat import Duplicate, Repeat
from queryscope.trace.site import fold

if TYPE_CHECKING:
    from queryscope.trace.events import Origin, Query, Trace
    from queryscope.trace.site import Site

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
_SWITCHES = re.compile(
    r"(?:SET(?: SESSION| LOCAL)?|RESET) (?:search_path|SCHEMA|ROLE|SESSION AUTHORIZATION)\b"
    r"|(?:SET(?: SESSION| LOCAL)?|RESET) \w+\.\w+|USE |SELECT set_config\b",
    re.IGNORECASE,
)
"""From here on a name may mean another table, or a policy show other rows: an application of many
tenants changes over like that. Not what a new connection is set up with, such as its time zone."""
_CONTENT_TYPES = frozenset({"django_content_type"})


@dataclass(slots=True)
class _Group:
    """A repeat while it grows."""

    queries: list[Query]
    site: Site
    is_write: bool
    recursive: bool


class Grouping:
    """The tables of the one pass.

    Attributes:
        batches: Loads of one relation for many rows, by its class and name.
        by_model: Statements that returned objects, by their class.
        by_table: Statements that brought rows of several tables, by each of those.
        states: Of each SELECT: changes so far, and the latest of them that concerns its tables.
    """

    def __init__(self, trace: Trace) -> None:
        """Start with empty tables."""
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
        self.states: dict[int, tuple[int, int]] = {}

    def repeats(self) -> tuple[Repeat, ...]:
        """Sort the statements in; return those that one place asked for, twice or more."""
        events = self._events()
        event = 0
        for query in self.trace.queries:
            while event < len(events) and events[event][0] <= query.start_ns:
                self._write(events[event][1])
                event += 1
            self._add(query)
        found = [group for group in self.groups.values() if len(group.queries) > 1]
        return tuple(self._repeat(group, number) for number, group in enumerate(found))

    def duplicates(self) -> tuple[Duplicate, ...]:
        """Return what was asked twice or more, once ``repeats`` has sorted the statements in."""
        return tuple(self._duplicate(run) for run in self.runs.values() if len(run) > 1)

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
            elif shape.text.startswith("ROLLBACK") or _SWITCHES.match(shape.text):
                self._write(frozenset({EVERY_TABLE}))
            return
        if query.error is not None:
            # What is asked again after an error is a retry.
            self._write(frozenset({EVERY_TABLE}))
            return
        if shape.writes:
            self._write(shape.writes)
        elif not shape.reads and _SWITCHES.match(shape.text):
            self._write(frozenset({EVERY_TABLE}))
            return
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
            version = self._version(shape.reads)
            self.states[query.number] = self.changes, version
            self.runs.setdefault((*asked, parent, version), []).append(query)

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
        questions = len({(query.statement, query.parameters_key) for query in queries})
        return Repeat(
            queries=queries,
            site=group.site,
            operation=first.operation,
            load=None if questions > 1 and _is_about_one_row(queries) else first.load,
            is_write=group.is_write,
            # A walk comes from other depths; cached values that ask each other are no walk.
            recursive=group.recursive and any(item.origin != first.origin for item in queries),
            parents=len(parents),
            questions=questions,
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


def _is_about_one_row(queries: tuple[Query, ...]) -> bool:
    """Tell whether one statement asks for the narrowed relation of one row, again and again."""
    first = queries[0]
    return first.load is not None and all(
        query.load is not None
        and query.load.narrowed
        and query.load.parent is not None
        and query.load.parent == first.load.parent
        and query.shape.text == first.shape.text
        for query in queries
    )
