"""The standard library's threads and thread pools."""

from __future__ import annotations

from queryscope.stdlib.threads import install, uninstall

__all__ = ["install", "uninstall"]
