"""Parameters of statements when a Recorder closes: told apart, digested, kept as plain values."""

from __future__ import annotations

import hashlib
import os
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from queryscope.trace import guard

PLAIN = frozenset(
    {str, int, float, bool, type(None), bytes, Decimal, date, datetime, time, timedelta, UUID}
)
"""Classes whose values nobody changes in place, and whose ``repr`` runs no code of the user's."""
MAX_DEPTH = 12
"""Lists in lists that are looked into; deeper ones are told apart by identity."""
PROCESS_KEY = os.urandom(16)
"""Keys digests where no project is known: they are equal within this process alone."""


def parameters_key(parameters: Any, key: bytes = PROCESS_KEY) -> str:
    """Return a digest that is equal for equal parameters, ``""`` for none.

    Values of classes that we do not know are told apart by identity: their ``__repr__`` is the
    user's code, and it is not ours to run.
    """
    if is_empty(parameters):
        return ""
    return digest_of(text_of(parameters), key)


def digest_of(text: str, key: bytes) -> str:
    """Return the digest of what ``text_of`` gave."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8, key=key).hexdigest()


def is_empty(parameters: Any) -> bool:
    """Tell whether a statement had no parameters."""
    return parameters is None or (type(parameters) in (tuple, list, dict) and not parameters)


def text_of(parameters: Any) -> str:
    """Return what the digest is made of; parameters that cannot be written out have their identity.

    A time zone's ``__repr__``, or the hash of a name, are the user's code after all.
    """
    try:
        return value_text(parameters)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "freeze.parameters")
        return f"<{type(parameters).__qualname__} {id(parameters)}>"


def value_text(value: Any, depth: int = MAX_DEPTH) -> str:
    """Return a text that is equal for equal values; one that is nothing plain has its identity."""
    kind = type(value)
    if kind is int:
        # Python refuses to write very long integers in decimal, and any user may send one.
        return repr(value) if -(2**64) < value < 2**64 else hex(value)
    if kind in PLAIN:
        return repr(value)
    if depth and (kind is tuple or kind is list):
        return "(" + ",".join(value_text(item, depth - 1) for item in value) + ")"
    if depth and kind is dict:
        return (
            "{"
            + ",".join(f"{value_text(k)}:{value_text(value[k], depth - 1)}" for k in value)
            + "}"
        )
    # A safe string, or a member of an enumeration of strings, is sent as its plain value.
    if issubclass(kind, int):
        return value_text(int.__index__(value))
    for base in (str, float):
        if issubclass(kind, base):
            return base.__repr__(value)
    return f"<{kind.__module__}.{kind.__qualname__} {id(value)}>"


def as_kept(parameters: Any) -> tuple[object, ...] | None:
    """Return parameters as a tuple of plain values; what is not plain becomes its class name."""
    if parameters is None:
        return None
    kind = type(parameters)
    if issubclass(kind, dict):
        return tuple(
            (name if type(name) is str else f"<{type(name).__qualname__}>", _plain(value))
            for name, value in dict.items(parameters)
        )
    for base in (list, tuple):
        if issubclass(kind, base):
            return tuple(_plain(value) for value in base.__iter__(parameters))
    return (_plain(parameters),)


def _plain(value: Any) -> object:
    if type(value) in PLAIN:
        return value
    if type(value) in (list, tuple):
        return tuple(_plain(item) for item in value)
    # Django sends numbers to PostgreSQL as classes of psycopg's, and members of enumerations.
    kind = type(value)
    if issubclass(kind, int):
        return int.__index__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, str):
        return str.__str__(value)
    return f"<{type(value).__qualname__}>"
