"""The expressions of the user's source that make, end or use a queryset: what there is to mend."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from queryscope.trace.source import (
    COMPREHENSIONS,
    MAX_ANSWERS,
    Stamp,
    frame_of,
    name_of,
    own_nodes,
    path_to,
    scope_of,
    stamp_of,
    tree_of,
)

if TYPE_CHECKING:
    from queryscope.trace.events import Frame

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
_LOCKS = {"select_for_update", "with_for_update"}
"""Calls that lock rows; SQLite has no words for it, so that its statements do not tell."""
_SAVES_ITSELF = {"save", "asave"}
"""Methods that write the object they are called on, and no other."""


def expression_at(frame: Frame) -> Frame:
    """Return the position of the queryset that a position evaluates, or creates.

    A loop gives what it iterates; a name gives what was assigned to it before in the same
    function; a call that makes a queryset gives the whole chain of methods up to the first that
    ends it. Where the source is not known, the position itself.
    """
    stamp = stamp_of(frame.file)
    return frame if stamp is None else _expression(frame, stamp)


def only_mention(frame: Frame, name: str) -> Frame | None:
    """Return the one expression of a function, up to a position, that starts with a name.

    Where a template or a serializer evaluates a queryset, the position is the call of it; the
    queryset was made before, of the class called ``name``. Two mentions are no answer.
    """
    stamp = stamp_of(frame.file)
    return None if stamp is None else _mention(frame, stamp, name)


def methods_at(frame: Frame) -> frozenset[str]:
    """Return the names of the methods in the chain of calls at a position."""
    stamp = stamp_of(frame.file)
    return frozenset() if stamp is None else _methods(frame, stamp)


def attributes_stepped(frame: Frame) -> frozenset[str]:
    """Return the attributes whose new value a function has computed from the old one.

    ``stock.quantity += 1`` and ``stock.quantity = stock.quantity - 1`` before a position: of the
    object that is saved there, or of any where the position saves all that has changed. None in a
    function that locks the rows it reads.

    Args:
        frame: The call that saves.
    """
    stamp = stamp_of(frame.file)
    return frozenset() if stamp is None else _stepped(frame, stamp)


def only_use(frame: Frame) -> Frame | None:
    """Return the only place of a function that reads what was assigned from a position.

    Args:
        frame: A position within what one name is assigned, once in its function.

    Returns:
        The place where that name is read; None where it is read twice, never, or by other names.
    """
    stamp = stamp_of(frame.file)
    return None if stamp is None else _only_use(frame, stamp)


@lru_cache(maxsize=MAX_ANSWERS)
def _expression(frame: Frame, stamp: Stamp) -> Frame:
    tree = tree_of(frame.file, stamp)
    node = _queryset(tree, frame) if tree is not None else None
    return frame if node is None else frame_of(frame, node)


@lru_cache(maxsize=MAX_ANSWERS)
def _methods(frame: Frame, stamp: Stamp) -> frozenset[str]:
    tree = tree_of(frame.file, stamp)
    node = _queryset(tree, frame) if tree is not None else None
    if node is None:
        return frozenset()
    if not isinstance(node, ast.Call):
        return frozenset(name_of(call) for call in ast.walk(node) if isinstance(call, ast.Call))
    # The methods of one chain: a queryset among the arguments of another call is not this one.
    found = []
    link: ast.AST = node
    while isinstance(link, (ast.Call, ast.Attribute)):
        if isinstance(link, ast.Call):
            found.append(name_of(link))
            link = link.func
        else:
            link = link.value
    return frozenset(found)


@lru_cache(maxsize=MAX_ANSWERS)
def _mention(frame: Frame, stamp: Stamp, name: str) -> Frame | None:
    tree = tree_of(frame.file, stamp)
    if tree is None:
        return None
    around = path_to(tree, frame)
    scope = scope_of(around)
    # What is handed to a call is written within it, on a later line perhaps.
    last = frame.end_line if isinstance(around[-1], ast.Call) else frame.line
    found = [
        node
        for node in own_nodes(scope)
        if isinstance(node, ast.Name) and node.id == name and node.lineno <= last
    ]
    if len(found) != 1 or isinstance(scope, ast.Module):
        return None
    path = path_to(tree, frame_of(frame, found[0]))
    return frame_of(frame, _whole_chain(found[0], path))


@lru_cache(maxsize=MAX_ANSWERS)
def _only_use(frame: Frame, stamp: Stamp) -> Frame | None:
    tree = tree_of(frame.file, stamp)
    if tree is None:
        return None
    path = path_to(tree, frame)
    scope = scope_of(path)
    assigned = next((node for node in reversed(path) if isinstance(node, ast.stmt)), None)
    if not isinstance(assigned, ast.Assign) or isinstance(scope, (ast.Module, ast.ClassDef)):
        return None
    if len(assigned.targets) != 1 or not isinstance(assigned.targets[0], ast.Name):
        return None
    name = assigned.targets[0].id
    named = [node for node in ast.walk(scope) if isinstance(node, ast.Name) and node.id == name]
    read = [node for node in named if isinstance(node.ctx, ast.Load)]
    if len(read) != 1 or len(named) != 2:  # noqa: PLR2004 - assigned once, read once
        return None
    return frame_of(frame, read[0])


@lru_cache(maxsize=MAX_ANSWERS)
def _stepped(frame: Frame, stamp: Stamp) -> frozenset[str]:
    tree = tree_of(frame.file, stamp)
    if tree is None:
        return frozenset()
    path = path_to(tree, frame)
    if isinstance(path[-1], ast.Await):
        path.append(path[-1].value)
    call = next((node for node in reversed(path) if isinstance(node, ast.Call)), None)
    if call is None or not isinstance(call.func, ast.Attribute):
        return frozenset()
    saved = ast.unparse(call.func.value) if call.func.attr in _SAVES_ITSELF else ""
    found = set()
    for node in own_nodes(scope_of(path)):
        if isinstance(node, ast.Call) and name_of(node) in _LOCKS:
            return frozenset()
        if isinstance(node, ast.AugAssign):
            target: ast.expr = node.target
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            text = ast.unparse(target)
            if not any(
                isinstance(part, ast.Attribute) and ast.unparse(part) == text
                for part in ast.walk(node.value)
            ):
                continue
        else:
            continue
        if (
            isinstance(target, ast.Attribute)
            and node.lineno <= frame.line
            and saved in ("", ast.unparse(target.value))
        ):
            found.add(target.attr)
    return frozenset(found)


def _queryset(tree: ast.Module, frame: Frame) -> ast.AST | None:
    """Return the expression that stands for the queryset evaluated or created at a position."""
    path = path_to(tree, frame)
    if len(path) == 1:
        return None
    node = path[-1]
    if isinstance(node, (ast.For, ast.AsyncFor)):
        node = node.iter
    elif isinstance(node, COMPREHENSIONS):
        node = node.generators[0].iter
    elif not isinstance(node, ast.expr):
        return None
    elif isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Store):
        # Unpacking, "first, *rest = books", gives its left side.
        node = next((a.value for a in reversed(path) if isinstance(a, ast.Assign)), node)
    elif not (isinstance(node, ast.Call) and name_of(node) in _TAKE_STATEMENT):
        node = _whole_chain(node, path)
    for _ in range(10):  # a = b = c ... within one function; never round in circles
        if isinstance(node, ast.Call) and node.args and name_of(node) in _TAKE_STATEMENT:
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
    for node in own_nodes(scope_of(path)):
        if (
            isinstance(node, ast.Assign)
            and node.lineno < name.lineno
            and any(isinstance(t, ast.Name) and t.id == name.id for t in node.targets)
            and (best is None or node.lineno > best.lineno)
        ):
            best = node.value
    return best
