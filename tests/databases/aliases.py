"""Aliases of Django that exist for some tests only."""

from __future__ import annotations

from contextlib import contextmanager

from django.db import connections

from queryscope.django import hooks
from tests.django.library.models import Genre


@contextmanager
def aliases(blocker, **databases):
    """Add aliases to Django's, with the hooks put in beside them; take all out again.

    Where an alias has a pool, the pool must be there before the hooks, as in an application.
    """
    with blocker.unblock():
        try:
            for alias, configured in databases.items():
                made = connections.configure_settings({"default": {}, alias: configured})
                connections.settings[alias] = made[alias]
            yield
        finally:
            for alias in databases:
                if hasattr(connections._connections, alias):
                    connection = connections[alias]
                    connection.close()
                    if getattr(connection, "pool", None) is not None:
                        connection.close_pool()
                    del connections[alias]
                connections.settings.pop(alias, None)


def make_genres(alias, count=5):
    """Make the table of genres anew, with some rows."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {Genre._meta.db_table}")
    with connection.schema_editor() as editor:
        editor.create_model(Genre)
    Genre.objects.using(alias).bulk_create([Genre(name=f"g{n}") for n in range(count)])


@contextmanager
def hooked(recording="light"):
    """Put the hooks in for a block, as a process does that has these aliases from its start."""
    hooks.uninstall()
    hooks.install(full=recording == "full")
    try:
        yield
    finally:
        hooks.uninstall()
