"""Errors and statements as text, without running code of the user's."""

from __future__ import annotations

from typing import Any

_arguments = vars(BaseException)["args"].__get__
"""What an error was made with; a class of the user's may say something else, or raise."""


def describe(error: BaseException) -> str:
    """Return class and text of an error, without running code of the user's."""
    arguments = _arguments(error)
    if len(arguments) > 1 and type(arguments[0]) is int:
        arguments = arguments[1:]  # MariaDB's drivers put the number of the error first
    text = arguments[0][:500] if arguments and type(arguments[0]) is str else ""
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    return f"{name}: {text}" if text else name


def plain_text(statement: Any) -> str:
    """Return the text of a statement that is no plain string, without running code of its class.

    psycopg accepts bytes and Composed objects; their text is not ours to make here.
    """
    if issubclass(type(statement), str):
        return str.__str__(statement)
    return f"<{type(statement).__name__}>"
