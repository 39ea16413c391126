"""The clauses of a SELECT: what it filters, joins and orders by, with the place of its parameters.

A reader of tokens, as ``shape`` is: it finds where clauses begin and end, which holds for every
database, and leaves what they mean alone. It runs once per distinct statement, off the hot path.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from queryscope.trace.tokens import MAX_CACHED_CHARS, is_placeholder, tokens_of, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.trace.tokens import Token

MAX_DEPTH = 2
"""SELECTs in SELECTs that are looked into."""
_BEGINS = {
    "SELECT", "FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH",
    "FOR", "LOCK",
}  # fmt: skip
_COMPOUND = {"UNION", "EXCEPT", "INTERSECT"}
_WITH_BY = {"GROUP", "ORDER"}
_LOCKS = {"UPDATE", "SHARE", "NO", "KEY", "IN"}
_JOIN_WORDS = {"INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "NATURAL", "LATERAL"}


class Part(NamedTuple):
    """A piece of a statement: its text, and which of the statement's placeholders stand in it.

    The text is in lower case but for values written out, without quotes around names, with ``?``
    for each placeholder.
    """

    text: str
    first: int = 0
    last: int = 0


NO_PART = Part("")


class Join(NamedTuple):
    """One JOIN: its kind (``inner``, ``left``, ``right``, ``full``, ``cross``) and its text."""

    kind: str
    table: str
    alias: str
    part: Part
    schema: str = ""


class _Item(NamedTuple):
    """One item of a FROM: a table, or an alias alone, and the token of its condition."""

    schema: str
    table: str
    alias: str
    condition: int


class _Source(NamedTuple):
    """What a SELECT takes its rows from."""

    first: _Item
    joins: tuple[Join, ...]
    inner: Clauses | None


class Clauses(NamedTuple):
    """What a SELECT consists of.

    Attributes:
        columns: The items of the select list.
        distinct: It has a DISTINCT.
        table: The first table, without its schema; ``""`` where it is a SELECT of its own.
        alias: How that table is called in the statement.
        joins: What is joined to it, in order.
        where: The condition.
        conjuncts: The parts of the condition that have to hold together.
        grouping: GROUP BY and HAVING.
        order: The items of ORDER BY.
        limited: It has a LIMIT, OFFSET or FETCH FIRST.
        probe: ``count`` or ``exists`` where it asks only that of the rows, else ``""``.
        inner: The SELECT that it selects from, where that is its first table.
        schema: What stands before the first table, ``shop`` of ``shop.book``; ``""`` for nothing.
    """

    columns: tuple[str, ...]
    distinct: bool
    table: str
    alias: str
    joins: tuple[Join, ...]
    where: Part
    conjuncts: tuple[Part, ...]
    grouping: Part
    order: tuple[str, ...]
    limited: bool
    probe: str
    inner: Clauses | None
    schema: str = ""

    @property
    def asked(self) -> Clauses:
        """The SELECT whose rows are asked for: the inner one of a count over a subquery."""
        if self.inner is not None and self.probe and not self.joins and not self.where.text:
            return self.inner
        return self


def clauses_of(statement: str, vendor: str = "") -> Clauses | None:
    """Return the clauses of a SELECT, None for what is none or cannot be told apart.

    Args:
        statement: The text as sent, with placeholders or values.
        vendor: As for ``shape_of``.
    """
    if len(statement) > MAX_CACHED_CHARS:
        return None
    return _cached(statement, vendor)


@lru_cache(maxsize=1024)
def _cached(statement: str, vendor: str) -> Clauses | None:
    reader = Reader.of(statement, vendor)
    return reader.select(0, len(reader.tokens), 0)


class Reader:
    """The tokens of one statement, with the placeholders before each counted."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.before = [0]
        self.depth = [0]
        """How many parentheses are open before each token."""
        for token in tokens:
            self.before.append(self.before[-1] + is_placeholder(token))
            self.depth.append(self.depth[-1] + (token.text == "(") - (token.text == ")"))

    @classmethod
    def of(cls, statement: str, vendor: str = "") -> Reader:
        """Return the reader of a statement, without the semicolon at its end."""
        tokens = tokens_of(statement, vendor)
        while tokens and tokens[-1].text == ";":
            tokens.pop()
        return cls(tokens)

    def select(self, start: int, end: int, nesting: int) -> Clauses | None:
        """Return the clauses of the SELECT between two tokens, None if it is none or unclear."""
        tokens = self.tokens
        if start >= end or tokens[start].upper != "SELECT":
            return None
        found = self.segments(start, end)
        if found is None:
            return None
        first, last = found["SELECT"]
        distinct = first < last and tokens[first].upper in ("DISTINCT", "ALL")
        begin = first + distinct
        columns = self.items(begin, last)
        probe, inner = self.probe(begin, last, nesting), None
        table = alias = schema = ""
        joins: tuple[Join, ...] = ()
        if "FROM" in found:
            read = self.source(*found["FROM"], nesting)
            if read is None:
                return None
            (schema, table, alias, _), joins, inner = read
        elif probe == "exists":
            inner = self.inside(begin + 1, last, nesting)
        if probe == "exists" and inner is None and "FROM" not in found:
            return None
        where = self.part(*found.get("WHERE", (0, 0)))
        grouping = self.part(
            found.get("GROUP", found.get("HAVING", (0, 0)))[0],
            found.get("HAVING", found.get("GROUP", (0, 0)))[1],
        )
        return Clauses(
            columns=tuple(part.text for part in columns),
            distinct=distinct and tokens[first].upper == "DISTINCT",
            table=table,
            alias=alias,
            joins=joins,
            where=where,
            conjuncts=tuple(self.conjuncts(*found["WHERE"])) if "WHERE" in found else (),
            grouping=grouping,
            order=tuple(part.text for part in self.items(*found.get("ORDER", (0, 0)))),
            limited=bool({"LIMIT", "OFFSET", "FETCH"} & found.keys()),
            probe=probe,
            inner=inner,
            schema=schema,
        )

    def segments(self, start: int, end: int) -> dict[str, tuple[int, int]] | None:
        """Return (first, behind the last) token of each clause by its word; None if unclear."""
        tokens = self.tokens
        level = self.depth[start]
        marks: list[tuple[str, int, int]] = []
        for index in range(start, end):
            if self.depth[index] != level:
                if self.depth[index] < level:
                    return None
                continue
            word = tokens[index].upper
            if word in _COMPOUND:
                return None
            if word not in _BEGINS or (index and tokens[index - 1].text == "."):
                continue
            following = tokens[index + 1].upper if index + 1 < end else ""
            if word == "FOR" and following not in _LOCKS:
                continue
            if word == "LOCK" and following != "IN":
                continue
            if word in _WITH_BY:
                if following != "BY":
                    continue
                marks.append((word, index, index + 2))
            elif word == "FROM" and tokens[index - 1].upper == "DISTINCT":
                continue  # IS DISTINCT FROM
            else:
                marks.append((word, index, index + 1))
        if self.depth[end] != level:
            return None
        found: dict[str, tuple[int, int]] = {}
        for (word, _, first), behind in zip(
            marks, [*(mark[1] for mark in marks[1:]), end], strict=True
        ):
            if word in found:
                return None
            found[word] = first, behind
        return found

    def source(self, start: int, end: int, nesting: int) -> _Source | None:
        """Return what a FROM says, None if it is unclear."""
        tokens, level = self.tokens, self.depth[start]
        cuts = [
            index
            for index in range(start, end)
            if self.depth[index] == level
            and (tokens[index].text == "," or tokens[index].upper in ("JOIN", "STRAIGHT_JOIN"))
        ]
        joins: list[Join] = []
        head = start
        first: _Item | None = None
        inner: Clauses | None = None
        for number, cut in enumerate([*cuts, end]):
            behind = cut
            while behind > head and tokens[behind - 1].upper in _JOIN_WORDS and cut != end:
                behind -= 1
            kind = ""
            if number:
                kind = self.join_kind(cuts[number - 1])
            item = self.item(head, behind)
            if first is None:
                first = item
                if not item.table:
                    inner = self.inside(head, behind, nesting)
                    if inner is None:
                        return None
            else:
                part = self.part(item.condition, behind)
                joins.append(Join(kind, item.table, item.alias, part, item.schema))
            head = cut + 1
        return None if first is None else _Source(first, tuple(joins), inner)

    def join_kind(self, index: int) -> str:
        """Return the kind of the join whose JOIN or comma is a token."""
        words = set()
        at = index - 1
        while at >= 0 and self.tokens[at].upper in _JOIN_WORDS:
            words.add(self.tokens[at].upper)
            at -= 1
        if self.tokens[index].text == ",":
            return "cross"
        return next(
            (word.lower() for word in ("LEFT", "RIGHT", "FULL", "CROSS") if word in words), "inner"
        )

    def item(self, start: int, end: int) -> _Item:
        """Return one item of a FROM."""
        tokens = self.tokens
        index = start
        name = ""
        before: list[str] = []
        if index < end and tokens[index].text == "(":
            while index < end and self.depth[index + 1] > self.depth[start]:
                index += 1
            index += 1
        else:
            while index < end and tokens[index].kind in ("word", "name"):
                name = unquoted(tokens[index])
                index += 1
                if index >= end or tokens[index].text != ".":
                    break
                before.append(name)
                index += 1
        if index < end and tokens[index].upper == "AS":
            index += 1
        alias = name
        if (
            index < end
            and tokens[index].kind in ("word", "name")
            and tokens[index].upper not in ("ON", "USING")
        ):
            alias = unquoted(tokens[index])
            index += 1
        return _Item(".".join(before), name, alias, index)

    def probe(self, start: int, end: int, nesting: int) -> str:
        """Return what the select list asks of the rows, if nothing else than how many or any."""
        texts = [token.upper or token.text for token in self.tokens[start : min(end, start + 4)]]
        if texts[:2] == ["COUNT", "("] and self._closes(start + 1, end):
            inside = self.tokens[start + 2 : start + 4]
            if inside[:1] and (inside[0].text == "*" or inside[0].kind == "value"):
                return "count"
        if texts[:2] == ["EXISTS", "("] and nesting < MAX_DEPTH and self._closes(start + 1, end):
            return "exists"
        if start < end and self.tokens[start].kind == "value":
            rest = self.tokens[start + 1 : end]
            if not rest or (rest[0].upper == "AS" and len(rest) == 2):  # noqa: PLR2004 - AS a
                return "exists"
        return ""

    def _closes(self, opened: int, end: int) -> bool:
        """Tell whether only an alias follows the parenthesis opened at a token."""
        rest = self.tokens[self.closing(opened, end) + 1 : end]
        return not rest or (rest[0].upper == "AS" and len(rest) == 2)  # noqa: PLR2004 - AS a

    def inside(self, start: int, end: int, nesting: int) -> Clauses | None:
        """Return the SELECT in the parenthesis that opens at a token."""
        if nesting >= MAX_DEPTH or start >= end or self.tokens[start].text != "(":
            return None
        return self.select(start + 1, self.closing(start, end), nesting + 1)

    def closing(self, opened: int, end: int) -> int:
        """Return the token that closes the parenthesis opened at a token, or the end."""
        index = opened + 1
        while index < end and self.depth[index + 1] > self.depth[opened]:
            index += 1
        return index

    def items(self, start: int, end: int) -> list[Part]:
        """Return what commas part."""
        return [self.part(*span) for span in self.spans(start, end, ",")]

    def conjuncts(self, start: int, end: int) -> Iterator[Part]:
        """Yield what ANDs part; a condition with an OR beside them is one piece."""
        for span in self.conjunct_spans(start, end):
            yield self.part(*span)

    def conjunct_spans(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the same as (first, behind the last) token of each."""
        tokens = self.tokens
        while (
            end - start > 2  # noqa: PLR2004 - something in parentheses
            and tokens[start].text == "("
            and all(self.depth[index] > self.depth[start] for index in range(start + 1, end))
        ):
            start, end = start + 1, end - 1
        level = self.depth[start]
        words = {tokens[i].upper for i in range(start, end) if self.depth[i] == level}
        if words & {"OR", "XOR"}:
            yield start, end
            return
        yield from self.spans(start, end, "AND")

    def spans(self, start: int, end: int, at: str) -> Iterator[tuple[int, int]]:
        """Yield (first, behind the last) token of what a comma or an AND parts."""
        if start >= end:
            return
        level = self.depth[start]
        begin = start
        between = False
        for index in range(start, end):
            token = self.tokens[index]
            if self.depth[index] != level:
                continue
            if token.upper == "BETWEEN":
                between = True
            elif at in (token.text, token.upper):
                if between and at == "AND":
                    between = False
                    continue
                yield begin, index
                begin = index + 1
        if begin < end:
            yield begin, end

    def part(self, start: int, end: int) -> Part:
        """Return what stands between two tokens."""
        if start >= end:
            return NO_PART
        text = " ".join(map(_text, self.tokens[start:end])).replace(" . ", ".")
        return Part(text, self.before[start], self.before[end])


def _text(token: Token) -> str:
    if token.kind == "value":
        return "?" if is_placeholder(token) else token.text
    return unquoted(token)
