"""Which adapters there are, and installing those whose framework is in use."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from queryscope import runtime
from queryscope.errors import InstallError

if TYPE_CHECKING:
    from queryscope.plans.database import Database


def install(engine: Any = None) -> None:
    """Install the hooks of every ORM in use; a second call changes nothing.

    SQLAlchemy is hooked when it is installed, Django when the process has imported it (its
    middleware installs the same hooks).

    Args:
        engine: Record this SQLAlchemy engine only; call again to add others.

    Raises:
        InstallError: Neither SQLAlchemy nor Django can be imported, or ``engine`` is no engine.
    """
    settled = runtime.get()
    found = False
    if find_spec("sqlalchemy") is not None:
        adapter = import_module("queryscope.sqlalchemy")
        adapter.install(engine)
        if settled.reads:
            adapter.track()
        found = True
    elif engine is not None:
        raise InstallError("install(engine) needs SQLAlchemy, which cannot be imported here.")
    if engine is None and "django.db" in sys.modules:
        import_module("queryscope.django.hooks").install(full=settled.full, track=settled.reads)
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
        if runtime.get().reads:
            adapter.track()
    if "django.db" in sys.modules:
        settled = runtime.get()
        import_module("queryscope.django.hooks").install(full=settled.full, track=settled.reads)
    _install_carriers()


def _install_carriers() -> None:
    """Let Traces follow work into threads, thread pools and greenlets; hear what Flask tells."""
    import_module("queryscope.stdlib").install(full=runtime.get().full)
    if "gevent" in sys.modules:
        import_module("queryscope.gevent").install()
    if "flask" in sys.modules:
        import_module("queryscope.flask").install()


def database_of(name: str) -> Database | None:
    """Return where a database of this process is, by its alias or engine name; None if unknown."""
    for framework, adapter in (("django.db", "django"), ("sqlalchemy.engine", "sqlalchemy")):
        if framework in sys.modules:
            module = import_module(f"queryscope.{adapter}.databases")
            found: Database | None = module.database_of(name)
            if found is not None:
                return found
    return None


def uninstall() -> None:
    """Take every hook of every adapter out again, and stop the writer."""
    for name in (
        "queryscope.celery",
        "queryscope.sqlalchemy",
        "queryscope.django.hooks",
        "queryscope.stdlib",
        "queryscope.gevent",
        "queryscope.flask",
    ):
        module = sys.modules.get(name)
        if module is not None:
            module.uninstall()
    runtime.reset()
