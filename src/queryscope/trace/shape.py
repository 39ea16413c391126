"""The shape of a statement: its text with values and list lengths folded away.

Read off a statement's tokens, without a parser: what the detectors need. It runs once per
distinct statement, off the hot path.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from queryscope.trace.folding import folded, joined
from queryscope.trace.tables import CATALOGUE_TABLES, KIND_OF_VERB, tables_of
from queryscope.trace.tokens import LEXERS, tokens_of

if TYPE_CHECKING:
    from queryscope.trace.tokens import Token


class Shape(NamedTuple):
    """What the tokens of a statement say of it.

    Attributes:
        text: The statement, one space between tokens, every value and list folded to ``?``.
        kind: ``select``, ``insert``, ``update``, ``delete``, ``ddl``, ``transaction``,
            ``savepoint``, ``catalogue`` or ``other``.
        reads: Tables read, lower case, without quotes and schema.
        writes: Tables written; ``*`` stands for unknown ones.
        aggregate: ``count``, ``exists``, ``sum``, ``avg``, ``min``, ``max`` or ``""``: what the
            whole select list asks.
        in_list: Length of the longest ``IN`` list, 0 without one.
        limited: It has a LIMIT or FETCH FIRST.
        offset: It has an OFFSET.
        locks: ``FOR UPDATE`` or ``FOR SHARE``.
        joins: Number of JOINs.
        filtered: It has a WHERE.
    """

    text: str
    kind: str
    reads: frozenset[str]
    writes: frozenset[str]
    aggregate: str
    in_list: int
    limited: bool
    offset: bool
    locks: bool
    joins: int
    filtered: bool

    @property
    def is_write(self) -> bool:
        """Whether it changes rows or may do so."""
        return bool(self.writes)


_TRANSACTION = {"BEGIN", "START", "COMMIT", "ROLLBACK", "END", "ABORT", "XA"}
_ON_TRANSACTION = {"SET", "PREPARE"}
"""They speak of a transaction where that word follows."""
_CATALOGUE = {"PRAGMA", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "SET", "RESET", "USE", "ANALYZE"}
_DDL = {"CREATE", "ALTER", "DROP", "TRUNCATE", "COMMENT", "GRANT", "REVOKE", "REINDEX", "VACUUM"}
_CATALOGUE_CALLS = {
    "VERSION",
    "SQLITE_VERSION",
    "CURRENT_SCHEMA",
    "DATABASE",
    "CURRENT_DATABASE",
    "CONNECTION_ID",
    "CURRENT_SETTING",
}
_AGGREGATES = {"COUNT", "SUM", "AVG", "MIN", "MAX", "EXISTS"}


def shape_of(statement: str, vendor: str = "") -> Shape:
    """Return the shape of a statement; equal statements give the same object while cached.

    Args:
        statement: The text as sent, with placeholders or values.
        vendor: ``mysql`` reads backslash escapes and ``"..."`` as strings, ``sqlite`` reads
            ``[...]`` as a name, others read dollar quotes and nested comments as PostgreSQL.
    """
    return SHAPES[statement, vendor]


class _Shapes(dict[tuple[str, str], Shape]):
    """The shapes of statements by text and vendor; what is missing is read.

    Each detector asks for the shape of each statement: a dict answers in half the time of a
    function with ``lru_cache``, by which judging 1,000 statements took a third of its time.
    """

    chars = 0

    def __missing__(self, key: tuple[str, str]) -> Shape:
        statement, vendor = key
        unknown = vendor != "" and vendor not in LEXERS
        found = self[statement, ""] if unknown else _read(statement, vendor)
        if len(self) >= MAX_SHAPES or self.chars > MAX_SHAPES_CHARS:
            self.clear()
            self.chars = 0
        self[key] = found
        self.chars += len(statement)
        return found


MAX_SHAPES = 4_096
"""Statements whose shapes are kept; with one more, all are forgotten."""
MAX_SHAPES_CHARS = 8 << 20
"""And characters of these. A long statement is kept like any other: to read 64 KiB takes a tenth of
a second, and a score of detectors ask."""
SHAPES = _Shapes()


def _read(statement: str, vendor: str) -> Shape:
    tokens = tokens_of(statement, vendor)
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    text, in_list = folded(tokens)
    reads, writes, joins = tables_of(tokens)
    words = {token.upper for token in tokens if token.kind == "word"}
    kind = _kind(tokens, reads)
    if kind == "savepoint" and len(tokens) > 1:
        # The names are counted up or made at random.
        text = joined([*(token.text for token in tokens[:-1]), "?"])
    if kind in ("insert", "update", "delete", "ddl", "other") and not writes:
        writes = {"*"}
    if kind in ("transaction", "savepoint", "catalogue"):
        reads, writes = set(), set()
    return Shape(
        text=text,
        kind=kind,
        reads=frozenset(reads),
        writes=frozenset(writes),
        aggregate=_aggregate(tokens) if kind == "select" else "",
        in_list=in_list,
        limited="LIMIT" in words or "FETCH" in words,
        offset="OFFSET" in words or _limits_from(tokens),
        locks=_locks(tokens),
        joins=joins,
        filtered="WHERE" in words,
    )


def _kind(tokens: list[Token], reads: set[str]) -> str:
    """Return the kind of a statement by its first verb outside parentheses."""
    first = next((token.upper for token in tokens if token.kind == "word"), "")
    if first == "ROLLBACK" and any(token.upper == "TO" for token in tokens):
        return "savepoint"
    if first in _TRANSACTION or (
        first in _ON_TRANSACTION and any(token.upper == "TRANSACTION" for token in tokens)
    ):
        return "transaction"
    if first in _CATALOGUE:
        return "catalogue"
    if first in _DDL:
        return "ddl"
    if first == "WITH":
        depth = 0
        for token in tokens:
            depth += (token.text == "(") - (token.text == ")")
            if depth == 0 and token.upper in KIND_OF_VERB:
                first = token.upper
                break
    kind = KIND_OF_VERB.get(first, "other")
    if kind == "select" and (reads & CATALOGUE_TABLES or (not reads and _asks_server(tokens))):
        return "catalogue"
    return kind


def _asks_server(tokens: list[Token]) -> bool:
    """Tell whether a SELECT without tables asks for the server's version, variables or such."""
    return any(
        token.upper in _CATALOGUE_CALLS
        or token.text.startswith("@@")
        or token.upper.startswith("PRAGMA_")
        for token in tokens
    )


def _aggregate(tokens: list[Token]) -> str:
    """Return what a select list of only aggregates asks, ``""`` for others."""
    index, depth = -1, 0
    for i, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if token.upper == "SELECT" and depth == 0:
            index = i
            break
    if index < 0 or index + 1 >= len(tokens):
        return ""
    if tokens[index + 1].kind == "value" and _exists_probe(tokens, index + 1):
        return "exists"
    found = ""
    depth = 0
    in_list = expect_call = True
    for at, token in enumerate(tokens[index + 1 :], index + 1):
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif depth == 0:
            if token.upper in ("GROUP", "OVER"):
                return ""
            if token.upper == "FROM":
                in_list = False
            if in_list and expect_call:
                call = _aggregate_call(tokens, at)
                if not call:
                    return ""
                found = found or call
            expect_call = token.text == ","
    return found


def _aggregate_call(tokens: list[Token], index: int) -> str:
    """Return the aggregate called at ``index``, also as ``COALESCE(SUM(x), 0)``."""
    word = tokens[index].upper
    if word == "COALESCE" and index + 2 < len(tokens):
        word = tokens[index + 2].upper
    return word.lower() if word in _AGGREGATES else ""


def _exists_probe(tokens: list[Token], index: int) -> bool:
    """Tell whether the select list is one literal, as both ORMs write an existence check."""
    rest = tokens[index + 1 : index + 4]
    words = [token.upper for token in rest]
    if words[:1] == ["AS"]:
        words = words[2:]
    return words[:1] == ["FROM"]


def _limits_from(tokens: list[Token]) -> bool:
    """Tell whether it has MySQL's ``LIMIT offset, count``."""
    return any(
        one.upper == "LIMIT" and two.kind == "value" and three.text == ","
        for one, two, three in zip(tokens, tokens[1:], tokens[2:], strict=False)
    )


def _locks(tokens: list[Token]) -> bool:
    """Tell whether the statement locks the rows it reads."""
    for one, two in pairwise(tokens):
        if one.upper == "FOR" and two.upper in ("UPDATE", "SHARE", "NO", "KEY"):
            return True
        if one.upper == "LOCK" and two.upper == "IN":
            return True
    return False
