"""Requests to be recorded: from a list of URLs, from a HAR file, sorted by endpoint."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from queryscope.credentials import MASKED
from queryscope.errors import QueryscopeError
from queryscope.verify.contract import Request

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_LINE = re.compile(r"(?:([A-Z]+)\s+)?(\S+)(?:\s+as\s+(\S+))?(?:\s+(\{.*|\[.*))?\s*\Z")
_NUMBER = re.compile(r"\d+\Z|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")
_PLACE = re.compile(r"\{[^/{}]+\}")
TRANSPORT = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "te", "upgrade-insecure-requests"}
)
"""Headers that the connection makes, or that name the machine."""


class ListingError(QueryscopeError):
    """A list of requests cannot be read."""


def from_lines(text: str, *, source: str, actors: Collection[str]) -> list[Request]:
    """Return the requests of lines such as ``GET /items/7 as caller`` or ``POST /items {"a": 1}``.

    Empty lines and lines that begin with ``#`` are passed over; without a method it is GET.

    Raises:
        ListingError: A line is no request, or names an actor that the project does not.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            found.append(_from_line(stripped, f"{source}, line {number}", actors))
    return found


def _from_line(line: str, where: str, actors: Collection[str]) -> Request:
    match = _LINE.match(line)
    if match is None:
        raise ListingError(
            f"{where}: {line!r} is no request: write METHOD, target, `as` an actor, a JSON body."
        )
    method, target, actor, body = match.groups()
    if (method or "GET") not in METHODS:
        raise ListingError(f"{where}: {method} is none of {', '.join(METHODS)}.")
    if actor and actor not in actors:
        raise ListingError(
            f"{where}: there is no actor {actor!r} in [tool.queryscope.actors]; "
            f"known are {', '.join(sorted(actors)) or 'none'}."
        )
    if body:
        try:
            json.loads(body)
        except ValueError as error:
            raise ListingError(f"{where}: the body is no JSON: {error}.") from error
    return Request(
        method=method or "GET",
        target=_target(target, where),
        headers=(("Content-Type", "application/json"),) if body else (),
        body=(body or "").encode(),
        actor=actor or "",
    )


def _target(text: str, where: str) -> str:
    """Return path and query, percent-encoded where they are not."""
    parts = urlsplit(text)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.startswith("/"):
        raise ListingError(f"{where}: the target {text!r} must begin with a slash or with http.")
    return quote(target, safe="%/?:@!$&'()*+,;=-._~[]")


def from_har(text: str, *, source: str, actor: str = "") -> list[Request]:
    """Return the requests of a HAR file; credentials are left out, ``actor`` brings its own.

    Raises:
        ListingError: It is no HAR file.
    """
    try:
        entries: list[dict[str, Any]] = json.loads(text)["log"]["entries"]
        return [_from_entry(entry["request"], source, actor) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ListingError(f"{source} is no HAR file: {type(error).__name__}: {error}.") from error


def _from_entry(request: dict[str, Any], source: str, actor: str) -> Request:
    kept = []
    for header in request.get("headers", ()):
        name = str(header["name"])
        if not name.startswith(":") and name.lower() not in (*MASKED, *TRANSPORT):
            kept.append((name, str(header["value"])))
    posted = request.get("postData") or {}
    body = str(posted.get("text", ""))
    encoded = posted.get("encoding") == "base64"
    return Request(
        method=str(request["method"]).upper(),
        target=_target(str(request["url"]), source),
        headers=tuple(kept),
        body=base64.b64decode(body) if encoded else body.encode(),
        actor=actor,
    )


def by_endpoint(requests: Iterable[Request], *, wanted: str = "") -> dict[str, list[Request]]:
    """Return endpoints to their requests, each request once.

    Args:
        requests: All of them.
        wanted: An endpoint such as ``GET /items/{id}``: others are left out. Without it a number
            or a UUID in a path is taken for a parameter.
    """
    found: dict[str, list[Request]] = {}
    for request in dict.fromkeys(requests):
        if wanted and not _matches(request, wanted):
            continue
        found.setdefault(wanted or endpoint_of(request), []).append(request)
    return found


def endpoint_of(request: Request) -> str:
    """Return method and path with numbers and UUIDs folded."""
    return f"{request.method} {'/'.join(_folded(request.raw_path))}"


def route_of(endpoint: str) -> str:
    """Return an endpoint with its parameters' names left out: ``GET /items/{}``."""
    return _PLACE.sub("{}", endpoint.strip())


def _folded(path: str) -> Iterator[str]:
    for part in path.split("/"):
        yield "{id}" if _NUMBER.match(part) else part


def _matches(request: Request, endpoint: str) -> bool:
    method, _, route = endpoint.strip().rpartition(" ")
    if method and method.strip().upper() != request.method:
        return False
    parts = _PLACE.split(route)
    return re.fullmatch("[^/]+".join(map(re.escape, parts)), request.raw_path) is not None
