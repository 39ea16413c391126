"""The tokens of a statement, by the quoting of SQLite, PostgreSQL and MariaDB/MySQL."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_CACHED_CHARS = 16_384
"""Longer statements are read each time, so that the cache stays bounded in bytes, too."""
MAX_READ_CHARS = 65_536
"""What is read of a statement; the rest does not change its shape."""

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
LEXERS = {
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": _BRACKETS,
    "mssql": _BRACKETS,
}
"""By vendor; PostgreSQL and unknown ones read as the standard does, with dollar quotes."""
_PERHAPS_LITERAL = re.compile(r"['\"$]|\b\d")
_PLACEHOLDER = re.compile(r"%s|%\(\w+\)s|\?\d*|:\w+|\$\w+|@@?\w[\w.$]*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class Token(NamedTuple):
    """A piece of a statement: ``value``, ``name`` in quotes, ``word``, ``cast`` or ``operator``."""

    kind: str
    text: str
    upper: str
    glued: bool
    """It follows the token before it without a space: ``COUNT(`` is a call, ``IN (`` is not."""


def tokens_of(statement: str, vendor: str = "") -> list[Token]:
    """Return the tokens of a statement, without comments and space.

    Args:
        statement: The text as sent; what is beyond ``MAX_READ_CHARS`` is not read.
        vendor: As for ``shape_of``.
    """
    return _tokens(statement[:MAX_READ_CHARS], LEXERS.get(vendor, _STANDARD))


def is_placeholder(token: Token) -> bool:
    """Tell whether a token stands for a parameter; other values are written out."""
    return token.kind == "value" and bool(_PLACEHOLDER.fullmatch(token.text))


def unquoted(token: Token) -> str:
    """Return a token in lower case; a name without its quotes."""
    text = token.text
    if token.kind == "name":
        quote = "]" if text[0] == "[" else text[0]
        text = text[1:].removesuffix(quote).replace(quote * 2, quote)
    return text.lower()


def without_literals(statement: str, vendor: str = "") -> str:
    """Return a statement with ``?`` in place of every value written into its text.

    Placeholders, list lengths, comments and layout stay, and with them the shape.

    Args:
        statement: The text as sent.
        vendor: As for ``shape_of``.
    """
    if _PERHAPS_LITERAL.search(statement) is None:
        return statement
    lexer = LEXERS.get(vendor, _STANDARD)
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


def _tokens(statement: str, lexer: re.Pattern[str]) -> list[Token]:
    """Split a statement; comments and spaces are dropped, all values have the kind ``value``."""
    found: list[Token] = []
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
            found.append(Token(kind, text, text.upper() if kind == "word" else "", glued))
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
