"""Which adapters there are, and installing those whose framework is in use."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from queryscope import runtime
from queryscope.errors import InstallError


def install(engine: Any = None) -> None:
    """Install the hooks of every ORM in use; a second call changes nothing.

    SQLAlchemy is hooked when it is installed, Django when the process has imported it (its
    middleware installs the same hooks).

    Args:
        engine: Record this SQLAlchemy engine only; call again to add others.

    Raises:
        InstallError: Neither SQLAlchemy nor Django can be imported, or ``engine`` is no engine.
    """
    full = runtime.get().full
    found = False
    if find_spec("sqlalchemy") is not None:
        import_module("queryscope.sqlalchemy").install(engine)
        found = True
    elif engine is not None:
        raise InstallError("install(engine) needs SQLAlchemy, which cannot be imported here.")
    if engine is None and "django.db" in sys.modules:
        import_module("queryscope.django.hooks").install(full=full)
        found = True
    if not found:
        raise InstallError(
            "install() found no ORM: SQLAlchemy is not installed and Django is not imported. "
            'Install one of them, for example with: pip install "queryscope[sqlalchemy]"'
        )
    _install_carriers()


def install_loaded() -> None:
    """Install the hooks of the ORMs that this process has imported already, and of threads."""
    if "sqlalchemy.orm" in sys.modules or "sqlalchemy.engine" in sys.modules:
        adapter = import_module("queryscope.sqlalchemy")
        if not adapter.installed():
            adapter.install()
    if "django.db" in sys.modules:
        import_module("queryscope.django.hooks").install(full=runtime.get().full)
    _install_carriers()


def _install_carriers() -> None:
    """Let Traces follow work into threads, thread pools and greenlets."""
    import_module("queryscope.stdlib").install()
    if "gevent" in sys.modules:
        import_module("queryscope.gevent").install()


def uninstall() -> None:
    """Take every hook of every adapter out again, and stop the writer."""
    for name in (
        "queryscope.sqlalchemy",
        "queryscope.django.hooks",
        "queryscope.stdlib",
        "queryscope.gevent",
    ):
        module = sys.modules.get(name)
        if module is not None:
            module.uninstall()
    runtime.reset()
