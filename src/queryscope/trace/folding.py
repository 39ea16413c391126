"""The text of a shape: values, lists and rows of a statement folded to ``?``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queryscope.trace.tokens import Token

_TYPE_TAIL = {"PRECISION", "VARYING", "WITH", "WITHOUT", "TIME", "ZONE"}
_FORMS_A_LIST = {"NULL", "TRUE", "FALSE", "DEFAULT"}


def folded(tokens: list[Token]) -> tuple[str, int]:
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
    return joined(parts), longest


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


def _follows_in(tokens: list[Token], index: int) -> bool:
    return index > 0 and tokens[index - 1].upper == "IN"


def _is_call(tokens: list[Token], index: int) -> bool:
    """Tell whether the parenthesis glued to what stands before it has a name before it."""
    return index > 0 and tokens[index - 1].kind == "word"


def _signs_a_value(tokens: list[Token], index: int) -> bool:
    """Tell whether ``-`` or ``+`` at ``index`` is the sign of a literal, as in ``= -1``."""
    if index + 1 >= len(tokens) or tokens[index + 1].kind != "value":
        return False
    before = tokens[index - 1] if index else None
    return before is None or before.text in ("=", "(", ",", "<", ">", "<=", ">=", "<>", "!=")


def _value_list(tokens: list[Token], start: int) -> tuple[int, int]:
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


def _type_end(tokens: list[Token], index: int) -> int:
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


def joined(parts: list[str]) -> str:
    """Join tokens with one space, none around dots and inside parentheses."""
    out: list[str] = []
    for part in parts:
        opened = not out or out[-1] == "::" or out[-1][-1:] in (".", "(")
        if opened or part in (".", ",", ")", "::", ";"):
            out.append(part)
        else:
            out.append(" " + part)
    return "".join(out)
