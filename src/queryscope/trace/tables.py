"""The tables that a statement reads and writes, and the words that tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.trace.tokens import unquoted

if TYPE_CHECKING:
    from queryscope.trace.tokens import Token

KIND_OF_VERB = {
    "SELECT": "select",
    "VALUES": "select",
    "TABLE": "select",
    "INSERT": "insert",
    "REPLACE": "insert",
    "UPDATE": "update",
    "DELETE": "delete",
    "MERGE": "update",
    "SAVEPOINT": "savepoint",
    "RELEASE": "savepoint",
}
CATALOGUE_TABLES = {
    "information_schema",
    "performance_schema",
    "pg_am",
    "pg_attrdef",
    "pg_attribute",
    "pg_catalog",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_database",
    "pg_description",
    "pg_enum",
    "pg_index",
    "pg_indexes",
    "pg_namespace",
    "pg_proc",
    "pg_roles",
    "pg_sequence",
    "pg_settings",
    "pg_tables",
    "pg_type",
    "sqlite_master",
    "sqlite_schema",
    "sqlite_sequence",
    "sqlite_temp_master",
}
_FROM_IN_CALL = {"EXTRACT", "TRIM", "SUBSTRING", "OVERLAY", "POSITION"}
_AFTER_TABLE = {
    "WHERE", "SET", "ON", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", "EXCEPT", "INTERSECT",
    "RETURNING", "VALUES", "SELECT", "DEFAULT", "WINDOW", "FOR", "OFFSET", "FETCH",
}  # fmt: skip
_BEFORE_TABLE = {
    "ONLY", "LATERAL", "IF", "EXISTS", "OR", "REPLACE", "IGNORE", "ABORT", "FAIL", "ROLLBACK",
    "LOW_PRIORITY", "HIGH_PRIORITY", "QUICK",
}  # fmt: skip
_NO_TABLE = {"SELECT", "VALUES", "WITH", "OUTFILE", "DUMPFILE"}


def tables_of(tokens: list[Token]) -> tuple[set[str], set[str], int]:
    """Return (tables read, tables written, JOINs) of a statement."""
    reads: set[str] = set()
    writes: set[str] = set()
    ctes: set[str] = set()
    opening: list[tuple[int, str]] = []  # (depth, name) of CTEs whose body is being read
    recursive = False
    joins = 0
    opened_by: list[str] = []
    in_from: list[bool] = [False]
    verb = previous = ""
    expect_table = False
    index = 0
    while index < len(tokens):
        token = tokens[index]
        word = token.upper
        if token.text == "(":
            opened_by.append(previous)
            in_from.append(False)
            if _opens_cte(tokens, index) and (cte := _cte_name(tokens, index)):
                # Its own body may read a table of that name, unless it is recursive.
                opening.append((len(opened_by), cte))
                if recursive:
                    ctes.add(cte)
        elif token.text == ")":
            if opening and opening[-1][0] == len(opened_by):
                ctes.add(opening.pop()[1])
            if opened_by:
                opened_by.pop()
            if len(in_from) > 1:
                in_from.pop()
        elif word == "RECURSIVE":
            recursive = True
        elif word == "JOIN":
            joins += 1
        elif word in KIND_OF_VERB and not verb:
            verb = word
        # FROM (a JOIN b ON ...) has its first table behind the parenthesis.
        inside = expect_table and token.text != "(" and token.kind in ("word", "name")
        expect_table = expect_table and token.text == "("
        starts_table = (
            (word == "FROM" and not _is_call_or_distinct(opened_by, previous))
            or word in ("JOIN", "INTO")
            or (word == "USING" and verb in ("DELETE", "MERGE"))
            or (word == "UPDATE" and previous not in ("FOR", "ON", "DO", "KEY"))
            or (token.text == "," and in_from[-1])
        )
        if starts_table or (inside and word not in _NO_TABLE):
            into = word == "INTO"
            index, name = _table_name(tokens, index + starts_table, into=into)
            if name:
                written = into or word == "UPDATE" or (word == "FROM" and previous == "DELETE")
                if written:
                    writes.add(name)
                elif name not in ctes:
                    reads.add(name)
            elif name == "":
                expect_table = index < len(tokens) and tokens[index].text == "("
            in_from[-1] = not into and word != "UPDATE"
            previous = word
            continue
        if word == "DELETE" and index + 1 < len(tokens) and tokens[index + 1].upper != "FROM":
            # DELETE a FROM a JOIN b: MySQL names what it deletes from before the FROM.
            index, name = _table_name(tokens, index + 1, into=False)
            if name:
                writes.add(name)
            previous = ""
            continue
        if word in _AFTER_TABLE:
            in_from[-1] = False
        if token.kind in ("word", "name"):
            previous = word
        elif token.text not in ("(", ")"):
            previous = ""
        index += 1
    return reads, writes, joins


def _opens_cte(tokens: list[Token], index: int) -> bool:
    """Tell whether the parenthesis follows AS or AS [NOT] MATERIALIZED."""
    index -= 1
    if index > 0 and tokens[index].upper == "MATERIALIZED":
        index -= 1
        if tokens[index].upper == "NOT":
            index -= 1
    return index > 0 and tokens[index].upper == "AS"


def _cte_name(tokens: list[Token], index: int) -> str:
    """Return the name before ``AS (`` or ``(a, b) AS (``, ``""`` without one."""
    while tokens[index].upper != "AS":
        index -= 1
    index -= 1
    if tokens[index].text == ")":
        while index and tokens[index].text != "(":
            index -= 1
        index -= 1
    if index > 0 and tokens[index].kind in ("word", "name"):
        return unquoted(tokens[index])
    return ""


def _is_call_or_distinct(opened_by: list[str], previous: str) -> bool:
    """Tell whether FROM stands in ``EXTRACT(x FROM y)`` or ``IS DISTINCT FROM``."""
    return previous == "DISTINCT" or bool(opened_by and opened_by[-1] in _FROM_IN_CALL)


def _table_name(tokens: list[Token], index: int, *, into: bool) -> tuple[int, str | None]:
    """Return (index behind, name) of a possibly qualified table name at ``index``.

    The name is ``""`` where none stands, None where a function stands.
    """
    while index < len(tokens) and tokens[index].upper in _BEFORE_TABLE:
        index += 1
    name = ""
    qualifier = ""
    while index < len(tokens) and tokens[index].kind in ("word", "name"):
        if tokens[index].upper in _NO_TABLE:
            break
        qualifier, name = name, unquoted(tokens[index])
        index += 1
        if index < len(tokens) and tokens[index].text == ".":
            index += 1
            continue
        break
    if qualifier in CATALOGUE_TABLES:
        return index, qualifier
    if name and not into and index < len(tokens) and tokens[index].text == "(":
        return index, None  # FROM generate_series(...)
    return index, name
