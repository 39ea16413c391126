"""The command ``queryscope check``: exit code 1 where recorded Traces have open findings."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.cli.recorded import add_choice, chosen, write_text
from queryscope.detectors.finding import SEVERITIES
from queryscope.errors import SettingsError
from queryscope.policy import stale
from queryscope.policy.comments import comments_below
from queryscope.policy.decisions import load
from queryscope.policy.paths import relative
from queryscope.report.collected import collect
from queryscope.report.text import counted, visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from queryscope.detectors.registry import Judged
    from queryscope.report.collected import Collection

FORMATS = ("terminal", "json", "sarif", "github")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``check``."""
    parser.add_argument(
        "trace", nargs="?", metavar="TRACE", help="id of one Trace, or the beginning of one"
    )
    add_choice(parser)
    parser.add_argument(
        "--level",
        choices=SEVERITIES,
        help="the mildest severity that fails (default: as in pyproject.toml, else warning)",
    )
    parser.add_argument(
        "--stale",
        action="store_true",
        help="name inline ignores that match nothing any more, and fail where there are some",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="terminal", help="the form (default: terminal)"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="where to write it; - is the standard output (default)",
    )


def run(options: argparse.Namespace) -> int:
    """Print what is open; 1 if any of it is of the level."""
    policy = load(Path.cwd())
    watched = _Watched(chosen(options))
    collection = collect(watched, policy, level=options.level)
    wrong = dict.fromkeys(collection.wrong)
    if options.stale:
        ignores = stale.stale_ignores(policy.root, watched.used, watched.files)
        collection = collection._replace(stale=ignores)
        wrong.update((one.error, None) for one in comments_below(policy.root) if one.error)
    write_text(_rendered(collection, options), options.output)
    if options.output is not None or options.format != "terminal":
        # Programs read what was written; whoever watches reads the last line.
        print(_sum(collection), file=sys.stderr)
    if wrong:
        raise SettingsError("\n".join(wrong))
    return int(bool(collection.failed) or any(item.recorded for item in collection.stale))


class _Watched:
    """Traces on their way to be collected: what they came through, and which ignores they used."""

    def __init__(self, traces: Iterator[Judged]) -> None:
        self._traces = traces
        self.files: set[str] = set()
        self.used: set[stale.Used] = set()

    def __iter__(self) -> Iterator[Judged]:
        for judged in self._traces:
            self.files |= stale.files_of(judged.trace)
            self.used.update(stale.used_by(judged.findings))
            yield judged


def _rendered(collection: Collection, options: argparse.Namespace) -> str:
    if options.format != "terminal":
        return rendered_as(options.format, collection)
    console = import_module("queryscope.report.console")
    terminal = options.output is None and sys.stdout.isatty()
    text: str = console.render_findings(
        collection,
        width=shutil.get_terminal_size().columns if terminal else None,
        color=terminal and not os.environ.get("NO_COLOR"),
    )
    return text + "".join(f"{line}\n" for line in (*_stale_lines(collection), _sum(collection)))


def rendered_as(form: str, collection: Collection) -> str:
    """Return a collection as ``json``, ``sarif`` or ``github``."""
    module = import_module(f"queryscope.report.{form}")
    render = module.render_findings if form == "json" else module.render
    text: str = render(collection)
    return text


def _stale_lines(collection: Collection) -> Iterator[str]:
    for item in collection.stale:
        place = visible(f"{relative(item.file, collection.root)}:{item.line}", limit=400)
        what = f"{place}: ignore[{', '.join(item.codes)}]"
        if item.recorded:
            yield f"{what} matches nothing any more: delete it."
        else:
            yield f"{what} was not tried: no Trace came through its file."


def _sum(collection: Collection) -> str:
    """Return all that was found in one line."""
    known = sum(item.finding.known is not None for item in collection.findings)
    others = len(collection.findings) - known - len(collection.failed)
    level = collection.level
    graver = "" if level == SEVERITIES[-1] else " or graver"
    parts = [f"{counted(len(collection.failed), 'open finding')} of level {level}{graver}"]
    parts += [counted(others, "other")] if others else []
    parts += [f"{known:,} known"] if known else []
    gone = sum(item.recorded for item in collection.stale)
    parts += [counted(gone, "stale ignore")] if gone else []
    return f"{', '.join(parts)}; {counted(collection.traces, 'Trace')}."
