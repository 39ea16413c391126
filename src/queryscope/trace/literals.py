"""Values written into a statement's text, where parameters could have stood."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from queryscope.trace.tokens import MAX_CACHED_CHARS, is_placeholder, tokens_of, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.trace.tokens import Token

_COMPARES = {"=", "<", ">", "<=", ">=", "<>", "!=", "LIKE", "ILIKE", "REGEXP", "BETWEEN"}
_LISTS = {"(", ","}
_ENDS = {"LIMIT", "OFFSET", "FETCH", "INTERVAL", "ESCAPE"}
NO_COLUMN = -1
"""Stands for the column of a value that a row of VALUES has."""


class Literal(NamedTuple):
    """A value in the text: of what column, as far as that stands beside it.

    ``column`` is a name in lower case, ``""`` where the value is one of several that a row of
    VALUES has. ``text`` is the value as written, and must not be shown.
    """

    column: str
    text: str


def literals_of(statement: str, vendor: str = "") -> tuple[Literal, ...]:
    """Return the values that are compared with a column, listed, assigned or inserted, in order.

    Constants of the select list, bounds of LIMIT, intervals, arguments of functions and types are
    part of the statement, not of the data. Statements too long to be kept are not read.

    Args:
        statement: The text as sent.
        vendor: As for ``shape_of``.
    """
    if len(statement) > MAX_CACHED_CHARS:
        return ()
    return _cached(statement, vendor)


@lru_cache(maxsize=1024)
def _cached(statement: str, vendor: str) -> tuple[Literal, ...]:
    tokens = tokens_of(statement, vendor)
    return tuple(
        Literal("" if at == NO_COLUMN else unquoted(tokens[at]), tokens[index].text)
        for index, at in columns_beside(tokens)
        if not is_placeholder(tokens[index])
    )


def columns_beside(tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """Yield the index of each value or placeholder, and of the column that it is a value of.

    ``NO_COLUMN`` stands for the column of one in a row of VALUES; those that are no values of a
    column are passed over.
    """
    lists: list[int | None] = []
    """Of each open parenthesis the column whose list it is, None for others."""
    values = False
    for index, token in enumerate(tokens):
        if token.text == "(":
            lists.append(_listed(tokens, index, values=values))
        elif token.text == ")":
            if lists:
                lists.pop()
        elif token.upper == "VALUES":
            values = True
        elif token.upper in ("SELECT", "FROM", "WHERE", "RETURNING", "ON"):
            values = False
        elif token.kind == "value":
            column = _compared(tokens, index)
            if column is None and lists and _before(tokens, index).text in _LISTS:
                column = lists[-1]
            if column is not None:
                yield index, column


def _before(tokens: list[Token], index: int) -> Token:
    """Return the token before a value, or before its sign."""
    at = index - 1
    if at > 0 and tokens[at].text in ("-", "+"):
        at -= 1
    return tokens[at]


def _compared(tokens: list[Token], index: int) -> int | None:
    """Return the index of the column that a value is compared with or assigned to, if any."""
    at = index - 1
    if at > 0 and tokens[at].text in ("-", "+"):
        at -= 1
    if at < 1:
        return None
    if tokens[at].upper == "AND":  # BETWEEN 1 AND 2
        at -= 2
        if at < 1 or tokens[at].upper != "BETWEEN":
            return None
    if tokens[at].upper not in _COMPARES and tokens[at].text not in _COMPARES:
        return None
    at -= 1
    if at >= 0 and tokens[at].upper == "NOT":
        at -= 1
    return _column(tokens, at)


def _listed(tokens: list[Token], index: int, *, values: bool) -> int | None:
    before = tokens[index - 1] if index else None
    if before is None:
        return None
    if before.upper == "IN":
        at = index - 2
        if at >= 0 and tokens[at].upper == "NOT":
            at -= 1
        return _column(tokens, at)
    if values and (before.upper == "VALUES" or before.text == ","):
        return NO_COLUMN
    return None


def _column(tokens: list[Token], at: int) -> int | None:
    if at > 1 and tokens[at - 1].kind == "cast":  # "title"::text LIKE
        at -= 2
    if at < 0 or tokens[at].kind not in ("word", "name") or tokens[at].upper in _ENDS:
        return None
    return at
