"""The ``for`` blocks of template files."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from queryscope.trace.source import MAX_FILE_BYTES, Stamp

_TEMPLATE_TAG = re.compile(r"\{%[-+]?\s*(for|endfor)\b")


class Block(NamedTuple):
    """A ``for`` block; ``goes_on`` if more is evaluated behind the tag on its first line."""

    line: int
    end_line: int
    tag: str
    goes_on: bool


@lru_cache(maxsize=64)
def blocks_of(file: str, stamp: Stamp) -> tuple[Block, ...]:  # noqa: ARG001 - part of the key
    """Return the ``for`` blocks of a template, outer before inner."""
    try:
        with open(file, encoding="utf-8", errors="replace") as source:  # noqa: PTH123 - a str
            text = source.read(MAX_FILE_BYTES)
    except OSError:
        return ()
    found: list[Block] = []
    opened: list[tuple[int, str, bool]] = []
    line, seen = 1, 0
    for match in _TEMPLATE_TAG.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        if match[1] == "for":
            end = text.find("%}", seen)
            tag, rest = text[match.start(1) : end], text[end:].partition("\n")[0]
            opened.append((line, tag.strip(" -+")[:200], "{{" in rest or "{%" in rest))
        elif opened:
            start, tag, goes_on = opened.pop()
            found.append(Block(start, line, tag, goes_on))
    return tuple(sorted(found, key=lambda block: (block.line, -block.end_line)))
