"""What one verification leaves for the next: bounded, whole or not there, made by this version."""

from __future__ import annotations

import hashlib
import json
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from queryscope.store.folder import draft_of, make_folder

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "baselines"
FORMAT = b"queryscope baseline 1\n"
"""First line of each file: of another format it counts as not there."""
MOST_FILES = 64
MOST_BYTES = 256 * 1024**2
"""Of all files together; those that were not used for longest go first."""
DIGEST_BYTES = 32
LEVEL = 1
"""Of the compression: answers are much alike, and reading them is to be quick."""


class Kept:
    """JSON values by key, each in a file of its own that is its owner's alone.

    Nothing here is worth an error: what cannot be read is made again, what cannot be written is not
    kept. Two processes may write at a time, as a file appears whole.

    Args:
        folder: Where the files lie; None keeps nothing.
        again: Read nothing that was kept before, and replace it.
    """

    def __init__(self, folder: Path | None, *, again: bool = False) -> None:
        """Read nothing yet."""
        self._folder = folder
        self._again = again

    def read(self, key: str) -> Any:
        """Return the value of a key, None where there is none, or none that is whole."""
        if self._folder is None or self._again:
            return None
        file = self._folder / key
        try:
            data = file.read_bytes()
        except OSError:
            return None
        digest, packed = data[len(FORMAT) :][:DIGEST_BYTES], data[len(FORMAT) + DIGEST_BYTES :]
        if not data.startswith(FORMAT) or hashlib.sha256(packed).digest() != digest:
            return None
        with suppress(OSError):
            file.touch()  # it was of use just now
        return json.loads(zlib.decompress(packed))

    def write(self, key: str, value: Any) -> None:
        """Keep a value, and forget what has no place any more."""
        if self._folder is None:
            return
        packed = zlib.compress(json.dumps(value).encode("ascii"), LEVEL)
        with suppress(OSError):
            make_folder(self._folder.parent)
            make_folder(self._folder)
            self.forget(key)
            with draft_of(self._folder / key) as draft:
                draft.write_bytes(FORMAT + hashlib.sha256(packed).digest() + packed)
            self._make_room()

    def forget(self, key: str) -> None:
        """Let a value be made anew."""
        if self._folder is not None:
            with suppress(OSError):
                (self._folder / key).unlink(missing_ok=True)

    def _make_room(self) -> None:
        assert self._folder is not None  # noqa: S101 - for the type checker
        found = []
        for file in self._folder.iterdir():
            with suppress(OSError):  # another process was first
                facts = file.stat()
                if file.name != ".gitignore":
                    found.append((facts.st_mtime_ns, facts.st_size, file))
        room = MOST_BYTES
        for number, (_, size, file) in enumerate(sorted(found, reverse=True)):
            room -= size
            if number >= MOST_FILES or room < 0:
                file.unlink(missing_ok=True)


def key_of(kind: str, *facts: object) -> str:
    """Return the key of a value: what it is, and a digest of all that it follows from."""
    return f"{kind}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}"
