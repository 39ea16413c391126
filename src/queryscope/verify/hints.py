"""What source code gives away: what it compares with, which headers and parameters it reads."""

from __future__ import annotations

import ast
import operator
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from queryscope.verify.parts import Literal

MOST_LITERALS = 60
LONGEST_LITERAL = 60
"""Characters of a text that a value is compared with; longer ones are messages."""
LARGEST_POWER = 64


def literals_of(sources: Iterable[str], first: Collection[Literal] = ()) -> tuple[Literal, ...]:
    """Return what source code compares with, and the numbers that bound something in it.

    Compared values come first, then numbers that stand elsewhere (a slice, ``limit(100)``, a
    default). ``10**6`` is a million; a name stands for what the module gives it once. Texts that
    are longer than ``LONGEST_LITERAL`` are left out, and so is a source that does not parse.

    Args:
        sources: Source code.
        first: Literals that come before all others: there are ``MOST_LITERALS`` at most.
    """
    compared, others = _counted(sources)
    found = [literal for _, literal in {**compared, **others}]
    found.sort(key=lambda one: one not in first)
    return tuple(found[:MOST_LITERALS])


def added_literals(before: Iterable[str], after: Iterable[str]) -> frozenset[Literal]:
    """Return the literals that stand more often in source code than before.

    A patch that bounds something by a number which the source has elsewhere adds that number.
    """
    earlier, later = (sum(_counted(sources), Counter()) for sources in (before, after))
    return frozenset(literal for _, literal in later - earlier)


def _counted(
    sources: Iterable[str],
) -> tuple[Counter[tuple[type, Literal]], Counter[tuple[type, Literal]]]:
    """Return how often literals are compared with, and how often numbers stand anywhere."""
    compared: Counter[tuple[type, Literal]] = Counter()
    others: Counter[tuple[type, Literal]] = Counter()
    for tree in _trees(sources):
        names = _constants(tree)
        for node in ast.walk(tree):
            for value in _compared(node):
                for literal in _literals(value, names):
                    compared[type(literal), literal] += 1
            number = _folded(node, names)
            if isinstance(number, (int, float)) and not isinstance(node, ast.Name):
                others[type(number), number] += 1
    return compared, others


def headers_read(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the names of request headers that source code reads, each once."""
    found: dict[str, str] = {}
    for tree in _trees(sources):
        for node in ast.walk(tree):
            for name in _headers(node):
                found.setdefault(name.lower(), name)
    return tuple(found.values())


def parameters_read(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the names of query parameters that source code reads, each once."""
    return tuple(dict.fromkeys(key for owner, key in _all_looked_up(sources) if owner in _QUERIES))


def added_keys(before: Iterable[str], after: Iterable[str]) -> tuple[str, ...]:
    """Return what source code looks up by a text more often than before, wherever that is.

    A view may have its parameters in a mapping of any name.
    """
    earlier, later = (Counter(_all_looked_up(sources)) for sources in (before, after))
    return tuple(dict.fromkeys(key for _, key in later - earlier))


def _all_looked_up(sources: Iterable[str]) -> Iterator[tuple[str, str]]:
    for tree in _trees(sources):
        yield from (found for node in ast.walk(tree) if (found := _looked_up(node))[1])


_QUERIES = frozenset({"GET", "args", "query_params", "query", "params", "values"})
_ATTRIBUTES = {
    "user_agent": "User-Agent",
    "accept_languages": "Accept-Language",
    "accept_mimetypes": "Accept",
    "referrer": "Referer",
    "if_none_match": "If-None-Match",
}
_FOLDED: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
}


def _trees(sources: Iterable[str]) -> Iterator[ast.Module]:
    for source in sources:
        try:
            yield ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Return what names of a module stand for, where they are assigned once."""
    found: dict[str, ast.expr] = {}
    twice = set()
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.AnnAssign):
            target = node.target
        if isinstance(target, ast.Name) and isinstance(node, (ast.Assign, ast.AnnAssign)):
            if target.id in found or node.value is None:
                twice.add(target.id)
            else:
                found[target.id] = node.value
    return {name: value for name, value in found.items() if name not in twice}


def _compared(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions that something is compared with in a node."""
    if isinstance(node, ast.Compare):
        yield from (node.left, *node.comparators)
    elif isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in _FILTERS:
            yield from (keyword.value for keyword in node.keywords)
        if name in _TESTS:
            yield from node.args
    elif isinstance(node, ast.MatchValue):
        yield node.value
    elif isinstance(node, ast.BoolOp):
        yield from node.values[1:]
    elif isinstance(node, ast.Slice):
        yield from (bound for bound in (node.lower, node.upper) if bound is not None)


_FILTERS = frozenset(
    {"Q", "exclude", "filter", "filter_by", "get", "get_or_create", "update_or_create"}
)
_TESTS = frozenset(
    {"contains", "endswith", "ilike", "in_", "is_", "like", "limit", "offset", "startswith"}
)


def _literals(node: ast.expr, names: dict[str, ast.expr]) -> Iterator[Literal]:
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        for element in node.elts:
            yield from _literals(element, names)
        return
    if isinstance(node, ast.Name) and isinstance(
        names.get(node.id), (ast.Tuple, ast.List, ast.Set, ast.Dict)
    ):
        held = names[node.id]
        # One of the four kinds above.
        parts = held.keys if isinstance(held, ast.Dict) else held.elts  # type: ignore[attr-defined]
        for part in parts:
            if part is not None:
                yield from _literals(part, {})
        return
    value = _folded(node, names)
    if value is not None and (not isinstance(value, str) or 0 < len(value) <= LONGEST_LITERAL):
        yield value


def _folded(node: ast.AST, names: dict[str, ast.expr], depth: int = 0) -> Literal | None:
    """Return what an expression of constants comes to, None for any other."""
    if depth > 8:  # noqa: PLR2004 - deeper ones are no limits that a person wrote
        return None
    if isinstance(node, ast.Constant):
        value = node.value
        plain = isinstance(value, (int, float, str)) and not isinstance(value, bool)
        return value if plain else None  # type: ignore[return-value]  # one of the three
    if isinstance(node, ast.Name):
        held = names.get(node.id)
        return _folded(held, {}, depth + 1) if held is not None else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _folded(node.operand, names, depth + 1)
        return -inner if isinstance(inner, (int, float)) else None
    if isinstance(node, ast.BinOp) and type(node.op) in _FOLDED:
        left = _folded(node.left, names, depth + 1)
        right = _folded(node.right, names, depth + 1)
        if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
            return None
        if isinstance(node.op, ast.Pow) and not 0 <= right <= LARGEST_POWER:
            return None
        try:
            result = _FOLDED[type(node.op)](left, right)
        except (ArithmeticError, ValueError):
            return None
        return result if isinstance(result, (int, float)) else None
    return None


def _looked_up(node: ast.AST) -> tuple[str, str]:
    """Return from what a text is looked up, by ``x["key"]`` or ``x.get("key")``, and the text."""
    target: ast.expr | None = None
    key: ast.expr | None = None
    if isinstance(node, ast.Subscript):
        target, key = node.value, node.slice
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("get", "getlist", "get_list", "pop")
        and node.args
    ):
        target, key = node.func.value, node.args[0]
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        target, key = node.comparators[0], node.left
    if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
        return "", ""
    if isinstance(target, ast.Attribute):
        return target.attr, key.value
    return (target.id, key.value) if isinstance(target, ast.Name) else ("", "")


def _headers(node: ast.AST) -> Iterator[str]:
    owner, key = _looked_up(node)
    if owner == "headers":
        yield _titled(key)
    elif owner in ("META", "environ"):
        if key.startswith("HTTP_"):
            yield _titled(key.removeprefix("HTTP_"))
    elif isinstance(node, ast.Attribute) and node.attr in _ATTRIBUTES:
        yield _ATTRIBUTES[node.attr]
    elif isinstance(node, ast.arg):
        yield from _declared(node.arg, node.annotation)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        arguments = [*node.args.posonlyargs, *node.args.args]
        defaults = node.args.defaults
        pairs = list(zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True))
        pairs += [
            (one, default)
            for one, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            if default is not None
        ]
        for argument, default in pairs:
            yield from _declared(argument.arg, default)


def _declared(name: str, where: ast.AST | None) -> Iterator[str]:
    """Yield the header that a parameter stands for, as FastAPI declares it: ``Header()``."""
    for node in ast.walk(where) if where is not None else ():
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called == "Header":
                alias = next((one.value for one in node.keywords if one.arg == "alias"), None)
                given = alias.value if isinstance(alias, ast.Constant) else name
                yield _titled(str(given))


def _titled(name: str) -> str:
    return "-".join(part.capitalize() for part in name.replace("_", "-").split("-"))
