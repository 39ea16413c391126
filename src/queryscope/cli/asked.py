"""The arguments that say which requests are asked, and the requests that they name."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.errors import NotFoundError, QueryscopeError
from queryscope.report.text import visible
from queryscope.store.file import Store
from queryscope.verify import captures, listing, openapi, recorded
from queryscope.verify.contract import Request

if TYPE_CHECKING:
    import argparse

    from queryscope.verify.bench import Bench

OK = 200


def add_requests(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what is asked."""
    parser.add_argument(
        "--urls",
        metavar="FILE",
        action="append",
        default=[],
        help="a list of requests, one a line: GET /items/7 as ACTOR",
    )
    parser.add_argument(
        "--request",
        metavar="LINE",
        action="append",
        default=[],
        help='one request, as a line of such a list: "GET /items/7 as ACTOR"',
    )
    parser.add_argument(
        "--har", metavar="FILE", action="append", default=[], help="a HAR file with requests"
    )
    parser.add_argument(
        "--openapi",
        metavar="PLACE",
        action="append",
        default=[],
        help="an OpenAPI schema in JSON: a file, or a path that the application answers, such as "
        "/openapi.json",
    )
    parser.add_argument(
        "--captured",
        action="store_true",
        help="the requests that the store holds, captured with capture_requests or by "
        "`pytest --contract-capture`",
    )
    parser.add_argument(
        "--actor",
        metavar="ACTOR",
        default="",
        help="who sends the requests of HAR files, schemas, and captured ones with credentials",
    )
    parser.add_argument(
        "--project",
        metavar="FOLDER",
        default=".",
        help="where the project with its pyproject.toml is (default: here)",
    )


def is_guessed(options: argparse.Namespace) -> bool:
    """Tell whether some requests were not written down for a contract: not each has an answer."""
    return bool(options.openapi or options.captured)


def requests_of(bench: Bench, options: argparse.Namespace) -> dict[str, list[Request]]:
    """Return endpoints to the requests that the options name.

    Raises:
        ListingError: A list cannot be read.
        NotFoundError: None of them belongs to the endpoint that was asked for, or the actor is
            none of the project's.
    """
    actors = bench.project.actors
    if options.actor and options.actor not in actors:
        raise NotFoundError(f"There is no actor {options.actor!r} in [tool.queryscope.actors].")
    requests: list[Request] = []
    for name in options.urls:
        requests += listing.from_lines(_text(name), source=name, actors=actors)
    for line in options.request:
        requests += listing.from_lines(line, source="--request", actors=actors)
    for name in options.har:
        requests += listing.from_har(_text(name), source=name, actor=options.actor)
    wanted = getattr(options, "endpoint", "")
    endpoints = listing.by_endpoint(requests, wanted=wanted)
    for found, left_out in _with_endpoints(bench, options):
        for sentence in left_out:
            print(visible(f"left out: {sentence}"), file=sys.stderr)
        for endpoint, ones in found.items():
            requests += ones
            if wanted and listing.route_of(wanted) != listing.route_of(endpoint):
                continue
            there = endpoints.setdefault(wanted or endpoint, [])
            there += [one for one in ones if one not in there]
    if requests and not endpoints:
        known = ", ".join(sorted(listing.by_endpoint(requests)))
        raise NotFoundError(f"No request belongs to {options.endpoint}: there are {known}.")
    return endpoints


def _with_endpoints(bench: Bench, options: argparse.Namespace) -> list[openapi.Described]:
    """Return what tells its endpoints itself."""
    found = [
        openapi.from_openapi(_schema(bench, place), source=place, actor=options.actor)
        for place in options.openapi
    ]
    if options.captured:
        with closing(Store(options.store)) as store:
            kept = store.captured()
        if not kept:
            raise NotFoundError(
                f"{options.store} holds no captured request: set capture_requests in development, "
                "or run `pytest --contract-capture`."
            )
        found.append(captures.described(kept, options.actor))
    return found


def _schema(bench: Bench, place: str) -> str:
    """Return a schema's text: of a file, or as the application answers it."""
    if not place.startswith("/") or Path(place).exists():
        return _text(place)
    answer = recorded.answer_to(bench, Request(target=place))
    if answer.status != OK:
        raise QueryscopeError(
            f"The application answers {place} with {answer.status or answer.error}, and there is "
            "no such file: no schema."
        )
    return answer.body.decode("utf-8", "replace")


def _text(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise QueryscopeError(f"{name} cannot be read: {reason}.") from error
