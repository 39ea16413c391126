"""Requests from an OpenAPI schema: examples, enumerated values, defaults and bounds, asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from queryscope.credentials import MASKED
from queryscope.verify.contract import Request
from queryscope.verify.listing import METHODS, ListingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST = 24
"""Requests of one endpoint."""
DEEPEST = 6
"""Of schemas in one another: those that name themselves have no end."""
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
PLAIN: Mapping[str, Any] = {"integer": 1, "number": 1.5, "boolean": True}
"""Stands for a value of which the schema tells the type alone; a text could be anything."""
TEXTS = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T12:00:00Z",
    "time": "12:00:00",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "email": "ann@example.com",
}
"""The same of texts, by their format."""


class Described(NamedTuple):
    """What a schema gave.

    Attributes:
        requests: Endpoints, named by their routes, to requests.
        left_out: Operations that nothing could be asked of, one sentence each.
    """

    requests: dict[str, list[Request]]
    left_out: tuple[str, ...]


class _UnknownError(Exception):
    """The schema gives no value; the text says for what."""


@dataclass(frozen=True, slots=True, eq=False)
class _Parameter:
    name: str
    place: str
    required: bool
    values: tuple[Any, ...]


def from_openapi(text: str, *, source: str, actor: str = "") -> Described:
    """Return requests for the operations of a schema, in JSON.

    For each operation: one request with what it requires, then one for each further value of a
    parameter and each example of a body.

    Args:
        text: The schema.
        source: Where it stands, for errors.
        actor: Who asks.

    Raises:
        ListingError: It is no OpenAPI schema of version 3 in JSON.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ListingError(f"{source} is no JSON: {error}.") from error
    version = str(document.get("openapi", "")) if isinstance(document, dict) else ""
    if not version.startswith("3.") or not isinstance(document.get("paths"), dict):
        raise ListingError(f"{source} is no OpenAPI schema of version 3: it has no 'paths'.")
    return _Schema(document, actor).described()


class _Schema:
    """One document and what it refers to in itself."""

    def __init__(self, document: dict[str, Any], actor: str) -> None:
        self._document = document
        self._actor = actor

    def described(self) -> Described:
        found: dict[str, list[Request]] = {}
        left_out: list[str] = []
        prefix = self._prefix()
        for path, item in self._document["paths"].items():
            resolved = self._resolved(item)
            for method in METHODS:
                operation = resolved.get(method.lower())
                if not isinstance(operation, dict):
                    continue
                endpoint = f"{method} {prefix}{path}"
                try:
                    parameters = self._parameters(resolved, operation)
                    asked = self._requests(method, f"{prefix}{path}", parameters, operation)
                    found[endpoint] = list(dict.fromkeys(asked))[:MOST]
                except _UnknownError as error:
                    left_out.append(f"{endpoint}: the schema has no example for {error}")
        return Described(found, tuple(left_out))

    def _prefix(self) -> str:
        servers = self._document.get("servers")
        first = servers[0] if isinstance(servers, list) and servers else {}
        url = str(first.get("url", "")) if isinstance(first, dict) else ""
        return "" if "{" in url else urlsplit(url).path.rstrip("/")

    def _requests(
        self,
        method: str,
        path: str,
        parameters: list[_Parameter],
        operation: dict[str, Any],
    ) -> Iterator[Request]:
        bodies = self._bodies(operation)
        least: dict[_Parameter, Any] = {}
        for one in parameters:
            if one.required:
                if not one.values:
                    raise _UnknownError(f"its parameter {one.name}")
                least[one] = one.values[0]
        for headers, body in bodies:
            yield self._request(method, path, least, headers, body)
        for one in parameters:
            for value in one.values:
                yield self._request(method, path, {**least, one: value}, *bodies[0])

    def _request(
        self,
        method: str,
        path: str,
        values: Mapping[_Parameter, Any],
        headers: tuple[tuple[str, str], ...],
        body: bytes,
    ) -> Request:
        query: list[tuple[str, str]] = []
        for one, value in values.items():
            if one.place == "path":
                path = path.replace(f"{{{one.name}}}", quote(_spelled(value), safe=""))
            elif one.place == "header":
                headers = (*headers, (one.name, _spelled(value)))
            else:
                several = value if isinstance(value, list) else [value]
                query += [(one.name, _spelled(item)) for item in several]
        target = quote(path, safe="%/:@!$&'()*+,;=-._~") + (f"?{urlencode(query)}" if query else "")
        return Request(method=method, target=target, headers=headers, body=body, actor=self._actor)

    def _parameters(self, item: dict[str, Any], operation: dict[str, Any]) -> list[_Parameter]:
        found: dict[tuple[str, str], _Parameter] = {}
        for told in (*item.get("parameters", ()), *operation.get("parameters", ())):
            one = self._resolved(told)
            name, place = str(one.get("name", "")), str(one.get("in", ""))
            # Who asks brings cookies and credentials; headers of no example are the client's own.
            if place not in ("path", "query", "header") or name.lower() in MASKED:
                continue
            explicit = tuple(self._explicit(one))
            schema = self._resolved(one.get("schema"))
            values = explicit + tuple(self._values(schema, DEEPEST))
            required = place == "path" or bool(one.get("required"))
            if place == "header" and not required:
                values = explicit
            found[name, place] = _Parameter(name, place, required, _distinct(values))
        return list(found.values())

    def _bodies(self, operation: dict[str, Any]) -> list[tuple[tuple[tuple[str, str], ...], bytes]]:
        """Return headers and bodies to send, at least one pair; ``b""`` where none is required."""
        told = self._resolved(operation.get("requestBody"))
        content = told.get("content") if told else None
        if not isinstance(content, dict):
            return [((), b"")]
        for kind in (JSON, FORM):
            if kind not in content:
                continue
            media = self._resolved(content[kind])
            schema = self._resolved(media.get("schema"))
            values = _distinct((*self._explicit(media), *self._values(schema, DEEPEST)))
            if values:
                header = (("Content-Type", kind),)
                return [(header, _body(value, kind)) for value in values]
        if told.get("required"):
            raise _UnknownError("its body")
        return [((), b"")]

    # -- values -------------------------------------------------------------------------------

    def _explicit(self, told: dict[str, Any]) -> Iterator[Any]:
        """Yield the examples of a parameter or a body."""
        if "example" in told:
            yield told["example"]
        examples = told.get("examples")
        if isinstance(examples, dict):
            for example in map(self._resolved, examples.values()):
                if "value" in example:
                    yield example["value"]

    def _values(self, schema: dict[str, Any], depth: int) -> Iterator[Any]:
        """Yield values of a schema: examples, default, choices, bounds, else one of its type."""
        found = list(self._told(schema, depth)) if depth else []
        yield from found
        if found or not depth:
            return
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), None)
        if isinstance(kind, str) and kind in PLAIN:
            yield PLAIN[kind]
        elif kind == "string" and schema.get("format") in TEXTS:
            yield TEXTS[schema["format"]]
        elif kind == "array":
            inner = next(self._values(self._resolved(schema.get("items")), depth - 1), None)
            if inner is not None:
                yield [inner]
        elif kind == "object" or "properties" in schema:
            yield from self._object(schema, depth)

    def _told(self, schema: dict[str, Any], depth: int) -> Iterator[Any]:
        if "example" in schema:
            yield schema["example"]
        if isinstance(schema.get("examples"), list):
            yield from schema["examples"]
        for name in ("default", "const"):
            if schema.get(name) is not None:
                yield schema[name]
        if isinstance(schema.get("enum"), list):
            yield from (value for value in schema["enum"] if value is not None)
        for name, beyond in _BOUNDS.items():
            bound = schema.get(name)
            if isinstance(bound, (int, float)) and not isinstance(bound, bool):
                yield bound + beyond
        for name in ("anyOf", "oneOf", "allOf"):
            for option in schema.get(name, ()):
                yield from self._values(self._resolved(option), depth - 1)

    def _object(self, schema: dict[str, Any], depth: int) -> Iterator[Any]:
        made = {}
        required = schema.get("required", ())
        for name, told in schema.get("properties", {}).items():
            value = next(self._values(self._resolved(told), depth - 1), None)
            if value is not None:
                made[name] = value
            elif name in required:
                return  # without it the body would be refused
        yield made

    def _resolved(self, told: Any) -> dict[str, Any]:
        """Return a part of the document, what it refers to in its place; what it adds counts."""
        beside: dict[str, Any] = {}
        for _ in range(DEEPEST):
            if not isinstance(told, dict):
                return {}
            reference = told.get("$ref")
            if not isinstance(reference, str):
                return {**told, **beside}
            beside = {name: value for name, value in told.items() if name != "$ref"} | beside
            told = self._document
            for step in reference.removeprefix("#/").split("/"):
                name = step.replace("~1", "/").replace("~0", "~")
                told = told.get(name) if isinstance(told, dict) else None
        return {}


_BOUNDS = {"minimum": 0, "maximum": 0, "exclusiveMinimum": 1, "exclusiveMaximum": -1}
"""Names of bounds, and how far from one the nearest whole number lies that is allowed."""


def _spelled(value: Any) -> str:
    """Return a value as it stands in a path or a query."""
    return value if isinstance(value, str) else json.dumps(value)


def _body(value: Any, kind: str) -> bytes:
    if kind == FORM and isinstance(value, dict):
        return urlencode({name: _spelled(one) for name, one in value.items()}).encode()
    return json.dumps(value).encode()


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple({json.dumps(value, sort_keys=True): value for value in values}.values())
