"""The SELECTs within a SELECT: what each of them stands for, and its clauses."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.trace.clauses import Reader
from queryscope.trace.tokens import MAX_CACHED_CHARS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.trace.clauses import Clauses

Role = Literal["in", "exists", "compared", "from", "value"]

_COMPARED = {"ANY", "ALL", "SOME"}
_BEFORE_ROWS = {"FROM", "JOIN", "LATERAL"}


class Subselect(NamedTuple):
    """A SELECT in parentheses.

    Attributes:
        role: What it stands for: the list of an ``in``; what ``exists``; rows to be ``compared``
            by ANY or ALL; rows to select ``from``; else the one ``value`` that it gives.
        negated: It is the list of a NOT IN, or must not exist.
        start: Its first token, SELECT.
        end: The parenthesis that closes it.
        clauses: What it consists of.
        words: The words in it, in upper case, those of its own subselects among them.
    """

    role: Role
    negated: bool
    start: int
    end: int
    clauses: Clauses
    words: frozenset[str]


def subselects_of(statement: str, vendor: str = "") -> tuple[Subselect, ...]:
    """Return the subselects of a statement, outer before inner, as far as they can be told apart.

    Args:
        statement: The text as sent.
        vendor: As for ``shape_of``.
    """
    if len(statement) > MAX_CACHED_CHARS:
        return ()
    return _cached(statement, vendor)


@lru_cache(maxsize=1024)
def _cached(statement: str, vendor: str) -> tuple[Subselect, ...]:
    return tuple(found_in(Reader.of(statement, vendor)))


def found_in(reader: Reader) -> Iterator[Subselect]:
    """Yield the subselects among the tokens of a statement."""
    tokens = reader.tokens
    for start in range(1, len(tokens)):
        if tokens[start].upper != "SELECT" or tokens[start - 1].text != "(":
            continue
        end = reader.closing(start - 1, len(tokens))
        clauses = reader.select(start, end, 0)
        if clauses is None:
            continue
        role, negated = _role(reader, start - 1)
        words = frozenset(token.upper for token in tokens[start:end] if token.upper)
        yield Subselect(role, negated, start, end, clauses, words)


def _role(reader: Reader, opened: int) -> tuple[Role, bool]:
    """Return what the parenthesis opened at a token is for, and whether a NOT stands before it."""
    tokens = reader.tokens
    while opened and tokens[opened - 1].text == "(":
        opened -= 1
    before = tokens[opened - 1] if opened else None
    if before is None:
        return "value", False
    earlier = tokens[opened - 2].upper if opened > 1 else ""
    if before.upper == "IN":
        return "in", earlier == "NOT"
    if before.upper == "EXISTS":
        return "exists", earlier == "NOT"
    if before.upper in _COMPARED:
        return "compared", False
    if before.upper in _BEFORE_ROWS or (before.text == "," and _in_from(reader, opened)):
        return "from", False
    return "value", False


def _in_from(reader: Reader, opened: int) -> bool:
    """Tell whether a comma before a parenthesis parts the tables of a FROM."""
    level = reader.depth[opened]
    for index in range(opened - 1, -1, -1):
        if reader.depth[index] < level:
            return False
        if reader.depth[index] == level and reader.tokens[index].upper in ("FROM", "SELECT", "BY"):
            return reader.tokens[index].upper == "FROM"
    return False
