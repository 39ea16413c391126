"""Answers kept for callers that ask for it, a minute each."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

KEPT_S = 60.0
MAX_ENTRIES = 256


class ResponseCache:
    """Bodies of answers by what was asked, the least recently used one dropped when full."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Make an empty cache that reads the time in seconds from ``clock``."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, bytes]] = OrderedDict()

    def get(self, key: Hashable) -> bytes | None:
        """Return the body kept for a key, None if there is none or it is too old."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or self._clock() - kept[0] >= KEPT_S:
                return None
            self._kept.move_to_end(key)
            return kept[1]

    def put(self, key: Hashable, body: bytes) -> None:
        """Keep a body."""
        with self._lock:
            self._kept[key] = (self._clock(), body)
            self._kept.move_to_end(key)
            while len(self._kept) > MAX_ENTRIES:
                self._kept.popitem(last=False)
