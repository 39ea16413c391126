"""The Django adapter: ``MIDDLEWARE = ["queryscope.django.Middleware", ...]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from queryscope.django.middleware import Middleware

__all__ = ["Middleware"]


def __getattr__(name: str) -> Any:
    """Import the middleware when it is first used: the app registry loads this package early."""
    if name == "Middleware":
        from queryscope.django.middleware import Middleware

        return Middleware
    raise AttributeError(f"module 'queryscope.django' has no attribute {name!r}")
