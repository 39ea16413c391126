"""Edge-value variants of recorded requests, and what of them the source gives away."""

from __future__ import annotations

import ast
import operator
from dataclasses import replace
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any

from queryscope.verify.contract import MASKED, NOBODY
from queryscope.verify.edges import Mark, other_valid, texts_for, values_for
from queryscope.verify.pairwise import pairwise
from queryscope.verify.parameters import Change, Parameter, changed, parameters_of, values_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from queryscope.verify.contract import Request
    from queryscope.verify.parts import Literal

BASES = 3
"""Recorded requests of an endpoint that are varied: the first of each set of parameters."""
FIRST_RANKS = 4
"""Edge values of every parameter that come before pairs: absent, empty, zero, another valid one."""
MOST_PAIRS = 60
"""Combinations of classes; 13 parameters of four classes take 36."""
PAGES = 8
"""Pages that are asked for, from the first; small ones, so that they reach the end."""
SMALL_PAGE = "2"
MOST_LITERALS = 60
LONGEST_LITERAL = 60
"""Characters of a text that a value is compared with; longer ones are messages."""
LARGEST_POWER = 64
_PAGE_NAMES = frozenset({"page", "p", "pg", "page_number", "pagenumber"})
_OFFSET_NAMES = frozenset({"offset", "start", "skip", "from"})
_SIZE_NAMES = frozenset({"page_size", "pagesize", "per_page", "perpage", "limit", "size", "count"})


def variants(
    recorded: Sequence[Request],
    *,
    literals: Collection[Literal] = (),
    headers: Collection[str] = (),
    actors: Collection[str] = (),
    parameters: Collection[str] = (),
    limit: int,
) -> tuple[Request, ...]:
    """Return variants of recorded requests, the most telling first, the same ones each time.

    Each parameter alone is given every edge value, the others as recorded; every two parameters
    meet in four classes (absent, as recorded, zero, another valid value); each request is made by
    the other actors, and by nobody; pages are walked.

    Args:
        recorded: What was recorded of one endpoint.
        literals: What the original and the patched source compare with (``literals_of``).
        headers: Names of request headers that the source reads (``headers_read``).
        actors: Names of those who may ask, ``""`` for nobody.
        parameters: Names of query parameters that the source reads (``parameters_read``).
        limit: The largest number of variants.
    """
    known = {request.key for request in recorded}
    made = [
        _of_one(base, recorded, literals, headers, actors, parameters) for base in _bases(recorded)
    ]
    found: list[Request] = []
    for row in zip_longest(*made):
        for request in row:
            if request is not None and request.key not in known:
                known.add(request.key)
                found.append(request)
        if len(found) >= limit:
            break
    return tuple(found[:limit])


def _bases(recorded: Sequence[Request]) -> list[Request]:
    """Return the first request of each set of parameters, those with most parameters first."""
    found: dict[tuple[object, ...], Request] = {}
    for request in recorded:
        names = tuple(sorted({name for name, _ in request.pairs}))
        found.setdefault((request.method, names, bool(request.body)), request)
    return sorted(found.values(), key=lambda one: -len(one.pairs))[:BASES]


def _of_one(
    base: Request,
    family: Sequence[Request],
    literals: Collection[Literal],
    headers: Collection[str],
    actors: Collection[str],
    names: Collection[str],
) -> Iterator[Request]:
    for actor in dict.fromkeys((*actors, NOBODY)):
        if actor != base.actor:
            yield replace(base, actor=actor, variant=f"as {actor or 'nobody'}")
    own = [name for name in headers if name.lower() not in MASKED]
    parameters = parameters_of(base, family, names, own)
    columns = [_edges(one, family, literals) for one in parameters]
    ranked = _ranks(columns)
    first = list(islice(ranked, FIRST_RANKS * len(columns)))
    yield from _made(base, ([change] for change in first))
    yield from _made(base, _pages(parameters))
    yield from _made(base, _pairs(parameters, family, literals))
    yield from _made(base, ([change] for change in ranked))


def _made(base: Request, changes: Iterable[Sequence[Change]]) -> Iterator[Request]:
    for one in changes:
        request = changed(base, one) if one else None
        if request is not None:
            yield request


def _edges(
    parameter: Parameter, family: Sequence[Request], literals: Collection[Literal]
) -> list[Change]:
    if parameter.place == "json":
        values: Iterable[Any] = values_for(parameter.recorded, literals)
    else:
        values = texts_for(parameter.recorded, values_in(family, parameter), literals)
    found: dict[str, Change] = {}
    for value in values:
        absent = value is Mark.ABSENT and parameter.recorded is None
        if not absent and (type(value), value) != (type(parameter.recorded), parameter.recorded):
            found.setdefault(f"{type(value).__name__} {value!r}", Change(parameter, value))
    return list(found.values())


def _ranks(columns: Sequence[Sequence[Change]]) -> Iterator[Change]:
    """Yield the first value of every parameter, then the second of every one, and so on."""
    for row in zip_longest(*columns):
        yield from (change for change in row if change is not None)


def _pairs(
    parameters: Sequence[Parameter], family: Sequence[Request], literals: Collection[Literal]
) -> Iterator[list[Change]]:
    """Yield combinations in which every two parameters meet in four classes."""
    texts = [one for one in parameters if one.place in ("query", "form")]
    if len(texts) < 2:  # noqa: PLR2004 - a pair
        return
    classes = []
    for one in texts:
        sample = one.recorded if one.recorded is not None else ""
        other = other_valid(sample, values_in(family, one), literals)
        values = [Mark.ABSENT, one.recorded, "0", other]
        classes.append([value for value in dict.fromkeys(values) if value is not None])
    for combination in pairwise([len(one) for one in classes], MOST_PAIRS):
        changes = [
            Change(parameter, values[number])
            for parameter, values, number in zip(texts, classes, combination, strict=True)
        ]
        yield [
            change
            for change in changes
            if change.value != change.parameter.recorded
            and not (change.value is Mark.ABSENT and change.parameter.recorded is None)
        ]


def _pages(parameters: Sequence[Parameter]) -> Iterator[list[Change]]:
    """Yield pages from the first one on, as they are and small enough to reach the end."""
    queries = {one.name.lower(): one for one in parameters if one.place == "query"}
    size = next((one for name, one in queries.items() if name in _SIZE_NAMES), None)
    for name, parameter in queries.items():
        if name in _PAGE_NAMES:
            places = [str(number) for number in range(1, PAGES + 1)]
        elif name in _OFFSET_NAMES:
            places = [str(int(SMALL_PAGE) * number) for number in range(PAGES)]
        else:
            continue
        for place in places:
            if size is not None:
                yield [Change(size, SMALL_PAGE), Change(parameter, place)]
        for place in places:
            yield [Change(parameter, place)]


# -- what the source gives away ---------------------------------------------------------------


def literals_of(sources: Iterable[str]) -> tuple[Literal, ...]:
    """Return what source code compares with, and the numbers that bound something in it.

    Compared values come first, then numbers that stand elsewhere (a slice, ``limit(100)``, a
    default). ``10**6`` is a million; a name stands for what the module gives it once. Texts that
    are longer than ``LONGEST_LITERAL`` are left out, and so is a source that does not parse.
    """
    compared: dict[tuple[type, Literal], None] = {}
    others: dict[tuple[type, Literal], None] = {}
    for tree in _trees(sources):
        names = _constants(tree)
        for node in ast.walk(tree):
            for value in _compared(node):
                for literal in _literals(value, names):
                    compared.setdefault((type(literal), literal))
            number = _folded(node, names)
            if isinstance(number, (int, float)) and not isinstance(node, ast.Name):
                others.setdefault((type(number), number))
    found = [literal for _, literal in {**compared, **others}]
    return tuple(found[:MOST_LITERALS])


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
    found: dict[str, None] = {}
    for tree in _trees(sources):
        for node in ast.walk(tree):
            owner, key = _looked_up(node)
            if key and owner in _QUERIES:
                found.setdefault(key)
    return tuple(found)


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
