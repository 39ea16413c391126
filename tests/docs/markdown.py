"""What the tests need to know of a page of Markdown: code blocks, links, headings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+?)\s*$")
_NAMED = re.compile(r'<a id="([\w-]+)"></a>')
_CODE = re.compile(r"`[^`\n]+`")
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


class Block(NamedTuple):
    """A fenced block: where it begins, what its first line says, and what is in it.

    ``words`` are those of the info string after the language; ``title=app.py`` is one of them.
    """

    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def title(self) -> str:
        """The file that the block is the content of, ``""`` if it is none."""
        found = [word.removeprefix("title=") for word in self.words if word.startswith("title=")]
        return found[0] if found else ""


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page in order; one that is never closed is an error."""
    found = []
    opened = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _FENCE.match(line)
        if opened is None:
            if match:
                opened = (number, match)
                lines = []
        elif match and match["fence"] == opened[1]["fence"] and not match["info"].strip():
            start, first = opened
            language, *words = first["info"].split() or [""]
            indent = len(first["indent"])
            content = "".join(f"{one[indent:]}\n" for one in lines)
            found.append(Block(start, language, tuple(words), content))
            opened = None
        else:
            lines.append(line)
    assert opened is None, f"the block of line {opened and opened[0]} has no end"
    return found


def prose(text: str) -> str:
    """Return a page without its fenced blocks and code in backquotes."""
    kept = []
    fence = ""
    for line in text.splitlines():
        match = _FENCE.match(line)
        if match and not fence:
            fence = match["fence"]
        elif match and match["fence"] == fence and not match["info"].strip():
            fence = ""
        elif not fence:
            kept.append(_CODE.sub("", line))
    return "\n".join(kept)


def links(text: str) -> list[str]:
    """Return the targets of all links and images."""
    return [match["target"] for match in _LINK.finditer(prose(text))]


def anchors(text: str) -> set[str]:
    """Return the names by which a page's headings can be linked to, as GitHub makes them."""
    found: dict[str, int] = {}
    names = set()
    fence = ""
    for line in text.splitlines():
        match = _FENCE.match(line)
        if match:
            fence = "" if fence else match["fence"]
            continue
        heading = None if fence else _HEADING.match(line)
        if heading:
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["text"])
            name = _NOT_IN_ANCHORS.sub("", plain.lower()).replace(" ", "-")
            times = found.get(name, 0)
            found[name] = times + 1
            names.add(f"{name}-{times}" if times else name)
    return names | set(_NAMED.findall(prose(text)))


def pages() -> list[Path]:
    """Return every page of Markdown that the project publishes."""
    examples = (ROOT / "example_apps").glob("*/*.md")
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *examples])
