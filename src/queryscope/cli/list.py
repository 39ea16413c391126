"""The command ``queryscope list``: the stored Traces as a table."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

from queryscope.cli.counts import count_from_one
from queryscope.errors import NotFoundError
from queryscope.report.text import duration, visible
from queryscope.store.file import Store
from queryscope.trace.events import TraceKind

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.table import Table
    from rich.text import Text

    from queryscope.store.file import Summary

LIMIT = 50
"""Traces listed unless another number is given."""
_STYLES = {"critical": "bold red", "warning": "yellow", "info": "blue"}
_WHAT = 2
"""Index of the column that gives way in a narrow terminal, and the least it keeps."""
_MIN_WHAT = 12
_UNBOUNDED = 10_000
"""Columns of a table for a file or another program: nothing is cut there."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``list``."""
    parser.add_argument(
        "--route",
        metavar="ROUTE",
        help='only a route, path or name, such as "GET /orders"',
    )
    parser.add_argument("--kind", choices=get_args(TraceKind), help="only one kind of Trace")
    parser.add_argument(
        "--limit",
        type=count_from_one,
        default=LIMIT,
        metavar="N",
        help=f"at most so many (default: {LIMIT})",
    )


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    store = Store(options.store)
    summaries = store.list(options.limit, options.route, options.kind)
    if not summaries:
        # Says whether there is no store, no Trace at all, or none of this route.
        store.latest(options.route)
        raise NotFoundError(f"There is no such Trace of kind {options.kind!r} in {store.path}.")
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if terminal else _UNBOUNDED, highlight=False)
    table = _table(summaries)
    natural = console.measure(table, options=console.options.update(max_width=_UNBOUNDED)).maximum
    if natural > console.width:
        # Routes alone give way: rich would take from all columns alike, down to nothing.
        widest = max(len(visible(one.name) or one.kind) for one in summaries)
        table.columns[_WHAT].max_width = max(widest - natural + console.width, _MIN_WHAT)
    # Captured, because rich answers a closed pipe with an exit of its own.
    with console.capture() as shown:
        console.print(table)
    sys.stdout.write(shown.get())
    return 0


def _table(summaries: Sequence[Summary]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("trace", no_wrap=True)
    table.add_column("started", no_wrap=True)
    table.add_column("what", no_wrap=True, overflow="ellipsis")
    table.add_column("status", no_wrap=True)
    for name in ("time", "statements", "rows", "sessions"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("findings", no_wrap=True, overflow="ellipsis")
    for one in summaries:
        table.add_row(
            Text(visible(one.id, limit=64)),
            Text(_moment(one.started_at_ns)),
            Text(visible(one.name) or one.kind),
            Text(visible(one.status, limit=16)),
            Text(duration(one.duration_ns)),
            Text(f"{one.statements:,}"),
            Text(f"{one.rows:,}"),
            Text(f"{one.sessions:,}"),
            _findings(one),
        )
    return table


def _findings(one: Summary) -> Text:
    """Return the number of findings and their codes, coloured by the gravest."""
    from rich.text import Text

    number = one.critical + one.warning + one.info
    if not number:
        return Text("")
    worst = "critical" if one.critical else "warning" if one.warning else "info"
    codes = visible(one.codes.replace(",", " "), limit=120)
    return Text(f"{number}  {codes}", style=_STYLES[worst])


def _moment(unix_ns: int) -> str:
    """Return a moment in the local time of whoever reads it."""
    try:
        moment = datetime.fromtimestamp(unix_ns / 1e9, UTC).astimezone()
    except (OverflowError, OSError, ValueError):
        return ""
    return f"{moment:%Y-%m-%d %H:%M:%S}"
