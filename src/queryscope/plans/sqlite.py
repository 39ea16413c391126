"""Plans of SQLite: what EXPLAIN QUERY PLAN says, line by line."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Any

from queryscope.plans.connection import rows_of
from queryscope.plans.plan import Node

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queryscope.plans.connection import Connection
    from queryscope.plans.plan import NodeKind
    from queryscope.plans.statement import Source

_READ = re.compile(
    r"""(?P<verb>SCAN|SEARCH)\s(?:TABLE\s)?(?P<name>\S+)(?:\sAS\s(?P<alias>\S+))?
        (?:\sUSING\s(?P<automatic>AUTOMATIC\s)?(?:PARTIAL\s)?(?P<covering>COVERING\s)?
           (?:INDEX\s(?P<index>[^\s(]+)|(?P<key>INTEGER\sPRIMARY\sKEY|PRIMARY\sKEY)|INDEX))?
        \s*(?:\((?P<terms>.*)\))?""",
    re.VERBOSE,
)
_TERM = re.compile(r"([\w.<>]+)\s*(?:=|<|>|IN|LIKE|IS)")
_OTHERS: tuple[tuple[str, NodeKind], ...] = (
    ("USE TEMP B-TREE FOR ORDER BY", "sort"),
    ("USE TEMP B-TREE FOR RIGHT PART OF ORDER BY", "sort"),
    ("USE TEMP B-TREE FOR LAST", "sort"),
    ("USE TEMP B-TREE", "temporary"),
    ("MATERIALIZE", "temporary"),
    ("CORRELATED", "subquery"),
    ("SCALAR SUBQUERY", "subquery"),
    ("LIST SUBQUERY", "subquery"),
    ("CO-ROUTINE", "subquery"),
    ("LEFT-MOST SUBQUERY", "subquery"),
)
_LACKING = re.compile(r"no such (?P<kind>function|collation sequence): (?P<name>\w+)")
MAX_MADE_UP = 20
"""Functions and collations of one statement that are made up."""
_NO_TABLES = {"CONSTANT", "VIRTUAL"}


def explained(
    connection: Connection, text: str, values: Sequence[Any], sources: Mapping[str, Source]
) -> tuple[str, tuple[Node, ...]]:
    """Return what SQLite writes about a statement, and its steps.

    Args:
        connection: A connection of ours.
        text: The statement, with ``?`` for its parameters.
        values: One for each of them.
        sources: Its tables by alias: SQLite names what it reads by that.
    """
    lines = _lines(connection, f"EXPLAIN QUERY PLAN {text}", tuple(values))
    below: dict[int, list[tuple[int, str]]] = {}
    for number, parent, _, detail in lines:
        below.setdefault(parent, []).append((number, str(detail)))

    def nodes(parent: int) -> tuple[Node, ...]:
        return tuple(
            _node(detail, nodes(number) if number else (), sources)
            for number, detail in below.get(parent, ())
        )

    def written(parent: int, indent: str) -> list[str]:
        return [
            line
            for number, detail in below.get(parent, ())
            for line in (f"{indent}{detail}", *(written(number, f"{indent}  ") if number else ()))
        ]

    return "\n".join(written(0, "")), nodes(0)


def _lines(connection: Any, text: str, values: tuple[Any, ...]) -> list[Any]:
    """Return what SQLite answers; functions and collations that it lacks are made up.

    They belong to the connection that defined them, as Django's do for dates and patterns. To
    explain a statement calls none of them: it is enough that they are there.
    """
    for _ in range(MAX_MADE_UP):
        try:
            return rows_of(connection, text, values)
        except sqlite3.OperationalError as error:
            lacking = _LACKING.search(str(error))
            if lacking is None:
                raise
            if lacking["kind"] == "function":
                connection.create_function(lacking["name"], -1, _nothing, deterministic=True)
            else:
                connection.create_collation(lacking["name"], _alike)
    return rows_of(connection, text, values)


def _nothing(*_: object) -> None:
    return None


def _alike(_one: str, _two: str) -> int:
    return 0


def _node(detail: str, children: tuple[Node, ...], sources: Mapping[str, Source]) -> Node:
    match = _READ.match(detail)
    if match is None or not _NO_TABLES.isdisjoint(detail.split()):
        return Node(kind=_other(detail), children=children, raw=detail)
    called = (match["alias"] or match["name"]).strip('"`[]').lower()
    source = sources.get(called)
    table = match["name"] if source is None or match["alias"] else source.name
    return Node(
        kind=_kind(match),
        table=table,
        alias=called,
        index=match["index"] if match["index"] and not match["automatic"] else "",
        columns=tuple(_TERM.findall(match["terms"] or "")),
        children=children,
        raw=detail,
    )


def _other(detail: str) -> NodeKind:
    for begin, kind in _OTHERS:
        if detail.startswith(begin):
            return kind
    return "other"


def _kind(match: re.Match[str]) -> NodeKind:
    # An automatic index is made of the whole table, for this one statement.
    if match["automatic"] or (
        match["verb"] == "SEARCH" and not match["index"] and not match["key"]
    ):
        return "table scan"
    if match["verb"] == "SCAN":
        return "index scan" if match["index"] else "table scan"
    return "index only" if match["covering"] else "index search"


def size_of(connection: Connection, table: str, most: int) -> int:
    """Return how many rows a table has, counted up to a number."""
    text = f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {most})"  # noqa: S608 - quoted as it stands in the statement
    return int(rows_of(connection, text)[0][0])
