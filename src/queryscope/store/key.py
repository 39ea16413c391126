"""The key of a project's parameter digests, kept beside the store."""

from __future__ import annotations

import os
from pathlib import Path

from queryscope.trace import guard

KEY_BYTES = 32


def project_key(store_path: str) -> bytes:
    """Return the project's key, made on first use; a random one where it cannot be kept.

    Args:
        store_path: The store's file; the key lies beside it as ``key``.
    """
    path = Path(store_path).with_name("key")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            found = path.read_bytes()
            if len(found) == KEY_BYTES:
                return found
            # Another process is writing it this moment, or somebody shortened it.
            return found.ljust(KEY_BYTES, b"\0")[:KEY_BYTES]
        key = os.urandom(KEY_BYTES)
        with os.fdopen(handle, "wb") as file:
            file.write(key)
    except OSError as error:
        guard.count(error, "store.key")
        return os.urandom(KEY_BYTES)
    return key
