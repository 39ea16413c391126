"""The report of one Trace in the terminal: short, the findings first; and the one-line form."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from queryscope.report.collected import finding_views
from queryscope.report.text import counted, duration
from queryscope.report.view import report_of
from queryscope.report.views.findings import folds_of
from queryscope.report.views.lists import list_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from queryscope.detectors.finding import Finding
    from queryscope.report.collected import Collection, Spotted
    from queryscope.report.view import Report
    from queryscope.report.views.findings import FindingView, Fold
    from queryscope.report.views.headline import Split
    from queryscope.report.views.statements import Group
    from queryscope.trace.events import Trace

DEFAULT_WIDTH = 100
MAX_FINDINGS = 20
MAX_GROUPS = 8
"""Groups of statements in the terminal; the HTML report has all."""
_MIN_BAR = 20
_WHERE_WIDTH = 34
_MIN_STATEMENT = 20
_STYLES = {"critical": "bold red", "warning": "yellow", "info": "blue"}
_SPLIT_STYLES = {"database": "blue", "wait": "yellow", "connect": "magenta", "own": "bright_black"}
_MARKS = {"database": "█", "wait": "▒", "connect": "▓", "own": "░"}


def render(
    trace: Trace,
    findings: Sequence[Finding],
    *,
    width: int | None = None,
    color: bool | None = None,
    failed_detectors: Iterable[str | tuple[str, object]] = (),
) -> str:
    """Return the short report as text.

    Args:
        trace: A finished Trace.
        findings: What the detectors say of it and of those nested in it.
        width: Columns; None for ``DEFAULT_WIDTH``.
        color: With terminal colours; None means without.
        failed_detectors: Codes of detectors that raised, alone or with the error.
    """
    report = report_of(trace, findings, failed_detectors=failed_detectors)
    return _printed(lambda console: _parts(report, console.width), width=width, color=color)


def render_terminal(
    trace: Trace,
    findings: Sequence[Finding],
    console: Console,
    *,
    failed_detectors: Iterable[str | tuple[str, object]] = (),
) -> None:
    """Print the short report to a console of the caller's."""
    report = report_of(trace, findings, failed_detectors=failed_detectors)
    _print(_parts(report, console.width), console)


def render_findings(
    collection: Collection, *, width: int | None = None, color: bool | None = None
) -> str:
    """Return the findings that fail a check as text, ``""`` if there are none.

    Args:
        collection: What was found in several Traces.
        width: Columns; None for ``DEFAULT_WIDTH``.
        color: With terminal colours; None means without.
    """
    views = finding_views(item.finding for item in collection.failed)
    # Of no Trace in particular: findings of one code stand under one heading.
    shown = [
        replace(view, trace_id="", message=" ".join([view.message, *_remarks(item)]))
        for view, item in zip(views, collection.failed, strict=True)
    ]
    return _printed(
        lambda _: (part for fold in folds_of(shown) for part in _fold(fold)),
        width=width,
        color=color,
    )


def _printed(
    parts_for: Callable[[Console], Iterable[RenderableType]],
    *,
    width: int | None,
    color: bool | None,
) -> str:
    """Return what a console of a width prints of the parts that it is asked for."""
    target = io.StringIO()
    console = Console(
        file=target,
        width=width or DEFAULT_WIDTH,
        force_terminal=bool(color),
        color_system="standard" if color else None,
        legacy_windows=False,
    )
    _print(parts_for(console), console)
    return "\n".join(line.rstrip() for line in target.getvalue().split("\n"))


def _print(parts: Iterable[RenderableType], console: Console) -> None:
    for part in parts:
        console.print(part, soft_wrap=False, highlight=False, markup=False, emoji=False)


def _remarks(item: Spotted) -> Iterator[str]:
    if item.traces > 1:
        yield f"In {item.traces:,} Traces."
    if item.expired:
        yield f"Known in the baseline until {item.expired}."


def one_line(trace: Trace, findings: Sequence[Finding], url: str = "") -> str:
    """Return a Trace on one line, numbers of nested Traces included.

    Example: ``GET /items/7  38 queries  1.9 s  3 findings  http://localhost/__queryscope__/k3f``
    """
    entry = list_entry(trace, findings)
    parts = [
        f"{entry.method} {entry.route}".strip(),
        counted(entry.statements, "query"),
        duration(entry.duration_ns, digits=2),
        counted(entry.findings, "finding"),
    ]
    if entry.error:
        parts.append(f"raised {entry.error}")
    if url:
        parts.append(url)
    return "  ".join(parts)


def _parts(report: Report, width: int) -> Iterator[RenderableType]:
    yield _title(report)
    yield _figures(report)
    yield _bar(report.split, width)
    if report.error:
        yield Text.assemble(("raised ", "bold red"), report.error)
    yield Text("")
    for fold in folds_of(report.findings[:MAX_FINDINGS]):
        yield from _fold(fold)
    if report.clean:
        yield Text(report.clean.sentence, style="green")
        if report.clean.looked_for:
            names = ", ".join(report.clean.looked_for)
            yield Text(f"Looked for {names}.", style="bright_black")
        yield Text("")
    left = len(report.findings) + report.findings_left - MAX_FINDINGS
    if left > 0:
        yield Text(f"{counted(left, 'more finding')} in the HTML report.", style="bright_black")
        yield Text("")
    if report.groups:
        yield Text("Statements by time", style="bold")
        for group in report.groups[:MAX_GROUPS]:
            yield _group(group, width)
        more = len(report.groups) + report.groups_rest.count - MAX_GROUPS
        if more > 0:
            yield Text(f"  {counted(more, 'more group')}.", style="bright_black")
        yield Text("")
    for note in report.notes:
        if note.tone == "warn":
            yield Text(f"! {note.text}", style="yellow")
            for line in note.details:
                yield Text(f"    {line}", style="bright_black")


def _title(report: Report) -> Text:
    text = Text()
    text.append(report.name, style="bold")
    if report.status:
        text.append(f"  {report.status}", style="bright_black")
    text.append(f"  {report.kind} {report.id}  {report.started}", style="bright_black")
    return text


def _figures(report: Report) -> Text:
    text = Text()
    for figure in report.figures:
        if text:
            text.append(" · ", style="bright_black")
        text.append(figure.value, style="bold")
        text.append(f" {figure.label}")
    return text


def _bar(split: Split, width: int) -> Text:
    """Return where the time went as one bar and its legend."""
    text = Text()
    if split.wall_ns > 0:
        columns = max(min(width, 80), _MIN_BAR)
        taken = 0
        for number, part in enumerate(split.segments):
            last = number == len(split.segments) - 1
            size = columns - taken if last else round(columns * part.duration_ns / split.wall_ns)
            size = max(min(size, columns - taken), 0)
            text.append(_MARKS[part.kind] * size, style=_SPLIT_STYLES[part.kind])
            taken += size
        text.append("\n")
    for number, part in enumerate(split.segments):
        if number:
            text.append("   ")
        text.append(f"{_MARKS[part.kind]} ", style=_SPLIT_STYLES[part.kind])
        text.append(f"{part.label} {duration(part.duration_ns)} {part.percent}")
    if split.note:
        text.append(f"   {split.note}", style="bright_black")
    return text


def _fold(fold: Fold) -> Iterator[RenderableType]:
    """Yield findings of one code: one alone with its cost in the heading, several below theirs."""
    head = Text()
    known = fold.items[0].known is not None
    head.append(
        f"{'known' if known else fold.severity:<8} ",
        style="bright_black" if known else _STYLES[fold.severity],
    )
    head.append(f"{fold.code} {fold.name}", style="bold")
    if fold.nested_name:
        head.append(f" in {fold.nested_name}", style="bright_black")
    several = len(fold.items) > 1
    head.append(f"  {counted(len(fold.items), 'finding') if several else _cost(fold.items[0])}")
    yield head
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="bright_black", min_width=8, justify="right")
    table.add_column(overflow="fold")
    if fold.shared:
        table.add_row("", Text(fold.shared))
    for item, message in zip(fold.items, fold.messages, strict=True):
        _add_finding(table, item, message, several=several)
    yield table
    yield Text("")


def _cost(item: FindingView) -> str:
    cost = item.cost
    parts = [
        counted(cost.statements, "statement") if cost.statements else "",
        duration(cost.duration_ns) if cost.duration_ns else "",
        f"{duration(cost.connection_ns)} of connections" if cost.connection_ns else "",
    ]
    return ", ".join(filter(None, parts))


def _add_finding(table: Table, item: FindingView, message: str, *, several: bool) -> None:
    """Add what a finding says, where it ran and what to write where.

    One of several is told from the others by its place, and has its cost beside what it says.
    """
    what = Text(message)
    cost = _cost(item) if several else ""
    if cost:
        what.append(f" ({cost})", style="bright_black")
    if several:
        _add_place(table, item)
        table.add_row("", what)
    else:
        table.add_row("", what)
        _add_place(table, item)
    if item.known is not None:
        # Somebody has decided that it stays: what to write is in the other forms of the report.
        table.add_row("", Text(item.known.sentence, style="bright_black"))
        return
    mend = item.mend
    if mend is None:
        return
    if mend.at is not None:
        table.add_row("mend at", Text(mend.at.where, style="cyan"))
    if mend.is_code:
        table.add_row("write", Text(mend.write, style="bold green"))
    if mend.instruction:
        table.add_row("", Text(mend.instruction))


def _add_place(table: Table, item: FindingView) -> None:
    if not item.steps:
        return
    first = item.steps[0]
    where = Text(first.where, style="cyan")
    if first.inside:
        word = "in" if first.kind == "python" else "tag"
        where.append(f" {word} {first.inside}", style="bright_black")
    table.add_row("ran at", where)
    if first.text:
        table.add_row("", Text(first.text, style="bright_black"))


def _group(item: Group, width: int) -> Text:
    """Return one group on one line: figures, what ran, and at the end of the line where."""
    text = Text(no_wrap=True)
    text.append(f"{duration(item.total_ns):>9}", style="bold")
    text.append(f"{item.count:>7,}x{counted(item.rows, 'row'):>12}  ")
    where = Text(item.steps[0].where if item.steps else "", style="cyan")
    if where.cell_len > _WHERE_WIDTH:
        where = Text("…", style="cyan") + where[1 - _WHERE_WIDTH :]
    statement = Text(item.head)
    if item.codes:
        statement = Text.assemble((f"{' '.join(item.codes)} ", "yellow"), statement)
    room = max(width - text.cell_len - where.cell_len - 2, _MIN_STATEMENT)
    statement.truncate(room, overflow="ellipsis", pad=True)
    return Text.assemble(text, statement, "  ", where)
