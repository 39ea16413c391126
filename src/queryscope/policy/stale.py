"""Ignores and entries that nothing matches any more, told from those that were not tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.finding import place_of
from queryscope.policy.comments import comments_below, covering
from queryscope.trace.events import Origin

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from queryscope.detectors.finding import Finding
    from queryscope.policy.baseline import Baseline, Entry
    from queryscope.trace.events import Frame, TemplateNode, Trace


class StaleIgnore(NamedTuple):
    """An inline ignore without a match.

    Attributes:
        file: Its file, in full.
        line: Its line.
        codes: The codes that it names and that nothing matched.
        reason: What stands behind them.
        recorded: Whether any of the Traces came through its file. Otherwise the code that it is
            about may just not have run.
    """

    file: str
    line: int
    codes: tuple[str, ...]
    reason: str
    recorded: bool


Used = tuple[str, int, str]
"""The file, the line and the code of an ignore that matched."""


def used_by(findings: Iterable[Finding]) -> Iterator[Used]:
    """Yield every ignore that covers a finding of a code that it names."""
    for finding in findings:
        for comment in covering(finding):
            if finding.code in comment.codes and not comment.error:
                yield comment.file, comment.line, finding.code


def files_of(trace: Trace) -> set[str]:
    """Return the user's files that a Trace came through, with those nested in it."""
    return {step.file for step in _steps_of(trace) if step.file}


def _steps_of(trace: Trace) -> set[Frame | TemplateNode]:
    origins: set[Origin] = set()
    for part in trace.subtree():
        origins.update(query.origin for query in part.queries)
        origins.update(session.opener for session in part.sessions)
        origins.update(checkout.opener for checkout in part.checkouts)
    return {step for origin in origins for step in origin.steps}


def modules_of(trace: Trace) -> set[str]:
    """Return the modules and templates that a Trace came through, as a baseline calls them."""
    return {place_of(Origin((step,))).partition(":")[0] for step in _steps_of(trace)}


def unmatched(
    baseline: Baseline, fingerprints: Collection[str], modules: Collection[str]
) -> tuple[list[Entry], list[Entry]]:
    """Return the entries that no finding has: those that are over, and those that were not tried.

    Args:
        baseline: The entries.
        fingerprints: Those of all findings, known ones too.
        modules: What the Traces came through.
    """
    over: list[Entry] = []
    untried: list[Entry] = []
    for entry in baseline.entries.values():
        if entry.fingerprint not in fingerprints:
            tried = not entry.where or entry.where.partition(":")[0] in modules
            (over if tried else untried).append(entry)
    return over, untried


def stale_ignores(
    root: Path, used: Collection[Used], files: Collection[str]
) -> tuple[StaleIgnore, ...]:
    """Return the ignores of a project that nothing matched, by file and line.

    Args:
        root: The project's folder.
        used: What matched.
        files: The files that the Traces came through.
    """
    found = []
    for comment in comments_below(root):
        unused = tuple(c for c in comment.codes if (comment.file, comment.line, c) not in used)
        if unused and not comment.error:
            recorded = comment.file in files
            found.append(StaleIgnore(comment.file, comment.line, unused, comment.reason, recorded))
    return tuple(found)
