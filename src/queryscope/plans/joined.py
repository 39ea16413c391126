"""A SELECT with a join in place of its first subquery: another text that gives the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.plans.uniqueness import is_distinct_on
from queryscope.trace.clauses import Reader
from queryscope.trace.subselects import found_in
from queryscope.trace.tokens import is_placeholder, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.plans.schema import Schema
    from queryscope.trace.clauses import Clauses
    from queryscope.trace.subselects import Subselect

Form = Literal["in", "exists", "value"]
Span = tuple[int, int]

ALIAS = "queryscope_joined"
"""How the rows of the subquery are called in the join."""
_KEY, _VALUE = "queryscope_key", "queryscope_value"
_AGGREGATES = {"COUNT", "SUM", "AVG", "MIN", "MAX"}
_UNCLEAR = {"LIMIT", "OFFSET", "FETCH", "FOR", "LOCK", "OVER", "WINDOW"}
"""Words in a subquery with which a join would need more than this."""


class Joined(NamedTuple):
    """A statement with a join in place of a subquery.

    Attributes:
        statement: The text.
        order: Which placeholder of the original stands at each place, in order.
        form: What the subquery was: the list of an ``in``, what ``exists``, or a ``value``.
        correlated: It has to be asked again for each row around it.
        table: The table that the subquery reads.
        alias: What it calls that table.
        outer: The first table of the statement.
        alone: The statement's condition is the subquery alone, and it joins nothing else: it is
            asked once for each row of ``outer``.
    """

    statement: str
    order: tuple[int, ...]
    form: Form
    correlated: bool
    table: str
    alias: str
    outer: str
    alone: bool


class _Link(NamedTuple):
    """An equality that ties a subquery to the rows around it: a column of each side."""

    inner: Span
    outer: Span


class _Found(NamedTuple):
    form: Form
    subselect: Subselect
    span: Span
    """What the join stands for: the conjunct, or the item of the select list."""
    links: tuple[_Link, ...]
    local: tuple[Span, ...]
    """Conjuncts of the subquery that ask nothing of the rows around it."""


def joined(statement: str, vendor: str, schema: Schema) -> Joined | None:
    """Return a SELECT with a join in place of its first subquery, None where that is not sure.

    Args:
        statement: The text as sent.
        vendor: As for ``shape_of``.
        schema: Says to which table a column without one belongs.
    """
    reader = Reader.of(statement, vendor)
    return _Rewriter(reader, schema).first()


class _Rewriter:
    def __init__(self, reader: Reader, schema: Schema) -> None:
        self.reader = reader
        self.tokens = reader.tokens
        self.schema = schema
        self.outside: frozenset[str] = frozenset()
        """Columns of the tables that the statement itself reads."""

    def first(self) -> Joined | None:
        reader, end = self.reader, len(self.tokens)
        clauses = reader.select(0, end, 0)
        segments = reader.segments(0, end) if clauses is not None else None
        if clauses is None or segments is None or not _is_plain(clauses, segments):
            return None
        if not self.knows(clauses):
            return None
        self.outside = self.columns(clauses)
        for subselect in found_in(reader):
            if subselect.negated or not self.is_outermost(subselect):
                continue
            found = self.read(subselect, clauses, segments)
            if found is not None:
                return self.written(found, clauses, segments)
        return None

    def knows(self, clauses: Clauses) -> bool:
        """Tell whether the schema has every table that a SELECT reads."""
        return all(self.schema.table(name) is not None for name in _tables(clauses))

    def is_outermost(self, subselect: Subselect) -> bool:
        """Tell whether a subquery is in no other one, and has none in it."""
        for index, token in enumerate(self.tokens[1:], 1):
            if token.upper != "SELECT" or index == subselect.start:
                continue
            if subselect.start < index < subselect.end:
                return False
            opened = self.tokens[index - 1].text == "("
            if opened and index < subselect.start < self.reader.closing(
                index - 1, len(self.tokens)
            ):
                return False
        return True

    # -- reading -----------------------------------------------------------------------------

    def read(
        self, subselect: Subselect, outer: Clauses, segments: dict[str, Span]
    ) -> _Found | None:
        """Return how a subquery is tied to the statement, None where a join is not the same."""
        inner = subselect.clauses
        if not inner.table or any(join.kind != "inner" or not join.table for join in inner.joins):
            return None
        if not self.knows(inner):
            return None
        unclear = _UNCLEAR & subselect.words
        if subselect.role == "exists" and unclear == {"LIMIT"}:
            unclear = set()  # one row or more: any row is as good
        if (
            unclear
            or "HAVING" in subselect.words
            or subselect.role not in ("in", "exists", "value")
        ):
            return None
        span = self.place(subselect, segments)
        if span is None:
            return None
        ties = self.ties(subselect, outer)
        if ties is None:
            return None
        links, local = ties
        form: Form = "value"
        if subselect.role == "in":
            form = "in"
            if links or len(inner.columns) != 1 or inner.grouping.text or is_distinct_on(inner):
                return None
        elif subselect.role == "exists":
            form = "exists"
            if not links or inner.grouping.text or _AGGREGATES & subselect.words:
                return None
        elif not links or not self.is_aggregate(subselect, links) or outer.grouping.text:
            return None
        return _Found(form, subselect, span, tuple(links), tuple(local))

    def place(self, subselect: Subselect, segments: dict[str, Span]) -> Span | None:
        """Return the conjunct, or the item of the select list, that a subquery is."""
        reader = self.reader
        if subselect.role == "value":
            start, end = segments["SELECT"]
            within = start < subselect.start < end
            return (subselect.start - 1, subselect.end + 1) if within else None
        for start, end in reader.conjunct_spans(*segments.get("WHERE", (0, 0))):
            if not start < subselect.start < end:
                continue
            begin, stop = self.bare(start, end)
            head = subselect.start - 2
            if stop != subselect.end + 1:
                return None
            if subselect.role == "exists":
                return (start, end) if head == begin else None
            is_column = self.is_column(begin, head)
            return (start, end) if is_column else None
        return None

    def bare(self, start: int, end: int) -> Span:
        """Return a span without the parentheses around it."""
        while self.tokens[start].text == "(" and self.reader.closing(start, end) == end - 1:
            start, end = start + 1, end - 1
        return start, end

    def is_column(self, start: int, end: int) -> bool:
        """Tell whether a span is the name of a column, with its table or without."""
        tokens = self.tokens
        names = [tokens[index].kind in ("name", "word") for index in range(start, end, 2)]
        dots = [tokens[index].text == "." for index in range(start + 1, end, 2)]
        return end > start and (end - start) % 2 == 1 and all(names) and all(dots)

    def ties(self, subselect: Subselect, outer: Clauses) -> tuple[list[_Link], list[Span]] | None:
        """Return the links of a subquery and its other conjuncts; None where others reach out."""
        reader = self.reader
        segments = reader.segments(subselect.start, subselect.end)
        if segments is None:
            return None
        inner = {subselect.clauses.alias, *(join.alias for join in subselect.clauses.joins)}
        around = {outer.alias, *(join.alias for join in outer.joins)} - inner
        links: list[_Link] = []
        local: list[Span] = []
        for span in reader.conjunct_spans(*segments.get("WHERE", (0, 0))):
            sides = self.sides(span, subselect, around)
            if sides is not None:
                links.append(sides)
            elif self.reaches_out(span, subselect, around):
                return None
            else:
                local.append(span)
        for name, span in segments.items():
            if name != "WHERE" and self.reaches_out(span, subselect, around):
                return None
        return links, local

    def sides(self, span: Span, subselect: Subselect, around: set[str]) -> _Link | None:
        """Return the two columns of an equality between a subquery and the rows around it."""
        start, end = self.bare(*span)
        level = self.reader.depth[start]
        equals = [
            index
            for index in range(start, end)
            if self.tokens[index].text == "=" and self.reader.depth[index] == level
        ]
        if len(equals) != 1:
            return None
        left, right = self.bare(start, equals[0]), self.bare(equals[0] + 1, end)
        if not (self.is_column(*left) and self.is_column(*right)):
            return None
        owners = self.owner(left, subselect, around), self.owner(right, subselect, around)
        if owners == ("inner", "outer"):
            return _Link(left, right)
        return _Link(right, left) if owners == ("outer", "inner") else None

    def owner(self, span: Span, subselect: Subselect, around: set[str]) -> str:
        """Return whose column it is: ``inner``, ``outer``, or ``""`` where that is not known."""
        start, end = span
        if end - start > 1:
            return "outer" if unquoted(self.tokens[end - 3]) in around else "inner"
        name = unquoted(self.tokens[start])
        if name in self.columns(subselect.clauses):
            return "inner"
        return "outer" if name in self.outside else ""

    def reaches_out(self, span: Span, subselect: Subselect, around: set[str]) -> bool:
        """Tell whether a span may name a column of the rows around the subquery."""
        tokens = self.tokens
        foreign = self.outside - self.columns(subselect.clauses)
        for index in range(*span):
            token = tokens[index]
            if token.kind not in ("name", "word") or tokens[index - 1].text == ".":
                continue
            behind = tokens[index + 1].text if index + 1 < len(tokens) else ""
            if unquoted(token) in (around if behind == "." else foreign):
                return True
        return False

    def columns(self, clauses: Clauses) -> frozenset[str]:
        """Return the columns of the tables that a SELECT reads, in lower case."""
        tables = [self.schema.table(name) for name in _tables(clauses)]
        return frozenset(
            column.name.lower() for table in tables if table is not None for column in table.columns
        )

    def is_aggregate(self, subselect: Subselect, links: Sequence[_Link]) -> bool:
        """Tell whether a subquery gives one aggregate, of the rows that its links tie."""
        reader, tokens = self.reader, self.tokens
        segments = reader.segments(subselect.start, subselect.end)
        if segments is None:
            return False
        items = list(reader.spans(*segments["SELECT"], ","))
        if len(items) != 1:
            return False
        start, end = items[0]
        if tokens[start].upper not in _AGGREGATES or tokens[start + 1].text != "(":
            return False
        rest = tokens[reader.closing(start + 1, end) + 1 : end]
        if rest and not (rest[0].upper == "AS" or rest[0].kind == "name"):
            return False
        if "GROUP" not in segments:
            return True
        grouped = {self.last_name(span) for span in reader.spans(*segments["GROUP"], ",")}
        return grouped == {self.last_name(link.inner) for link in links}

    def last_name(self, span: Span) -> str:
        """Return the name of a column without its table; ``?`` for what is no column."""
        start, end = self.bare(*span)
        return unquoted(self.tokens[end - 1]) if self.is_column(start, end) else "?"

    # -- writing -----------------------------------------------------------------------------

    def written(self, found: _Found, outer: Clauses, segments: dict[str, Span]) -> Joined:
        inner = found.subselect.clauses
        parts: list[int | str] = []
        end = len(self.tokens)
        behind = segments["FROM"][1]
        index = 0
        while index < end:
            if index == behind:
                parts += self.join(found)
            if index == found.span[0]:
                parts += self.instead(found)
                index = found.span[1]
                continue
            parts.append(index)
            index += 1
        if behind == end:
            parts += self.join(found)
        text, order = self.rendered(parts)
        where = list(self.reader.conjunct_spans(*segments.get("WHERE", (0, 0))))
        lone = len(where) == (0 if found.form == "value" else 1)
        return Joined(
            statement=text,
            order=order,
            form=found.form,
            correlated=bool(found.links),
            table=inner.table,
            alias=inner.alias,
            outer=outer.table,
            alone=lone and not outer.joins and not outer.limited,
        )

    def instead(self, found: _Found) -> Iterator[int | str]:
        """Yield what stands where the subquery stood."""
        if found.form != "value":
            yield "1 = 1"
            return
        value = f"{ALIAS}.{_VALUE}"
        is_count = self.tokens[found.subselect.start + 1].upper == "COUNT"
        grouped = bool(found.subselect.clauses.grouping.text)
        yield f"COALESCE({value}, 0)" if is_count and not grouped else value

    def join(self, found: _Found) -> Iterator[int | str]:
        """Yield the join with the rows of the subquery."""
        subselect = found.subselect
        segments = self.reader.segments(subselect.start, subselect.end) or {}
        yield f"{'LEFT' if found.form == 'value' else 'INNER'} JOIN (SELECT"
        if found.form == "in":
            start, end = segments["SELECT"]
            start += self.tokens[start].upper in ("DISTINCT", "ALL")
            item_end = self.without_alias(start, end)
            yield "DISTINCT"
            yield from range(start, item_end)
            yield f"AS {_KEY}0"
        else:
            if found.form == "exists":
                yield "DISTINCT"
            for number, link in enumerate(found.links):
                yield from range(*link.inner)
                yield f"AS {_KEY}{number}{',' if number + 1 < len(found.links) else ''}"
            if found.form == "value":
                yield ","
                start, end = segments["SELECT"]
                yield from range(start, self.reader.closing(start + 1, end) + 1)
                yield f"AS {_VALUE}"
        yield "FROM"
        yield from range(*segments["FROM"])
        for number, span in enumerate(found.local):
            yield "AND" if number else "WHERE"
            yield "("
            yield from range(*span)
            yield ")"
        if found.form == "value":
            yield "GROUP BY"
            for number, link in enumerate(found.links):
                yield from range(*link.inner)
                if number + 1 < len(found.links):
                    yield ","
        yield f") {ALIAS} ON"
        if found.form == "in":
            begin, _ = self.bare(*found.span)
            yield from range(begin, subselect.start - 2)
            yield f"= {ALIAS}.{_KEY}0"
            return
        for number, link in enumerate(found.links):
            yield from range(*link.outer)
            last = number + 1 == len(found.links)
            yield f"= {ALIAS}.{_KEY}{number}{'' if last else ' AND'}"

    def without_alias(self, start: int, end: int) -> int:
        """Return where an item of a select list ends before its alias."""
        if end - start > 2 and self.tokens[end - 2].upper == "AS":  # noqa: PLR2004 - AS a
            return end - 2
        return end

    def rendered(self, parts: Sequence[int | str]) -> tuple[str, tuple[int, ...]]:
        texts: list[str] = []
        order: list[int] = []
        before = -2
        for part in parts:
            if isinstance(part, str):
                texts.append(f" {part}")
                before = -2
                continue
            token = self.tokens[part]
            if is_placeholder(token):
                order.append(self.reader.before[part])
            glued = token.glued and part == before + 1
            texts.append(token.text if glued else f" {token.text}")
            before = part
        return "".join(texts).strip(), tuple(order)


def _tables(clauses: Clauses) -> Iterator[str]:
    yield clauses.table
    for join in clauses.joins:
        yield join.table


def _is_plain(clauses: Clauses, segments: dict[str, Span]) -> bool:
    """Tell whether a table can be joined to a SELECT without any other effect."""
    if not clauses.table or "FROM" not in segments or {"FOR", "LOCK"} & segments.keys():
        return False
    if any(join.kind == "cross" or not join.table for join in clauses.joins):
        return False
    return not any(column == "*" for column in clauses.columns)
