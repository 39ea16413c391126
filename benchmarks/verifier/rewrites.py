"""Rewrites of the shop's views: right ones, and wrong ones made from them by one change each."""

from __future__ import annotations

import ast
import difflib
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.verifier import changes_anywhere, changes_django, changes_sqlalchemy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
CHANGES = {"sqlalchemy": changes_sqlalchemy.CHANGES, "django": changes_django.CHANGES}
EXTRA = {
    "sqlalchemy": "session.scalar(select(func.count()).select_from(Category))",
    "django": "Category.objects.count()",
}
"""A statement that no view sends."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One rewrite of one view.

    Attributes:
        orm: Of which shop.
        view: Name of the function.
        name: Unique in the shop.
        kind: What goes wrong; ``""`` for a right one.
        text: The whole module of the views with it.
    """

    orm: str
    view: str
    name: str
    kind: str
    text: str

    @property
    def right(self) -> bool:
        """Whether every answer stays and the cost falls."""
        return not self.kind

    def diff(self, original: str, file: str) -> str:
        """Return it as a unified diff."""
        lines = difflib.unified_diff(
            original.splitlines(keepends=True),
            self.text.splitlines(keepends=True),
            f"a/{file}",
            f"b/{file}",
        )
        return "".join(lines)


class Views:
    """The module of a shop's views, with any of its functions replaced."""

    def __init__(self, text: str) -> None:
        """Find its functions."""
        self.text = text
        self.functions = functions_of(text)

    def __getitem__(self, view: str) -> str:
        """Return the text of a function."""
        return self.functions[view]

    def with_function(self, view: str, function: str, after: str = "") -> str:
        """Return the module with other text in place of a function."""
        return self.text.replace(self.functions[view], function) + after


def functions_of(text: str) -> dict[str, str]:
    """Return the functions of a module by name, with their line ends."""
    return {
        node.name: (ast.get_source_segment(text, node) or "") + "\n"
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
    }


def right_of(orm: str) -> dict[str, list[tuple[str, str]]]:
    """Return the right functions of each view, with their names."""
    found: dict[str, list[tuple[str, str]]] = {}
    text = (HERE / "repairs" / f"{orm}_shop.py").read_text(encoding="utf-8")
    for name, function in functions_of(text).items():
        view = name.partition("__")[0]
        found.setdefault(view, []).append((name, function.replace(f"def {name}(", f"def {view}(")))
    return found


def rewrites(orm: str, original: str, answers: Mapping[str, tuple[str, str]]) -> list[Rewrite]:
    """Return all rewrites of a shop, the right ones first.

    Args:
        orm: Which shop.
        original: The text of its views.
        answers: View to a condition that is true of a recorded request alone, and the original's
            answer to it, both as Python text.
    """
    views = Views(original)
    right = right_of(orm)
    found = [
        Rewrite(orm, view, name, "", views.with_function(view, function))
        for view, ones in right.items()
        for named, function in ones
        for name, function in _retold(named, function)
    ]
    for view, ones in right.items():
        best = ones[0][1]
        for at, (kind, *pairs) in enumerate(CHANGES[orm][view]):
            function = best
            for old, new in pairs:
                assert old in function, (view, kind, old)
                function = function.replace(old, new, 1)
            name = f"{view}/{at}"
            found.append(Rewrite(orm, view, name, kind, views.with_function(view, function)))
        found += _anywhere(orm, views, view, best, answers[view])
    return found


def _retold(name: str, function: str) -> Iterator[tuple[str, str]]:
    """Yield a right function, and the same with other names and in other words."""
    yield name, function
    yield f"{name}, other names", _renamed(function)
    if "    return 200, answer\n" in function:
        yield (
            f"{name}, one exit more",
            function.replace(
                "    return 200, answer\n", "    found = 200, answer\n    return found\n"
            ),
        )
    body = function.partition('"""\n')
    yield f"{name}, told in a comment", body[0] + body[1] + "    # One select for all.\n" + body[2]


def _renamed(function: str) -> str:
    """Return a function whose local names are others."""
    names = [node for node in ast.walk(ast.parse(function)) if isinstance(node, ast.Name)]
    local = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    lines = function.splitlines(keepends=True)
    # From the end, so that what stands before keeps its place; the texts are ASCII.
    for node in sorted(names, key=lambda one: (one.lineno, one.col_offset), reverse=True):
        if node.id in local:
            line, at = lines[node.lineno - 1], node.col_offset + len(node.id)
            lines[node.lineno - 1] = f"{line[:at]}_{line[at:]}"
    return "".join(lines)


def _anywhere(
    orm: str, views: Views, view: str, best: str, answer: tuple[str, str]
) -> Iterator[Rewrite]:
    def made(kind: str, at: object, text: str) -> Rewrite:
        return Rewrite(orm, view, f"{view}/{kind} {at}", kind, text)

    head, quotes, body = best.partition('"""\n')
    for kind, ones in changes_anywhere.FIRST.items():
        for at, lines in enumerate(ones):
            filled = lines.replace("{asked_now}", answer[0]).replace("{answer_now}", answer[1])
            first = textwrap.indent(filled, "    ") + "\n"
            yield made(kind, at, views.with_function(view, head + quotes + first + body))
    arguments = best.partition("(")[2].partition(")")[0]
    for kind, ones in changes_anywhere.AROUND.items():
        for at, around in enumerate(ones):
            if not changes_anywhere.seen(around, best):
                continue
            text = around.replace("NAME", view)
            if orm == "django":
                text = text.replace("session, who", "who").replace(
                    "session.get_bind()", "__import__('shop').models"
                )
            inner = best.replace(f"def {view}({arguments})", f"def inner_{view}({arguments})")
            yield made(kind, at, views.with_function(view, f"{inner}\n\n{text}\n"))
    for kind, ones in changes_anywhere.MODULE.items():
        for at, lines in enumerate(ones):
            yield made(kind, at, views.with_function(view, best, after=f"\n\n{lines}\n"))
    head, quotes, body = views[view].partition('"""\n')
    extra = f"    {EXTRA[orm]}\n"
    yield made("dearer", 0, views.with_function(view, head + quotes + extra + body))
    comment = f"    {changes_anywhere.COMMENT}\n"
    yield made("only a comment", 0, views.with_function(view, head + quotes + comment + body))
    yield made("only other names", 0, views.with_function(view, _renamed(views[view])))
