"""The folder beside the project that holds what queryscope writes, invisible to git."""

from __future__ import annotations

import contextlib
from pathlib import Path

NAME = ".queryscope"
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
