"""The Django application: records management commands and tasks, ``INSTALLED_APPS`` only."""

from __future__ import annotations

from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.core.management.base import BaseCommand

from queryscope import adapters
from queryscope.django import hooks
from queryscope.django.middleware import configured
from queryscope.profiling import profile

if TYPE_CHECKING:
    from collections.abc import Callable

UNRECORDED_COMMANDS = frozenset({"runserver", "testserver", "shell", "dbshell", "test"})
"""Commands that serve, wait for a person, or run tests: their parts are the units of work."""


class QueryscopeConfig(AppConfig):
    """Installs the hooks when the process starts; each command and Celery task is a Trace."""

    name = "queryscope.django"
    label = "queryscope"
    verbose_name = "queryscope"

    def ready(self) -> None:
        """Check the settings and install the hooks."""
        found = configured()
        if not found.settings.enabled:
            return
        hooks.install(full=found.full, track=found.reads)
        adapters.install_loaded()
        if find_spec("celery") is not None:
            # By name: adapters do not know each other. Celery itself is not imported by it.
            import_module("queryscope.celery").record_tasks()
        if not getattr(BaseCommand.execute, "queryscope", False):
            hooks.patches.replace(BaseCommand, "execute", _recorded)


def _recorded(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def execute(self: Any, *args: Any, **options: Any) -> Any:
        command = type(self).__module__.rpartition(".")[2]
        if command in UNRECORDED_COMMANDS:
            return original(self, *args, **options)
        with profile(f"manage.py {command}", kind="script"):
            return original(self, *args, **options)

    execute.queryscope = True  # type: ignore[attr-defined] # our mark
    return execute
