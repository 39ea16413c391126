"""The loops of the user's source, and of their templates, around a position."""

from __future__ import annotations

import ast
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from queryscope.trace.codes import is_own
from queryscope.trace.events import Frame, TemplateNode
from queryscope.trace.source import (
    COMPREHENSIONS,
    FUNCTIONS,
    MAX_ANSWERS,
    Stamp,
    file_stamp,
    frame_of,
    name_of,
    own_nodes,
    path_to,
    scope_of,
    spans,
    stamp_of,
    tree_of,
)
from queryscope.trace.templates import blocks_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.trace.events import Origin

_Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
_CALLS_EACH = {"map": 2, "filter": 2, "filterfalse": 2, "starmap": 2, "reduce": 2}
"""Functions that call their first argument for each item, and how many arguments they need."""
_TAKE_KEY = {"sorted", "min", "max", "sort", "groupby", "nlargest", "nsmallest"}
_WAITS = {"sleep", "wait"}


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

    A loop around the block or function that ``profile`` makes a Trace of does not turn in it.

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
    ends = False
    for depth, step in enumerate(origin.steps):
        if ends:
            break
        ends = begins_trace(step)
        if depth < start:
            continue
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
    stamp = stamp_of(frame.file)
    return None if stamp is None else _loop(frame, stamp, innermost, beside)


def begins_trace(step: Frame | TemplateNode) -> bool:
    """Tell whether the function of a step made the Trace by ``profile``, as ``with`` or decorator.

    All that stands further out is outside of that Trace.
    """
    if not isinstance(step, Frame):
        return False
    stamp = stamp_of(step.file)
    return stamp is not None and _begins(step, stamp)


def is_generator(frame: Frame) -> bool:
    """Tell whether a function yields: control leaves it in the middle of its loops."""
    stamp = stamp_of(frame.file)
    return stamp is not None and _yields(frame, stamp)


@lru_cache(maxsize=MAX_ANSWERS)
def _loop(
    frame: Frame,
    stamp: Stamp,
    innermost: bool,  # noqa: FBT001 - cached
    beside: Frame | None,
) -> Loop | None:
    tree = tree_of(frame.file, stamp)
    if tree is None:
        return None
    path = path_to(tree, frame)
    last = path[-1]
    if not innermost and _calls_back(last) and _around([last], beside):
        return Loop("call", frame_of(frame, last), constant=False, waits=False)
    if (
        isinstance(last, COMPREHENSIONS)
        and len(last.generators) > 1
        and frame.function.endswith(("comp>", "<genexpr>"))
        and _around([last], beside)
    ):
        # Python 3.11 gives the whole comprehension for what its second "for" iterates.
        return Loop("comprehension", frame_of(frame, last), constant=False, waits=False)
    retry: Loop | None = None
    for inner, node in pairwise(reversed(path)):
        found: Loop | None = None
        if isinstance(node, (ast.For, ast.AsyncFor)) and inner in node.body:
            if _around(node.body, beside):
                kind = "condition" if _counts(node.iter) and _decides(inner, path) else "for"
                found = Loop(
                    kind, frame_of(frame, node.iter), _is_constant(node.iter), _sleeps(node)
                )
        elif isinstance(node, ast.While) and inner not in node.orelse:
            if _around([node.test, *node.body], beside):
                kind = "condition" if inner is node.test or _decides(inner, path) else "while"
                found = Loop(kind, frame_of(frame, node.test), constant=False, waits=_sleeps(node))
        elif isinstance(node, COMPREHENSIONS) and _each_time(node, inner, path):
            first = node.generators[0].iter
            if _around([node], beside):
                found = Loop(
                    "comprehension", frame_of(frame, first), _is_constant(first), waits=False
                )
        elif isinstance(node, FUNCTIONS) or _begins_a_trace(node, inner):
            break  # what is around turns around the whole Trace
        if found is None:
            continue
        left_by = _leaving(inner)
        if left_by is None:
            return found
        retry = retry or found._replace(once=True)
        if not isinstance(left_by, ast.Break):
            break  # the loops around it are left as well
    return retry


@lru_cache(maxsize=MAX_ANSWERS)
def _begins(frame: Frame, stamp: Stamp) -> bool:
    tree = tree_of(frame.file, stamp)
    if tree is None:
        return False
    for inner, node in pairwise(reversed(path_to(tree, frame))):
        if _begins_a_trace(node, inner):
            return True
        if isinstance(node, FUNCTIONS):
            decorators = getattr(node, "decorator_list", ())
            return inner not in decorators and any(_is_profile(one, tree) for one in decorators)
    return False


def _is_profile(decorator: ast.expr, tree: ast.Module) -> bool:
    """Tell whether a decorator is ours: line profilers have one of the same name."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(called, ast.Attribute):
        whose = called.value
        return called.attr == "profile" and isinstance(whose, ast.Name) and whose.id == "queryscope"
    return (
        isinstance(called, ast.Name)
        and called.id == "profile"
        and any(
            isinstance(node, ast.ImportFrom)
            and node.module == "queryscope"
            and any(name.name == "profile" and name.asname is None for name in node.names)
            for node in ast.walk(tree)
        )
    )


def _begins_a_trace(node: ast.AST, inner: ast.AST) -> bool:
    """Tell whether a block is ``with profile(...)``: no loop around it turns in its Trace."""
    return (
        isinstance(node, (ast.With, ast.AsyncWith))
        and inner in node.body
        and any(
            isinstance(item.context_expr, ast.Call) and name_of(item.context_expr) == "profile"
            for item in node.items
        )
    )


def _around(nodes: Sequence[ast.AST], beside: Frame | None) -> bool:
    """Tell whether one of the nodes spans a position."""
    if beside is None:
        return True
    wanted = (beside.line, beside.column, beside.end_line, beside.end_column)
    return any(spans(node, wanted) for node in nodes)


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
        and name_of(iterated) == "count"
        and (
            not isinstance(iterated.func, ast.Attribute)
            or getattr(iterated.func.value, "id", "") == "itertools"
        )
    )


@lru_cache(maxsize=MAX_ANSWERS)
def _yields(frame: Frame, stamp: Stamp) -> bool:
    if frame.function.endswith("<genexpr>"):
        return True
    tree = tree_of(frame.file, stamp)
    if tree is None:
        return False
    scope = scope_of(path_to(tree, frame))
    return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in own_nodes(scope))


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
        name = name_of(call)
        if len(call.args) >= _CALLS_EACH.get(name, len(call.args) + 1):
            return True
        if name in _TAKE_KEY and any(item.arg == "key" for item in call.keywords):
            return True
    return False


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return all(_is_constant(item) for item in node.elts)
    if isinstance(node, ast.Call):
        return name_of(node) in ("range", "enumerate") and all(map(_is_constant, node.args))
    return isinstance(node, ast.Constant)


def _sleeps(loop: ast.For | ast.AsyncFor | ast.While) -> bool:
    return any(
        isinstance(node, ast.Call) and name_of(node) in _WAITS
        for statement in loop.body
        for node in ast.walk(statement)
    )


def _template_loop(node: TemplateNode) -> Loop | None:
    """Return the innermost ``for`` block of a template file around a node's line.

    Light recording keeps the innermost node alone, and Jinja2 has no nodes: the file tells.
    """
    if node.file is None:
        return None
    stamp = file_stamp(node.file)
    if stamp is None:
        return None
    found = None
    for block in blocks_of(node.file, stamp):
        inside = block.line < node.line <= block.end_line
        if not inside and node.line == block.line and block.goes_on:
            inside = not node.source.startswith("for ")
        if inside:
            at = node._replace(line=block.line, source=block.tag)
            found = Loop("template", at, constant=False, waits=False)
    return found
