"""The user's function or class that answers a request: the nearest place where only libraries ask.

A generic view, an admin list, a serializer or a response model asks for rows without a line of the
user's on the stack. Who answers the request is known once a request, so it costs a statement
nothing. It is a fact of the Trace, not of the statement: an origin stays what was on the stack.
"""

from __future__ import annotations

import sys
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from queryscope.trace.codes import is_user
from queryscope.trace.definitions import definition

if TYPE_CHECKING:
    from queryscope.trace.events import Frame, Trace
    from queryscope.trace.recorder import Recorder

ATTRIBUTE = "endpoint"
"""Attribute of a request's Trace: ``file::module::qualified name``."""
MAX_WRAPPERS = 20
"""Decorators and partials looked through."""


def note(recorder: Recorder, *candidates: Any) -> None:
    """Note who answers a request: the first of the candidates that is the user's.

    Args:
        recorder: The request's Recorder.
        candidates: What the framework calls, the nearest first; None is passed over.
    """
    for candidate in candidates:
        name = "" if candidate is None else name_of(candidate)
        if name:
            recorder.attributes[ATTRIBUTE] = name
            return


def name_of(thing: Any) -> str:
    """Return an ``ATTRIBUTE`` for a function or class, ``""`` where it is not the user's.

    Args:
        thing: What a framework calls: a function, method, partial, class or object.
    """
    found = ""
    for _ in range(MAX_WRAPPERS):
        if isinstance(thing, partial):
            thing = thing.func
            continue
        if isinstance(thing, MethodType):
            thing = thing.__func__
        if isinstance(thing, FunctionType):
            # The innermost that is the user's: what a decorator wraps is what he wrote.
            found = _place(thing.__module__, thing.__code__.co_filename, thing) or found
            wrapped = thing.__dict__.get("__wrapped__")
            if wrapped is None:
                break
            thing = wrapped
            continue
        kind = thing if isinstance(thing, type) else type(thing)
        module = kind.__module__
        found = _place(module, getattr(sys.modules.get(module), "__file__", None), kind) or found
        break
    return found


def _place(module: str | None, file: str | None, thing: Any) -> str:
    if not isinstance(file, str) or not is_user(module or "", file):
        return ""
    return f"{file}::{module}::{thing.__qualname__}"


def endpoint_of(trace: Trace) -> Frame | None:
    """Return where the function or class that answered the request is defined, None if unknown."""
    parts = trace.attributes.get(ATTRIBUTE, "").rsplit("::", 2)
    if len(parts) != 3:  # noqa: PLR2004 - what it is made of
        return None
    file, module, name = parts
    found = definition(file, name)
    # The module and not the file: a fingerprint must be the same on every machine.
    return None if found is None else found._replace(module=module)
