"""queryscope: an ORM query profiler for Django and SQLAlchemy that proves its fixes.

Importing it imports no framework, patches nothing and starts nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from queryscope import wsgi
    from queryscope.adapters import install, uninstall
    from queryscope.errors import QueryscopeError
    from queryscope.profiling import profile, stage

try:
    __version__ = version("queryscope")
except PackageNotFoundError:  # a source tree on the path, never installed
    __version__ = "0+unknown"

__all__ = ["QueryscopeError", "__version__", "install", "profile", "stage", "uninstall", "wsgi"]

_HOMES = {
    "install": "queryscope.adapters",
    "uninstall": "queryscope.adapters",
    "profile": "queryscope.profiling",
    "stage": "queryscope.profiling",
    "QueryscopeError": "queryscope.errors",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "wsgi":
        return import_module("queryscope.wsgi")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'queryscope' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
