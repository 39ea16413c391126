"""Definitions in the user's source: the line of a class or function, and what a class asks with."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from queryscope.trace.events import Frame
from queryscope.trace.source import MAX_ANSWERS, Stamp, frame_of, own_nodes, stamp_of, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BASES = 20
"""Classes in one file looked through for what a view asks with."""
_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definition(file: str, name: str) -> Frame | None:
    """Return the line of a class or function, without decorators, None where it is not found.

    Args:
        file: Its source file.
        name: Its qualified name, ``BookViewSet`` or ``make.<locals>.view``.
    """
    stamp = stamp_of(file)
    return None if stamp is None else _definition(file, stamp, name)


def queryset_of(frame: Frame, model: str) -> Frame | None:
    """Return what a class asks with: its ``queryset``, or the line of its ``get_queryset``.

    Looked for in the class and in its bases in the same file; None where it has neither, or where
    it asks another model's manager.

    Args:
        frame: The class, as ``definition`` gave it.
        model: The class whose rows are asked for, without its application; ``""`` if unknown.
    """
    stamp = stamp_of(frame.file)
    return None if stamp is None else _class_queryset(frame, stamp, model)


def shows(frame: Frame, model: str) -> bool:
    """Tell whether a class, or a base in its file, says ``model = ...`` with this very model.

    Args:
        frame: The class, as ``definition`` gave it.
        model: The model's name without its application.
    """
    stamp = stamp_of(frame.file)
    tree = None if stamp is None else tree_of(frame.file, stamp)
    return tree is not None and any(
        isinstance(value, ast.Name) and value.id == model
        for node in _with_bases(tree, frame.function)
        for value in _values(node, "model")
    )


def attribute_of(frame: Frame, name: str) -> Frame:
    """Return where a class, or a base in its file, assigns an attribute; else the class.

    Args:
        frame: The class, as ``definition`` gave it.
        name: The attribute's name.
    """
    stamp = stamp_of(frame.file)
    tree = None if stamp is None else tree_of(frame.file, stamp)
    for node in () if tree is None else _with_bases(tree, frame.function):
        for inner in node.body:
            targets = (
                inner.targets
                if isinstance(inner, ast.Assign)
                else [inner.target]
                if isinstance(inner, ast.AnnAssign)
                else []
            )
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return frame_of(frame, inner)
    return frame


def is_class(frame: Frame) -> bool:
    """Tell whether what ``definition`` gave is a class."""
    stamp = stamp_of(frame.file)
    tree = None if stamp is None else tree_of(frame.file, stamp)
    return tree is not None and isinstance(_defined(tree, frame.function), ast.ClassDef)


def _defined(tree: ast.Module, name: str) -> _Definition | None:
    """Return the last definition of a qualified name: it is the one that is in force."""
    node: ast.AST = tree
    found: _Definition | None = None
    for part in name.replace(".<locals>", "").split("."):
        found = None
        for inner in own_nodes(node):
            if (
                isinstance(inner, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
                and inner.name == part
                and (found is None or inner.lineno > found.lineno)
            ):
                found = inner
        if found is None:
            return None
        node = found
    return found


@lru_cache(maxsize=MAX_ANSWERS)
def _definition(file: str, stamp: Stamp, name: str) -> Frame | None:
    tree = tree_of(file, stamp)
    node = None if tree is None else _defined(tree, name)
    if node is None:
        return None
    column = node.col_offset
    return Frame(file, node.lineno, node.lineno, column, column, name, "")


@lru_cache(maxsize=MAX_ANSWERS)
def _class_queryset(frame: Frame, stamp: Stamp, model: str) -> Frame | None:
    tree = tree_of(frame.file, stamp)
    if tree is None:
        return None
    for node in _with_bases(tree, frame.function):
        method = _defined(ast.Module(node.body, []), "get_queryset")
        if method is not None:  # it overrules the attribute, which it may still read
            if _asks_another(method, model):
                return None
            name = f"{node.name}.get_queryset"
            line, column = method.lineno, method.col_offset
            return Frame(frame.file, line, line, column, column, name, frame.module)
        for value in _values(node, "queryset"):
            return (
                None
                if _asks_another(value, model)
                else frame_of(frame._replace(function=node.name), value)
            )
    return None


def _with_bases(tree: ast.Module, name: str) -> Iterator[ast.ClassDef]:
    """Yield a class and those of its bases that are in the same file, the nearest first."""
    pending = [name]
    for _ in range(MAX_BASES):
        if not pending:
            return
        node = _defined(tree, pending.pop(0))
        if isinstance(node, ast.ClassDef):
            yield node
            pending += [base.id for base in node.bases if isinstance(base, ast.Name)]


def _values(node: ast.ClassDef, name: str) -> Iterator[ast.expr]:
    """Yield what a class assigns to an attribute of its own."""
    for inner in node.body:
        if isinstance(inner, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in inner.targets
        ):
            yield inner.value


def _asks_another(node: ast.AST, model: str) -> bool:
    """Tell whether an expression or a function asks managers, and none of them the model's."""
    asked = {
        inner.value.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute)
        and inner.attr == "objects"
        and isinstance(inner.value, ast.Name)
    }
    return bool(model and asked) and model not in asked
