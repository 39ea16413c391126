"""The command ``queryscope report``: one stored Trace as HTML, text, JSON or SARIF."""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.cli.check import rendered_as
from queryscope.cli.recorded import write_text
from queryscope.detectors.registry import Judged
from queryscope.policy.decisions import load
from queryscope.report.collected import collect
from queryscope.store.file import Store

if TYPE_CHECKING:
    import argparse

FORMATS = {
    "html": "queryscope.report.html",
    "terminal": "queryscope.report.console",
    "json": "queryscope.report.json",
}
COLLECTED = ("sarif", "github")
"""Forms that have findings alone; those of several Traces are written by ``queryscope check``."""
_NO_FILE_NAME = re.compile(r"[^\w-]")
_MAX_NAME_CHARS = 64


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``report``."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "trace", nargs="?", metavar="TRACE", help="id of a Trace, or the beginning of one"
    )
    which.add_argument("--latest", action="store_true", help="the newest Trace (the default)")
    which.add_argument(
        "--route",
        metavar="ROUTE",
        help='the newest Trace of a route, path or name, such as "GET /orders"',
    )
    parser.add_argument(
        "--format", choices=(*FORMATS, *COLLECTED), default="html", help="the form (default: html)"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="where to write it; - is the standard output (default: html into a file beside the "
        "store, the others to the standard output)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the report; of a file the path is printed."""
    wanted = options.trace
    with closing(Store(options.store)) as store:
        judged = store.latest(options.route) if wanted is None else store.get(wanted)
    policy = load(Path.cwd())
    output = options.output
    if output is None and options.format == "html":
        output = str(Path(options.store).parent / f"report-{_file_name(judged)}.html")
    if options.format in COLLECTED:
        text = rendered_as(options.format, collect([judged], policy))
    else:
        # What is known today, whatever was known when it was recorded.
        now = Judged(judged.trace, policy.apply(judged.findings))
        text = _rendered(now, options.format, to_terminal=output is None)
    write_text(text, output)
    return 0


def _rendered(judged: Judged, form: str, *, to_terminal: bool) -> str:
    render = import_module(FORMATS[form]).render
    if form == "terminal" and to_terminal and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        color = not os.environ.get("NO_COLOR")
        text: str = render(judged.trace, judged.findings, width=width, color=color)
    else:
        text = render(judged.trace, judged.findings)
    return text


def _file_name(judged: Judged) -> str:
    """Return the id as a part of a file name, whatever a file from elsewhere calls its Trace."""
    return _NO_FILE_NAME.sub("_", judged.trace.id)[:_MAX_NAME_CHARS]
