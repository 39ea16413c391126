"""The JSON Schemas of the documents, made from their types and docstrings."""

from __future__ import annotations

import inspect
import re
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from queryscope.report import document

DRAFT = "https://json-schema.org/draft/2020-12/schema"
EXTENDS: dict[type, tuple[type, ...]] = {document.Found: (document.FoundOnce,)}
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def schema_of(kind: type) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document.

    Args:
        kind: A ``TypedDict`` of ``document.py``. Within a version new names may appear, so that
            the schema allows them.
    """
    parts: dict[str, Any] = {}
    root = _object(kind, parts)
    return {"$schema": DRAFT, "title": root.pop("description"), **root, "$defs": parts}


def _object(kind: type, parts: dict[str, Any]) -> dict[str, Any]:
    meanings = _meanings(kind)
    hints = get_type_hints(kind, vars(document), include_extras=True)
    properties: dict[str, Any] = {}
    required = []
    for name, hint in hints.items():
        inner = hint
        if get_origin(hint) is NotRequired:
            (inner,) = get_args(hint)
        else:
            required.append(name)
        properties[name] = _described(_value(inner, parts), meanings.get(name, ""))
    return {
        "description": (inspect.getdoc(kind) or "").partition("\n")[0].replace("``", "`"),
        "type": "object",
        "properties": properties,
        "required": required,
    }


def _value(hint: Any, parts: dict[str, Any]) -> dict[str, Any]:
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, UnionType):
        return {"anyOf": [_value(option, parts) for option in inner]}
    if origin is list:
        return {"type": "array", "items": _value(inner[0], parts)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _value(inner[1], parts)}
    if is_typeddict(hint):
        if hint.__name__ not in parts:
            parts[hint.__name__] = {}  # it may hold itself, as nested Traces do
            parts[hint.__name__] = _object(hint, parts)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    raise TypeError(f"how is {hint!r} written in JSON Schema?")


def _described(schema: dict[str, Any], meaning: str) -> dict[str, Any]:
    return {"description": meaning, **schema} if meaning else schema


def _meanings(kind: type) -> dict[str, str]:
    """Return what the docstrings of a type and of those it extends say of each name."""
    found: dict[str, str] = {}
    # Python 3.11 does not remember what a TypedDict extends.
    for base in (*EXTENDS.get(kind, ()), kind):
        name = ""
        section = (inspect.getdoc(base) or "").partition("Attributes:\n")[2]
        for line in section.splitlines():
            start = re.match(r" {4}(\w+): (.*)", line)
            if start:
                name = start[1]
                found[name] = start[2]
            elif line.strip() and name:
                found[name] += f" {line.strip()}"
    return {name: meaning.replace("``", "`") for name, meaning in found.items()}
