"""The sets of rows that a Trace asked for: which statements filter alike, whatever they select.

``count()`` of a queryset, its first five rows and all of them by name are three statements about
one set. Nothing is judged here. Linear in the number of statements; what a statement filters by
is read once per distinct text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from queryscope.trace.clauses import clauses_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from queryscope.trace.clauses import Clauses, Join, Part
    from queryscope.trace.events import Query

MAX_TEXTS = 50
"""Texts of one shape that are read: one that has more has its values written into it."""
MAX_LOOKED_AT = 10
"""Earlier asks for a set that are looked at for the one that fetched a row."""
_VOLATILE = re.compile(r"\b(rand|random|nextval|uuid\w*|gen_random_uuid|pg_\w*lock\w*) \(")
_BY_KEY = re.compile(r"(?:(?P<table>[\w.]+)\.)?id = \?(?: :: \w+)?")
"""SQLAlchemy names the type of each value for PostgreSQL."""
_FLIPPED = re.compile(r"\? = ([\w.]+)")
KEYS = re.compile(r"on \(? ?(\w+)\.(\w+) = (\w+)\.(\w+) ?\)?")

Condition = tuple[str, tuple[int, ...]]
"""The text of a condition, with the numbers of its parameters."""


class Ask(NamedTuple):
    """One statement about a set.

    Attributes:
        query: The statement.
        clauses: Its clauses; of a count over a subquery those of the subquery.
        probe: ``count`` or ``exists`` where only that was asked, else ``""``.
        limited: Only some of the rows were asked for.
        conditions: What the set is filtered by.
    """

    query: Query
    clauses: Clauses
    probe: str
    limited: bool
    conditions: frozenset[Condition]

    @property
    def whole(self) -> bool:
        """Whether it fetched every row of the set."""
        return not self.probe and not self.limited


class Base(NamedTuple):
    """What a set is taken from, before its conditions."""

    schema: str
    table: str
    joins: tuple[tuple[str, str, str], ...]
    grouping: str
    distinct: bool


class Wanted(NamedTuple):
    """What tells one set from another."""

    database: str
    base: Base
    conditions: frozenset[Condition]


class _Filter(NamedTuple):
    """What one text filters by, before its parameters are known."""

    clauses: Clauses
    probe: str
    limited: bool
    base: Base
    conditions: tuple[tuple[str, int, int], ...]


def asks_of(
    lines: Iterable[Sequence[Query]], states: Mapping[int, tuple[int, int]]
) -> Mapping[Wanted, list[Ask]]:
    """Return the asks for each set in order, but for tables that one statement alone reads.

    Args:
        lines: The statements of a Trace, those of one text and place together.
        states: Of those whose rows could be compared, see ``Repeats.unchanged``.
    """
    candidates = []
    texts: dict[str, set[str]] = defaultdict(set)
    sessions: dict[str, set[int | None]] = defaultdict(set)
    for queries in lines:
        shape = queries[0].shape
        if shape.kind == "select" and shape.reads and not shape.locks:
            candidates.append(queries)
            for table in shape.reads:
                texts[table].add(queries[0].statement)
                sessions[table].update(query.session for query in queries)
    found: dict[Wanted, list[Ask]] = defaultdict(list)
    seen: dict[str, set[str]] = defaultdict(set)
    for queries in candidates:
        first = queries[0]
        shape = first.shape
        if all(len(texts[table]) == len(sessions[table]) == 1 for table in shape.reads):
            continue  # no other statement or session reads what it reads
        seen[shape.text].add(first.statement)
        if len(seen[shape.text]) <= MAX_TEXTS:
            _sort_in(queries, states, found)
    for asks in found.values():
        asks.sort(key=_number)
    return found


def several(asks: Mapping[Wanted, list[Ask]]) -> tuple[tuple[Ask, ...], ...]:
    """Return the sets that two or more statements were about, each with them in order."""
    found = [same for same in asks.values() if len(same) > 1]
    found.sort(key=lambda same: same[0].query.number)
    return tuple(map(tuple, found))


def members(asks: Mapping[Wanted, list[Ask]]) -> tuple[tuple[Ask, Ask], ...]:
    """Return (a set that was fetched whole, an ask for one row of it by its key after that).

    The key is called ``id``, and the row was asked for with columns that the set came with.
    """
    found = []
    for (database, base, conditions), alike in asks.items():
        keys = [one for one in conditions if _is_key(one[0], base)]
        others = asks.get(Wanted(database, base, conditions.difference(keys)))
        if len(keys) != 1 or others is None:
            continue
        for ask in alike:
            columns = set(ask.clauses.columns)
            before = others[: bisect_left(others, ask.query.number, key=_number)]
            for whole in reversed(before[-MAX_LOOKED_AT:]):
                if whole.whole and columns <= set(whole.clauses.columns):
                    found.append((whole, ask))
                    break
    return tuple(found)


def _is_key(condition: str, base: Base) -> bool:
    found = _BY_KEY.fullmatch(condition)
    names = (None, base.table, f"{base.schema}.{base.table}")
    return found is not None and found["table"] in names


def _number(ask: Ask) -> int:
    return ask.query.number


def _sort_in(
    queries: Sequence[Query],
    states: Mapping[int, tuple[int, int]],
    found: dict[Wanted, list[Ask]],
) -> None:
    read = _filter(queries[0])
    if read is None:
        return
    for query in queries:
        if query.number in states:
            conditions = _conditions(query, read)
            key = Wanted(query.database, read.base, conditions)
            found[key].append(Ask(query, read.clauses, read.probe, read.limited, conditions))


def _filter(query: Query) -> _Filter | None:
    clauses = clauses_of(query.statement, query.vendor)
    if clauses is None:
        return None
    asked = clauses.asked
    if not asked.table or _VOLATILE.search(asked.where.text):
        return None
    probe = clauses.probe
    if query.shape.aggregate and not probe:
        return None  # sums and such: neither rows nor how many
    joins = _joins_that_filter(asked)
    parts = [*asked.conjuncts, *(join.part for join in joins)]
    return _Filter(
        clauses=asked,
        probe=probe,
        # exists() asks for one row, and means all.
        limited=asked.limited and probe != "exists",
        base=Base(
            asked.schema,
            asked.table,
            tuple((join.kind, join.schema, join.table) for join in joins),
            asked.grouping.text,
            asked.distinct,
        ),
        conditions=tuple(_as_written(part, asked) for part in parts),
    )


def _joins_that_filter(asked: Clauses) -> list[Join]:
    """Return the joins that decide which rows there are: not those that only bring more along."""
    texts = [asked.where.text, asked.grouping.text]
    kept: list[Join] = []
    for join in reversed(asked.joins):
        mention = re.compile(rf"\b{re.escape(join.alias)}\.")
        if (
            any(map(mention.search, texts))
            or join.part.last > join.part.first
            or not (join.kind == "left" or _is_to_one(join))
        ):
            kept.append(join)
            texts.append(join.part.text)
    return kept


def _is_to_one(join: Join) -> bool:
    """Tell whether a join goes from a foreign key to the row that it names.

    ``select_related`` of a key that is never null is an inner join, and filters nothing.
    """
    found = KEYS.fullmatch(join.part.text)
    if found is None:
        return False
    one, key, other, column = found.groups()
    if other != join.alias:
        one, key, other, column = other, column, one, key
    return other == join.alias and one != join.alias and key.endswith("_id") and column == "id"


def _as_written(part: Part, asked: Clauses) -> tuple[str, int, int]:
    text = part.text
    if asked.alias != asked.table:
        text = re.sub(rf"\b{re.escape(asked.alias)}\.", f"{asked.table}.", text)
    flipped = _FLIPPED.fullmatch(text)
    if flipped is not None:
        text = f"{flipped[1]} = ?"
    return text, part.first, part.last


def _conditions(query: Query, read: _Filter) -> frozenset[Condition]:
    values = query.values
    if not read.conditions:
        return frozenset()
    most = max(last for _, _, last in read.conditions)
    if values is None or len(values) < most:
        # Too many parameters, or none that could be told apart: equal as a whole or not at all.
        return frozenset({(f"{query.statement}\0{query.parameters_key}", ())})
    return frozenset((text, values[first:last]) for text, first, last in read.conditions)
