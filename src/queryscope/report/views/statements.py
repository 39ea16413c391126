"""The statements of a Trace, grouped by shape and origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from queryscope.report import sql
from queryscope.report.text import counted, values, visible
from queryscope.report.views.executions import Execution, Grouping, execution, executions_of
from queryscope.report.views.reading import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queryscope.report.source import StepView
    from queryscope.report.sql import SqlPart
    from queryscope.report.views.executions import Executions
    from queryscope.report.views.reading import Material, Reading
    from queryscope.trace.events import Origin, Query
    from queryscope.trace.shape import Shape

MAX_GROUPS = 300
"""Groups of statements shown of one Trace, the dearest first; the rest is one sum."""
MAX_LAID_OUT_CHARS = 50_000
"""Characters of SQL laid out by the formatter in one report, at 4-40 us each; further statements
are shown as they are."""
MAX_SQL_CHARS = 400_000
"""Characters of SQL in one report; further statements are cut to ``CUT_SQL_CHARS``."""
CUT_SQL_CHARS = 400
MAX_FIRST = 3
"""Single executions of a group that the page shows without a script."""
MAX_VALUE_TEXTS = 6_000
"""Distinct parameters written out in one report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The statements of one shape from one origin."""

    anchor: str
    number: int
    head: str
    kind: str
    text: tuple[SqlPart, ...]
    text_left: int
    text_is_shape: bool
    label: str
    database: str
    vendor: str
    in_list: int
    count: int
    first_start_ns: int
    total_ns: int
    longest_ns: int
    rows: int
    rows_unknown: int
    parameter_sets: int
    errors: int
    steps: tuple[StepView, ...]
    steps_left: int
    created: StepView | None
    codes: tuple[str, ...]
    first: tuple[Execution, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What was left out of a list: how many, and how long they took where that is known."""

    count: int = 0
    queries: int = 0
    total_ns: int = 0


class Statements(NamedTuple):
    """The statements of one Trace: the groups shown, what they leave out, and each statement."""

    groups: tuple[Group, ...]
    rest: Rest
    executions: Executions


class _Accumulated:
    """A group of statements while it grows."""

    __slots__ = ("origin", "queries", "sets", "shape", "total_ns")

    def __init__(self, shape: Shape, origin: Origin) -> None:
        self.shape = shape
        self.origin = origin
        self.queries: list[Query] = []
        self.sets: dict[str, int] = {}
        self.total_ns = 0

    def add(self, query: Query) -> int:
        """Take a statement in, and return the number of its parameters within the group."""
        self.queries.append(query)
        self.total_ns += query.duration_ns
        if not query.parameters_key:
            return -1
        return self.sets.setdefault(query.parameters_key, len(self.sets))


class Grouper:
    """Groups the statements of Trace after Trace, within limits common to one report."""

    def __init__(self, material: Material) -> None:
        """Start with nothing of the limits used up."""
        self.material = material
        self.laid_out_left = MAX_LAID_OUT_CHARS
        self.sql_left = MAX_SQL_CHARS
        self.values_left = MAX_VALUE_TEXTS

    def statements(self, reading: Reading) -> Statements:
        """Return the statements by shape and origin, the dearest first, and each of them."""
        of_query, sets = self._accumulated(reading)
        found = list(dict.fromkeys(of_query))
        found.sort(key=lambda group: (-group.total_ns, group.queries[0].number))
        kept, left = found[:MAX_GROUPS], found[MAX_GROUPS:]
        numbers = {id(group): number for number, group in enumerate(kept)}
        grouping = Grouping(
            group=tuple(numbers.get(id(group), -1) for group in of_query),
            sets=sets,
            kinds=tuple(kind_of(group.shape) for group in kept),
            heads=tuple(self.material.shapes.head(group.shape) for group in kept),
            values=[self._value_texts(group) for group in kept],
        )
        columns = executions_of(reading, grouping)
        codes = _codes_by_query(reading)
        return Statements(
            tuple(
                self._group(reading.key, number, group, codes, columns, grouping.values[number])
                for number, group in enumerate(kept)
            ),
            Rest(
                count=len(left),
                queries=sum(len(group.queries) for group in left),
                total_ns=sum(group.total_ns for group in left),
            ),
            columns,
        )

    def _accumulated(self, reading: Reading) -> tuple[list[_Accumulated], tuple[int, ...]]:
        """Return the group of each statement, and the number of its parameters in it."""
        shapes = self.material.shapes
        origins: dict[int, int] = {}
        equal: dict[Origin, int] = {}
        found: dict[tuple[str, str, int], _Accumulated] = {}
        of_query: list[_Accumulated] = []
        sets: list[int] = []
        for query in reading.trace.queries:
            origin = query.origin
            # Hashing a chain costs microseconds, and statements of one site share it.
            place = origins.get(id(origin))
            if place is None:
                place = origins[id(origin)] = equal.setdefault(origin, len(equal))
            shape = shapes.of(query)
            group = found.get((shape.text, query.database, place))
            if group is None:
                group = found[shape.text, query.database, place] = _Accumulated(shape, origin)
            of_query.append(group)
            sets.append(group.add(query))
        return of_query, tuple(sets)

    def _value_texts(self, group: _Accumulated) -> dict[int, str]:
        """Return the kept parameters of a group by the number of their set."""
        found: dict[int, str] = {}
        if not self.material.values_kept:
            return found
        for query in group.queries:
            if query.parameters is None or not query.parameters_key:
                continue
            number = group.sets[query.parameters_key]
            if number not in found and self.values_left > 0:
                self.values_left -= 1
                found[number] = values(query.parameters)
        return found

    def _group(
        self,
        key: str,
        number: int,
        group: _Accumulated,
        codes: Mapping[int, Sequence[str]],
        columns: Executions,
        texts: Mapping[int, str],
    ) -> Group:
        queries = group.queries
        material = self.material
        longest = max(queries, key=lambda query: query.duration_ns)
        # Values that stand in the text itself are values, too: the shape has none.
        text, left = self._sql(longest.statement if material.values_kept else group.shape.text)
        rows = [query.rows for query in queries if query.rows is not None]
        created = next((query.created for query in queries if query.created), None)
        steps, steps_left = material.steps(group.origin)
        return Group(
            anchor=f"{key}-g{number}",
            number=number,
            head=columns.heads[number],
            kind=columns.kinds[number],
            text=sql.parts(text),
            text_left=left,
            text_is_shape=not material.values_kept,
            label=_label(longest),
            database=visible(longest.database, limit=60),
            vendor=visible(longest.vendor, limit=30),
            in_list=group.shape.in_list,
            count=len(queries),
            first_start_ns=queries[0].start_ns,
            total_ns=group.total_ns,
            longest_ns=longest.duration_ns,
            rows=sum(rows),
            rows_unknown=len(queries) - len(rows),
            parameter_sets=len(group.sets),
            errors=sum(query.error is not None for query in queries),
            steps=steps,
            steps_left=steps_left,
            created=material.sources.step(created) if created else None,
            codes=tuple(
                dict.fromkeys(code for query in queries for code in codes.get(query.number, ()))
            ),
            first=tuple(execution(query.number, columns, texts) for query in queries[:MAX_FIRST]),
        )

    def _sql(self, statement: str) -> tuple[str, int]:
        """Return a statement as it is shown, and the number of characters cut off."""
        limit = sql.MAX_FORMATTED_CHARS if self.sql_left > 0 else CUT_SQL_CHARS
        left = max(len(statement) - limit, 0)
        if not left and self.laid_out_left >= len(statement):
            self.laid_out_left -= len(statement)
            text = sql.laid_out(statement)
        else:
            text = sql.cut(statement, limit)
        self.sql_left -= len(text)
        return text, left


def _codes_by_query(reading: Reading) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for finding in reading.findings:
        for number in finding.queries:
            found.setdefault(number, []).append(visible(finding.code, limit=20))
    return found


def _label(query: Query) -> str:
    """Return what the ORM did: ``lazy Book.publisher``, ``get Publisher``."""
    verb = query.operation.replace("_", " ")
    load = query.load
    if load is not None:
        owner = load.owner.rpartition(".")[2]
        many = f" for {counted(load.parents, 'parent')}" if load.batched else ""
        return visible(f"{verb or 'load'} {owner}.{load.attribute}{many}", limit=160)
    model = query.model.rpartition(".")[2]
    return visible(f"{verb} {model}".strip(), limit=160)
