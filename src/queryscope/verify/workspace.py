"""A run's own folder and copies of the user's tree in it; what dead runs left is swept away."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from queryscope.errors import QueryscopeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import IO

PREFIX = "queryscope-verify-"
LOCK = "lock"
SETTLED_S = 5.0
GIT_TIME_OUT_S = 60
LEFT_OUT = frozenset(
    {
        ".git", ".hg", ".svn", "__pycache__", "node_modules", ".tox", ".nox", ".mypy_cache",
        ".pytest_cache", ".ruff_cache", ".queryscope",
    }
)  # fmt: skip
"""Folders that are never copied: no application needs them to answer."""


class WorkspaceError(QueryscopeError):
    """The tree cannot be copied: no room, no right, or a file that is none."""


class RunFolder:
    """The folder of one run, under the system's folder for temporary files.

    It is locked while the run lives: the next run removes what a killed one left.

    Attributes:
        path: The folder.
        name: Its last part, which names databases of the run, too.
    """

    def __init__(self, parent: Path | None = None) -> None:
        """Sweep what dead runs left, then make a folder."""
        where = parent or Path(tempfile.gettempdir())
        sweep(where)
        try:
            self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=where))
            self._lock: IO[str] = (self.path / LOCK).open("w")
        except OSError as error:
            raise WorkspaceError(f"No folder can be made in {where}: {error.strerror}.") from error
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.name = self.path.name

    def __enter__(self) -> Self:
        """Return the folder."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def sweep(where: Path) -> list[Path]:
    """Remove the folders of runs that no process holds any more, and return them."""
    swept = []
    for folder in where.glob(f"{PREFIX}*"):
        with suppress(OSError), (folder / LOCK).open("r") as lock:
            # A run that has made its folder takes the lock a moment later.
            if time.time() - folder.stat().st_mtime > SETTLED_S:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                swept.append(folder)
    return swept


def files_of(root: Path, *, extra: Sequence[str] = (), without: Iterable[Path] = ()) -> list[Path]:
    """Return the files of a tree that make the application, relative to it, sorted.

    In a git repository those are tracked and untracked files, but no ignored ones; elsewhere all
    but caches and virtual environments.

    Args:
        root: The user's tree.
        extra: Patterns of ignored files that are needed all the same.
        without: Files to leave out, absolute: the database comes as a clone.
    """
    listed = _by_git(root)
    found = set(_by_walk(root) if listed is None else listed)
    for pattern in extra:
        for path in root.glob(pattern):
            inner = [path] if not path.is_dir() else [p for p in path.rglob("*") if not p.is_dir()]
            found.update(one.relative_to(root) for one in inner)
    gone = {f"{path}{tail}" for path in without for tail in ("", "-wal", "-shm", "-journal")}
    return sorted(path for path in found if str(root / path) not in gone)


def _by_git(root: Path) -> list[Path] | None:
    if shutil.which("git") is None:
        return None
    try:
        done = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - the git of the user
            cwd=root,
            capture_output=True,
            timeout=GIT_TIME_OUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    names = [Path(os.fsdecode(name)) for name in done.stdout.split(b"\0") if name]
    # What was deleted and not yet committed is still listed; a submodule is a folder.
    return [name for name in names if _kept(root / name) and not LEFT_OUT & set(name.parts)]


def _kept(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _by_walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if name not in LEFT_OUT and not (here / name / "pyvenv.cfg").exists()
        ]
        for name in (*files, *(one for one in folders if (here / one).is_symlink())):
            if not name.endswith(".pyc") and _kept(here / name):
                yield (here / name).relative_to(root)


def tree_digest(
    root: Path, files: Iterable[Path], base: Mapping[str, bytes | None] | None = None
) -> str:
    """Return a digest of names, modes and contents of files, and of what ``put_back`` is given."""
    total = hashlib.sha256()
    for path in files:
        full = root / path
        facts = full.lstat()
        content = os.fsencode(full.readlink()) if stat.S_ISLNK(facts.st_mode) else full.read_bytes()
        total.update(repr((str(path), stat.S_IMODE(facts.st_mode), len(content))).encode())
        total.update(content)
    for name, before in sorted((base or {}).items()):
        total.update(repr((name, before)).encode())
    return total.hexdigest()


def copy_tree(root: Path, files: Iterable[Path], target: Path) -> None:
    """Copy files of a tree; links that point into the tree point into the copy afterwards.

    Raises:
        WorkspaceError: A file cannot be read or written.
    """
    try:
        target.mkdir(parents=True)
        for path in files:
            source, made = root / path, target / path
            made.parent.mkdir(parents=True, exist_ok=True)
            if source.is_symlink():
                made.symlink_to(_link(root, source, target))
            else:
                shutil.copyfile(source, made)
                shutil.copymode(source, made)
    except OSError as error:
        raise WorkspaceError(
            f"The tree {root} cannot be copied to {target}: {error.strerror}: {error.filename}."
        ) from error


def put_back(base: Mapping[str, bytes | None], tree: Path) -> None:
    """Write files of a copied tree as they were; None for one that was not there.

    Raises:
        WorkspaceError: A file cannot be written.
    """
    try:
        for name, content in base.items():
            file = tree / name
            if content is None:
                file.unlink(missing_ok=True)
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    except OSError as error:
        raise WorkspaceError(
            f"The file {error.filename} cannot be written: {error.strerror}."
        ) from error


def _link(root: Path, source: Path, target: Path) -> str:
    points = source.readlink()
    if points.is_absolute():
        inside = points.is_relative_to(root)
        return str(target / points.relative_to(root) if inside else points)
    real = Path(os.path.normpath(source.parent / points))
    # A relative link that leaves the tree would lead nowhere from the copy.
    return str(points if real.is_relative_to(root) else real)
