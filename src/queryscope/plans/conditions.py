"""What a SELECT asks of the columns of its tables: whether an index could answer, and why not."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from queryscope.trace.clauses import clauses_of
from queryscope.trace.tokens import is_placeholder, tokens_of, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.plans.statement import Statement
    from queryscope.trace.clauses import Clauses, Part
    from queryscope.trace.tokens import Token

Form = Literal["equal", "range", "prefix", "join", "wrapped", "wildcard", "or", "other"]
SERVED: frozenset[Form] = frozenset({"equal", "range", "join"})
"""Forms that an index on the column answers, on every database."""
HINDERED: frozenset[Form] = frozenset({"wrapped", "wildcard"})
"""Forms for which an index on the column is no help."""
_TEXT_CASTS = {"text", "varchar", "citext"}
"""Casts of a text to a text: PostgreSQL sees through them."""
_OPERATORS = {"=", "<", ">", "<=", ">=", "<>", "!="}
_WORDS = {"LIKE", "ILIKE", "BETWEEN", "IN", "IS", "REGEXP", "RLIKE", "SIMILAR", "GLOB", "MATCH"}
_NO_COLUMNS = {
    "NULL", "TRUE", "FALSE", "AND", "OR", "NOT", "ESCAPE", "BINARY", "INTERVAL", "AS", "IN", "IS",
    "LIKE", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END", "FROM", "DISTINCT", "SELECT", "ANY",
    "ALL", "EXISTS", "CURRENT_DATE", "CURRENT_TIMESTAMP", "DIV", "MOD", "ARRAY", "ROW",
}  # fmt: skip


class Condition(NamedTuple):
    """One part of what has to hold for a row.

    Attributes:
        form: ``equal`` (to a value, or one of a list), ``range``, ``prefix`` (LIKE without a
            leading wildcard, or with a pattern that is not known), ``join`` (equal to a column of
            another table), ``wrapped`` (a function or an expression around the column),
            ``wildcard`` (LIKE with a leading one), ``or`` (of several columns), ``other``.
        table: The table, in lower case; ``""`` if it is not known, or there are several.
        column: Its column, in lower case; ``""`` likewise.
        how: What is around a wrapped column: ``upper()``, ``a cast``, ``an expression``.
        text: The condition, with names unquoted.
        others: The alternatives of an ``or``; of a ``join`` the other side.
        numeric: It is compared with a number, in the text or as a value that was kept.
    """

    form: Form
    table: str = ""
    column: str = ""
    how: str = ""
    text: str = ""
    others: tuple[Condition, ...] = ()
    numeric: bool = False


class Order(NamedTuple):
    """What a SELECT orders by, where it is columns of one table in one direction."""

    table: str
    columns: tuple[str, ...]
    limited: bool


def conditions_of(statement: Statement) -> tuple[Condition, ...]:
    """Return what has to hold together, of WHERE and of the joins; ``()`` if it cannot be told."""
    clauses = clauses_of(statement.text, statement.vendor)
    if clauses is None:
        return ()
    reader = _Reader(statement)
    return tuple(reader.read(part) for part in _parts(clauses.asked, statement.vendor))


def order_of(statement: Statement) -> Order | None:
    """Return what a SELECT orders by, None where an index could not give that order."""
    clauses = clauses_of(statement.text, statement.vendor)
    if clauses is None or not clauses.order or clauses.grouping.text:
        return None
    reader = _Reader(statement)
    found, ways = [], set()
    for item in clauses.order:
        text, _, way = item.rpartition(" ")
        if way not in ("asc", "desc"):
            text, way = item, "asc"
        column = reader.plain(tokens_of(text, statement.vendor))
        if column is None or not column[0]:
            return None
        found.append(column)
        ways.add(way)
    tables = {table for table, _ in found}
    if len(tables) != 1 or len(ways) != 1:
        return None
    return Order(tables.pop(), tuple(column for _, column in found), clauses.limited)


def _parts(clauses: Clauses, vendor: str) -> Iterator[Part]:
    yield from clauses.conjuncts
    for join in clauses.joins:
        if join.kind in ("inner", "left", "cross") and join.part.text:
            yield from _split(join.part, vendor)


def _split(part: Part, vendor: str) -> Iterator[Part]:
    """Yield what ANDs part in the condition of a join."""
    read = _unwrapped(tokens_of(part.text, vendor))
    tokens = _unwrapped([token for token in read if token.upper != "ON"])
    if _at_top(tokens, {"OR", "BETWEEN", "CASE"}) is not None:
        return
    first = part.first
    for piece in _pieces(tokens, "AND"):
        count = sum(map(is_placeholder, piece))
        yield part._replace(text=_joined(piece), first=first, last=first + count)
        first += count


class _Reader:
    """Reads conditions of one statement."""

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.tables = {alias: source.name for alias, source in statement.sources.items()}

    def read(self, part: Part) -> Condition:
        values: Sequence[Any] | None = self.statement.kept
        if values is not None:
            values = values[part.first : part.last]
        return self.condition(tokens_of(part.text, self.statement.vendor), values)

    def condition(self, tokens: Sequence[Token], values: Sequence[Any] | None) -> Condition:
        tokens = _unwrapped(tokens)
        text = _joined(tokens)
        if _at_top(tokens, {"OR", "XOR"}) is not None:
            return self.alternatives(tokens, values, text)
        at = _operator(tokens)
        if at is None or any(t.upper == "SELECT" for t in tokens):
            return Condition("other", text=text)
        word = tokens[at].upper or tokens[at].text
        left, right = list(tokens[:at]), list(tokens[at + 1 :])
        if (left and left[-1].upper == "NOT") or word in ("<>", "!=") or left[:1] == []:
            return Condition("other", text=text)
        if right[:1] and right[0].upper == "NOT":
            return Condition("other", text=text)
        column, other = self.plain(left), self.plain(right)
        if column is None and other is not None and word in _OPERATORS:
            left, right, column, other = right, left, other, None
        if column is None:
            return self.wrapped(left, right, text)
        if other is not None:
            return self.join(word, column, other, text)
        if self.columns(right):
            return Condition("other", *column, text=text)
        form = _form(word, right, values)
        return Condition(form, *column, text=text, numeric=_is_number(right, values))

    def join(
        self, word: str, column: tuple[str, str], other: tuple[str, str], text: str
    ) -> Condition:
        if word != "=" or column[0] == other[0]:
            return Condition("other", *column, text=text)
        return Condition("join", *column, text=text, others=(Condition("join", *other),))

    def wrapped(self, left: Sequence[Token], right: Sequence[Token], text: str) -> Condition:
        """Return a condition on something around one column, compared with values alone."""
        columns = set(self.columns(left))
        if len(columns) != 1 or self.columns(right):
            return Condition("other", text=text)
        return Condition("wrapped", *columns.pop(), how=_around(left), text=text)

    def alternatives(
        self, tokens: Sequence[Token], values: Sequence[Any] | None, text: str
    ) -> Condition:
        found = []
        first = 0
        for piece in _pieces(tokens, "OR"):
            count = sum(map(is_placeholder, piece))
            given = None if values is None else values[first : first + count]
            found.append(self.condition(piece, given))
            first += count
        columns = {(one.table, one.column) for one in found}
        if len(columns) == 1 and all(one.form == "equal" for one in found):
            return Condition("equal", *columns.pop(), text=text)
        return Condition("or", text=text, others=tuple(found))

    def plain(self, tokens: Sequence[Token]) -> tuple[str, str] | None:
        """Return (table, column) of what is a column and nothing else."""
        tokens = _unwrapped(tokens)
        while len(tokens) > 2 and tokens[-2].kind == "cast":  # noqa: PLR2004 - x :: text
            if unquoted(tokens[-1]) not in _TEXT_CASTS:
                return None
            tokens = tokens[:-2]
        texts = [token.text for token in tokens]
        if not texts or any(dot != "." for dot in texts[1::2]) or len(texts) % 2 == 0:
            return None
        if any(t.kind not in ("word", "name") or t.upper in _NO_COLUMNS for t in tokens[::2]):
            return None
        return self.resolved([unquoted(token) for token in tokens[::2]])

    def resolved(self, names: Sequence[str]) -> tuple[str, str]:
        if len(names) > 1:
            return self.tables.get(names[-2], ""), names[-1]
        tables = set(self.tables.values())
        return (tables.pop() if len(tables) == 1 else ""), names[-1]

    def columns(self, tokens: Sequence[Token]) -> list[tuple[str, str]]:
        """Return every column in an expression."""
        found = []
        index = 0
        while index < len(tokens):
            token = tokens[index]
            index += 1
            if token.kind == "cast" or token.upper in ("AS", "COLLATE"):
                index += 1  # a type, a collation
            elif token.kind in ("word", "name") and token.upper not in _NO_COLUMNS:
                names = [unquoted(token)]
                while index + 1 < len(tokens) and tokens[index].text == ".":
                    names.append(unquoted(tokens[index + 1]))
                    index += 2
                if index >= len(tokens) or tokens[index].text != "(":
                    found.append(self.resolved(names))
        return found


def _form(word: str, right: Sequence[Token], values: Sequence[Any] | None) -> Form:
    if word in ("=", "IN", "IS"):
        return "equal"
    if word in ("<", ">", "<=", ">=", "BETWEEN"):
        return "range"
    if word in ("LIKE", "ILIKE"):
        return "wildcard" if _begins_with_wildcard(right, values) else "prefix"
    return "other"


def _begins_with_wildcard(tokens: Sequence[Token], values: Sequence[Any] | None) -> bool:
    """Tell whether a pattern is known to begin with ``%`` or ``_``."""
    first = next((token for token in tokens if token.kind == "value"), None)
    if first is None:
        return False
    if is_placeholder(first):
        value = values[0] if values else ""
        return isinstance(value, str) and value.startswith(("%", "_"))
    return first.text.lstrip("eEnN'\"").startswith(("%", "_"))


def _is_number(tokens: Sequence[Token], values: Sequence[Any] | None) -> bool:
    """Tell whether what is compared with is known to be a number."""
    found = [token for token in tokens if token.kind == "value"]
    if len(found) != 1:
        return False
    if is_placeholder(found[0]):
        value = values[0] if values and len(values) == 1 else None
        return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    return found[0].text[:1].isdigit()


def _around(tokens: Sequence[Token]) -> str:
    """Return what stands around a column."""
    tokens = _unwrapped(tokens)
    if len(tokens) > 1 and tokens[1].text == "(":
        return "a cast" if tokens[0].upper == "CAST" else f"{unquoted(tokens[0])}()"
    if any(token.kind == "cast" for token in tokens):
        return "a cast"
    return "a collation" if any(token.upper == "COLLATE" for token in tokens) else "an expression"


# -- tokens ----------------------------------------------------------------------------------


def _unwrapped(tokens: Sequence[Token]) -> Sequence[Token]:
    """Return what is inside parentheses that stand around all."""
    while len(tokens) > 2 and tokens[0].text == "(":  # noqa: PLR2004 - something in them
        if _closes(tokens) != len(tokens) - 1:
            break
        tokens = tokens[1:-1]
    return tokens


def _closes(tokens: Sequence[Token]) -> int:
    """Return the index of the parenthesis that closes the first one."""
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return index
    return len(tokens)


def _at_top(tokens: Sequence[Token], words: set[str]) -> int | None:
    """Return the index of the first of some words or operators outside all parentheses."""
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and (token.upper in words or token.text in words):
            return index
    return None


def _operator(tokens: Sequence[Token]) -> int | None:
    if tokens and tokens[0].upper in ("NOT", "EXISTS", "CASE"):
        return None
    return _at_top(tokens, _OPERATORS | _WORDS)


def _pieces(tokens: Sequence[Token], at: str) -> Iterator[Sequence[Token]]:
    begin = depth = 0
    between = False
    for index, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if depth:
            continue
        if token.upper == "BETWEEN":
            between = True
        elif token.upper == "AND" and between:
            between = False
        elif token.upper == at:
            yield tokens[begin:index]
            begin = index + 1
    yield tokens[begin:]


def _joined(tokens: Sequence[Token]) -> str:
    return " ".join(token.text for token in tokens).replace(" . ", ".")
