"""What a patch may not bring along, read from its source, and whether it changes anything.

Reads that tell a proof from production, clocks, and whatever keeps values from one request to the
next: a replay on one machine and one day does not show what those may do.
"""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from queryscope.verify.patch import edited
from queryscope.verify.proposal import Constraint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from queryscope.verify.project import Project
    from queryscope.verify.proposal import Proposal

ENVIRONMENT = frozenset(
    {
        "os.environ", "os.environb", "os.getenv", "os.uname", "os.getpid", "os.getppid", "sys.argv",
        "sys.orig_argv", "sys.modules", "sys.flags", "sys._getframe", "sys.gettrace",
        "socket.gethostname", "socket.getfqdn", "platform.node", "getpass.getuser",
        "inspect.stack", "inspect.currentframe",
    }
)  # fmt: skip
"""What differs between a proof and production: a patch that reads it could answer there only."""
CLOCKS = frozenset(
    {
        "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.localtime",
        "time.gmtime", "time.strftime", "datetime.now", "datetime.utcnow", "datetime.today",
        "date.today", "timezone.now", "timezone.localdate", "timezone.localtime",
    }
)  # fmt: skip
"""A branch on the date is seen on that date only."""
CACHES = frozenset(
    {"lru_cache", "cache", "cached", "memoize", "memoized", "cache_page", "alru_cache"}
)
"""Decorators that keep answers for the next request."""
CACHE_CALLS = frozenset({"cache.set", "cache.get_or_set", "cache.add", "cache.set_many"})
CHANGING = frozenset(
    {"append", "add", "update", "setdefault", "pop", "extend", "insert", "clear", "appendleft"}
)
RISKY_IMPORTS = frozenset(
    {
        "atexit", "ctypes", "importlib", "inspect", "multiprocessing", "os", "pickle", "platform",
        "random", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading",
    }
)  # fmt: skip
BROAD = frozenset({"Exception", "BaseException"})
JUDGES = ("pyproject.toml", "conftest.py")
"""Files that decide how a patch is judged."""
WHAT = {
    "environment": "reads what tells a proof from production",
    "clock": "reads a clock",
    "module-state": "keeps values from one request to the next",
    "imports": "imports",
    "swallowed-errors": "passes over any error",
}


class Refusal(NamedTuple):
    """Why a patch is refused by its text alone."""

    constraint: Constraint
    reason: str


def sources_of(proposal: Proposal, root: Path) -> dict[str, tuple[str, str]]:
    """Return path to the text before and after, ``""`` for a file that is not there."""
    found = {}
    for path in proposal.paths:
        edits = [edit for edit in proposal.edits if edit.path == path]
        if edits[0].old is None:
            found[path] = ("", edits[0].new or "")
            continue
        before = (root / path).read_bytes().decode("utf-8", "surrogateescape")
        after = "" if edits[0].new is None else edited(before, edits, proposal.origin)
        found[path] = (before, after)
    return found


def broken(sources: Mapping[str, tuple[str, str]]) -> Refusal | None:
    """Return why a patched file is no Python."""
    for path, (_, after) in sources.items():
        if not path.endswith(".py"):
            continue
        try:
            compile(after, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
            said = error.msg if isinstance(error, SyntaxError) else str(error)
            reason = f"{path}{line} does not compile: {said}"
            return Refusal(Constraint("compiles", path, reason), reason)
    return None


def refusal(sources: Mapping[str, tuple[str, str]], project: Project) -> Refusal | None:
    """Return why a patch that compiles is refused without being run, None if it is not."""
    contracts = _below_root(project)
    for path in sources:
        if path in JUDGES or (contracts and path.startswith(f"{contracts}/")):
            reason = f"The patch changes {path}, by which patches are judged"
            return Refusal(Constraint("policy", path, f"Leave {path} as it is."), reason)
    if all(_same(path, before, after) for path, (before, after) in sources.items()):
        reason = "The patch changes nothing that runs: comments, docstrings or white space alone"
        return Refusal(Constraint("no effect", "", "Change what runs."), reason)
    before = Counter[tuple[str, str]]()
    after = Counter[tuple[str, str]]()
    for path, (old, new) in sources.items():
        if path.endswith(".py"):
            before.update(_traits(old))
            after.update(_traits(new))
    for (kind, name), _times in sorted((after - before).items()):
        if kind not in project.allow:
            reason = f"The patch {WHAT[kind]}: {name}, which was not there before"
            sentence = f"No new {name}; where it is meant, allow = [{kind!r}] lets it pass."
            return Refusal(Constraint(f"policy {kind}", name, sentence), reason)
    return None


def _below_root(project: Project) -> str:
    try:
        return project.contracts.relative_to(project.root).as_posix()
    except ValueError:
        return ""


def _same(path: str, before: str, after: str) -> bool:
    if before == after:
        return True
    if not path.endswith(".py"):
        return False
    try:
        return ast.dump(_without_docstrings(before)) == ast.dump(_without_docstrings(after))
    except (SyntaxError, ValueError):
        return False


def _without_docstrings(source: str) -> ast.Module:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body[:] = node.body[1:]
    return tree


def _traits(source: str) -> Iterator[tuple[str, str]]:
    """Yield kind and name of all in a file that a patch may not add."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    names = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)):
            spelled = _spelled(node, names)
            tail = ".".join(spelled.split(".")[-2:])
            if tail in ENVIRONMENT:
                yield "environment", tail
            elif tail in CLOCKS:
                yield "clock", tail
            elif tail in CACHE_CALLS:
                yield "module-state", tail
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if _spelled(called, names).rpartition(".")[2] in CACHES:
                    yield "module-state", f"@{ast.unparse(called)} of {node.name}"
        elif isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            broad = any(kind is None or _spelled(kind, names) in BROAD for kind in kinds)
            if broad and not any(isinstance(one, ast.Raise) for one in ast.walk(node)):
                yield (
                    "swallowed-errors",
                    f"except {ast.unparse(node.type) if node.type else ''}".strip(),
                )
        elif isinstance(node, ast.Global):
            yield from (("module-state", f"global {name}") for name in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if _is_risky(alias.name):
                    yield "imports", alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (("imports", name) for name in (node.module or "",) if _is_risky(name))
    yield from (("module-state", name) for name in _kept(tree))


def _is_risky(module: str) -> bool:
    return module.partition(".")[0] in RISKY_IMPORTS


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return local names to what they stand for: ``from os import environ as e``."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    found[alias.asname] = alias.name
    return found


def _spelled(node: ast.AST, names: Mapping[str, str]) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ".".join(reversed(parts))
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def _kept(tree: ast.Module) -> Iterator[str]:
    """Yield names of a module, or of a class's body, that functions change."""
    owned: set[str] = set()
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    holders: list[ast.Module | ast.ClassDef] = [tree, *classes]
    for holder in holders:
        for statement in holder.body:
            targets: list[ast.expr] = []
            if isinstance(statement, ast.Assign):
                targets = statement.targets
            elif isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            owned.update(target.id for target in targets if isinstance(target, ast.Name))
    functions = (
        node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
    changed: set[str] = set()
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
                changed.add(_last(node.value))
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in CHANGING
            ):
                changed.add(_last(node.func.value))
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and isinstance(node.value, ast.Name)
                and node.value.id in _defined(tree)
            ):
                # A function's own attribute, or a class's: it outlives the call.
                yield f"{node.value.id}.{node.attr}"
        for default in function.args.defaults:
            if isinstance(default, (ast.Dict, ast.List, ast.Set)):
                arguments = function.args.args[-len(function.args.defaults) :]
                name = arguments[function.args.defaults.index(default)].arg
                if name in changed:
                    yield f"default {name} of {function.name}"
    yield from sorted(owned & changed)


def _defined(tree: ast.Module) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
