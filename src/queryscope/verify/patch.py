"""Unified diffs as Proposals, and Proposals applied to a tree."""

from __future__ import annotations

import itertools
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from queryscope.errors import QueryscopeError
from queryscope.verify.proposal import Edit, Proposal, digest

if TYPE_CHECKING:
    from collections.abc import Iterator

HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
NOTHING = "/dev/null"
GIT_TIME_OUT_S = 60
MAX_SHOWN = 80


class PatchError(QueryscopeError):
    """A patch is no unified diff, does not fit the source, or leaves the project."""


@dataclass(slots=True)
class _Hunk:
    line: int
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _FileDiff:
    old_name: str
    new_name: str
    hunks: list[_Hunk] = field(default_factory=list)


def from_diff(text: str, root: Path, *, origin: str) -> Proposal:
    """Return a unified diff as edits of the files as they are now; nothing is written.

    Args:
        text: The diff, decoded with ``surrogateescape``, line ends kept.
        root: The project's folder; paths of the diff are relative to it or to its repository.
        origin: Who made it, for the report.

    Raises:
        PatchError: It is no diff, its lines are not in the source, or it leaves the project.
    """
    prefix = _prefix_in_repository(root)
    edits: list[Edit] = []
    for one in _parsed(text, origin):
        edits += _edits(one, root, prefix, origin)
    if not edits:
        raise PatchError(f"{origin} changes nothing: there is no hunk in it.")
    files = len({edit.path for edit in edits})
    title = f"{len(edits)} {'edits' if len(edits) > 1 else 'edit'} in {files} "
    return Proposal(
        title=title + ("files" if files > 1 else "file"), edits=tuple(edits), origin=origin
    )


def apply(proposal: Proposal, tree: Path) -> None:
    """Write a Proposal's edits into a copy of the tree it was made for.

    Raises:
        PatchError: The source is not the one that it was made for.
    """
    for path in proposal.paths:
        edits = [edit for edit in proposal.edits if edit.path == path]
        file = tree / path
        if edits[0].old is None:
            if file.exists():
                raise PatchError(f"{proposal.origin}: {path} is to be made, and is there already.")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_bytes(edits[0].new or ""))
            continue
        if not file.is_file():
            raise PatchError(f"{proposal.origin}: {path} is not there.")
        source = file.read_bytes()
        if digest(source) != edits[0].sha256:
            raise PatchError(
                f"{proposal.origin} is stale: {path} has changed since it was made. Make it again."
            )
        if edits[0].new is None:
            file.unlink()
        else:
            file.write_bytes(_bytes(edited(_text(source), edits, proposal.origin)))


def edited(source: str, edits: list[Edit], origin: str) -> str:
    """Return a file's text with its edits made, the last ones first."""
    lines = _lines(source)
    for edit in sorted(edits, key=lambda one: one.line, reverse=True):
        old = _lines(edit.old or "")
        start = edit.line - 1
        if lines[start : start + len(old)] != old:
            raise PatchError(f"{origin}: line {edit.line} of {edit.path} is not what it was.")
        lines[start : start + len(old)] = _lines(edit.new or "")
    return "".join(lines)


def _text(source: bytes) -> str:
    return source.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _lines(text: str) -> list[str]:
    """Return lines with their ends; only a line feed ends one, as in a diff."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


# -- from the diff ----------------------------------------------------------------------------


def _parsed(text: str, origin: str) -> Iterator[_FileDiff]:
    lines = _lines(text)
    found: _FileDiff | None = None
    seen = False
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith(("rename from ", "rename to ", "copy from ")):
            raise PatchError(f"{origin} renames files: write it with `git diff --no-renames`.")
        if line.startswith(("GIT binary patch", "Binary files ")):
            raise PatchError(f"{origin} changes a binary file, which cannot be verified.")
        if line.startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            if found is not None:
                yield found
            found = _FileDiff(_name(line), _name(lines[at + 1]))
            seen = True
            at += 2
            continue
        match = HUNK.match(line)
        if match is None:
            at += 1
            continue
        if found is None:
            raise PatchError(f"{origin}: line {at + 1} is a hunk without a file above it.")
        at = _hunk(lines, at, match, found, origin)
    if found is not None:
        yield found
    if not seen:
        raise PatchError(f"{origin} is no unified diff: no line begins with '--- '.")


def _name(line: str) -> str:
    name = line[4:].rstrip("\r\n").partition("\t")[0]
    if name.startswith('"'):
        raise PatchError(f"The file name {name} is quoted: set git's core.quotePath to false.")
    return name


def _hunk(lines: list[str], at: int, match: re.Match[str], diff: _FileDiff, origin: str) -> int:
    old_left = int(match[2] or 1)
    new_left = int(match[4] or 1)
    hunk = _Hunk(int(match[1]))
    at += 1
    last: list[list[str]] = []
    while at < len(lines) and (old_left or new_left or lines[at].startswith("\\")):
        line = lines[at]
        if line.startswith("\\"):  # \ No newline at end of file
            for side in last:
                side[-1] = side[-1].removesuffix("\n")
        elif line.startswith("-"):
            hunk.old.append(line[1:])
            old_left -= 1
            last = [hunk.old]
        elif line.startswith("+"):
            hunk.new.append(line[1:])
            new_left -= 1
            last = [hunk.new]
        elif line.startswith(" ") or line in ("\n", "\r\n"):
            # Editors strip the blank of an empty line.
            hunk.old.append(line.removeprefix(" "))
            hunk.new.append(line.removeprefix(" "))
            old_left -= 1
            new_left -= 1
            last = [hunk.old, hunk.new]
        else:
            break
        at += 1
    if old_left or new_left:
        raise PatchError(
            f"{origin} is cut off: the hunk {match[0]} of {diff.new_name} is too short."
        )
    diff.hunks.append(hunk)
    return at


def _prefix_in_repository(root: Path) -> str:
    """Return where the project lies in its git repository, with a slash behind; else ``""``."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--show-prefix"],  # noqa: S607 - git, as a shell finds it
            cwd=root,
            capture_output=True,
            text=True,
            timeout=GIT_TIME_OUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _path(diff: _FileDiff, root: Path, prefix: str, origin: str) -> str:
    """Return the path that a diff is about, relative to the project."""
    name = diff.old_name if diff.new_name == NOTHING else diff.new_name
    if diff.old_name.startswith("a/") or diff.new_name.startswith("b/"):
        name = name.partition("/")[2]
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise PatchError(f"{origin} edits {name}, which is outside the project {root}.")
    if (root / path).exists() or not prefix:
        return str(path)
    if not name.startswith(prefix):
        if diff.old_name == NOTHING:
            return str(path)
        raise PatchError(
            f"{origin} edits {name}, which is not in the project {root}: only files below it "
            "can be verified."
        )
    return name.removeprefix(prefix)


def _edits(diff: _FileDiff, root: Path, prefix: str, origin: str) -> list[Edit]:
    path = _path(diff, root, prefix, origin)
    file = root / path
    if not file.resolve().is_relative_to(root.resolve()):
        raise PatchError(f"{origin} edits {path}, which is a link that leaves the project {root}.")
    if diff.old_name == NOTHING:
        if file.exists():
            raise PatchError(f"{origin}: {path} is to be made, and is there already.")
        new = "".join(line for hunk in diff.hunks for line in hunk.new)
        return [Edit(path, None, new, 1, "")]
    try:
        source = file.read_bytes()
    except OSError as error:
        raise PatchError(f"{origin}: {path} cannot be read: {error.strerror}.") from error
    sha256 = digest(source)
    if diff.new_name == NOTHING:
        return [Edit(path, _text(source), None, 1, sha256)]
    lines = _lines(_text(source))
    edits = []
    for hunk in diff.hunks:
        line = _place(hunk, lines, f"{origin}: {path}")
        edits.append(Edit(path, "".join(hunk.old), "".join(hunk.new), line, sha256))
    _check_apart(edits, origin)
    return edits


def _place(hunk: _Hunk, lines: list[str], where: str) -> int:
    """Return the line, from 1, where a hunk's old text stands: as told, or its only place."""
    # A hunk that only adds, without context, names the line before it.
    told = hunk.line if not hunk.old else hunk.line - 1
    size = len(hunk.old)
    if lines[told : told + size] == hunk.old and told + size <= len(lines):
        return told + 1
    places = [i for i in range(len(lines) - size + 1) if lines[i : i + size] == hunk.old]
    if len(places) == 1 and hunk.old:
        return places[0] + 1
    if places:
        raise PatchError(
            f"{where} has {len(places)} places like the one that the patch expects at line "
            f"{hunk.line}. Make the patch again from the present source."
        )
    for offset, expected in enumerate(hunk.old):
        at = told + offset
        got = lines[at] if at < len(lines) else ""
        if got != expected:
            raise PatchError(
                f"{where} does not fit: line {at + 1} is {_shown(got)}, and the patch expects "
                f"{_shown(expected)}. Make the patch again from the present source."
            )
    raise PatchError(f"{where} does not fit at line {hunk.line}.")


def _shown(line: str) -> str:
    text = line.strip()
    return (
        repr(text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…") if text else "empty"
    )


def _check_apart(edits: list[Edit], origin: str) -> None:
    edits.sort(key=lambda one: one.line)
    for first, second in itertools.pairwise(edits):
        if first.line + len(_lines(first.old or "")) > second.line:
            raise PatchError(
                f"{origin}: two hunks change line {second.line} of {second.path} both."
            )
