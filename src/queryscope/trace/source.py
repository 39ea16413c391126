"""The user's source as syntax trees, and what stands in them at a position.

Off the hot path: a file is parsed once, when a repetition in it is judged. Files that cannot be
read or parsed (compiled away, zipped, gone) answer None to everything.
"""

from __future__ import annotations

import ast
import os
import tokenize
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.trace.events import Frame

MAX_FILES = 16
"""Parsed files kept; a syntax tree takes about 2 MB for 1,000 lines."""
MAX_FILE_BYTES = 2 * 1024 * 1024
"""Larger files are generated, not written: they are not read."""
MAX_ANSWERS = 4_096
"""Answers kept; they are small and outlive the trees."""

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def covers(outer: Frame, inner: Frame) -> bool:
    """Tell whether a position lies within another, in the same file."""
    begins = (outer.line, outer.column) <= (inner.line, inner.column)
    ends = (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)
    return outer.file == inner.file and begins and ends


# -- files ------------------------------------------------------------------------------------

Stamp = tuple[int, int]
"""What changes when a file is written: its time and its size."""


def stamp_of(file: str) -> Stamp | None:
    """Return the stamp of a Python file, None for a file that is not read."""
    if not file.endswith((".py", ".pyw")):
        return None
    return file_stamp(file)


def file_stamp(file: str) -> Stamp | None:
    """Return the stamp of any file, None where it is gone or too large."""
    try:
        found = os.stat(file)  # noqa: PTH116 - a Path costs more than the call
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size) if found.st_size <= MAX_FILE_BYTES else None


@lru_cache(maxsize=MAX_FILES)
def tree_of(file: str, stamp: Stamp) -> ast.Module | None:  # noqa: ARG001 - part of the key
    """Return the syntax tree of a file, None where it cannot be read or parsed."""
    try:
        with tokenize.open(file) as source:
            return ast.parse(source.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


# -- positions --------------------------------------------------------------------------------

_Span = tuple[int, int, int, int]
"""Line, column, end line, end column."""


def _span(node: ast.AST) -> _Span | None:
    line = getattr(node, "lineno", None)
    if line is None:
        return None
    return line, node.col_offset, node.end_lineno, node.end_col_offset  # type: ignore[attr-defined] # has one


def spans(node: ast.AST, wanted: _Span) -> bool:
    """Tell whether a node spans ``wanted``; arguments and such span what is in them."""
    span = _span(node)
    if span is None:
        return any(spans(child, wanted) for child in ast.iter_child_nodes(node))
    line, column, end_line, end_column = wanted
    if (line, column) == (end_line, end_column):
        # Code without column numbers (python -X no_debug_ranges): lines are all there is.
        return span[0] <= line <= span[2]
    return span[:2] <= (line, column) and (end_line, end_column) <= span[2:]


def path_to(tree: ast.Module, frame: Frame) -> list[ast.AST]:
    """Return the nodes around a position, outermost first, the smallest that covers it last."""
    wanted = (frame.line, frame.column, frame.end_line, frame.end_column)
    path: list[ast.AST] = [tree]
    node: ast.AST | None = tree
    while node is not None:
        node = next((c for c in ast.iter_child_nodes(node) if spans(c, wanted)), None)
        if node is not None:
            path.append(node)
    return path


def frame_of(frame: Frame, node: ast.AST) -> Frame:
    """Return the position of a node of the file that a frame is of."""
    span = _span(node)
    if span is None:
        return frame
    line, column, end_line, end_column = span
    return frame._replace(line=line, end_line=end_line, column=column, end_column=end_column)


def name_of(call: ast.Call) -> str:
    """Return the name of the function or method that is called, ``""`` where it has none."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def scope_of(path: list[ast.AST]) -> ast.AST:
    """Return the function around the end of a path, or the module."""
    return next((node for node in reversed(path) if isinstance(node, FUNCTIONS)), path[0])


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of the functions in it."""
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, FUNCTIONS):
            pending.extend(ast.iter_child_nodes(node))
