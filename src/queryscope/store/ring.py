"""The last Traces of this process, in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from queryscope.errors import NotFoundError, nearest
from queryscope.store import fork

if TYPE_CHECKING:
    from queryscope.detectors.registry import Judged


class Ring:
    """The newest ``size`` Traces with their findings; thread-safe.

    Readers take no lock: every change puts a new tuple in place of the old one.
    """

    def __init__(self, size: int) -> None:
        """Make an empty ring.

        Args:
            size: Traces kept, at least 1; an older one goes when one too many comes.
        """
        self.size = size
        self._kept: tuple[Judged, ...] = ()
        self._ids: set[str] = set()
        self._lock = threading.Lock()
        fork.watch(self)

    def __len__(self) -> int:
        return len(self._kept)

    def after_fork(self) -> None:
        """Forget who held the lock in the parent."""
        self._lock = threading.Lock()

    def add(self, judged: Judged) -> None:
        """Put a Trace in front; one with the same id goes."""
        name = judged.trace.id
        with self._lock:
            others = self._kept
            if name in self._ids:
                others = tuple(item for item in others if item.trace.id != name)
            for item in others[self.size - 1 :]:
                self._ids.discard(item.trace.id)
            self._ids.add(name)
            self._kept = (judged, *others[: self.size - 1])

    def newest(self, limit: int | None = None) -> tuple[Judged, ...]:
        """Return the Traces, the one that ended last first; at most ``limit`` if given."""
        return self._kept[:limit]

    def find(self, key: str) -> Judged | None:
        """Return the Trace of an id, or of a prefix that only one id has, else None."""
        if not key:
            return None
        kept = self._kept
        found = [item for item in kept if item.trace.id == key]
        found = found or [item for item in kept if item.trace.id.startswith(key)]
        return found[0] if len(found) == 1 else None

    def get(self, key: str) -> Judged:
        """Return the Trace of an id, or of a prefix that only one id has.

        Raises:
            NotFoundError: No Trace in the ring has it, or several have.
        """
        found = self.find(key)
        if found is not None:
            return found
        ids = [item.trace.id for item in self._kept]
        alike = [name for name in ids if key and name.startswith(key)]
        if alike:
            raise NotFoundError(f"{len(alike)} Traces begin with {key!r}: {', '.join(alike[:5])}.")
        raise NotFoundError(
            f"There is no Trace {key!r} among the last {len(ids)} in memory.{nearest(key, ids)}"
        )

    def clear(self) -> None:
        """Forget all Traces."""
        with self._lock:
            self._kept = ()
            self._ids.clear()
