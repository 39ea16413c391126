"""What the user's source does with what a statement returned, as far as one function shows it.

Read from the syntax tree, off the hot path. Only what is certain is an answer: a result that has
a name is followed through its function, and one other use of it is no answer.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.trace.source import (
    COMPREHENSIONS,
    FUNCTIONS,
    MAX_ANSWERS,
    frame_of,
    name_of,
    path_to,
    scope_of,
    stamp_of,
    tree_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.trace.events import Frame
    from queryscope.trace.source import Stamp

Kind = Literal["truth", "length", "page", "field"]

_UNWRAPS = frozenset(
    {"all", "fetchall", "one", "scalar", "scalar_one", "scalar_one_or_none", "scalars", "unique"}
)
_COPIES = frozenset({"list", "tuple"})
_CUTS = frozenset({"islice", "Paginator"})
_LOOPS = (ast.For, ast.AsyncFor, ast.While, *COMPREHENSIONS, *FUNCTIONS)
_EMPTY_TESTS = frozenset(
    {(ast.Gt, 0), (ast.Eq, 0), (ast.NotEq, 0), (ast.GtE, 1), (ast.Lt, 1), (ast.LtE, 0)}
)


class Use(NamedTuple):
    """The one use of a result.

    Attributes:
        kind: ``truth``: only whether it is zero or empty; ``length``: only how many rows;
            ``page``: only a part of the rows, by position; ``field``: only one attribute of each.
        name: The attribute, for ``field``.
        named: The result has a name, and so lives on until its function ends.
    """

    kind: Kind
    name: str = ""
    named: bool = False


def use_of(frame: Frame) -> Use | None:
    """Return what is done with the value of the expression at a position, None if more or unclear.

    Args:
        frame: Where a statement was asked for, by a call or by iterating a queryset.
    """
    stamp = stamp_of(frame.file)
    return None if stamp is None else _use(frame, stamp)


@lru_cache(maxsize=MAX_ANSWERS)
def _use(frame: Frame, stamp: Stamp) -> Use | None:
    tree = tree_of(frame.file, stamp)
    if tree is None or (frame.line == frame.end_line and frame.column == frame.end_column):
        return None  # without columns (python -X no_debug_ranges) nothing is certain
    path = path_to(tree, frame)
    if len(path) < 3:  # noqa: PLR2004 - an expression stands in a statement of the module
        return None
    node = path[-1]
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
        return _field(node)
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        # Python 3.11 says of a condition that is no call of its own where its statement stands.
        return Use("truth") if _is_new([node.test]) else None
    # The evaluation of a queryset is the call of len(), bool() or list() around it.
    if isinstance(node, ast.Call) and name_of(node) == "len" and _is_new(node.args):
        return Use("length")
    path = path[: unwrapped(path) + 1]
    return _anonymous(path) or _named(path)


def overwritten_at(frame: Frame) -> Frame | None:
    """Return where a name that is given the value of an expression is given another, unread.

    Args:
        frame: Where a statement was asked for, in what is assigned to one name of a function.

    Returns:
        The later assignment in the same block, None where the name may be read before it.
    """
    stamp = stamp_of(frame.file)
    return None if stamp is None else _overwritten(frame, stamp)


@lru_cache(maxsize=MAX_ANSWERS)
def _overwritten(frame: Frame, stamp: Stamp) -> Frame | None:
    tree = tree_of(frame.file, stamp)
    path = [] if tree is None else path_to(tree, frame)
    at = next((n for n, node in enumerate(path) if isinstance(node, ast.Assign)), 0)
    assigned = path[at] if at else None
    if not isinstance(assigned, ast.Assign) or len(assigned.targets) != 1:
        return None
    target, scope = assigned.targets[0], scope_of(path)
    if not isinstance(target, ast.Name) or isinstance(scope, (ast.Module, ast.ClassDef)):
        return None
    name = target.id
    blocks = (getattr(path[at - 1], field, ()) for field in ("body", "orelse", "finalbody"))
    block = next((block for block in blocks if isinstance(block, list) and assigned in block), [])
    for statement in block[block.index(assigned) + 1 :]:
        if not any(ways_to(statement, name)):
            continue
        again = isinstance(statement, ast.Assign) and len(statement.targets) == 1
        if (
            again
            and isinstance(statement.targets[0], ast.Name)
            and not any(ways_to(statement.value, name))
        ):
            return frame_of(frame, statement)
        return None
    return None


def _anonymous(path: Sequence[ast.AST]) -> Use | None:
    """Return the use of a value by the expression around it."""
    node, parent = path[-1], path[-2]
    if _is_truth(path):
        return Use("truth")
    if isinstance(parent, ast.Call) and node in parent.args:
        name = name_of(parent)
        if name == "len":
            return Use("truth" if _is_truth(path[:-1]) else "length")
        if name in _CUTS and parent.args[0] is node:
            return Use("page")
    if isinstance(parent, ast.Subscript) and parent.value is node and _is_cut(parent.slice):
        return Use("page")
    if isinstance(parent, ast.comprehension) and parent.iter is node:
        outer = path[-3]
        if isinstance(outer, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            return _field(outer)
    return None


def _named(path: Sequence[ast.AST]) -> Use | None:
    """Return the use of a value that was given a name, if all uses of the name are of one kind."""
    assigned = path[-2]
    if not isinstance(assigned, ast.Assign) or len(assigned.targets) != 1:
        return None
    target, scope = assigned.targets[0], scope_of(list(path))
    if not isinstance(target, ast.Name) or isinstance(scope, (ast.Module, ast.ClassDef)):
        return None
    kinds: list[Kind] = []
    around = {id(node) for node in path}
    for way in ways_to(scope, target.id):
        if not isinstance(way[-1], ast.Name):
            return None
        if isinstance(way[-1].ctx, ast.Store):
            if way[-1] is not target:
                return None
            continue
        use = _anonymous(way)
        if use is None or use.kind == "field":
            return None
        if use.kind == "page" and is_evaluated_again(way, around):
            return None  # cut into chunks: all of them are used
        kinds.append(use.kind)
    if kinds.count("page") > 1:
        return None  # several parts, which may be the whole
    if set(kinds) == {"page", "length"}:
        return Use("page", named=True)  # the number of all beside one page
    return Use(kinds[0], named=True) if len(set(kinds)) == 1 else None


def ways_to(scope: ast.AST, name: str) -> Iterator[list[ast.AST]]:
    """Yield the nodes from a scope to each place that has a name, also in functions inside it."""
    waiting: list[list[ast.AST]] = [[scope]]
    while waiting:
        way = waiting.pop()
        node = way[-1]
        declared = isinstance(node, (ast.Global, ast.Nonlocal)) and name in node.names
        if declared or (isinstance(node, ast.Name) and node.id == name):
            yield way
        waiting += [[*way, child] for child in ast.iter_child_nodes(node)]


def is_evaluated_again(way: Sequence[ast.AST], around: set[int]) -> bool:
    """Tell whether the end of a way is evaluated several times for one value that it has.

    That is in a loop or a function; not in what a loop iterates, which is asked for once.

    Args:
        way: The nodes from a scope to the place.
        around: ``id()`` of the nodes around the place that makes the value: it is made anew there.
    """
    for at, node in enumerate(way[:-1]):
        if not isinstance(node, _LOOPS) or id(node) in around:
            continue
        inner = way[at + 1]
        if isinstance(node, (ast.For, ast.AsyncFor)) and inner is node.iter:
            continue
        first = node.generators[0] if isinstance(node, COMPREHENSIONS) else None
        if first is not None and inner is first and way[at + 2] is first.iter:
            continue
        return True
    return False


def unwrapped(path: Sequence[ast.AST]) -> int:
    """Return the index of the value itself: around what only hands it on, as ``.all()`` does."""
    at = len(path) - 1
    while at > 1:
        node, parent, outer = path[at], path[at - 1], path[at - 2]
        if isinstance(parent, ast.Await):
            at -= 1
        elif (
            isinstance(parent, ast.Attribute)
            and parent.attr in _UNWRAPS
            and isinstance(outer, ast.Call)
            and outer.func is parent
        ):
            at -= 2
        elif isinstance(parent, ast.Call) and name_of(parent) in _COPIES and node in parent.args:
            at -= 1
        else:
            break
    return at


def _is_truth(path: Sequence[ast.AST]) -> bool:
    """Tell whether only the truth of the last node matters, or whether a number is zero."""
    node, parent = path[-1], path[-2]
    if isinstance(parent, (ast.If, ast.While, ast.IfExp, ast.Assert)):
        return parent.test is node
    if isinstance(parent, ast.comprehension):
        return node in parent.ifs
    if isinstance(parent, ast.UnaryOp):
        return isinstance(parent.op, ast.Not)
    if isinstance(parent, ast.Call):
        return name_of(parent) == "bool" and node in parent.args
    if isinstance(parent, ast.BoolOp):
        return _is_truth(path[:-1])
    return isinstance(parent, ast.Compare) and parent.left is node and _is_empty_test(parent)


def _is_empty_test(node: ast.Compare) -> bool:
    if len(node.ops) != 1 or not isinstance(node.comparators[0], ast.Constant):
        return False
    value = node.comparators[0].value
    return type(value) is int and (type(node.ops[0]), value) in _EMPTY_TESTS


def _is_cut(index: ast.expr) -> bool:
    """Tell whether an index takes rows from the front: ``[0]``, ``[:10]``, ``[a:b]``."""
    if isinstance(index, ast.Slice):
        return index.upper is not None and index.step is None and not _is_negative(index.upper)
    return isinstance(index, ast.Constant) and index.value == 0


def _is_negative(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def _field(node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Use | None:
    """Return the one attribute that a comprehension takes of each row of a new result."""
    loop = node.generators[0]
    if len(node.generators) > 1 or loop.ifs or not _is_new([loop.iter]):
        return None
    element = node.elt
    if (
        isinstance(element, ast.Attribute)
        and isinstance(element.value, ast.Name)
        and isinstance(loop.target, ast.Name)
        and element.value.id == loop.target.id
    ):
        return Use("field", element.attr)
    return None


def _is_new(values: Sequence[ast.expr]) -> bool:
    """Tell whether a value is made by a call on the spot: nobody else has it."""
    return bool(values) and isinstance(values[0], ast.Call)
