"""What can be varied in a recorded request: query, path, form, JSON, headers."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

from queryscope.verify.contract import is_json
from queryscope.verify.edges import LONG, Mark

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from queryscope.verify.contract import Request

Place = Literal["query", "path", "form", "json", "header"]

FORM = "application/x-www-form-urlencoded"
MOST_LEAVES = 40
"""Places of a JSON body that are varied, the first ones."""
SHOWN_CHARACTERS = 40
"""Of a value in a variant's name."""
_KEY = re.compile(r"\d+|\d{4}-\d\d-\d\d|[0-9a-fA-F-]{32,36}|[0-9a-fA-F]{12,}")

Step = str | int


class Parameter(NamedTuple):
    """A place in a request that can be varied.

    Attributes:
        place: Where it is.
        name: Of a query or a form the name, of a path the number of the segment, of JSON the path.
        recorded: What stands there; None where nothing does, ``Mark.ABSENT`` in JSON.
        steps: The way into a JSON body.
    """

    place: Place
    name: str
    recorded: Any
    steps: tuple[Step, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What makes parameters of two requests the same."""
        return self.place, self.name


@dataclass(frozen=True, slots=True)
class Change:
    """A value for a parameter."""

    parameter: Parameter
    value: Any

    def __str__(self) -> str:
        """As a variant is called: ``capacity=0``, ``no capacity``, ``body $.qty=null``."""
        place, name = self.parameter.place, self.parameter.name
        where = {"path": f"path {name}", "json": f"body {name}", "header": f"header {name}"}
        label = where.get(place, name)
        if self.value is Mark.ABSENT:
            return f"no {label}"
        if self.value is Mark.TWICE:
            return f"{label} twice"
        text = json.dumps(self.value) if place == "json" else str(self.value)
        if text == LONG or len(text) > SHOWN_CHARACTERS:
            text = f"{text[:8]}… ({len(text)} characters)"
        return f"{label}={text}".replace("\0", "%00")


def parameters_of(
    request: Request, family: Sequence[Request], names: Collection[str], headers: Collection[str]
) -> tuple[Parameter, ...]:
    """Return what can be varied in a request.

    Args:
        request: The request.
        family: All recorded requests of its endpoint: what one of them has, each may have.
        names: Further parameters of a query that the source reads.
        headers: Headers that the source reads.
    """
    found = [
        *_queries(request, family, names),
        *_segments(request, family),
        *_fields(request, family),
        *_leaves(request),
        *(Parameter("header", name, request.header(name)) for name in headers),
    ]
    return tuple({one.key: one for one in found}.values())


def changed(request: Request, changes: Sequence[Change]) -> Request | None:
    """Return the request with changes made to it, None where they cannot be made."""
    variant = ", ".join(map(str, changes))
    body: Any = None
    if any(one.parameter.place == "json" for one in changes):
        body = json.loads(request.body)
    for change in changes:
        made = _put(request, change, body)
        if made is None:
            return None
        request = made
    if body is not None:
        try:
            content = json.dumps(body, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return None
        request = replace(request, body=content)
    return replace(request, variant=variant)


def values_in(family: Sequence[Request], parameter: Parameter) -> tuple[str, ...]:
    """Return what recorded requests have in a place that is a text, each once."""
    found: dict[str, None] = {}
    for request in family:
        if parameter.place == "query":
            found |= {value: None for name, value in request.pairs if name == parameter.name}
        elif parameter.place == "form":
            found |= {value: None for name, value in _form(request) if name == parameter.name}
        elif parameter.place == "path":
            segments = request.raw_path.split("/")
            number = int(parameter.name)
            if number < len(segments):
                found[unquote(segments[number])] = None
        elif parameter.place == "header":
            value = request.header(parameter.name)
            found |= {value: None} if value is not None else {}
    return tuple(value for value in found if value != parameter.recorded)


def _put(request: Request, change: Change, body: Any) -> Request | None:
    place, name, value = change.parameter.place, change.parameter.name, change.value
    if place == "query":
        pairs = _replaced(request.pairs, name, value, change.parameter.recorded)
        return request.with_pairs(pairs, "")
    if place == "form":
        pairs = _replaced(_form(request), name, value, change.parameter.recorded)
        return replace(request, body=urlencode(pairs, errors="surrogateescape").encode())
    if place == "header":
        rest = tuple(pair for pair in request.headers if pair[0].lower() != name.lower())
        if value is Mark.ABSENT:
            return replace(request, headers=rest)
        if value is Mark.TWICE or not _is_field(str(value)):
            return None
        return replace(request, headers=(*rest, (name, str(value))))
    if place == "path":
        if not isinstance(value, str) or not value:
            return None
        segments = request.raw_path.split("/")
        segments[int(name)] = quote(value, safe="", errors="surrogateescape")
        path = "/".join(segments)
        query = f"?{request.raw_query}" if request.raw_query else ""
        return replace(request, target=path + query)
    return request if _put_json(body, change.parameter.steps, value) else None


def _replaced(
    pairs: Sequence[tuple[str, str]], name: str, value: Any, recorded: Any
) -> list[tuple[str, str]]:
    """Return pairs with all of a name replaced, at the place of the first."""
    if value is Mark.ABSENT:
        values = []
    elif value is Mark.TWICE:
        values = [str(recorded or "1"), "0"]
    else:
        values = [str(value)]
    found: list[tuple[str, str]] = []
    waiting = [(name, one) for one in values]
    for pair in pairs:
        if pair[0] != name:
            found.append(pair)
        else:
            found += waiting
            waiting = []
    return found + waiting


def _put_json(body: Any, steps: tuple[Step, ...], value: Any) -> bool:
    if not steps or value is Mark.TWICE:
        return False
    for step in steps[:-1]:
        try:
            body = body[step]
        except (KeyError, IndexError, TypeError):
            return False
    last = steps[-1]
    try:
        if value is Mark.ABSENT:
            del body[last]
        else:
            body[last] = copy.deepcopy(value)
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _queries(
    request: Request, family: Sequence[Request], names: Collection[str]
) -> Iterator[Parameter]:
    known = dict.fromkeys(name for one in (request, *family) for name, _ in one.pairs)
    mine = dict(reversed(request.pairs))
    for name in [*known, *names]:
        yield Parameter("query", name, mine.get(name))


def _segments(request: Request, family: Sequence[Request]) -> Iterator[Parameter]:
    """Yield the segments of a path that differ between requests or look like keys."""
    segments = request.raw_path.split("/")
    paths = [one.raw_path.split("/") for one in family]
    for number, segment in enumerate(segments):
        alike = {path[number] for path in paths if len(path) == len(segments)}
        if segment and (len(alike) > 1 or _KEY.fullmatch(segment)):
            yield Parameter("path", str(number), unquote(segment))


def _fields(request: Request, family: Sequence[Request]) -> Iterator[Parameter]:
    if request.media_type != FORM:
        return
    mine = dict(reversed(_form(request)))
    for name in dict.fromkeys(name for one in (request, *family) for name, _ in _form(one)):
        yield Parameter("form", name, mine.get(name))


def _form(request: Request) -> list[tuple[str, str]]:
    if request.media_type != FORM:
        return []
    text = request.body.decode("utf-8", "surrogateescape")
    return parse_qsl(text, keep_blank_values=True, errors="surrogateescape")


def _leaves(request: Request) -> list[Parameter]:
    """Return the places of a JSON body, those nearest to its top first."""
    if not is_json(request.media_type) or not request.body:
        return []
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return []
    found: list[Parameter] = []
    waiting: list[tuple[tuple[Step, ...], str, Any]] = [((), "$", body)]
    while waiting and len(found) < MOST_LEAVES:
        steps, path, value = waiting.pop(0)
        if steps:
            found.append(Parameter("json", path, value, steps))
        if isinstance(value, dict):
            waiting += [((*steps, key), f"{path}.{key}", one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [((*steps, n), f"{path}[{n}]", one) for n, one in enumerate(value[:2])]
    return found


def _is_field(value: str) -> bool:
    """Return whether a header may have a value: printable, and not beyond Latin-1."""
    return all(" " <= character <= "ÿ" and character != "\x7f" for character in value)
