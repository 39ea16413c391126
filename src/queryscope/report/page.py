"""The documentation page of a code, taken apart into headings, paragraphs and examples."""

from __future__ import annotations

import re
from typing import NamedTuple

from queryscope.detectors import registry
from queryscope.errors import NotFoundError

_HEADINGS = {
    "what it does", "why it is bad", "example", "use instead", "not flagged", "settings", "source",
}  # fmt: skip
_UNDERLINE = re.compile(r"^[-=~^]{3,}$")
_ITEM = re.compile(r"^\s*(?:[-*]|\d+\.)\s+")
_CODE = re.compile(r"``(.+?)``|`(.+?)`", re.DOTALL)


class Run(NamedTuple):
    """A piece of a sentence, in a code font or not."""

    code: bool
    text: str


class Block(NamedTuple):
    """A part of a section: ``text``, ``item`` or ``code``."""

    kind: str
    runs: tuple[Run, ...]


class Section(NamedTuple):
    """A heading, ``""`` for what stands before the first one, and what stands below it."""

    heading: str
    blocks: tuple[Block, ...]


class PageView(NamedTuple):
    """A page: its first sentence and its sections."""

    title: str
    sections: tuple[Section, ...]


def page_view(code: str) -> PageView | None:
    """Return the page of a code, None for a code that no detector of this version has."""
    try:
        return parsed(registry.page_of(code))
    except NotFoundError:
        return None


def parsed(page: str) -> PageView:
    """Take a page apart: indented or fenced lines are examples, lines with a dash are items."""
    lines = page.expandtabs(4).strip().splitlines()
    title = lines[0].strip() if lines else ""
    sections: list[Section] = []
    heading, body = "", list[str]()
    for line in lines[1:]:
        plain = line.strip("# ").rstrip(":").strip()
        if not line.startswith("  ") and plain.lower() in _HEADINGS:
            sections.append(Section(heading, _blocks(body)))
            heading, body = plain, []
        elif not (_UNDERLINE.match(line) and not body):
            body.append(line)
    sections.append(Section(heading, _blocks(body)))
    return PageView(title, tuple(s for s in sections if s.heading or s.blocks))


def _blocks(lines: list[str]) -> tuple[Block, ...]:
    found: list[Block] = []
    current: list[str] = []
    kind = "text"
    fenced = False

    def end() -> None:
        text = "\n".join(current).strip("\n")
        current.clear()
        if text.strip():
            runs = (Run(code=True, text=_dedented(text)),) if kind == "code" else _runs(text)
            found.append(Block(kind, runs))

    for line in lines:
        if line.lstrip().startswith("```"):
            end()
            fenced = not fenced
            kind = "code" if fenced else "text"
            continue
        if fenced:
            current.append(line)
            continue
        if not line.strip():
            if kind == "code":
                current.append("")
            else:
                end()
                kind = "text"
            continue
        item = None if kind == "code" and line.startswith("    ") else _ITEM.match(line)
        if item:
            end()
            kind, line = "item", line[item.end() :]  # noqa: PLW2901 - the marker is dropped
        elif line.startswith("    ") and kind != "item":
            if kind != "code":
                end()
            kind = "code"
        elif not line.startswith(" ") and kind == "code":
            end()
            kind = "text"
        current.append(line if kind == "code" else line.strip())
    end()
    return tuple(found)


def _dedented(text: str) -> str:
    lines = text.splitlines()
    margin = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
    return "\n".join(line[margin:] for line in lines)


def _runs(text: str) -> tuple[Run, ...]:
    found: list[Run] = []
    end = 0
    for match in _CODE.finditer(text):
        if match.start() > end:
            found.append(Run(code=False, text=text[end : match.start()]))
        found.append(Run(code=True, text=match[1] or match[2]))
        end = match.end()
    if end < len(text):
        found.append(Run(code=False, text=text[end:]))
    return tuple(found)
