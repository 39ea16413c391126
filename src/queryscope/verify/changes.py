"""Changes that git knows: what a branch changed, and the working tree against HEAD.

Git is only asked, and where it looks at the working tree on a copy of its index: a diff refreshes
that, optional locks or not, and the user's tree stays byte by byte what it was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queryscope.errors import QueryscopeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

GIT_TIME_OUT_S = 60
SHOWN_NAMES = 5
_DIFF = (
    "-c", "core.quotePath=false", "diff", "--relative", "--no-color", "--no-ext-diff",
    "--no-textconv", "--no-renames", "--ignore-submodules", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


class ChangeError(QueryscopeError):
    """There is no such change: no repository, no branch, or nothing that differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change as git tells it.

    Attributes:
        diff: A unified diff, decoded with ``surrogateescape``; paths are relative to the project.
        origin: Who made it, for the report.
        base: Files, relative to the project, that stand otherwise in the source that the diff is
            about than in the user's tree: their content there, None where there is no such file.
        notes: What to tell beside it, one sentence each.
    """

    diff: str
    origin: str
    base: Mapping[str, bytes | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def of_branch(root: Path, name: str) -> Change:
    """Return what a branch changed since it left the present HEAD, for the tree as it is now.

    Raises:
        ChangeError: There is no repository or no such branch, or nothing below the project differs.
    """
    _check_repository(root)
    there = _commit(root, name)
    if there is None:
        raise ChangeError(f"There is no branch or commit {name!r} in the repository of {root}.")
    parent = _git(root, "merge-base", "HEAD", there).decode().strip()
    if not parent:
        raise ChangeError(f"The branch {name} has no history in common with HEAD.")
    diff = _text(_git(root, *_DIFF, parent, there))
    left_out = _outside(root, parent, there)
    if not diff.strip():
        raise ChangeError(
            f"The branch {name} changes nothing below {root} since it left HEAD"
            f"{f'; outside are {left_out}' if left_out else ''}."
        )
    note = f"left out, as it lies outside the project: {left_out}"
    return Change(diff=diff, origin=f"branch {name}", notes=(note,) if left_out else ())


def of_working_tree(root: Path) -> Change:
    """Return what the working tree changes of HEAD, staged or not; the source is HEAD's.

    Raises:
        ChangeError: There is no repository or no commit, or nothing that git tracks differs.
    """
    _check_repository(root)
    head = _commit(root, "HEAD")
    if head is None:
        raise ChangeError(f"The repository of {root} has no commit yet: name a --patch.")
    untracked = _names(_git(root, "ls-files", "--others", "--exclude-standard", "-z"))
    with _index_of(root) as index:
        names = _names(_git(root, *_DIFF, "--name-only", "-z", head, index=index))
        diff = _text(_git(root, *_DIFF, head, index=index))
    if not names:
        more = f" Files that it does not track: {_listed(untracked)}." if untracked else ""
        raise ChangeError(
            f"The working tree of {root} is as HEAD has it: there is no change to verify. Name "
            f"one with --patch or --branch.{more}"
        )
    note = (
        f"untracked, so on both sides: {_listed(untracked)}; `git add --intent-to-add` makes a "
        "file a part of the change"
    )
    return Change(
        diff=diff,
        origin=f"working tree against HEAD {head[:9]}",
        base={name: _content(root, head, name) for name in names},
        notes=(note,) if untracked else (),
    )


def _check_repository(root: Path) -> None:
    if not _git(root, "rev-parse", "--is-inside-work-tree").strip() == b"true":
        raise ChangeError(
            f"{root} is in no git repository: name the change with --patch FILE, a unified diff."
        )


def _commit(root: Path, name: str) -> str | None:
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return found.decode().strip() or None


def _content(root: Path, commit: str, name: str) -> bytes | None:
    where = f"{commit}:./{name}"
    kind = _git(root, "cat-file", "-t", where).strip()
    return _git(root, "cat-file", "blob", where) if kind == b"blob" else None


def _outside(root: Path, first: str, second: str) -> str:
    """Return the files that a change touches outside the project, ``""`` for none."""
    prefix = _git(root, "rev-parse", "--show-prefix").decode("utf-8", "surrogateescape").strip()
    told = _git(root, "diff", "--name-only", "--no-renames", "--no-relative", "-z", first, second)
    return _listed([name for name in _names(told) if not name.startswith(prefix)])


@contextmanager
def _index_of(root: Path) -> Iterator[str]:
    """Give a copy of the repository's index."""
    told = _git(root, "rev-parse", "--git-path", "index")
    with tempfile.TemporaryDirectory(prefix="queryscope-index-") as folder:
        copy = os.path.join(folder, "index")  # noqa: PTH118 - git takes a text
        with suppress(FileNotFoundError):  # of a repository to which nothing was ever added
            shutil.copyfile(root / os.fsdecode(told).strip(), copy)
        yield copy


def _git(root: Path, *words: str, index: str = "") -> bytes:
    """Return what git says, ``b""`` where it fails; ``index`` is used in the repository's place."""
    variables = {**os.environ, "LC_ALL": "C"} | ({"GIT_INDEX_FILE": index} if index else {})
    try:
        done = subprocess.run(  # noqa: S603 - the git of the user, asked only
            ["git", "--no-optional-locks", *words],  # noqa: S607 - as a shell finds it
            cwd=root,
            capture_output=True,
            timeout=GIT_TIME_OUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env=variables,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ChangeError(
            f"git cannot be asked for the change ({error}): name it with --patch FILE."
        ) from error
    return done.stdout if done.returncode == 0 else b""


def _names(listed: bytes) -> list[str]:
    return [os.fsdecode(name) for name in listed.split(b"\0") if name]


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN_NAMES])
    return shown + (f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else "")


def _text(diff: bytes) -> str:
    return diff.decode("utf-8", "surrogateescape")
