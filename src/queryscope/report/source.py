"""Source lines around a position, read from disk when the file is still there."""

from __future__ import annotations

import linecache
import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from queryscope.report.text import visible, visible_lines
from queryscope.trace.events import Frame, TemplateNode

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTEXT_LINES = 3
"""Lines shown before and after the one in question."""
MAX_EXCERPTS = 250
"""Excerpts for the statements of one report, and again for its findings; later positions show
their own line only."""
MAX_FILE_BYTES = 2_000_000
"""Larger files are not read: they are data or generated."""
MAX_LINE_CHARS = 240
MAX_TAG_CHARS = 120
_INSTALLED = re.compile(r"(?:^|[/\\])(?:site|dist)-packages[/\\]")


class SourceLine(NamedTuple):
    """A line of an excerpt, split where the running expression begins and ends."""

    number: int
    before: str
    marked: str
    after: str
    hit: bool


class StepView(NamedTuple):
    """One step of an origin, ready to be shown.

    Attributes:
        kind: ``python`` or ``template``.
        where: Short file and line, ``library/views.py:41``: relative to the working directory if
            the file lies below, else as its module is imported.
        file: The file in full, ``""`` if there is none.
        line: The line.
        inside: The function, or the template's tag.
        text: The source line, ``""`` if it cannot be read.
        excerpt: Lines around it, empty when there are none to show.
    """

    kind: str
    where: str
    file: str
    line: int
    inside: str
    text: str
    excerpt: tuple[SourceLine, ...]


class Sources:
    """The files of one report: each looked at once, excerpts counted."""

    def __init__(self) -> None:
        """Start with no file read."""
        self._lines: dict[str, Sequence[str]] = {}
        self._excerpts_left = MAX_EXCERPTS
        try:
            self._here = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118 - no Path needed
        except OSError:  # the working directory was removed
            self._here = ""

    def allow(self, excerpts: int) -> None:
        """Let so many further positions have an excerpt."""
        self._excerpts_left += excerpts

    def step(self, step: Frame | TemplateNode, *, excerpt: bool = True) -> StepView:
        """Return a step with the source around it."""
        if isinstance(step, Frame):
            kind, file, name = "python", step.file, self._short(step)
            inside = visible(step.function)
        else:
            kind, file, name = "template", step.file or "", step.template.removeprefix(self._here)
            inside = visible(step.source, limit=MAX_TAG_CHARS)
        lines = self._read(file)
        text = lines[step.line - 1].strip() if 0 < step.line <= len(lines) else ""
        around: tuple[SourceLine, ...] = ()
        if excerpt and text and self._excerpts_left > 0:
            self._excerpts_left -= 1
            around = _around(lines, step)
        return StepView(
            kind=kind,
            where=f"{visible(name)}:{step.line}",
            file=visible(file),
            line=step.line,
            inside=inside,
            text=visible(text, limit=MAX_LINE_CHARS),
            excerpt=around,
        )

    def _short(self, frame: Frame) -> str:
        """Return a frame's file in as few words as tell it from others."""
        below = frame.file.removeprefix(self._here) if self._here else frame.file
        if below != frame.file and not _INSTALLED.search(below):
            return below
        return _as_imported(frame)

    def _read(self, file: str) -> Sequence[str]:
        found = self._lines.get(file)
        if found is None:
            found = self._lines[file] = _lines_of(file)
        return found


def _as_imported(frame: Frame) -> str:
    """Return the end of a frame's file that its module's name says: ``library/views.py``.

    A script's module is called ``__main__``: its file is shown with its folder, as is one whose
    module has another name.
    """
    parts = frame.file.replace("\\", "/").split("/")
    names = frame.module.split(".")
    stem = parts[-1].rpartition(".")[0]
    if stem == "__init__":
        names.append(stem)
    if [*parts[-len(names) : -1], stem] == names:
        return "/".join(parts[-len(names) :])
    return "/".join(parts[-2:])


def _lines_of(file: str) -> Sequence[str]:
    """Return the lines of a regular file of moderate size, none of anything else."""
    try:
        facts = os.stat(file)  # noqa: PTH116 - a name, perhaps with a NUL in it; no Path needed
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_FILE_BYTES:
            return ()
        linecache.checkcache(file)
        return linecache.getlines(file)
    except (OSError, ValueError):
        return ()


def _around(lines: Sequence[str], step: Frame | TemplateNode) -> tuple[SourceLine, ...]:
    first = max(step.line - CONTEXT_LINES, 1)
    last = min(step.line + CONTEXT_LINES, len(lines))
    shown = [lines[number - 1].rstrip("\r\n").expandtabs(4) for number in range(first, last + 1)]
    while shown and not shown[-1].strip():
        shown.pop()
    while shown and not shown[0].strip():
        shown.pop(0)
        first += 1
    margin = min((len(text) - len(text.lstrip()) for text in shown if text.strip()), default=0)
    found = []
    for number, text in enumerate(shown, first):
        hit = number == step.line
        start = end = margin
        if hit and isinstance(step, Frame):
            start, end = (max(column, margin) for column in _span(lines[number - 1], text, step))
        pieces = (text[margin:start], text[start:end], text[end:])
        before, marked, after = (visible_lines(p, limit=MAX_LINE_CHARS) for p in pieces)
        found.append(SourceLine(number, before, marked, after, hit))
    return tuple(found)


def _span(raw: str, text: str, step: Frame) -> tuple[int, int]:
    """Return the characters of ``text`` that the running expression covers on its first line."""
    data = raw.encode("utf-8", "surrogatepass")
    if step.end_line == step.line and not step.column < step.end_column <= len(data):
        return len(text), len(text)  # no columns, or the file has changed
    start = len(data[: step.column].decode("utf-8", "replace").expandtabs(4))
    if step.end_line != step.line:
        return start, len(text)
    return start, len(data[: step.end_column].decode("utf-8", "replace").expandtabs(4))
