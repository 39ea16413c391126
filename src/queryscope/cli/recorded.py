"""Which recorded Traces a command looks at, and where its text goes."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from queryscope.cli.counts import count_from_one
from queryscope.detectors._openers import place
from queryscope.errors import NotFoundError, QueryscopeError
from queryscope.report.text import visible
from queryscope.store.file import Store
from queryscope.trace.events import Frame, TraceKind

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from queryscope.detectors.registry import Judged
    from queryscope.store.summary import Summary
    from queryscope.trace.events import TemplateNode

_ALL = 2**31 - 1
LIMIT = 1_000
"""Traces that are read together unless another number is given."""


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose Traces."""
    _add_place(parser)
    parser.add_argument(
        "--every",
        action="store_true",
        help="every Trace of the store (default: the newest of each route, test or command)",
    )


def chosen(options: argparse.Namespace) -> Iterator[Judged]:
    """Yield the Traces that were asked for, the newest first.

    Raises:
        NotFoundError: There is none.
    """
    with closing(Store(options.store)) as store:
        wanted = getattr(options, "trace", None)
        if wanted is not None:
            yield store.get(wanted)
            return
        seen = set()
        for one in listed(store, _ALL, options.route, options.kind):
            what = one.kind, one.method, one.route or one.name
            if options.every or what not in seen:
                seen.add(what)
                yield store.get(one.id)


def add_newest(
    parser: argparse.ArgumentParser,
    limit: int = LIMIT,
    words: str = "read at most so many Traces, the newest",
) -> None:
    """Add the arguments that choose the newest Traces of a route and kind.

    Args:
        parser: The command's.
        limit: How many, where no number is given.
        words: What the number does.
    """
    _add_place(parser)
    parser.add_argument(
        "--limit",
        type=count_from_one,
        default=limit,
        metavar="N",
        help=f"{words} (default: {limit:,})",
    )


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--route", metavar="ROUTE", help='only a route, path or name, such as "GET /orders"'
    )
    parser.add_argument("--kind", choices=get_args(TraceKind), help="only one kind of Trace")


def newest(options: argparse.Namespace) -> Iterator[Judged]:
    """Yield at most ``options.limit`` Traces of the route and kind asked for, the newest first.

    Raises:
        NotFoundError: There is none.
    """
    with closing(Store(options.store)) as store:
        for one in listed(store, options.limit, options.route, options.kind):
            yield store.get(one.id)


def listed(store: Store, limit: int, route: str | None, kind: str | None) -> Sequence[Summary]:
    """Return the summaries of the newest Traces of a route and kind.

    Raises:
        NotFoundError: There is none; the error says whether there is a store, or any Trace.
    """
    summaries = store.list(limit, route, kind)
    if not summaries:
        store.latest(route)
        raise NotFoundError(f"There is no such Trace of kind {kind!r} in {store.path}.")
    return summaries


def write_text(text: str, output: str | None) -> None:
    """Write a text to the standard output, or to a file, whose path is then printed.

    Raises:
        QueryscopeError: The file cannot be written.
    """
    if output is None or output == "-":
        sys.stdout.write(text if not text or text.endswith("\n") else f"{text}\n")
        return
    path = Path(output)
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise QueryscopeError(
            f"The report cannot be written to {path}: {reason}. Name another file with --output."
        ) from error
    print(path)


def where(step: Frame | TemplateNode | None) -> str:
    """Return the folder, file and line of a position, for a terminal."""
    return visible(place(step))


def place_of(step: Frame | TemplateNode | None) -> dict[str, Any] | None:
    """Return a position for programs."""
    if step is None:
        return None
    if isinstance(step, Frame):
        return {"file": visible(step.file), "line": step.line, "function": visible(step.function)}
    return {"template": visible(step.template), "line": step.line, "source": visible(step.source)}
