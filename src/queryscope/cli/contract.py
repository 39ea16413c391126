"""The command ``queryscope contract``: records what endpoints answer, and checks that they do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.cli.asked import add_requests, is_guessed, requests_of
from queryscope.errors import NotFoundError
from queryscope.report.text import counted, visible
from queryscope.verify import compare, project, recorded
from queryscope.verify.bench import Bench
from queryscope.verify.workspace import RunFolder

if TYPE_CHECKING:
    import argparse

    from queryscope.verify.project import Project

MAX_LINE_CHARS = 1_000
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


def run(options: argparse.Namespace) -> int:
    """Record or check; 1 where a check finds another answer."""
    found = project.load(Path(options.project))
    if options.action == "check":
        return _check(found, options)
    with RunFolder() as folder:
        bench = Bench(found, folder)
        requests = requests_of(bench, options)
        if not requests:
            raise NotFoundError(
                "There is nothing to record: name requests with --urls FILE, --har FILE, "
                "--openapi PLACE, --captured or --request."
            )
        left_out = _say if is_guessed(options) else None
        for contract in recorded.record(bench, requests, left_out=left_out):
            file = recorded.write(contract, found.contracts)
            print(
                f"{contract.endpoint}: {counted(len(contract.exchanges), 'answer')}, "
                f"{counted(len(contract.unstable), 'unstable field')}, in {visible(str(file))}"
            )
    return 0


def _say(sentence: str) -> None:
    print(visible(f"left out: {sentence}", limit=MAX_LINE_CHARS), file=sys.stderr)


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
                print(f"  {visible(line, limit=MAX_LINE_CHARS)}")
        total = sum(len(one.exchanges) for one in contracts)
        print(f"{len(broken)} of {counted(total, 'answer')} differ from their contracts.")
        if broken and options.update:
            asked = {one.endpoint: list(one.requests) for one in contracts}
            for contract in recorded.record(bench, asked):
                recorded.write(contract, found.contracts)
            print("The contracts are written again: look at their diff before you keep it.")
            return 0
    return DIFFERENT if broken else 0
