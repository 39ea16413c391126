"""Contracts: recorded requests and the answers that the original code gave, as readable JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

from queryscope.credentials import MASK, MASKED
from queryscope.errors import QueryscopeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KIND = "queryscope contract"
"""The first name in a contract's file; its value is the form."""
FORMAT = 1
"""Counts the forms of the file; every form ever written stays readable."""
NOBODY = ""
"""The actor of a request without credentials."""

STRANGER = " with another credential"
"""Behind an actor's name: somebody who sends what the actor sends, with wrong credentials."""

Pairs = tuple[tuple[str, str], ...]


class ContractError(QueryscopeError):
    """A contract's file cannot be read or is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it is sent.

    Attributes:
        method: Upper case.
        target: Path and query as they stand in the request line: percent-encoded ASCII.
        headers: Names and values in order, without those that the actor brings.
        body: As sent, ``b""`` without one.
        actor: Who asks, a name of ``[tool.queryscope.actors]``; ``""`` is nobody.
        variant: What was changed in a recorded request, such as ``capacity=0``; ``""`` for a
            recorded one.
    """

    method: str = "GET"
    target: str = "/"
    headers: Pairs = ()
    body: bytes = b""
    actor: str = NOBODY
    variant: str = ""

    @property
    def raw_path(self) -> str:
        """The path, percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(self.raw_path)

    @property
    def raw_query(self) -> str:
        """The query without its question mark, percent-encoded."""
        return self.target.partition("?")[2]

    @property
    def pairs(self) -> Pairs:
        """Names and values of the query, decoded, in order; empty values are kept."""
        return tuple(parse_qsl(self.raw_query, keep_blank_values=True, errors="surrogateescape"))

    def with_pairs(self, pairs: Iterable[tuple[str, str]], variant: str) -> Request:
        """Return the request with another query."""
        query = urlencode(list(pairs), errors="surrogateescape")
        target = f"{self.raw_path}?{query}" if query else self.raw_path
        return replace(self, target=target, variant=variant)

    def header(self, name: str) -> str | None:
        """Return a header's first value, None without it."""
        return _header(self.headers, name)

    @property
    def media_type(self) -> str:
        """The body's type without its parameters, in lower case; ``""`` if not said."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def key(self) -> str:
        """A digest of all that is sent; equal requests of one actor have equal keys."""
        parts = [self.method, self.target, repr(self.headers), self.actor, self.body.hex()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """As a person reads it: ``GET /items/7 as alice``."""
        who = f" as {self.actor}" if self.actor else ""
        return f"{self.method} {self.target}{who}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one request, and what it did beside.

    Attributes:
        status: The status code; 0 where no answer came.
        headers: Names and values in order.
        body: The whole body.
        error: Class and text of what went wrong without an answer (an exception that escaped,
            ``time-out``), else ``""``.
        effects: What the request did beside answering, names and values, sorted: rows written
            (``rows of booking_item``), ``mail``, ``log ERROR``, ``file written``.
    """

    status: int
    headers: Pairs = ()
    body: bytes = b""
    error: str = ""
    effects: Pairs = ()

    def header(self, name: str) -> str | None:
        """Return a header's first value, None without it."""
        return _header(self.headers, name)

    @property
    def media_type(self) -> str:
        """The body's type without its parameters, in lower case; ``""`` if not said."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()


class Difference(NamedTuple):
    """One place where two answers differ.

    Attributes:
        path: Where: ``status``, ``header content-type``, ``body $.items[3].price``, ``error``,
            ``effect mail``.
        expected: What the original gave there, as text with its type visible and bounded;
            ``(absent)`` where it has nothing.
        got: What the patched code gave, likewise.
    """

    path: str
    expected: str
    got: str

    def __str__(self) -> str:
        """In one line."""
        return f"{self.path}: {self.expected} became {self.got}"


class Exchange(NamedTuple):
    """A request and the answer to it."""

    request: Request
    answer: Answer


class Data(NamedTuple):
    """The data that answers were given on.

    Attributes:
        name: The database's name, without credentials.
        sha256: A digest of its content.
    """

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What one endpoint answers.

    Attributes:
        endpoint: Method and route: ``GET /items/{id}``.
        data: What the answers were given on.
        exchanges: Requests with their answers; recorded ones first.
        unstable: Paths of ``Difference`` that differed between two runs of the same code, with
            ``[*]`` for every index: compared by type and pattern only.
    """

    endpoint: str
    data: Data
    exchanges: tuple[Exchange, ...]
    unstable: tuple[str, ...] = ()

    @property
    def requests(self) -> tuple[Request, ...]:
        """The requests alone."""
        return tuple(exchange.request for exchange in self.exchanges)


def _header(headers: Pairs, name: str) -> str | None:
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)


def masked(headers: Pairs) -> Pairs:
    """Return headers with the credentials' values masked."""
    return tuple((name, MASK if name.lower() in MASKED else value) for name, value in headers)


def filled(headers: Pairs, brought: Pairs) -> Pairs:
    """Return headers as they are sent: those that are masked give way to what the actor brings.

    Args:
        headers: Of a request that was recorded or read from a file.
        brought: What the actor brings.
    """
    return (*(pair for pair in headers if pair[1] != MASK), *brought)


# -- JSON -------------------------------------------------------------------------------------


def to_json(contract: Contract) -> str:
    """Return a contract as the text of its file; credentials are masked.

    A body that is JSON stands in it as JSON, by value: its white space is not kept.
    """
    document = {
        KIND: FORMAT,
        "endpoint": contract.endpoint,
        "data": contract.data._asdict(),
        "unstable": list(contract.unstable),
        "exchanges": [
            {"request": request_to_plain(request), "answer": answer_to_plain(answer)}
            for request, answer in contract.exchanges
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str, *, source: str) -> Contract:
    """Return the contract that a text holds.

    Args:
        text: The text of the file.
        source: Where it stands, for the error's text.

    Raises:
        ContractError: It is no JSON, of a newer form, or something in it is missing.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ContractError(f"{source} is no JSON: {error}.") from error
    form = document.get(KIND) if isinstance(document, dict) else None
    if not isinstance(form, int):
        raise ContractError(f"{source} is no contract: it has no entry {KIND!r}.")
    if form > FORMAT:
        raise ContractError(
            f"{source} has form {form}, and this version of queryscope reads up to {FORMAT}."
        )
    try:
        return Contract(
            endpoint=str(document["endpoint"]),
            data=Data(**document["data"]),
            unstable=tuple(map(str, document["unstable"])),
            exchanges=tuple(
                Exchange(request_from_plain(one["request"]), answer_from_plain(one["answer"]))
                for one in document["exchanges"]
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ContractError(
            f"{source} is damaged: {type(error).__name__}: {error}. Record it again."
        ) from error


def request_to_plain(request: Request, *, mask: bool = True) -> dict[str, Any]:
    """Return a request as JSON values; what is empty is left out."""
    headers = masked(request.headers) if mask else request.headers
    plain: dict[str, Any] = {"method": request.method, "target": request.target}
    if headers:
        plain["headers"] = [list(pair) for pair in headers]
    if request.body:
        plain |= _body_to_plain(request.body, request.media_type)
    if request.actor:
        plain["actor"] = request.actor
    if request.variant:
        plain["variant"] = request.variant
    return plain


def request_from_plain(plain: dict[str, Any]) -> Request:
    """Return the request of JSON values."""
    return Request(
        method=str(plain["method"]),
        target=str(plain["target"]),
        headers=_pairs(plain.get("headers", ())),
        body=_body_from_plain(plain),
        actor=str(plain.get("actor", NOBODY)),
        variant=str(plain.get("variant", "")),
    )


def answer_to_plain(answer: Answer, *, mask: bool = True) -> dict[str, Any]:
    """Return an answer as JSON values; what is empty is left out."""
    headers = masked(answer.headers) if mask else answer.headers
    plain: dict[str, Any] = {"status": answer.status}
    if headers:
        plain["headers"] = [list(pair) for pair in headers]
    if answer.body:
        plain |= _body_to_plain(answer.body, answer.media_type)
    if answer.error:
        plain["error"] = answer.error
    if answer.effects:
        plain["effects"] = [list(pair) for pair in answer.effects]
    return plain


def answer_from_plain(plain: dict[str, Any]) -> Answer:
    """Return the answer of JSON values."""
    return Answer(
        status=int(plain["status"]),
        headers=_pairs(plain.get("headers", ())),
        body=_body_from_plain(plain),
        error=str(plain.get("error", "")),
        effects=_pairs(plain.get("effects", ())),
    )


def is_json(media_type: str) -> bool:
    """Tell whether a body of this type is JSON."""
    return media_type == "application/json" or media_type.endswith("+json")


def _pairs(values: Sequence[Sequence[str]]) -> Pairs:
    return tuple((str(name), str(value)) for name, value in values)


def _body_to_plain(body: bytes, media_type: str) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode("ascii")}
    if is_json(media_type):
        try:
            value = json.loads(text, object_pairs_hook=_without_twins)
            _json_bytes(value)
        except (ValueError, RecursionError):
            pass  # as text, then: no JSON, a key twice, half of a surrogate pair
        else:
            return {"json": value}
    return {"text": text}


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _json_bytes(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _body_from_plain(plain: dict[str, Any]) -> bytes:
    if "json" in plain:
        return _json_bytes(plain["json"])
    if "base64" in plain:
        return base64.b64decode(plain["base64"], validate=True)
    return str(plain.get("text", "")).encode("utf-8")
