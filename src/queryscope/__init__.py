"""queryscope: an ORM query profiler for Django and SQLAlchemy.

Importing it imports no framework, patches nothing and starts nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from queryscope import asgi, celery, wsgi
    from queryscope.adapters import install, uninstall
    from queryscope.errors import QueryscopeError
    from queryscope.profiling import profile, stage

__all__ = [
    "QueryscopeError",
    "__version__",
    "asgi",
    "celery",
    "install",
    "profile",
    "stage",
    "uninstall",
    "wsgi",
]

_HOMES = {
    "install": "queryscope.adapters",
    "uninstall": "queryscope.adapters",
    "profile": "queryscope.profiling",
    "stage": "queryscope.profiling",
    "QueryscopeError": "queryscope.errors",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in ("asgi", "celery", "wsgi"):
        return import_module(f"queryscope.{name}")
    if name == "__version__":
        # Looked up when asked for: it costs more than all the rest of the import.
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("queryscope")
        except PackageNotFoundError:  # a source tree on the path, never installed
            return "0+unknown"
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'queryscope' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
