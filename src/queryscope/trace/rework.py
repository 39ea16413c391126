"""What the user's source does to rows that the database could have done: filters, totals, sorts.

Read from the syntax tree, off the hot path, as ``usage`` is. Only what is certain is an answer: a
condition, a sum or a key that takes attributes of the row and values that do not depend on it. A
function called with the row, a method of it, rows of two results in one list: no answer.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.trace.source import (
    COMPREHENSIONS,
    MAX_ANSWERS,
    frame_of,
    path_to,
    scope_of,
    stamp_of,
    tree_of,
)
from queryscope.trace.usage import is_evaluated_again, unwrapped, ways_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.trace.events import Frame
    from queryscope.trace.source import Stamp

    Way = Sequence[ast.AST]
    """The nodes from the module, or from a function, to the one that stands for the rows."""

Kind = Literal["filter", "total", "sort"]

TOTALS = {"sum": "Sum", "fsum": "Sum", "min": "Min", "max": "Max", "mean": "Avg", "fmean": "Avg",
          "len": "Count"}  # fmt: skip
"""Functions that make one value of many, and what the databases' own are called."""
_EVALUATE = frozenset({"list", "tuple", "sorted", "set", "filter", *TOTALS})
"""Built-in functions whose first argument, or second one of ``filter``, they iterate."""
_COMPUTED = (ast.Add, ast.Sub, ast.Mult)
_CHANGES = frozenset({"append", "extend", "insert", "remove", "pop", "clear", "reverse"})
"""Methods that make another list of one."""


class Rework(NamedTuple):
    """What is done to the rows of one result.

    Attributes:
        kind: ``filter``: rows are left out by a condition; ``total``: one value is made of them;
            ``sort``: they are put into another order.
        at: Where that stands.
        columns: The attributes of a row that it takes; of a sort in the order of the key.
        verb: The function that makes the total, by its name in SQL's words; ``-`` for a sort that
            is descending.
    """

    kind: Kind
    at: Frame
    columns: tuple[str, ...]
    verb: str = ""


def rework_of(frame: Frame) -> Rework | None:
    """Return what is done to the rows of the result at a position, None if more or unclear.

    Args:
        frame: Where a statement was asked for, by a call or by iterating a queryset.
    """
    stamp = stamp_of(frame.file)
    return None if stamp is None else _rework(frame, stamp)


@lru_cache(maxsize=MAX_ANSWERS)
def _rework(frame: Frame, stamp: Stamp) -> Rework | None:
    tree = tree_of(frame.file, stamp)
    if tree is None or (frame.line == frame.end_line and frame.column == frame.end_column):
        return None  # without columns (python -X no_debug_ranges) nothing is certain
    path = _evaluated(path_to(tree, frame))
    found = None if path is None else _judge(path)
    if found is None:
        return None
    return Rework(found.kind, frame_of(frame, found.node), found.columns, found.verb)


class _Done(NamedTuple):
    """A Rework before its position is told."""

    node: ast.AST
    kind: Kind
    columns: tuple[str, ...]
    verb: str = ""


def _evaluated(path: list[ast.AST]) -> list[ast.AST] | None:
    """Return the way to the rows themselves: what a loop or a built-in function iterates."""
    node = path[-1]
    if isinstance(node, (ast.For, ast.AsyncFor)):
        return [*path, node.iter]
    if isinstance(node, COMPREHENSIONS):
        first = node.generators[0]
        return [*path, first, first.iter]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _EVALUATE:
        if len(node.args) != 1 + (node.func.id == "filter"):
            return None
        taken = node.args[-1]
        inner = [*path, taken]
        return _evaluated(inner) if isinstance(taken, (*COMPREHENSIONS, ast.Call)) else inner
    return path if isinstance(node, ast.expr) and len(path) > 2 else None  # noqa: PLR2004 - in a statement


def _judge(path: list[ast.AST]) -> _Done | None:
    """Return what is done with the rows at the end of a way, wherever their name leads."""
    rows = path[-1]
    if not isinstance(rows, (ast.Call, ast.Await, ast.Name)):
        return None  # a list of several results
    outer = path[: unwrapped(path) + 1]
    if isinstance(rows, ast.Name):
        return _named(rows.id, path)
    target = _only_name(outer[-2])
    return _one(outer) if target is None else _named(target.id, path)


def _only_name(assigned: ast.AST) -> ast.Name | None:
    if not isinstance(assigned, ast.Assign) or len(assigned.targets) != 1:
        return None
    target = assigned.targets[0]
    return target if isinstance(target, ast.Name) else None


def _named(name: str, path: list[ast.AST]) -> _Done | None:
    """Return what is done with rows that have a name, if it is one thing and nothing else."""
    scope = scope_of(path)
    if isinstance(scope, (ast.Module, ast.ClassDef)):
        return None
    made, again = 0, False
    outer: set[int] = set()
    uses: list[list[ast.AST]] = []
    for way in ways_to(scope, name):
        node = way[-1]
        if not isinstance(node, ast.Name):
            return None
        if isinstance(node.ctx, ast.Load):
            uses.append(way[: unwrapped(way) + 1])
            continue
        assigned = way[-2]
        if not isinstance(assigned, ast.Assign) or _only_name(assigned) is not node:
            return None
        if _sorts(assigned.value, name):
            again = True
            continue
        if not isinstance(assigned.value, (ast.Call, ast.Await)):
            return None
        made += 1
        outer = {id(part) for part in way}
    if made != 1 or not uses:
        return None  # an argument of the function, or given twice: others have it, too
    uses.sort(key=lambda way: (way[-1].lineno, way[-1].col_offset))  # type: ignore[attr-defined] # names
    found = [(way, _one(way)) for way in uses]
    sorts = [one for _, one in found if one is not None and one.kind == "sort"]
    if sorts:
        return sorts[0] if len(sorts) == 1 and _only_sorted(found) else None
    if again:
        return None
    totals = [one for _, one in found if one is not None]
    if len(totals) != len(found) or any(is_evaluated_again(way, outer) for way in uses):
        return None
    if len(totals) > 1 and any(one.kind != "total" for one in totals):
        return None
    columns = {column: None for one in totals for column in one.columns}
    return totals[0]._replace(columns=tuple(columns))


def _sorts(value: ast.expr, name: str) -> bool:
    """Tell whether a value is ``sorted(name, ...)``: the same rows."""
    return (
        isinstance(value, ast.Call)
        and _called(value.func) == "sorted"
        and bool(value.args)
        and isinstance(value.args[0], ast.Name)
        and value.args[0].id == name
    )


def _only_sorted(found: list[tuple[list[ast.AST], _Done | None]]) -> bool:
    """Tell whether nothing makes another list of rows that are sorted."""
    for way, one in found:
        if one is not None and one.kind == "sort":
            continue
        parent, outer = way[-2], way[-3]
        if isinstance(parent, ast.Attribute) and parent.attr in _CHANGES:
            return False
        if isinstance(parent, (ast.AugAssign, ast.BinOp, ast.Starred)):
            return False
        if isinstance(parent, ast.Subscript) and not isinstance(parent.ctx, ast.Load):
            return False
        if isinstance(parent, ast.Call) and isinstance(outer, ast.Expr):
            return False  # handed to a function for its effect
    return True


def _one(way: Way) -> _Done | None:
    """Return what one use of the rows is."""
    node, parent = way[-1], way[-2]
    if isinstance(parent, ast.comprehension) and parent.iter is node:
        return _comprehended(way)
    if isinstance(parent, (ast.For, ast.AsyncFor)) and parent.iter is node:
        return _looped(parent)
    if isinstance(parent, ast.Attribute) and parent.attr == "sort":
        call = way[-3]
        return _sorted(call) if isinstance(call, ast.Call) and call.func is parent else None
    if not isinstance(parent, ast.Call) or not isinstance(parent.func, ast.Name):
        return None
    name = parent.func.id
    if name == "sorted" and parent.args == [node]:
        return _sorted(parent)
    if name == "filter" and parent.args[1:] == [node]:
        return _filtered(parent, _function(parent.args[0]))
    return None


def _comprehended(way: Way) -> _Done | None:
    loop, outer, around = way[-2], way[-3], way[-4]
    assert isinstance(loop, ast.comprehension)  # noqa: S101 - the caller has looked
    if not isinstance(outer, COMPREHENSIONS) or outer.generators[0] is not loop:
        return None
    if not isinstance(loop.target, ast.Name):
        return None
    row = loop.target.id
    conditions = _all(_condition(test, row) for test in loop.ifs)
    if conditions is None:
        return None
    if isinstance(around, ast.Call) and around.args == [outer] and len(outer.generators) == 1:
        verb = _called(around.func)
        if verb in TOTALS and not around.keywords:
            return _totalled(around, outer, row, conditions)
    if not loop.ifs or not conditions:
        return None
    return _Done(outer, "filter", conditions)


def _totalled(call: ast.Call, made: ast.AST, row: str, conditions: tuple[str, ...]) -> _Done | None:
    if isinstance(made, (ast.DictComp, ast.SetComp)):
        return None  # fewer than the rows: equal ones count once
    verb = TOTALS[_called(call.func)]
    element = made.elt  # type: ignore[attr-defined] # no DictComp
    taken = () if verb == "Count" else _value(element, row)
    if taken is None or not (taken or conditions):
        return None
    return _Done(call, "total", _once(conditions, taken), verb)


def _looped(loop: ast.For | ast.AsyncFor) -> _Done | None:
    """Return what a loop is that does nothing but leave rows out at its head, or add them up."""
    if not isinstance(loop.target, ast.Name) or loop.orelse:
        return None
    row = loop.target.id
    first = loop.body[0]
    whole = len(loop.body) == 1
    if not isinstance(first, ast.If) or first.orelse:
        taken = _added(loop.body, row)
        return None if not taken else _Done(loop, "total", taken, "Sum")
    passes = len(first.body) == 1 and isinstance(first.body[0], ast.Continue)
    if passes == whole:
        return None
    condition = _condition(first.test, row)
    if not condition or _changed(loop, first.test):
        return None
    taken = _added(first.body if whole else loop.body[1:], row)
    if taken is not None:
        return _Done(loop, "total", _once(condition, taken), "Sum")
    return _Done(loop, "filter", condition)


def _added(body: Sequence[ast.stmt], row: str) -> tuple[str, ...] | None:
    """Return the attributes that statements add to numbers, None where they do anything else."""
    found: list[tuple[str, ...] | None] = []
    for statement in body:
        if not (
            isinstance(statement, ast.AugAssign)
            and isinstance(statement.op, ast.Add)
            and isinstance(statement.target, ast.Name)
            and not isinstance(statement.value, (ast.List, ast.Tuple, ast.JoinedStr))
        ):
            return None
        found.append(_value(statement.value, row))
    return _all(found)


def _changed(loop: ast.For | ast.AsyncFor, test: ast.expr) -> bool:
    """Tell whether a name of a condition is met again in its loop: each row may change it."""
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    assert isinstance(loop.target, ast.Name)  # noqa: S101 - the caller has looked
    names.discard(loop.target.id)
    inside = set(ast.walk(test))
    return any(
        isinstance(node, ast.Name) and node.id in names and node not in inside
        for statement in loop.body
        for node in ast.walk(statement)
    )


def _filtered(call: ast.Call, function: tuple[str, ast.expr] | None) -> _Done | None:
    condition = None if function is None else _condition(function[1], function[0])
    return _Done(call, "filter", condition) if condition else None


def _sorted(call: ast.Call) -> _Done | None:
    """Return the sort of a call with a ``key`` that takes columns."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    key, reverse = given.pop("key", None), given.pop("reverse", ast.Constant(value=False))
    if key is None or given or not isinstance(reverse, ast.Constant):
        return None
    names = _named_attributes(key)
    descending = bool(reverse.value)
    if names is None:
        function = _function(key)
        if function is None:
            return None
        row, body = function
        parts = body.elts if isinstance(body, ast.Tuple) else [body]
        signs = {isinstance(part, ast.UnaryOp) for part in parts}
        if len(signs) > 1:
            return None
        found = [_key(part, row) for part in parts]
        if None in found:
            return None
        names = tuple(name for name in found if name is not None)
        descending ^= signs == {True}
    return _Done(call, "sort", names, "-" if descending else "")


def _key(part: ast.expr, row: str) -> str | None:
    """Return the one attribute that a part of a key is."""
    if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub):
        part = part.operand
    if isinstance(part, ast.BoolOp) and isinstance(part.op, ast.Or):
        part = part.values[0] if isinstance(part.values[-1], ast.Constant) else part
    return _attribute(part, row)


def _named_attributes(key: ast.expr) -> tuple[str, ...] | None:
    """Return the attributes of ``attrgetter("price", "title")``."""
    if not isinstance(key, ast.Call) or _called(key.func) != "attrgetter" or key.keywords:
        return None
    names = [one.value for one in key.args if isinstance(one, ast.Constant)]
    found = tuple(one for one in names if isinstance(one, str) and "." not in one)
    return found if found and len(found) == len(key.args) else None


def _function(node: ast.expr) -> tuple[str, ast.expr] | None:
    """Return the argument and the body of a lambda of one argument."""
    if not isinstance(node, ast.Lambda):
        return None
    args = node.args
    if len(args.args) != 1 or args.vararg or args.kwarg or args.kwonlyargs or args.defaults:
        return None
    return args.args[0].arg, node.body


# -- expressions: the attributes that they take of a row, None for what is more -----------------


def _condition(node: ast.expr, row: str) -> tuple[str, ...] | None:
    if isinstance(node, ast.BoolOp):
        return _all(_condition(part, row) for part in node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _condition(node.operand, row)
    if isinstance(node, ast.Compare):
        return _all(_value(part, row) for part in (node.left, *node.comparators))
    return _value(node, row)


def _value(node: ast.expr, row: str) -> tuple[str, ...] | None:
    name = _attribute(node, row)
    if name is not None:
        return (name,)
    if isinstance(node, ast.BinOp) and isinstance(node.op, _COMPUTED):
        return _all((_value(node.left, row), _value(node.right, row)))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _value(node.operand, row)
    return () if _is_apart(node, row) else None


def _attribute(node: ast.expr, row: str) -> str | None:
    """Return the attribute of ``row.attribute``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id == row else None
    return None


def _is_apart(node: ast.expr, row: str) -> bool:
    """Tell whether a value is the same for every row: no call, and nothing of the row in it."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.Name):
        return node.id != row
    if isinstance(node, ast.Attribute):
        return _is_apart(node.value, row)
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return all(_is_apart(part, row) for part in node.elts)
    return False


def _all(
    parts: Iterator[tuple[str, ...] | None] | Sequence[tuple[str, ...] | None],
) -> tuple[str, ...] | None:
    """Return the attributes of all parts, None where one part is None."""
    found: list[tuple[str, ...]] = []
    for part in parts:
        if part is None:
            return None
        found.append(part)
    return _once(*found)


def _once(*parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in parts for name in part))


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
