"""Look-ups in the user's source by position: enclosing loops, and the expression to mend.

Off the hot path: a file is parsed once, when a repetition in it is judged. Files that cannot be
read or parsed (compiled away, zipped, gone) answer None to everything.
"""

from __future__ import annotations

import ast
import os
import re
import tokenize
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from queryscope.trace.codes import is_user
from queryscope.trace.events import Frame, TemplateNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.trace.events import Origin

MAX_FILES = 16
"""Parsed files kept; a syntax tree takes about 2 MB for 1,000 lines."""
MAX_FILE_BYTES = 2 * 1024 * 1024
"""Larger files are generated, not written: they are not read."""
MAX_ANSWERS = 4_096
"""Answers kept; they are small and outlive the trees."""

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
_Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_CALLS_EACH = {"map": 2, "filter": 2, "filterfalse": 2, "starmap": 2, "reduce": 2}
"""Functions that call their first argument for each item, and how many arguments they need."""
_TAKE_KEY = {"sorted", "min", "max", "sort", "groupby", "nlargest", "nsmallest"}
_WAITS = {"sleep", "wait"}
_TAKE_STATEMENT = {
    "list", "tuple", "set", "frozenset", "dict", "sorted", "reversed", "enumerate", "iter", "len",
    "bool", "scalars", "scalar", "execute", "stream",
}  # fmt: skip
"""Calls whose first argument is the queryset or the select."""
_ENDS = {
    "get", "first", "last", "count", "exists", "aggregate", "iterator", "in_bulk", "earliest",
    "latest", "contains", "one", "one_or_none",
}  # fmt: skip
"""Methods after which there is no queryset any more to which a method could be added."""
_TEMPLATE_TAG = re.compile(r"\{%[-+]?\s*(for|endfor)\b")


class Loop(NamedTuple):
    """A loop around a position.

    Attributes:
        kind: ``for``, ``while``, ``condition`` (of a ``while``), ``comprehension``, ``call``
            (``map``, ``sorted(key=...)`` ...) or ``template``.
        at: What it iterates, or its condition; the tag of a template.
        constant: It iterates a literal or ``range`` of one: its length is not the data's.
        waits: It sleeps or waits: it asks again on purpose.
        once: What asks leaves it at the end: it turns again only after an exception, to retry.
    """

    kind: str
    at: Frame | TemplateNode
    constant: bool
    waits: bool
    once: bool = False


def enclosing_loop(
    origin: Origin, start: int = 0, beside: Frame | TemplateNode | None = None
) -> Loop | None:
    """Return the loop of the user's that is nearest to where a statement was asked for.

    Args:
        origin: Where it was asked for.
        start: Index of the step to begin with. What lies further in was left and entered again
            from one statement to the next: no loop there turned.
        beside: Where else in the function of that step control was in between; a loop of that
            function has to be around both.

    Returns:
        The loop; one that only retries if there is no other, None without any.
    """
    retry: Loop | None = None
    for depth, step in enumerate(origin.steps[start:], start):
        if isinstance(step, Frame):
            other = beside if depth == start and isinstance(beside, Frame) else None
            found = loop_at(step, innermost=depth == 0, beside=other)
        elif not is_own(step):
            continue  # a form's own template loops over its fields: not the user's loop
        elif depth and step.source.startswith("for "):
            # The first node is the one that asked: a {% for %} that evaluates what it iterates.
            found = Loop("template", step, constant=False, waits=False)
        else:
            found = _template_loop(step)
        if found is not None and not found.once:
            return found
        retry = retry or found
    return retry


def is_own(step: Frame | TemplateNode) -> bool:
    """Tell whether a step is the user's to edit: not a tag of a library's template."""
    return isinstance(step, Frame) or step.file is None or is_user("", step.file)


def loop_at(frame: Frame, *, innermost: bool = True, beside: Frame | None = None) -> Loop | None:
    """Return the innermost loop around a position, inside its function.

    What a ``for`` iterates is evaluated once, so it is not inside that loop; the condition of a
    ``while`` is.

    Args:
        frame: The position.
        innermost: The statement was asked for right here. A position further out may be a call
            that calls back for each item, as ``map`` does.
        beside: Another position that the loop has to be around, too.
    """
    stamp = _stamp(frame.file)
    return None if stamp is None else _loop(frame, stamp, innermost, beside)


def is_generator(frame: Frame) -> bool:
    """Tell whether a function yields: control leaves it in the middle of its loops."""
    stamp = _stamp(frame.file)
    return stamp is not None and _yields(frame, stamp)


def expression_at(frame: Frame) -> Frame:
    """Return the position of the queryset that a position evaluates, or creates.

    A loop gives what it iterates; a name gives what was assigned to it before in the same
    function; a call that makes a queryset gives the whole chain of methods up to the first that
    ends it. Where the source is not known, the position itself.
    """
    stamp = _stamp(frame.file)
    return frame if stamp is None else _expression(frame, stamp)


def only_mention(frame: Frame, name: str) -> Frame | None:
    """Return the one expression of a function, up to a position, that starts with a name.

    Where a template or a serializer evaluates a queryset, the position is the call of it; the
    queryset was made before, of the class called ``name``. Two mentions are no answer.
    """
    stamp = _stamp(frame.file)
    return None if stamp is None else _mention(frame, stamp, name)


def methods_at(frame: Frame) -> frozenset[str]:
    """Return the names of all methods called in the expression at a position."""
    stamp = _stamp(frame.file)
    return frozenset() if stamp is None else _methods(frame, stamp)


# -- files ------------------------------------------------------------------------------------

_Stamp = tuple[int, int]


def _stamp(file: str) -> _Stamp | None:
    """Return what changes when a file is written, None for a file that is not read."""
    if not file.endswith((".py", ".pyw")):
        return None
    return _file_stamp(file)


def _file_stamp(file: str) -> _Stamp | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - a Path costs more than the call
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size) if found.st_size <= MAX_FILE_BYTES else None


@lru_cache(maxsize=MAX_FILES)
def _tree(file: str, stamp: _Stamp) -> ast.Module | None:  # noqa: ARG001 - part of the key
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
    return line, node.col_offset, node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]


def _covers(node: ast.AST, wanted: _Span) -> bool:
    """Tell whether a node spans ``wanted``; arguments and such span what is in them."""
    span = _span(node)
    if span is None:
        return any(_covers(child, wanted) for child in ast.iter_child_nodes(node))
    line, column, end_line, end_column = wanted
    if (line, column) == (end_line, end_column):
        # Code without column numbers (python -X no_debug_ranges): lines are all there is.
        return span[0] <= line <= span[2]
    return span[:2] <= (line, column) and (end_line, end_column) <= span[2:]


def _path(tree: ast.Module, frame: Frame) -> list[ast.AST]:
    """Return the nodes around a position, outermost first, the smallest that covers it last."""
    wanted = (frame.line, frame.column, frame.end_line, frame.end_column)
    path: list[ast.AST] = [tree]
    node: ast.AST | None = tree
    while node is not None:
        node = next((c for c in ast.iter_child_nodes(node) if _covers(c, wanted)), None)
        if node is not None:
            path.append(node)
    return path


def _at(frame: Frame, node: ast.AST) -> Frame:
    span = _span(node)
    if span is None:
        return frame
    line, column, end_line, end_column = span
    return frame._replace(line=line, end_line=end_line, column=column, end_column=end_column)


# -- loops ------------------------------------------------------------------------------------


@lru_cache(maxsize=MAX_ANSWERS)
def _loop(
    frame: Frame,
    stamp: _Stamp,
    innermost: bool,  # noqa: FBT001 - cached
    beside: Frame | None,
) -> Loop | None:
    tree = _tree(frame.file, stamp)
    if tree is None:
        return None
    path = _path(tree, frame)
    last = path[-1]
    if not innermost and _calls_back(last) and _around([last], beside):
        return Loop("call", _at(frame, last), constant=False, waits=False)
    if (
        isinstance(last, _COMPREHENSIONS)
        and len(last.generators) > 1
        and frame.function.endswith(("comp>", "<genexpr>"))
        and _around([last], beside)
    ):
        # Python 3.11 gives the whole comprehension for what its second "for" iterates.
        return Loop("comprehension", _at(frame, last), constant=False, waits=False)
    retry: Loop | None = None
    for inner, node in pairwise(reversed(path)):
        found: Loop | None = None
        if isinstance(node, (ast.For, ast.AsyncFor)) and inner in node.body:
            if _around(node.body, beside):
                kind = "condition" if _counts(node.iter) and _decides(inner, path) else "for"
                found = Loop(kind, _at(frame, node.iter), _is_constant(node.iter), _sleeps(node))
        elif isinstance(node, ast.While) and inner not in node.orelse:
            if _around([node.test, *node.body], beside):
                kind = "condition" if inner is node.test or _decides(inner, path) else "while"
                found = Loop(kind, _at(frame, node.test), constant=False, waits=_sleeps(node))
        elif isinstance(node, _COMPREHENSIONS) and _each_time(node, inner, path):
            first = node.generators[0].iter
            if _around([node], beside):
                found = Loop("comprehension", _at(frame, first), _is_constant(first), waits=False)
        elif isinstance(node, _FUNCTIONS):
            break
        if found is None:
            continue
        left_by = _leaving(inner)
        if left_by is None:
            return found
        retry = retry or found._replace(once=True)
        if not isinstance(left_by, ast.Break):
            break  # the loops around it are left as well
    return retry


def _around(nodes: Sequence[ast.AST], beside: Frame | None) -> bool:
    """Tell whether one of the nodes spans a position."""
    if beside is None:
        return True
    wanted = (beside.line, beside.column, beside.end_line, beside.end_column)
    return any(_covers(node, wanted) for node in nodes)


def _leaving(node: ast.AST) -> ast.AST | None:
    """Return what leaves a loop at the end of a statement in it, unless an exception passes."""
    if isinstance(node, (ast.Return, ast.Break, ast.Raise)):
        return node
    if isinstance(node, (ast.With, ast.AsyncWith)):
        block = node.body
    elif isinstance(node, ast.Try):
        block = node.body + node.orelse
    else:
        return None
    rounds = (part for statement in block for part in ast.walk(statement))
    if any(isinstance(part, ast.Continue) for part in rounds):
        return None
    return _leaving(block[-1])


def _decides(inner: ast.AST, path: list[ast.AST]) -> bool:
    """Tell whether a position is what an ``if`` in a loop asks before it leaves the loop."""
    if not isinstance(inner, ast.If) or inner.test not in path:
        return False
    parts = (part for branch in inner.body + inner.orelse for part in ast.walk(branch))
    return any(isinstance(part, (ast.Break, ast.Return)) for part in parts)


def _counts(iterated: ast.expr) -> bool:
    """Tell whether a ``for`` goes on for ever, as ``itertools.count`` does."""
    return (
        isinstance(iterated, ast.Call)
        and _name_of(iterated) == "count"
        and (
            not isinstance(iterated.func, ast.Attribute)
            or getattr(iterated.func.value, "id", "") == "itertools"
        )
    )


@lru_cache(maxsize=MAX_ANSWERS)
def _yields(frame: Frame, stamp: _Stamp) -> bool:
    if frame.function.endswith("<genexpr>"):
        return True
    tree = _tree(frame.file, stamp)
    if tree is None:
        return False
    scope = _scope(_path(tree, frame))
    return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in _own_nodes(scope))


def _each_time(node: _Comprehension, inner: ast.AST, path: list[ast.AST]) -> bool:
    """Tell whether the part of a comprehension on ``path`` runs for each item."""
    first = node.generators[0]
    return inner is not first or path[path.index(inner) + 1] is not first.iter


def _calls_back(node: ast.AST) -> bool:
    """Tell whether an expression calls a function of the user's for each item of another."""
    if isinstance(node, (ast.For, ast.AsyncFor)):
        iterated: ast.AST = node.iter
    elif isinstance(node, ast.expr):
        iterated = node
    else:
        return False
    for call in ast.walk(iterated):
        if not isinstance(call, ast.Call):
            continue
        name = _name_of(call)
        if len(call.args) >= _CALLS_EACH.get(name, len(call.args) + 1):
            return True
        if name in _TAKE_KEY and any(item.arg == "key" for item in call.keywords):
            return True
    return False


def _name_of(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return all(_is_constant(item) for item in node.elts)
    if isinstance(node, ast.Call):
        return _name_of(node) in ("range", "enumerate") and all(map(_is_constant, node.args))
    return isinstance(node, ast.Constant)


def _sleeps(loop: ast.For | ast.AsyncFor | ast.While) -> bool:
    return any(
        isinstance(node, ast.Call) and _name_of(node) in _WAITS
        for statement in loop.body
        for node in ast.walk(statement)
    )


# -- templates --------------------------------------------------------------------------------


def _template_loop(node: TemplateNode) -> Loop | None:
    """Return the innermost ``for`` block of a template file around a node's line.

    Light recording keeps the innermost node alone, and Jinja2 has no nodes: the file tells.
    """
    if node.file is None:
        return None
    stamp = _file_stamp(node.file)
    if stamp is None:
        return None
    found = None
    for block in _blocks(node.file, stamp):
        inside = block.line < node.line <= block.end_line
        if not inside and node.line == block.line and block.goes_on:
            inside = not node.source.startswith("for ")
        if inside:
            at = node._replace(line=block.line, source=block.tag)
            found = Loop("template", at, constant=False, waits=False)
    return found


class _Block(NamedTuple):
    """A ``for`` block; ``goes_on`` if more is evaluated behind the tag on its first line."""

    line: int
    end_line: int
    tag: str
    goes_on: bool


@lru_cache(maxsize=64)
def _blocks(file: str, stamp: _Stamp) -> tuple[_Block, ...]:  # noqa: ARG001 - part of the key
    """Return the ``for`` blocks of a template, outer before inner."""
    try:
        with open(file, encoding="utf-8", errors="replace") as source:  # noqa: PTH123 - a str
            text = source.read(MAX_FILE_BYTES)
    except OSError:
        return ()
    found: list[_Block] = []
    opened: list[tuple[int, str, bool]] = []
    line, seen = 1, 0
    for match in _TEMPLATE_TAG.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        if match[1] == "for":
            end = text.find("%}", seen)
            tag, rest = text[match.start(1) : end], text[end:].partition("\n")[0]
            opened.append((line, tag.strip(" -+")[:200], "{{" in rest or "{%" in rest))
        elif opened:
            start, tag, goes_on = opened.pop()
            found.append(_Block(start, line, tag, goes_on))
    return tuple(sorted(found, key=lambda block: (block.line, -block.end_line)))


# -- the expression to mend -------------------------------------------------------------------


@lru_cache(maxsize=MAX_ANSWERS)
def _expression(frame: Frame, stamp: _Stamp) -> Frame:
    tree = _tree(frame.file, stamp)
    node = _queryset(tree, frame) if tree is not None else None
    return frame if node is None else _at(frame, node)


@lru_cache(maxsize=MAX_ANSWERS)
def _methods(frame: Frame, stamp: _Stamp) -> frozenset[str]:
    tree = _tree(frame.file, stamp)
    node = _queryset(tree, frame) if tree is not None else None
    if node is None:
        return frozenset()
    return frozenset(_name_of(call) for call in ast.walk(node) if isinstance(call, ast.Call))


@lru_cache(maxsize=MAX_ANSWERS)
def _mention(frame: Frame, stamp: _Stamp, name: str) -> Frame | None:
    tree = _tree(frame.file, stamp)
    if tree is None:
        return None
    scope = _scope(_path(tree, frame))
    found = [
        node
        for node in _own_nodes(scope)
        if isinstance(node, ast.Name) and node.id == name and node.lineno <= frame.line
    ]
    if len(found) != 1 or isinstance(scope, ast.Module):
        return None
    path = _path(tree, _at(frame, found[0]))
    return _at(frame, _whole_chain(found[0], path))


def _queryset(tree: ast.Module, frame: Frame) -> ast.AST | None:
    """Return the expression that stands for the queryset evaluated or created at a position."""
    path = _path(tree, frame)
    if len(path) == 1:
        return None
    node = path[-1]
    if isinstance(node, (ast.For, ast.AsyncFor)):
        node = node.iter
    elif isinstance(node, _COMPREHENSIONS):
        node = node.generators[0].iter
    elif not isinstance(node, ast.expr):
        return None
    elif isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Store):
        # Unpacking, "first, *rest = books", gives its left side.
        node = next((a.value for a in reversed(path) if isinstance(a, ast.Assign)), node)
    elif not (isinstance(node, ast.Call) and _name_of(node) in _TAKE_STATEMENT):
        node = _whole_chain(node, path)
    for _ in range(10):  # a = b = c ... within one function; never round in circles
        if isinstance(node, ast.Call) and node.args and _name_of(node) in _TAKE_STATEMENT:
            node = node.args[0]
        elif isinstance(node, ast.Name):
            found = _assigned(path, node)
            if found is None:
                break
            node = found
        else:
            break
    return node


def _whole_chain(node: ast.expr, path: list[ast.AST]) -> ast.expr:
    """Return the longest chain of queryset methods that a call is the start of."""
    for outer in reversed(path[:-1]):
        if isinstance(outer, ast.Attribute) and outer.attr not in _ENDS:
            continue
        if isinstance(outer, ast.Call) and isinstance(outer.func, ast.Attribute):
            if any(part is outer.func for part in path):
                node = outer
                continue
            break
        break
    return node


def _assigned(path: list[ast.AST], name: ast.Name) -> ast.expr | None:
    """Return what was assigned to a name last before its use, in the same function."""
    best: ast.expr | None = None
    for node in _own_nodes(_scope(path)):
        if (
            isinstance(node, ast.Assign)
            and node.lineno < name.lineno
            and any(isinstance(t, ast.Name) and t.id == name.id for t in node.targets)
            and (best is None or node.lineno > best.lineno)
        ):
            best = node.value
    return best


def _scope(path: list[ast.AST]) -> ast.AST:
    """Return the function around the end of a path, or the module."""
    return next((node for node in reversed(path) if isinstance(node, _FUNCTIONS)), path[0])


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of the functions in it."""
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _FUNCTIONS):
            pending.extend(ast.iter_child_nodes(node))
