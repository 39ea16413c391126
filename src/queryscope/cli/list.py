"""The command ``queryscope list``: the stored Traces as a table."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from queryscope.cli.recorded import add_newest, listed
from queryscope.cli.tables import STYLES, a_table, print_table
from queryscope.report.text import duration, visible
from queryscope.store.file import Store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.table import Table
    from rich.text import Text

    from queryscope.store.summary import Summary

LIMIT = 50
"""Traces listed unless another number is given."""
_WHAT = 2
"""Index of the column that gives way in a narrow terminal."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``list``."""
    add_newest(parser, LIMIT, "at most so many")


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    with closing(Store(options.store)) as store:
        summaries = listed(store, options.limit, options.route, options.kind)
    widest = max(len(visible(one.name) or one.kind) for one in summaries)
    print_table(_table(summaries), gives_way=_WHAT, widest=widest)
    return 0


def _table(summaries: Sequence[Summary]) -> Table:
    from rich.text import Text

    table = a_table()
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
    return Text(f"{number}  {codes}", style=STYLES[worst])


def _moment(unix_ns: int) -> str:
    """Return a moment in the local time of whoever reads it."""
    try:
        moment = datetime.fromtimestamp(unix_ns / 1e9, UTC).astimezone()
    except (OverflowError, OSError, ValueError):
        return ""
    return f"{moment:%Y-%m-%d %H:%M:%S}"
