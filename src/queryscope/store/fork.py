"""Tells what holds locks, threads or connections that this process is the child of a fork."""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """What cannot go on in a child process with what it had in the parent."""

    def after_fork(self) -> None:
        """Start afresh; the child has this one thread only."""


_lock = threading.Lock()
_watched: WeakSet[Forked] = WeakSet()
_registered = False


def watch(item: Forked) -> None:
    """Call ``item.after_fork()`` in every child process forked from now on."""
    global _registered
    with _lock:
        _watched.add(item)
        if not _registered and hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_in_child
            )
            _registered = True


def _in_child() -> None:
    _lock.release()
    for item in list(_watched):
        item.after_fork()
