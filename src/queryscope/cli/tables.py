"""Tables and trees of the command line: whole for files, within the width of a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.tree import Tree

STYLES = {"critical": "bold red", "warning": "yellow", "info": "blue"}
"""Colours by severity."""
MIN_CHARS = 12
"""What the column that gives way keeps at least."""
_UNBOUNDED = 10_000
"""Columns of a table for a file or another program: nothing is cut there."""


def a_table() -> Table:
    """Return an empty table in the style of all commands."""
    from rich.table import Table

    return Table(box=None, header_style="bold", pad_edge=False)


def print_table(table: Table, *, gives_way: int, widest: int) -> None:
    """Print a table; in a narrow terminal one column alone gives way.

    rich would take from all columns alike, down to nothing.

    Args:
        table: The table.
        gives_way: Index of the column.
        widest: Characters of its longest cell.
    """
    console = _console()
    natural = console.measure(table, options=console.options.update(max_width=_UNBOUNDED)).maximum
    if natural > console.width:
        table.columns[gives_way].max_width = max(widest - natural + console.width, MIN_CHARS)
    _show(console, table)


def print_tree(tree: Tree) -> None:
    """Print a tree; in a terminal its lines are folded."""
    _show(_console(), tree)


def _console() -> Console:
    from rich.console import Console

    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, width=None if terminal else _UNBOUNDED, highlight=False)


def _show(console: Console, shown: Table | Tree) -> None:
    # Captured, because rich answers a closed pipe with an exit of its own.
    with console.capture() as captured:
        console.print(shown)
    sys.stdout.write(captured.get())
