"""The key of a project's parameter digests, kept beside the store."""

from __future__ import annotations

import os
from pathlib import Path

from queryscope.store.folder import draft_of, make_folder
from queryscope.trace import guard

KEY_BYTES = 32


def project_key(store_path: str) -> bytes:
    """Return the project's key, made on first use; a random one where it cannot be kept.

    Processes that start at the same time get the same key: it appears whole or not at all.

    Args:
        store_path: The store's file; the key lies beside it as ``key``.
    """
    try:
        path = Path(store_path).with_name("key")
        if not path.exists():
            make_folder(path.parent)
            with draft_of(path) as draft:
                draft.write_bytes(os.urandom(KEY_BYTES))
        return _checked(path)
    except (OSError, ValueError) as error:
        guard.count(error, "store.key")
        return os.urandom(KEY_BYTES)


def _checked(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        # Filled up, it would be a key that others can guess.
        raise ValueError(f"{path} has {len(key)} bytes instead of {KEY_BYTES}; delete it")
    return key
