"""How a statement is written in a report: laid out, split for colouring, and as one short line."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import sqlparse

from queryscope.report.text import visible, visible_lines

MAX_FORMATTED_CHARS = 20_000
"""Longer statements are shown cut and as sent: laying out takes 4-40 us a character."""
MAX_HEAD_CHARS = 180
"""Length of the one line that stands for a statement in lists."""
_MAX_COLUMNS_CHARS = 32
"""A longer select list is left out of the head."""


class SqlPart(NamedTuple):
    """A piece of a statement and its class: ``keyword``, ``value``, ``comment`` or ``""``."""

    kind: str
    text: str


_KEYWORDS = (
    "ALL|AND|AS|ASC|BEGIN|BETWEEN|BY|CASE|COMMIT|CONFLICT|CROSS|DEFAULT|DELETE|DESC|"
    "DISTINCT|DO|ELSE|END|EXCEPT|EXISTS|FALSE|FETCH|FIRST|FOR|FROM|FULL|GROUP|HAVING|"
    "ILIKE|IN|INNER|INSERT|INTERSECT|INTO|IS|JOIN|KEY|LATERAL|LEFT|LIKE|LIMIT|NATURAL|NO|"
    "NOT|NOTHING|NULL|NULLS|OFFSET|ON|ONLY|OR|ORDER|OUTER|OVER|PARTITION|RECURSIVE|"
    "RELEASE|RETURNING|RIGHT|ROLLBACK|ROWS|SAVEPOINT|SELECT|SET|SHARE|SKIP|LOCKED|THEN|"
    "TO|TRUE|UNION|UPDATE|USING|VALUES|WHEN|WHERE|WITH"
)
_PART = re.compile(
    r"""
      (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<quoted>"[^"]*"|`[^`]*`)
    | (?P<value>'(?:[^']|'')*'|%s|%\(\w+\)s|\?|\$\d+|(?<![\w:]):[A-Za-z_]\w*|(?<!\w)\d+(?:\.\d+)?)
    | (?P<keyword>\b(?:"""
    + _KEYWORDS
    + r""")\b)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_QUOTES = re.compile(r'["`]')


@lru_cache(maxsize=256)
def laid_out(statement: str) -> str:
    """Return a statement on several indented lines; as it is when it is too long or too odd."""
    if len(statement) > MAX_FORMATTED_CHARS:
        return cut(statement, MAX_FORMATTED_CHARS)
    try:
        text = sqlparse.format(statement, reindent=True, indent_width=2, wrap_after=88)
    except (sqlparse.exceptions.SQLParseError, RecursionError, ValueError, IndexError):
        # Too deep or too broken for the formatter: the text as sent says the same.
        text = statement
    return visible_lines(text.strip(), limit=2 * MAX_FORMATTED_CHARS)


def cut(statement: str, limit: int) -> str:
    """Return the beginning of a statement with its line ends; the rest is not mentioned."""
    return visible_lines(statement[:limit], limit=limit)


def parts(text: str) -> tuple[SqlPart, ...]:
    """Split a statement for colouring; joined again, the pieces are the statement."""
    found: list[SqlPart] = []
    end = 0
    for match in _PART.finditer(text):
        kind = match.lastgroup or ""
        if kind == "quoted":
            continue
        if match.start() > end:
            found.append(SqlPart("", text[end : match.start()]))
        found.append(SqlPart(kind, match.group()))
        end = match.end()
    if end < len(text):
        found.append(SqlPart("", text[end:]))
    return tuple(found)


def head(statement: str) -> str:
    """Return one short line for a statement: quotes dropped, a long select list left out."""
    text = _QUOTES.sub("", " ".join(statement[: 8 * MAX_HEAD_CHARS + 4_000].split()))
    if text[:7].upper() == "SELECT ":
        columns = _columns_end(text)
        if columns > 7 + _MAX_COLUMNS_CHARS:
            text = f"SELECT … {text[columns:].lstrip()}"
    if len(text) > MAX_HEAD_CHARS:
        text = text[: MAX_HEAD_CHARS - 1] + "…"
    return visible(text, limit=2 * MAX_HEAD_CHARS)


def _columns_end(text: str) -> int:
    """Return where the FROM of the outermost select list stands, 0 without one."""
    depth = 0
    for match in re.finditer(r"[()]|\bFROM\b", text, re.IGNORECASE):
        found = match.group()
        if found == "(":
            depth += 1
        elif found == ")":
            depth -= 1
        elif depth == 0:
            return match.start()
    return 0
