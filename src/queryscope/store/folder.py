"""The folder beside the project that holds what queryscope writes, invisible to git."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from queryscope.store import fork

NAME = ".queryscope"
FILE_MODE = 0o600
FOLDER_MODE = 0o700
"""Statements tell much of an application, so the folder is its owner's."""


def make_folder(folder: Path) -> None:
    """Make a folder for what we write, with a ``.gitignore`` that hides all of it.

    A folder that was there and is not called ``.queryscope`` is the user's: it gets none.

    Raises:
        OSError: It cannot be made.
    """
    made = False
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        made = True
    ignore = folder / ".gitignore"
    if (made or folder.name == NAME) and not ignore.exists():
        # What matters is the folder: where it cannot be written, the caller hears of it soon.
        with contextlib.suppress(OSError):
            ignore.write_text("*\n", encoding="ascii")


@contextlib.contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Give an empty private file beside ``path``; what it holds at the end appears there whole.

    Where ``path`` exists by then, another process was first: its file stays.

    Raises:
        OSError: It cannot be made.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    # O_EXCL with the mode: at no moment could others open it.
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
    try:
        yield draft
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        except OSError:
            draft.replace(path)  # a file system without links
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold a folder against the other processes that ask for it, until the end of the block.

    The block is told whether that worked: not on Windows and some network file systems. A
    process that is killed lets go.

    Raises:
        OSError: The folder cannot be opened.
    """
    try:
        from fcntl import LOCK_EX, LOCK_UN, flock
    except ImportError:  # Windows
        yield False
        return
    fork.watch(_HANDLES)
    handle = os.open(folder, os.O_RDONLY)
    _HANDLES.open.add(handle)
    try:
        held = True
        try:
            flock(handle, LOCK_EX)
        except OSError:
            held = False
        yield held
    finally:
        _HANDLES.open.discard(handle)
        with contextlib.suppress(OSError):
            flock(handle, LOCK_UN)  # a child forked meanwhile has the handle, too
        os.close(handle)


class _Handles:
    """Handles that hold a lock now. A forked child has them, and nobody there who lets go."""

    def __init__(self) -> None:
        self.open: set[int] = set()

    def after_fork(self) -> None:
        """Close what the parent's thread had open: it keeps its lock by its own handle."""
        for handle in self.open:
            with contextlib.suppress(OSError):
                os.close(handle)
        self.open.clear()


_HANDLES = _Handles()
