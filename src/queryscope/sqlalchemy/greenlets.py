"""Whose coroutine awaits the greenlet in which SQLAlchemy runs its sync code for asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_PROVIDER = "__sqlalchemy_greenlet_provider__"
"""SQLAlchemy's own mark on its greenlets."""


def awaiting() -> Callable[[], FrameType | None] | None:
    """Return what finds the frame that awaits this greenlet, None without greenlet installed.

    The stack of a greenlet ends at its first function. The coroutine that awaits it stands
    still in the greenlet's parent, and the user's line is on its stack.
    """
    try:
        from greenlet import getcurrent  # type: ignore[import-untyped] # comes without types
    except ImportError:  # SQLAlchemy works without, but for its asyncio extension
        return None

    def awaiting_frame() -> FrameType | None:
        current = getcurrent()
        if not getattr(current, _PROVIDER, False):
            return None
        parent = current.parent
        return None if parent is None else parent.gr_frame

    return awaiting_frame
