"""The errors that queryscope raises on purpose, one class per action the caller can take."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class QueryscopeError(Exception):
    """Base of every error that queryscope raises on purpose.

    The text says what happened, which of the user's things is wrong, and what to do. Command
    line programs print it and exit with code 2.
    """


class SettingsError(QueryscopeError):
    """A setting is unknown, of the wrong type, or out of its range."""


class TraceFormatError(QueryscopeError):
    """Stored bytes are not a Trace that this version can read."""


class StoreError(QueryscopeError):
    """The store cannot be opened, read or written."""


class NotFoundError(QueryscopeError):
    """What the user asked for (a Trace, a route, a code) does not exist."""


class InstallError(QueryscopeError):
    """A hook cannot be installed as asked."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known name nearest to ``name``, else ``""``."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""
