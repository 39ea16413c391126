"""A recorded statement made ready to be explained: its tables, and a value for each placeholder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from queryscope.plans.connection import CannotExplainError
from queryscope.trace.literals import NO_COLUMN, columns_beside
from queryscope.trace.sent import in_order
from queryscope.trace.shape import shape_of
from queryscope.trace.tokens import is_placeholder, tokens_of, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.trace.events import Query
    from queryscope.trace.tokens import Token

EXPLAINED = frozenset({"select", "insert", "update", "delete"})
"""Kinds of statements that have a plan."""
MAX_CHARS = 65_536
"""Longer statements are cut when they are recorded, or not read to their end."""
_BEFORE_TABLE = {"FROM", "JOIN", "UPDATE", "INTO", "STRAIGHT_JOIN"}
_NO_ALIAS = {
    "WHERE", "SET", "ON", "USING", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", "EXCEPT",
    "INTERSECT", "RETURNING", "VALUES", "SELECT", "DEFAULT", "WINDOW", "FOR", "OFFSET", "FETCH",
    "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "STRAIGHT_JOIN", "FORCE", "USE",
    "IGNORE", "LOCK", "TABLESAMPLE", "INDEXED", "NOT",
}  # fmt: skip


_NO_CALLS = {
    "IN", "AND", "OR", "NOT", "EXISTS", "ANY", "ALL", "SOME", "VALUES", "AS", "ON", "USING", "FROM",
    "WHERE", "SELECT", "JOIN", "BY", "OVER", "FILTER", "WHEN", "THEN", "ELSE", "INTERVAL", "LIKE",
    "ILIKE", "BETWEEN", "UNION", "EXCEPT", "INTERSECT", "LIMIT", "OFFSET", "DISTINCT", "HAVING",
    "LATERAL", "MATERIALIZED", "GROUP", "WITHIN", "PARTITION", "WINDOW", "ARRAY", "ROW", "IS",
    "KEY", "INDEX", "DECIMAL", "NUMERIC", "VARCHAR", "CHAR", "BINARY", "TIMESTAMP",
}  # fmt: skip
"""Words before a parenthesis that call nothing, and types."""


class Source(NamedTuple):
    """A table of a statement.

    Attributes:
        raw: The table as it is written there, quoted as the database wants it, with its schema.
        name: Its name alone, in lower case.
        qualified: It is written with its schema.
    """

    raw: str
    name: str
    qualified: bool


class Slot(NamedTuple):
    """A placeholder.

    Attributes:
        table: The table whose column it is a value of, as it is written; ``""`` if unknown.
        column: That column, as it is written; ``""`` if unknown.
        clause: ``LIMIT`` or ``OFFSET`` where it stands behind one, else ``""``.
    """

    table: str
    column: str
    clause: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that can be explained.

    Attributes:
        vendor: ``sqlite``, ``postgresql`` or ``mysql``.
        text: As it was recorded.
        kind: ``select``, ``insert``, ``update`` or ``delete``.
        tokens: What it consists of.
        slots: Its placeholders, in order.
        sources: Its tables by alias, in lower case.
        kept: The recorded value of each slot, None where none were kept.
        numbers: The numbers behind LIMIT and OFFSET, which are recorded always.
    """

    vendor: str
    text: str
    kind: str
    tokens: Sequence[Token]
    slots: tuple[Slot, ...]
    sources: Mapping[str, Source]
    kept: tuple[Any, ...] | None
    numbers: Mapping[str, int]

    @classmethod
    def of(cls, query: Query) -> Statement:
        """Return a recorded statement as one that can be explained.

        Raises:
            CannotExplainError: It has no plan, is cut, or is several statements in one.
        """
        vendor = "mysql" if query.vendor == "mariadb" else query.vendor
        if vendor not in ("sqlite", "postgresql", "mysql"):
            raise CannotExplainError(f"Plans of {query.vendor} are not known.")
        shape = shape_of(query.statement, vendor)
        if shape.kind not in EXPLAINED:
            raise CannotExplainError(
                f"A statement of kind {shape.kind!r} has no plan: only SELECT, INSERT, UPDATE and "
                "DELETE have one."
            )
        if len(query.statement) >= MAX_CHARS:
            raise CannotExplainError("The statement was cut when it was recorded.")
        tokens = tokens_of(query.statement, vendor)
        while tokens and tokens[-1].text == ";":
            tokens.pop()
        if any(token.text == ";" for token in tokens):
            raise CannotExplainError("These are several statements in one text.")
        sources = dict(_sources(tokens, shape.reads | shape.writes))
        slots = tuple(_slots(tokens, sources, folded=query.parameters is None, vendor=vendor))
        numbers = {"LIMIT": query.limit, "OFFSET": query.offset}
        return cls(
            vendor=vendor,
            text=query.statement,
            kind=shape.kind,
            tokens=tokens,
            slots=slots,
            sources=sources,
            kept=_kept(query, len(slots)),
            numbers={name: number for name, number in numbers.items() if number is not None},
        )

    @property
    def calls(self) -> frozenset[str]:
        """The functions that it calls, in lower case; names with a schema as they are written."""
        found = set()
        for index, token in enumerate(self.tokens[:-1]):
            if self.tokens[index + 1].text != "(" or token.kind not in ("word", "name"):
                continue
            before = self.tokens[index - 1].text if index else ""
            if before == ".":
                found.add(f"{self.tokens[index - 2].text}.{token.text}".lower())
            elif token.upper not in _NO_CALLS and before not in ("::", "AS", "as"):  # a type
                found.add(unquoted(token))
        return frozenset(found)

    def rendered(self, marks: Sequence[str], *, doubled: bool) -> str:
        """Return the text with another mark for each slot.

        Args:
            marks: What stands for each slot, in order.
            doubled: The driver reads ``%``: one that is meant is written ``%%``.
        """
        parts: list[str] = []
        place = 0
        was_format = any(_is_format(token) for token in self.tokens)
        folded = self.kept is None
        for index, token in enumerate(self.tokens):
            text = token.text
            if _is_slot(token, folded=folded, vendor=self.vendor, formatted=was_format):
                text = marks[place]
                place += 1
            else:
                if was_format:
                    if text == "%" and index and self.tokens[index - 1].text == "%":
                        continue  # %% is one
                    text = text.replace("%%", "%")
                if doubled:
                    text = text.replace("%", "%%")
            parts.append(text if token.glued else f" {text}")
        return "".join(parts).strip()


def _is_format(token: Token) -> bool:
    return token.kind == "value" and token.text.startswith("%")


def _is_slot(token: Token, *, folded: bool, vendor: str, formatted: bool) -> bool:
    """Tell whether a value has to stand in place of a token.

    What was written out is folded to ``?`` where values are not kept, beside the placeholders. With
    them kept ``?`` beside ``%s`` is an operator of PostgreSQL's.
    """
    if not is_placeholder(token) or (token.text.startswith("@") and vendor == "mysql"):
        return False
    return folded or not (formatted and token.text == "?" and vendor == "postgresql")


def _slots(
    tokens: Sequence[Token], sources: Mapping[str, Source], *, folded: bool, vendor: str
) -> Iterator[Slot]:
    columns = dict(columns_beside(list(tokens)))
    formatted = any(map(_is_format, tokens))
    clause = ""
    for index, token in enumerate(tokens):
        if token.upper in ("LIMIT", "OFFSET"):
            clause = token.upper
        elif not _is_slot(token, folded=folded, vendor=vendor, formatted=formatted):
            continue
        else:
            before = tokens[index - 1].upper if index else ""
            at = columns.get(index, NO_COLUMN)
            if before in ("LIMIT", "OFFSET"):
                yield Slot("", "", clause)
            elif at == NO_COLUMN:
                yield Slot("", "", "")
            else:
                yield Slot(_table_of(tokens, at, sources), tokens[at].text, "")


def _table_of(tokens: Sequence[Token], at: int, sources: Mapping[str, Source]) -> str:
    """Return the table that a column belongs to: by the alias before it, or as the only one."""
    if at > 1 and tokens[at - 1].text == ".":
        found = sources.get(unquoted(tokens[at - 2]))
        return "" if found is None else found.raw
    names = {source.raw for source in sources.values()}
    return names.pop() if len(names) == 1 else ""


def _sources(tokens: Sequence[Token], tables: frozenset[str]) -> Iterator[tuple[str, Source]]:
    """Yield alias and table of each FROM, JOIN, UPDATE and INTO."""
    index = 0
    while index < len(tokens):
        if tokens[index].upper in _BEFORE_TABLE:
            index += 1
            while index < len(tokens):
                index, alias, source = _source(tokens, index)
                if source is None or source.name not in tables:
                    break
                yield alias, source
                if index >= len(tokens) or tokens[index].text != ",":
                    break
                index += 1
        else:
            index += 1


def _source(tokens: Sequence[Token], index: int) -> tuple[int, str, Source | None]:
    names: list[Token] = []
    while index < len(tokens) and tokens[index].text == "(":
        index += 1  # FROM (a JOIN b ON ...)
    while index < len(tokens) and tokens[index].upper in ("ONLY", "LATERAL"):
        index += 1
    while index < len(tokens) and tokens[index].kind in ("word", "name"):
        names.append(tokens[index])
        index += 1
        if index >= len(tokens) or tokens[index].text != ".":
            break
        index += 1
    if not names:
        return index + 1, "", None
    name = unquoted(names[-1])
    alias = name
    if index < len(tokens) and tokens[index].upper == "AS":
        index += 1
    if (
        index < len(tokens)
        and tokens[index].kind in ("word", "name")
        and tokens[index].upper not in _NO_ALIAS
    ):
        alias = unquoted(tokens[index])
        index += 1
    raw = ".".join(token.text for token in names)
    return index, alias, Source(raw, name, len(names) > 1)


def _kept(query: Query, slots: int) -> tuple[Any, ...] | None:
    """Return the recorded value of each slot, None where they are not all there and plain."""
    if slots == 0:
        return ()
    values: Any = query.parameters
    if values is None or query.many:
        return None
    if all(_is_named(value) for value in values) and any(map(_names, _marks(query))):
        values = dict(values)
    found = in_order(query.statement, values)
    if found is None or len(found) != slots or any(map(_is_class_name, found)):
        return None
    return found


def _marks(query: Query) -> Iterator[str]:
    return (t.text for t in tokens_of(query.statement, query.vendor) if is_placeholder(t))


def _names(mark: str) -> bool:
    """Tell whether a placeholder is a name's, as ``:isbn`` and ``%(isbn)s`` are."""
    return mark.startswith(("%(", ":"))


def _is_named(value: object) -> bool:
    """Tell whether a recorded value is one of a mapping: its name and itself."""
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)  # noqa: PLR2004 - a pair


def _is_class_name(value: object) -> bool:
    """Tell whether a value is the name of a class: what is no plain value is recorded so."""
    return isinstance(value, str) and value.startswith("<") and value.endswith(">")
