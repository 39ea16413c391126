"""The command ``queryscope contract``: records what endpoints answer, and checks that they do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.errors import NotFoundError, QueryscopeError
from queryscope.report.text import counted, visible
from queryscope.verify import compare, listing, project, recorded
from queryscope.verify.bench import Bench
from queryscope.verify.workspace import RunFolder

if TYPE_CHECKING:
    import argparse

    from queryscope.verify.contract import Request
    from queryscope.verify.project import Project

DIFFERENT = 1
"""Exit code of ``check`` where an answer is not the one of its contract."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``contract``."""
    parser.add_argument("action", choices=("record", "check"), help="what to do")
    parser.add_argument(
        "endpoint",
        nargs="?",
        default="",
        metavar="ENDPOINT",
        help='only this one, such as "GET /items/{id}" (default: every one)',
    )
    add_requests(parser)
    parser.add_argument(
        "--update", action="store_true", help="check: write what is answered now, and show it"
    )


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
        "--actor", metavar="ACTOR", default="", help="who sends the requests of HAR files"
    )
    parser.add_argument(
        "--project",
        metavar="FOLDER",
        default=".",
        help="where the project with its pyproject.toml is (default: here)",
    )


def run(options: argparse.Namespace) -> int:
    """Record or check; 1 where a check finds another answer."""
    found = project.load(Path(options.project))
    if options.action == "check":
        return _check(found, options)
    requests = requests_of(found, options)
    if not requests:
        raise NotFoundError(
            "There is nothing to record: name requests with --urls FILE, --har FILE or --request."
        )
    with RunFolder() as folder:
        for contract in recorded.record(Bench(found, folder), requests):
            file = recorded.write(contract, found.contracts)
            print(
                f"{contract.endpoint}: {counted(len(contract.exchanges), 'answer')}, "
                f"{counted(len(contract.unstable), 'unstable field')}, in {visible(str(file))}"
            )
    return 0


def requests_of(found: Project, options: argparse.Namespace) -> dict[str, list[Request]]:
    """Return endpoints to the requests that the options name.

    Raises:
        ListingError: A list cannot be read.
        NotFoundError: None of them belongs to the endpoint that was asked for.
    """
    requests: list[Request] = []
    for name in options.urls:
        requests += listing.from_lines(_text(name), source=name, actors=found.actors)
    for line in options.request:
        requests += listing.from_lines(line, source="--request", actors=found.actors)
    if options.actor and options.actor not in found.actors:
        raise NotFoundError(f"There is no actor {options.actor!r} in [tool.queryscope.actors].")
    for name in options.har:
        requests += listing.from_har(_text(name), source=name, actor=options.actor)
    endpoints = listing.by_endpoint(requests, wanted=getattr(options, "endpoint", ""))
    if requests and not endpoints:
        known = ", ".join(sorted(listing.by_endpoint(requests)))
        raise NotFoundError(f"No request belongs to {options.endpoint}: there are {known}.")
    return endpoints


def _text(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise QueryscopeError(f"{name} cannot be read: {reason}.") from error


def contracts_of(found: Project) -> list[Path]:
    """Return the files of a project's contracts.

    Raises:
        NotFoundError: There is none.
    """
    files = sorted(found.contracts.glob(recorded.GLOB))
    if not files:
        raise NotFoundError(
            f"There is no contract in {found.contracts}: record one with "
            "`queryscope contract record --urls FILE`, or name requests with --urls."
        )
    return files


def _check(found: Project, options: argparse.Namespace) -> int:
    contracts = recorded.read(contracts_of(found))
    if options.endpoint:
        contracts = [one for one in contracts if one.endpoint == options.endpoint]
        if not contracts:
            raise NotFoundError(f"There is no contract of {options.endpoint}.")
    with RunFolder() as folder:
        bench = Bench(found, folder)
        broken = recorded.check(bench, contracts)
        for one in broken:
            print(f"{one.endpoint}: {one.request}")
            for line in compare.table_of(one.differences).splitlines():
                print(f"  {visible(line, limit=1_000)}")
        total = sum(len(one.exchanges) for one in contracts)
        print(f"{len(broken)} of {counted(total, 'answer')} differ from their contracts.")
        if broken and options.update:
            asked = {one.endpoint: list(one.requests) for one in contracts}
            for contract in recorded.record(bench, asked):
                recorded.write(contract, found.contracts)
            print("The contracts are written again: look at their diff before you keep it.")
            return 0
    return DIFFERENT if broken else 0
