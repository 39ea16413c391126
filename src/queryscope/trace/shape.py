"""The shape of a statement: its text with values and list lengths folded away.

A lexer, not a parser: it knows the quoting of SQLite, PostgreSQL and MariaDB/MySQL and reads
off what the detectors need. It runs once per distinct statement, off the hot path.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

MAX_CACHED_CHARS = 16_384
"""Longer statements are read each time, so that the cache stays bounded in bytes, too."""
MAX_READ_CHARS = 65_536
"""What is read of a statement; the rest does not change its shape."""


class Shape(NamedTuple):
    """What a lexer can say of a statement.

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


# Possessive repeats: what one alternative took is never tried again, so reading is linear in
# the length of the statement, whatever stands in it.
_BACKSLASHED = r"(?:[^{0}\\]+|{0}{0}|\\.)*+(?:{0}|\\?\Z)"
_ESCAPED_STRING = "[Ee]'" + _BACKSLASHED.format("'")
_STANDARD_STRING = r"(?:[NnXxBb]|[Uu]&)?'(?:[^']|'')*+'?"
_QUOTED_NAME = r""""(?:[^"]|"")*+"?|`(?:[^`]|``)*+`?"""


def _lexer(*, comment: str, string: str, name: str, value: str) -> re.Pattern[str]:
    """Return the pattern of one token in one family of databases."""
    return re.compile(
        rf"""
          (?P<space>\s+)
        | (?P<comment>{comment})
        | (?P<value>{string}|{value}|%s|%\(\w+\)s|\?\d*|(?<!:):[A-Za-z_]\w*
            |0[xX][0-9A-Fa-f]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
        | (?P<name>{name})
        | (?P<word>[^\W\d]\w*(?:\$\w*)*)
        | (?P<cast>::)
        | (?P<operator><>|<=|>=|!=|\|\||->>|->|[^\w\s])
        """,
        re.VERBOSE | re.DOTALL,
    )


_STANDARD = _lexer(
    comment=r"--[^\n]*|/\*",
    string=rf"{_ESCAPED_STRING}|{_STANDARD_STRING}|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)",
    name=_QUOTED_NAME,
    value=r"\$\d+",
)
_MYSQL = _lexer(
    comment=r"--(?=\s|\Z)[^\n]*|\#[^\n]*|/\*.*?(?:\*/|\Z)",
    string=rf"""[NnXxBb]?'{_BACKSLASHED.format("'")}|"{_BACKSLASHED.format('"')}""",
    name=r"`(?:[^`]|``)*+`?",
    value=r"@@?\w[\w.$]*",
)
_BRACKETS = _lexer(
    comment=r"--[^\n]*|/\*.*?(?:\*/|\Z)",
    string=_STANDARD_STRING,
    name=_QUOTED_NAME + r"|\[[^\]]*\]?",
    value=r"[@$]\w+",
)
_LEXERS = {
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": _BRACKETS,
    "mssql": _BRACKETS,
}
"""By vendor; PostgreSQL and unknown ones read as the standard does, with dollar quotes."""
_PERHAPS_LITERAL = re.compile(r"['\"$]|\b\d")
_PLACEHOLDER = re.compile(r"%s|%\(\w+\)s|\?\d*|:\w+|\$\w+|@@?\w[\w.$]*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")

_TRANSACTION = {"BEGIN", "START", "COMMIT", "ROLLBACK", "END", "ABORT"}
_CATALOGUE = {"PRAGMA", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "SET", "RESET", "USE", "ANALYZE"}
_DDL = {"CREATE", "ALTER", "DROP", "TRUNCATE", "COMMENT", "GRANT", "REVOKE", "REINDEX", "VACUUM"}
_FIRST_KIND = {
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
_CATALOGUE_TABLES = {
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
_TYPE_TAIL = {"PRECISION", "VARYING", "WITH", "WITHOUT", "TIME", "ZONE"}
_FORMS_A_LIST = {"NULL", "TRUE", "FALSE", "DEFAULT"}


def shape_of(statement: str, vendor: str = "") -> Shape:
    """Return the shape of a statement; equal statements give the same object while cached.

    Args:
        statement: The text as sent, with placeholders or values.
        vendor: ``mysql`` reads backslash escapes and ``"..."`` as strings, ``sqlite`` reads
            ``[...]`` as a name, others read dollar quotes and nested comments as PostgreSQL.
    """
    if len(statement) > MAX_CACHED_CHARS:
        return _read(statement[:MAX_READ_CHARS], _LEXERS.get(vendor, _STANDARD))
    return _cached(statement, _LEXERS.get(vendor, _STANDARD))


def without_literals(statement: str, vendor: str = "") -> str:
    """Return a statement with ``?`` in place of every value written into its text.

    Placeholders, list lengths, comments and layout stay, and with them the shape.

    Args:
        statement: The text as sent.
        vendor: As for ``shape_of``.
    """
    if _PERHAPS_LITERAL.search(statement) is None:
        return statement
    lexer = _LEXERS.get(vendor, _STANDARD)
    parts: list[str] = []
    position, end = 0, len(statement)
    while position < end:
        match = lexer.match(statement, position)
        assert match is not None  # noqa: S101 - the alternatives cover every character
        text = match.group()
        after = match.end()
        if match.lastgroup == "comment" and text == "/*":
            after = _comment_end(statement, after)
            text = statement[position:after]
        elif match.lastgroup == "value" and not _PLACEHOLDER.fullmatch(text):
            text = "?"
        parts.append(text)
        position = after
    return "".join(parts)


@lru_cache(maxsize=4096)
def _cached(statement: str, lexer: re.Pattern[str]) -> Shape:
    return _read(statement, lexer)


class _Token(NamedTuple):
    kind: str
    text: str
    upper: str
    glued: bool
    """It follows the token before it without a space: ``COUNT(`` is a call, ``IN (`` is not."""


def _tokens(statement: str, lexer: re.Pattern[str]) -> list[_Token]:
    """Split a statement; comments and spaces are dropped, all values have the kind ``value``."""
    found: list[_Token] = []
    glued = False
    position, end = 0, len(statement)
    while position < end:
        match = lexer.match(statement, position)
        assert match is not None  # noqa: S101 - the alternatives cover every character
        kind = match.lastgroup or ""
        text = match.group()
        position = match.end()
        if kind == "space":
            glued = False
        elif kind == "comment":
            glued = False
            if text == "/*":
                position = _comment_end(statement, position)
        else:
            found.append(_Token(kind, text, text.upper() if kind == "word" else "", glued))
            glued = True
    return found


def _comment_end(statement: str, position: int) -> int:
    """Return where a comment that may hold comments ends, as the standard nests them."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(statement, position):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    return len(statement)


def _read(statement: str, lexer: re.Pattern[str]) -> Shape:
    tokens = _tokens(statement, lexer)
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    text, in_list = _fold(tokens)
    reads, writes, joins = _tables(tokens)
    words = {token.upper for token in tokens if token.kind == "word"}
    kind = _kind(tokens, reads)
    if kind == "savepoint" and len(tokens) > 1:
        # The names are counted up or made at random.
        text = _joined([*(token.text for token in tokens[:-1]), "?"])
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


def _kind(tokens: list[_Token], reads: set[str]) -> str:
    """Return the kind of a statement by its first verb outside parentheses."""
    first = next((token.upper for token in tokens if token.kind == "word"), "")
    if first == "ROLLBACK" and any(token.upper == "TO" for token in tokens):
        return "savepoint"
    if first in _TRANSACTION or (first == "SET" and any(t.upper == "TRANSACTION" for t in tokens)):
        return "transaction"
    if first in _CATALOGUE:
        return "catalogue"
    if first in _DDL:
        return "ddl"
    if first == "WITH":
        depth = 0
        for token in tokens:
            depth += (token.text == "(") - (token.text == ")")
            if depth == 0 and token.upper in _FIRST_KIND:
                first = token.upper
                break
    kind = _FIRST_KIND.get(first, "other")
    if kind == "select" and (reads & _CATALOGUE_TABLES or (not reads and _asks_server(tokens))):
        return "catalogue"
    return kind


def _asks_server(tokens: list[_Token]) -> bool:
    """Tell whether a SELECT without tables asks for the server's version, variables or such."""
    return any(
        token.upper in _CATALOGUE_CALLS
        or token.text.startswith("@@")
        or token.upper.startswith("PRAGMA_")
        for token in tokens
    )


def _fold(tokens: list[_Token]) -> tuple[str, int]:
    """Return the folded text and the length of the longest IN list."""
    parts: list[str] = []
    longest = 0
    index = 0
    depth = 0
    rows = _Rows()
    in_rows: list[list[int]] = []  # (depth, length) of IN lists whose items are rows
    while index < len(tokens):
        token = tokens[index]
        if token.text == "(":
            after_in = _follows_in(tokens, index)
            length, after = _value_list(tokens, index)
            if length:
                if after_in:
                    longest = max(longest, length)
                if in_rows and in_rows[-1][0] == depth and parts[-1] in ("(", ",", "VALUES"):
                    in_rows[-1][1] += 1
                # VALUES (?), (?), (?) is one shape whatever the number of rows.
                if parts[-2:] == ["(?)", ","]:
                    parts.pop()
                elif token.glued and not after_in and _is_call(tokens, index):
                    parts[-1] += "(?)"
                else:
                    parts.append("(?)")
                index = after
                continue
            rows.open(depth, parts)
            depth += 1
            if after_in:
                in_rows.append([depth, 0])
            if token.glued and not after_in and _is_call(tokens, index):
                parts[-1] += "("
            else:
                parts.append("(")
        elif token.kind == "value":
            parts.append("?")
        elif token.text in ("-", "+") and _signs_a_value(tokens, index):
            pass
        else:
            if token.text == ")":
                if in_rows and in_rows[-1][0] == depth:
                    longest = max(longest, in_rows.pop()[1])
                depth -= 1
            parts.append(token.text)
            if token.text == ")":
                rows.close(depth, parts)
            elif token.upper == "VALUES":
                parts[-1] = "VALUES"
                rows.start(depth)
            elif token.text != ",":
                rows.end(depth)
        index += 1
    if in_rows:
        longest = max(longest, in_rows[0][1])
    return _joined(parts), longest


class _Rows:
    """Folds ``VALUES (?, now()), (?, now())`` into its first row, while the parts are made."""

    def __init__(self) -> None:
        self.depth = -1
        self.begin = -1
        self.last: list[str] = []

    def start(self, depth: int) -> None:
        self.depth, self.begin, self.last = depth, -1, []

    def end(self, depth: int) -> None:
        """Note a token that is no row: at the depth of VALUES it ends the rows."""
        if depth <= self.depth:
            self.depth = -1

    def open(self, depth: int, parts: list[str]) -> None:
        if depth == self.depth:
            self.begin = len(parts)

    def close(self, depth: int, parts: list[str]) -> None:
        if depth != self.depth or self.begin < 0:
            self.end(depth + 1)
            return
        row = parts[self.begin :]
        if row == self.last and parts[self.begin - 1] == ",":
            del parts[self.begin - 1 :]
        self.last, self.begin = row, -1


def _follows_in(tokens: list[_Token], index: int) -> bool:
    return index > 0 and tokens[index - 1].upper == "IN"


def _is_call(tokens: list[_Token], index: int) -> bool:
    """Tell whether the parenthesis glued to what stands before it has a name before it."""
    return index > 0 and tokens[index - 1].kind == "word"


def _signs_a_value(tokens: list[_Token], index: int) -> bool:
    """Tell whether ``-`` or ``+`` at ``index`` is the sign of a literal, as in ``= -1``."""
    if index + 1 >= len(tokens) or tokens[index + 1].kind != "value":
        return False
    before = tokens[index - 1] if index else None
    return before is None or before.text in ("=", "(", ",", "<", ">", "<=", ">=", "<>", "!=")


def _value_list(tokens: list[_Token], start: int) -> tuple[int, int]:
    """Return (number of values, index behind) of ``(v, v, ...)`` at ``start``, (0, start) if none.

    Casts as in ``%s::uuid`` count with their value. A list that the statement's cut left
    without its end is a list, too.
    """
    count = 0
    index = start + 1
    expect_value = True
    while index < len(tokens):
        token = tokens[index]
        if expect_value and token.text in ("-", "+"):
            index += 1
            continue
        if expect_value:
            if token.kind != "value" and token.upper not in _FORMS_A_LIST:
                return 0, start
            count += 1
            expect_value = False
        elif token.text == ",":
            expect_value = True
        elif token.text == ")":
            return count, index + 1
        elif token.kind == "cast":
            index = _type_end(tokens, index + 1)
            continue
        else:
            return 0, start
        index += 1
    return count, index


def _type_end(tokens: list[_Token], index: int) -> int:
    """Return the index behind a type: ``text[]``, ``numeric(10, 2)``, ``double precision``."""
    index += 1
    while index < len(tokens):
        token = tokens[index]
        if token.upper in _TYPE_TAIL or token.text in ("[", "]", "."):
            index += 1 + (token.text == ".")
        elif token.text == "(":
            # One or two numbers. Not _value_list: casts in casts would make it recursive.
            inside = [item.text for item in tokens[index + 1 : index + 5]]
            if ")" not in inside:
                return index
            index += 2 + inside.index(")")
        else:
            return index
    return index


def _joined(parts: list[str]) -> str:
    """Join tokens with one space, none around dots and inside parentheses."""
    out: list[str] = []
    for part in parts:
        opened = not out or out[-1] == "::" or out[-1][-1:] in (".", "(")
        if opened or part in (".", ",", ")", "::", ";"):
            out.append(part)
        else:
            out.append(" " + part)
    return "".join(out)


def _unquoted(token: _Token) -> str:
    text = token.text
    if token.kind == "name":
        quote = "]" if text[0] == "[" else text[0]
        text = text[1:].removesuffix(quote).replace(quote * 2, quote)
    return text.lower()


def _tables(tokens: list[_Token]) -> tuple[set[str], set[str], int]:
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
        elif word in _FIRST_KIND and not verb:
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


def _opens_cte(tokens: list[_Token], index: int) -> bool:
    """Tell whether the parenthesis follows AS or AS [NOT] MATERIALIZED."""
    index -= 1
    if index > 0 and tokens[index].upper == "MATERIALIZED":
        index -= 1
        if tokens[index].upper == "NOT":
            index -= 1
    return index > 0 and tokens[index].upper == "AS"


def _cte_name(tokens: list[_Token], index: int) -> str:
    """Return the name before ``AS (`` or ``(a, b) AS (``, ``""`` without one."""
    while tokens[index].upper != "AS":
        index -= 1
    index -= 1
    if tokens[index].text == ")":
        while index and tokens[index].text != "(":
            index -= 1
        index -= 1
    if index > 0 and tokens[index].kind in ("word", "name"):
        return _unquoted(tokens[index])
    return ""


def _is_call_or_distinct(opened_by: list[str], previous: str) -> bool:
    """Tell whether FROM stands in ``EXTRACT(x FROM y)`` or ``IS DISTINCT FROM``."""
    return previous == "DISTINCT" or bool(opened_by and opened_by[-1] in _FROM_IN_CALL)


def _table_name(tokens: list[_Token], index: int, *, into: bool) -> tuple[int, str | None]:
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
        qualifier, name = name, _unquoted(tokens[index])
        index += 1
        if index < len(tokens) and tokens[index].text == ".":
            index += 1
            continue
        break
    if qualifier in _CATALOGUE_TABLES:
        return index, qualifier
    if name and not into and index < len(tokens) and tokens[index].text == "(":
        return index, None  # FROM generate_series(...)
    return index, name


def _aggregate(tokens: list[_Token]) -> str:
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


def _aggregate_call(tokens: list[_Token], index: int) -> str:
    """Return the aggregate called at ``index``, also as ``COALESCE(SUM(x), 0)``."""
    word = tokens[index].upper
    if word == "COALESCE" and index + 2 < len(tokens):
        word = tokens[index + 2].upper
    return word.lower() if word in _AGGREGATES else ""


def _exists_probe(tokens: list[_Token], index: int) -> bool:
    """Tell whether the select list is one literal, as both ORMs write an existence check."""
    rest = tokens[index + 1 : index + 4]
    words = [token.upper for token in rest]
    if words[:1] == ["AS"]:
        words = words[2:]
    return words[:1] == ["FROM"]


def _limits_from(tokens: list[_Token]) -> bool:
    """Tell whether it has MySQL's ``LIMIT offset, count``."""
    return any(
        one.upper == "LIMIT" and two.kind == "value" and three.text == ","
        for one, two, three in zip(tokens, tokens[1:], tokens[2:], strict=False)
    )


def _locks(tokens: list[_Token]) -> bool:
    """Tell whether the statement locks the rows it reads."""
    for one, two in pairwise(tokens):
        if one.upper == "FOR" and two.upper in ("UPDATE", "SHARE", "NO", "KEY"):
            return True
        if one.upper == "LOCK" and two.upper == "IN":
            return True
    return False
