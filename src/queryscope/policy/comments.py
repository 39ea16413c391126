"""Inline ignores: ``# queryscope: ignore[QS101] reason`` in the user's source and templates.

A comment covers the statement that it stands in: on the head of a ``for`` or ``with`` the head, on
a ``def`` or ``class`` line the whole function or class. In a template it covers its own line.
Files are read when a finding points into them, off the hot path, and again when they were written.
"""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.registry import all_detectors
from queryscope.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from queryscope.detectors.finding import Finding

MAX_FILES = 512
"""Files whose comments are kept; most have none."""
MAX_FILE_BYTES = 2 * 1024 * 1024
"""Larger files are generated, not written: they are not read."""
SUFFIXES = frozenset({".py", ".pyw", ".html", ".htm", ".txt", ".xml", ".j2", ".jinja", ".jinja2"})
"""What is searched for ignores that match nothing."""
NOT_SEARCHED = frozenset({"node_modules", "site-packages", "dist-packages", "__pycache__"})
"""Folders of libraries; those whose names begin with a dot are left out, too."""

_WORD = "queryscope:"
_IGNORE = re.compile(
    r"(?<![\"'`\w])(?:#|<!--|\{%-?\s*comment\s*-?%\})\s*queryscope:\s*ignore\b"
    r"(?:\s*\[(?P<codes>[^\]\n]*)\])?[\s:]*(?P<reason>[^\n]*)"
)
_END_OF_COMMENT = re.compile(r"\s*(?:#\}|-->|\{%-?\s*endcomment\b.*)\s*$")
_PYTHON = (".py", ".pyw")


class Comment(NamedTuple):
    """One inline ignore.

    Attributes:
        file: Its file, in full.
        line: The line it stands on.
        codes: The codes that it names.
        reason: What stands behind them.
        first: First line of what it covers.
        last: Last line of what it covers.
        error: What is wrong with it, ``""`` for one that is in force.
    """

    file: str
    line: int
    codes: tuple[str, ...]
    reason: str
    first: int
    last: int
    error: str = ""

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}"


def covering(finding: Finding) -> Iterator[Comment]:
    """Yield the ignores around where a finding ran and around what is to be edited.

    Those of other codes and those that are wrong are among them.
    """
    steps = [finding.origin.first, finding.mend.at if finding.mend is not None else None]
    seen = set()
    for step in steps:
        if step is None or step.file is None:
            continue
        for comment in comments_of(step.file):
            if comment.first <= step.line <= comment.last and comment not in seen:
                seen.add(comment)
                yield comment


def comments_of(file: str) -> tuple[Comment, ...]:
    """Return the inline ignores of a file; none of one that cannot be read."""
    try:
        facts = os.stat(file)  # noqa: PTH116 - a name, perhaps with a NUL in it; no Path needed
    except (OSError, ValueError):
        return ()
    if facts.st_size > MAX_FILE_BYTES:
        return ()
    return _comments(file, facts.st_mtime_ns, facts.st_size)


def comments_below(root: Path) -> Iterator[Comment]:
    """Yield every inline ignore of a project, those of libraries in it left out.

    Args:
        root: The project's folder. Virtual environments and hidden folders are not searched.
    """
    for folder, names, files in os.walk(root):
        here = Path(folder)
        names[:] = sorted(
            name
            for name in names
            if not name.startswith(".")
            and name not in NOT_SEARCHED
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if os.path.splitext(name)[1] in SUFFIXES:  # noqa: PTH122 - a name, no path
                yield from comments_of(str(here / name))


@lru_cache(maxsize=MAX_FILES)
def _comments(file: str, written_ns: int, size: int) -> tuple[Comment, ...]:  # noqa: ARG001 - key
    try:
        data = Path(file).read_bytes()
        if _WORD.encode() not in data:
            return ()
        if file.endswith(_PYTHON):
            with tokenize.open(file) as source:
                return tuple(_in_python(file, source.read()))
        return tuple(_in_template(file, data.decode("utf-8", "replace")))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _in_template(file: str, text: str) -> Iterator[Comment]:
    for number, line in enumerate(text.splitlines(), 1):
        found = _IGNORE.search(line) if _WORD in line else None
        if found is not None:
            yield _comment(file, found, number, (number, number))


def _in_python(file: str, text: str) -> Iterator[Comment]:
    tree = ast.parse(text)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            found = _IGNORE.search(token.string)
            if found is not None:
                number = token.start[0]
                if token.line[: token.start[1]].strip():
                    yield _comment(file, found, number, _covered(tree, number))
                else:
                    yield _alone(_comment(file, found, number, (number, number)))


def _comment(file: str, found: re.Match[str], line: int, lines: tuple[int, int]) -> Comment:
    codes = tuple(code for part in (found["codes"] or "").split(",") if (code := part.strip()))
    reason = _END_OF_COMMENT.sub("", found["reason"]).strip()
    return Comment(file, line, codes, reason, *lines, _wrong(f"{file}:{line}", codes))


def _alone(comment: Comment) -> Comment:
    """Return an ignore on a line of its own: which statement it means nobody can tell."""
    return comment._replace(
        error=comment.error
        or f"{comment.place}: this ignore stands alone. Write it at the end of the line that it is "
        "about, or of the line of the def."
    )


def _wrong(place: str, codes: tuple[str, ...]) -> str:
    """Return what is wrong with an ignore, and what to write instead; ``""`` if nothing is."""
    if not codes:
        return (
            f"{place}: this ignore names no code. Write the one that you mean, such as "
            "`# queryscope: ignore[QS101] reason`."
        )
    known = all_detectors()
    for code in codes:
        if code not in known:
            return f"{place}: there is no code {code!r}.{nearest(code.upper(), known)}"
    return ""


def _covered(tree: ast.Module, line: int) -> tuple[int, int]:
    """Return the first and last line of what a comment on a line covers."""
    first = last = line
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or 0):
            continue
        body = getattr(node, "body", None) or getattr(node, "cases", None)
        head = _head_end(node, body) if isinstance(body, list) else node.end_lineno or line
        if line > head:
            continue  # in the body: a statement there may be around it
        # Of the statements around a line, at most one has it in its head: that one is meant.
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return node.lineno, node.end_lineno or line
        first, last = node.lineno, head
    return first, last


def _head_end(node: ast.stmt, body: Iterable[ast.AST]) -> int:
    """Return the last line of a compound statement before its body."""
    starts = []
    for child in body:
        pattern = getattr(child, "pattern", None)
        start = getattr(child, "lineno", None) or getattr(pattern, "lineno", None)
        starts += [start] if start is not None else []
        starts += [item.lineno for item in getattr(child, "decorator_list", ())]
    below = min(starts, default=node.end_lineno or node.lineno)
    return max(below - 1, node.lineno)
