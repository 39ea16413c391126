"""The copy of a tree instead of the original: imports turned to it, and strays told."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def turn_to_copy(original: str, tree: str) -> None:
    """Let imports find the copy: first on the path, and wherever the original stood."""
    os.chdir(tree)
    turned = [_turned(entry, original, tree) for entry in sys.path]
    sys.path[:] = [tree, *(entry for entry in turned if entry != tree)]
    for name, module in list(sys.modules.items()):
        # Finders of editable installs know packages by folder, whatever the path says.
        mapping = getattr(module, "MAPPING", None)
        if name.startswith("__editable__") and isinstance(mapping, dict):
            for package, place in mapping.items():
                mapping[package] = _turned(str(place), original, tree)
    sys.path_importer_cache.clear()


def _turned(entry: str, original: str, tree: str) -> str:
    full = os.path.realpath(entry)
    return tree + full[len(original) :] if _is_original(full, original) else entry


def strays(original: str) -> Iterator[tuple[str, str]]:
    """Yield name and path of every module that came from the user's tree all the same."""
    for name, module in list(sys.modules.items()):
        for place in _places(module):
            if _is_original(place, original):
                yield name, place


@cache  # asked of every module again whenever one was imported
def _is_original(place: str, original: str) -> bool:
    full = os.path.realpath(place)
    if full != original and not full.startswith(original + os.sep):
        return False
    # A virtual environment may lie in the tree: what is installed there is nobody's source.
    return not any(
        full == folder or full.startswith(folder + os.sep)
        for folder in map(os.path.realpath, {sys.prefix, sys.base_prefix})
        if folder.startswith(original + os.sep)
    )


def _places(module: Any) -> Iterator[str]:
    try:
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            yield file
        elif (paths := getattr(module, "__path__", None)) is not None:
            yield from [path for path in list(paths) if isinstance(path, str)]
    except Exception:  # noqa: BLE001 - a lazy module may do anything when it is asked
        return
