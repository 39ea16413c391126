"""The body of an answer as values that can be compared: JSON, HTML, lines of text, bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from queryscope.verify.pages import Element, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["empty", "json", "lines of json", "html", "text", "bytes"]

_JSON_LINES = frozenset({"application/x-ndjson", "application/jsonl", "application/jsonlines"})
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = frozenset({"application/javascript", "application/xml", "application/x-yaml"})
DIGEST_BYTES = 8
"""Enough to tell two downloads apart in a line that a person reads."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body and what it holds.

    Attributes:
        kind: As what it was read; what does not read as its type says it is, is text or bytes.
        value: Of JSON its values (an integer and a float stay two types), of HTML its tree, of a
            text its lines, of bytes what tells them apart.
    """

    kind: Kind
    value: object


def body_of(content: bytes, content_type: str) -> Body:
    """Return what a body holds, as its media type says."""
    if not content:
        return Body("empty", None)
    media_type = content_type.partition(";")[0].strip().lower()
    text = _decoded(content, content_type)
    if text is None:
        return Body("bytes", _bytes(content))
    try:
        if media_type in _JSON_LINES:
            return Body("lines of json", [json.loads(line) for line in text.split("\n") if line])
        if media_type == "application/json" or media_type.endswith("+json"):
            return Body("json", json.loads(text))
        if media_type in _HTML:
            tree = tree_of(text)
            _probe(tree.children)
            return Body("html", tree)
    except (ValueError, RecursionError):
        return Body("text", text.split("\n"))
    if media_type.startswith("text/") or media_type in _TEXT or media_type.endswith("+xml"):
        return Body("text", text.split("\n"))
    return Body("bytes", _bytes(content))


def _decoded(content: bytes, content_type: str) -> str | None:
    charset = "utf-8"
    for part in content_type.split(";")[1:]:
        name, _, value = part.strip().partition("=")
        if name.lower() == "charset":
            charset = value.strip('"') or charset
    try:
        return content.decode(charset)
    except (UnicodeDecodeError, LookupError):
        return None


def _bytes(content: bytes) -> dict[str, object]:
    digest = hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()
    return {"size_bytes": len(content), "digest": digest}


def _probe(children: Iterable[Element | str], depth: int = 0) -> None:
    """Raise RecursionError for a tree that is too deep to be compared."""
    if depth > 400:  # noqa: PLR2004 - Python's limit is 1,000 frames, and a comparison takes two each
        raise RecursionError
    for child in children:
        if isinstance(child, Element):
            _probe(child.children, depth + 1)
