"""Connections of their own for helpers that must not see the view's transaction."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def isolated_connection(purpose: str) -> Iterator[str]:
    """Open a second connection to the database and yield the alias to use it by.

    A permission must be judged on what is committed, not on what the view is
    in the middle of; that is what this is for. Everything loaded ``.using()``
    the alias has to be used up before the block ends.
    """
    alias = f"isolated_{purpose}"
    connection = connections["default"].copy(alias)
    connections[alias] = connection
    try:
        yield alias
    finally:
        connection.close()
        del connections[alias]
