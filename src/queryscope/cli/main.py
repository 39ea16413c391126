"""The command ``queryscope``: finds the command's module, and turns errors into exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol

import queryscope
from queryscope.errors import QueryscopeError, nearest
from queryscope.report.text import visible_lines
from queryscope.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 2
"""Exit code for wrong use and for every QueryscopeError."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells count: 128 and the number of the signal."""
PIPE_CLOSED = 141
"""Exit code when nobody reads our output any more, as of a process that SIGPIPE ended."""
MAX_ERROR_CHARS = 4_000


class Command(Protocol):
    """What the module of a command has."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments; ``--store`` is there already."""

    def run(self, options: argparse.Namespace) -> int:
        """Do the work and return the exit code; ``options.store`` is the store's path."""


class Entry(NamedTuple):
    """Where a command is, and what it does in one line."""

    module: str
    summary: str


COMMANDS = {
    "baseline": Entry(
        "queryscope.cli.baseline", "write, check or prune the file of known findings"
    ),
    "check": Entry("queryscope.cli.check", "fail where recorded Traces have open findings"),
    "contract": Entry("queryscope.cli.contract", "record what endpoints answer, or check that"),
    "growth": Entry("queryscope.cli.growth", "show how statements grow with rows, line by line"),
    "list": Entry("queryscope.cli.list", "show the stored Traces, the newest first"),
    "plan": Entry("queryscope.cli.plan", "ask a database what it does for a recorded statement"),
    "pool": Entry(
        "queryscope.cli.pool", "foretell waits and deadlocks of pools from recorded holding times"
    ),
    "report": Entry(
        "queryscope.cli.report", "write the report of a Trace: HTML, text, JSON, SARIF, annotations"
    ),
    "rule": Entry("queryscope.cli.rule", "show the page of a code such as QS101, or all codes"),
    "run": Entry("queryscope.cli.run", "run a command and record it, without any change to it"),
    "scan": Entry("queryscope.cli.scan", "rank endpoints and lines of recorded traffic by waste"),
    "verify": Entry(
        "queryscope.cli.verify", "prove that a patch changes no answer and costs less, or refuse it"
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: What stands behind ``queryscope``; None for the process's own.
    """
    for stream in (sys.stdout, sys.stderr):
        # Recorded text may hold what the terminal's encoding does not have.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except QueryscopeError as error:
        print(f"queryscope: {visible_lines(str(error), limit=MAX_ERROR_CHARS)}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # What is still buffered goes nowhere; without this the interpreter complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _dispatch(arguments: list[str]) -> int:
    place = _place_of_command(arguments)
    parser = _parser()
    common = parser.parse_args(arguments[:place])
    if place == len(arguments):
        parser.print_help(sys.stderr)
        return FAILED
    name = arguments[place]
    if name not in COMMANDS:
        parser.error(f"there is no command {name!r}.{nearest(name, COMMANDS)}")
    options = command_parser(name).parse_args(arguments[place + 1 :])
    options.store = options.store or common.store or Settings().store_path
    return _command(name).run(options)


def _command(name: str) -> Command:
    command: Command = import_module(COMMANDS[name].module)
    return command


def command_parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of a command's own arguments; the reference is written from it."""
    parser = argparse.ArgumentParser(
        prog=f"queryscope {name}", description=f"{COMMANDS[name].summary}.", allow_abbrev=False
    )
    _add_store(parser)
    _command(name).configure(parser)
    return parser


def _place_of_command(arguments: list[str]) -> int:
    """Return the index of the first argument that is no option of ours."""
    place = 0
    while place < len(arguments) and arguments[place].startswith("-"):
        place += 2 if arguments[place] == "--store" else 1
    return min(place, len(arguments))


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {entry.summary}" for name, entry in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="queryscope",
        usage="%(prog)s [--store PATH] COMMAND ...",
        description=(queryscope.__doc__ or "").partition("\n")[0],
        epilog="\n".join(
            ["commands:", *lines, "", "`queryscope COMMAND --help` tells more about one."]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"queryscope {queryscope.__version__}"
    )
    _add_store(parser)
    return parser


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        metavar="PATH",
        help=f"the file with the Traces (default: {Settings().store_path})",
    )


if __name__ == "__main__":
    sys.exit(main())
