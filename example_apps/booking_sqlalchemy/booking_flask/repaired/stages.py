"""How long the parts of a request took."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stages:
    """Milliseconds by the name of a stage, for one line of the log."""

    def __init__(self) -> None:
        """Start without stages."""
        self.took_ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a block as a stage."""
        started = time.perf_counter_ns()
        try:
            yield
        finally:
            self.took_ms[name] = (time.perf_counter_ns() - started) / 1e6

    def __str__(self) -> str:
        """Return the stages in the order they ended in."""
        return " ".join(f"{name}={took:.1f}ms" for name, took in self.took_ms.items())
