"""A limit on how long an answer may take, kept by the process that answers."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class TookTooLong(BaseException):
    """An answer took longer than it may."""


@contextmanager
def no_longer_than(limit_s: float) -> Iterator[None]:
    """Raise TookTooLong in a block that takes longer, by a timer; 0 is no limit."""

    def stop(_number: int, _frame: object) -> None:
        raise TookTooLong(f"more than {limit_s:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
