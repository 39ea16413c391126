"""Whether the rows of a SELECT differ from one another by the keys that the schema has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from queryscope.plans.schema import finds_one, is_unique_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.plans.schema import Schema, Table
    from queryscope.trace.clauses import Clauses

_REFERENCE = r"(?:[^\W\d]\w*\.)*[^\W\d]\w*"
_SHOWN = re.compile(rf"(?P<column>{_REFERENCE}|(?:[^\W\d]\w*\.)*\*)(?: as \w+| (?!as\b)\w+)?")
_EQUALITY = re.compile(rf"(?P<left>{_REFERENCE}) = (?P<right>{_REFERENCE}|\?|-?\d+|'[^']*')")
_CALL = re.compile(r"(\w+) ?\(")
_ONE_VALUE = frozenset(
    {
        "abs", "avg", "cast", "coalesce", "concat", "count", "date", "date_trunc", "extract",
        "greatest", "in", "least", "left", "length", "lower", "ltrim", "max", "min", "nullif",
        "replace", "right", "round", "rtrim", "substring", "sum", "trim", "trunc", "upper",
    }
)  # fmt: skip
"""Functions that give one value a row. PostgreSQL has others that give several rows."""


class _Column(NamedTuple):
    alias: str
    name: str


class _Equality(NamedTuple):
    """An equality that holds for each row; ``settles`` is whose columns it may settle.

    ``""`` is everybody's: what a LEFT JOIN asks for says nothing of the rows before it.
    """

    left: _Column
    right: _Column | None
    settles: str


def rows_differ(clauses: Clauses, schema: Schema) -> bool:
    """Tell whether no two rows of a SELECT can be alike, its DISTINCT left aside.

    It follows the keys: of each table, the columns that are shown, or that are equal to a value or
    to a column of a row already settled, have to hold a key.

    Args:
        clauses: What the SELECT consists of.
        schema: The keys of its tables.
    """
    tables = dict(_tables(clauses, schema))
    if not tables or clauses.grouping.text or not _gives_one_row_each(clauses, schema.vendor):
        return False
    shown = set(_shown(clauses, tables))
    equalities = list(_equalities(clauses, tables))
    settled: set[str] = set()
    while len(settled) < len(tables):
        more = {
            alias
            for alias, table in tables.items()
            if alias not in settled and _is_settled(alias, table, shown, equalities, settled)
        }
        if not more:
            return False
        settled |= more
    return True


def is_distinct_on(clauses: Clauses) -> bool:
    """Tell whether a SELECT is PostgreSQL's DISTINCT ON, which keeps the first row of several."""
    return clauses.distinct and bool(clauses.columns) and clauses.columns[0].startswith("on (")


def _is_settled(
    alias: str,
    table: Table,
    shown: set[_Column],
    equalities: list[_Equality],
    settled: set[str],
) -> bool:
    seen = {column.name for column in shown if column.alias == alias}
    if is_unique_by(table, frozenset(seen)):
        return True
    equal = {
        mine.name
        for equality in equalities
        for mine, other in (
            (equality.left, equality.right),
            (equality.right, equality.left),
        )
        if mine is not None
        and mine.alias == alias
        and equality.settles in ("", alias)
        and (other is None or other in shown or other.alias in settled)
    }
    # A column that is shown may be NULL in several rows; one that is equal to a value is not.
    filled = {name for name in seen if table.never_null(name)}
    return finds_one(table, frozenset(equal | filled))


def _tables(clauses: Clauses, schema: Schema) -> Iterator[tuple[str, Table]]:
    """Yield the tables by alias; none at all where one of them is not known."""
    named = [(clauses.alias, clauses.table)]
    named += [(join.alias, join.table) for join in clauses.joins]
    if any(join.kind not in ("inner", "left", "cross") for join in clauses.joins):
        return
    found = [(alias, schema.table(name) if name else None) for alias, name in named]
    if len(dict(found)) < len(found) or any(table is None for _, table in found):
        return
    yield from ((alias, table) for alias, table in found if table is not None)


def _gives_one_row_each(clauses: Clauses, vendor: str) -> bool:
    if vendor != "postgresql":
        return True
    calls = {name for column in clauses.columns for name in _CALL.findall(column)}
    return calls <= _ONE_VALUE


def _shown(clauses: Clauses, tables: Mapping[str, Table]) -> Iterator[_Column]:
    """Yield the columns of the select list."""
    for item in clauses.columns:
        match = _SHOWN.fullmatch(item)
        if match is None:
            continue
        *owners, name = match["column"].split(".")
        if name == "*":
            for alias in owners[-1:] or tables:
                if alias in tables:
                    yield from (_Column(alias, c.name.lower()) for c in tables[alias].columns)
            continue
        column = _column(match["column"], tables)
        if column is not None:
            yield column


def _column(text: str, tables: Mapping[str, Table]) -> _Column | None:
    """Return the column that a name means, None where that is not sure."""
    *owners, name = text.split(".")
    if owners:
        return _Column(owners[-1], name) if owners[-1] in tables else None
    having = [alias for alias, table in tables.items() if table.column(name) is not None]
    return _Column(having[0], name) if len(having) == 1 else None


def _equalities(clauses: Clauses, tables: Mapping[str, Table]) -> Iterator[_Equality]:
    for part in clauses.conjuncts:
        yield from _equality(part.text, "", tables)
    for join in clauses.joins:
        text = _bare(join.part.text.removeprefix("on "))
        if " or " in text or " xor " in text or not join.part.text.startswith("on "):
            continue
        for piece in text.split(" and "):
            yield from _equality(piece, "" if join.kind == "inner" else join.alias, tables)


def _equality(text: str, settles: str, tables: Mapping[str, Table]) -> Iterator[_Equality]:
    match = _EQUALITY.fullmatch(_bare(text))
    if match is None:
        return
    left = _column(match["left"], tables)
    if left is None:
        return
    if not re.fullmatch(_REFERENCE, match["right"]):
        yield _Equality(left, None, settles)
        return
    right = _column(match["right"], tables)
    if right is not None:
        yield _Equality(left, right, settles)


def _bare(text: str) -> str:
    """Return a text without the parentheses around it, if the first one closes at its end."""
    while text.startswith("( ") and text.endswith(" )"):
        inner = text[2:-2]
        depth = 0
        for character in inner:
            depth += (character == "(") - (character == ")")
            if depth < 0:
                return text
        text = inner
    return text
