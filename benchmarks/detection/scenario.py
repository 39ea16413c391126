"""A scenario: a small piece of an application, and what a detector has to say about it.

``@dirty`` declares what is wrong with a function, ``@repaired`` its twin without it, which gives
the same answer, and ``@innocent`` what only looks alike. The line to mend is marked with the
comment ``# mend`` in the function itself, or ``# mend: NAME`` (in a template ``{# mend: NAME #}``)
in whatever file of ``scenarios/`` it stands in.
"""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Kind = Literal["dirty", "repaired", "innocent"]
Way = Literal["call", "get", "post"]
F = TypeVar("F", bound="Callable[..., Any]")

SCENARIOS = Path(__file__).with_name("scenarios")
SIZES = (2, 6, 50)
"""Rows of each table that the shelf has."""

_MARK = re.compile(r"#\s*mend(?::\s*(?P<names>\w+(?:, \w+)*))?")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One function and its verdict.

    Attributes:
        name: The function's name, unique within its ORM.
        orm: ``django`` or ``sqlalchemy``.
        code: The code that is wanted; of a repaired or innocent one: the code that must not come.
        kind: What is declared about it.
        run: The function.
        relation: What a finding has to name: a relation or a column as ``Class.attribute``.
        table: The table of the dirty statements, for tools that report statements.
        accept: Other codes that say the same thing as truly.
        also: Codes that are true of it as well: neither wanted nor held against anybody.
        twin: Of a repaired one: the name of the dirty one.
        way: ``call``, or the method of the request that it answers.
        served_by: A decorator that makes the view of the function.
        after: Called when nobody watches any more; what it returns is the answer.
        writes: The rows are made anew after it.
        at_least: Rows from which on the verdict holds; with fewer it is not tried.
        times: Requests made, one after the other; what is said of any of them, or of all
            together, counts.
        between: Called between two of them when nobody watches: what others do meanwhile.
        settings: Thresholds of its own, by name: what nobody can know but the user.
        group: The file that it stands in.
        mends: File and line of each place that is right to mend; empty: not judged.
    """

    name: str
    orm: str
    code: str
    kind: Kind
    run: Callable[..., Any]
    relation: str = ""
    table: str = ""
    accept: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    twin: str = ""
    way: Way = "call"
    served_by: Callable[..., Any] | None = None
    after: Callable[[], Any] | None = None
    writes: bool = False
    at_least: int = 0
    times: int = 1
    between: Callable[[], Any] | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    group: str = ""
    mends: frozenset[tuple[str, int]] = frozenset()

    @property
    def key(self) -> str:
        """Its name among all scenarios."""
        return f"{self.orm}.{self.name}"

    @property
    def asynchronous(self) -> bool:
        """It runs in an event loop."""
        return inspect.iscoroutinefunction(self.run)

    def declared(self) -> dict[str, Any]:
        """Return what it declares, without its function, to be written as JSON."""
        kept = {item.name: getattr(self, item.name) for item in fields(self) if item.name in _PLAIN}
        return {**kept, "mends": sorted(self.mends), "runs_async": self.asynchronous}

    @classmethod
    def of(cls, declared: dict[str, Any]) -> Scenario:
        """Return what ``declared`` was made of, without its function."""
        kept = {name: declared[name] for name in _PLAIN}
        for name in ("accept", "also"):
            kept[name] = tuple(kept[name])
        mends = frozenset((file, line) for file, line in declared["mends"])
        return cls(**kept, mends=mends, run=_not_here)


_PLAIN = (
    "name", "orm", "code", "kind", "relation", "table", "accept", "also", "twin", "way", "writes",
    "at_least", "group",
)  # fmt: skip


def _not_here() -> None:
    raise RuntimeError("a scenario runs in a worker only")


_known: dict[str, Scenario] = {}


def dirty(code: str, **more: Any) -> Callable[[F], F]:
    """Declare that a function has what ``code`` speaks of."""
    return _declared("dirty", code, more)


def repaired(twin: Callable[..., Any], **more: Any) -> Callable[[F], F]:
    """Declare that a function answers as ``twin`` does, without what is wrong with it."""
    wrong = _known[f"{_orm(twin)}.{twin.__name__}"]
    names = ("way", "served_by", "after", "writes", "at_least", "times", "between", "settings")
    kept = {name: getattr(wrong, name) for name in names}
    return _declared("repaired", wrong.code, {**kept, "twin": wrong.name, **more})


def innocent(code: str, **more: Any) -> Callable[[F], F]:
    """Declare that nothing is wrong with a function that looks as if ``code`` spoke of it."""
    return _declared("innocent", code, more)


def all_scenarios(orm: str) -> dict[str, Scenario]:
    """Return every scenario of one ORM by its name, in the order of files and lines."""
    from importlib import import_module

    for path in sorted(SCENARIOS.glob(f"{orm}_*.py")):
        import_module(f"benchmarks.detection.scenarios.{path.stem}")
    return {item.name: item for item in _known.values() if item.orm == orm}


def _declared(kind: Kind, code: str, more: dict[str, Any]) -> Callable[[F], F]:
    def declare(function: F) -> F:
        name = function.__name__
        scenario = Scenario(
            name=name,
            orm=_orm(function),
            code=code,
            kind=kind,
            run=function,
            group=function.__module__.rpartition(".")[2],
            mends=frozenset(_mends(function)),
            **more,
        )
        if scenario.key in _known:
            raise ValueError(f"two scenarios are called {scenario.key}")
        _known[scenario.key] = scenario
        return function

    return declare


def _orm(function: Callable[..., Any]) -> str:
    """Return the ORM of a function's file: its name's first word."""
    return function.__module__.rpartition(".")[2].partition("_")[0]


def _mends(function: Callable[..., Any]) -> Iterator[tuple[str, int]]:
    file = inspect.getsourcefile(function) or ""
    lines, first = inspect.getsourcelines(function)
    statements = _statements(file)
    for number, line in enumerate(lines, first):
        mark = _MARK.search(line)
        if mark is not None and mark["names"] is None:
            yield from ((file, one) for one in statements.get(number, (number,)))
    yield from _marked().get(function.__name__, ())


@cache
def _marked() -> dict[str, list[tuple[str, int]]]:
    """Return the marked lines of all files by the names that the marks say."""
    found: dict[str, list[tuple[str, int]]] = {}
    for path in sorted(SCENARIOS.rglob("*.*")):
        if path.suffix not in (".py", ".html"):
            continue
        statements = _statements(str(path)) if path.suffix == ".py" else {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            mark = _MARK.search(line)
            for name in re.findall(r"\w+", (mark and mark["names"]) or ""):
                lines = statements.get(number, (number,))
                found.setdefault(name, []).extend((str(path), one) for one in lines)
    return found


@cache
def _statements(file: str) -> dict[int, range]:
    """Return the lines of the simple statement around each line: a formatter may fold it."""
    found = {}
    for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)  # of a loop or a block the head alone
            end = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
            lines = range(node.lineno, max(end, node.lineno + 1))
            found.update(dict.fromkeys(lines, lines))
    return found
