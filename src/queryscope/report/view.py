"""What a report shows of a Trace and its findings, as frozen values without any markup.

Every text that was recorded has passed ``visible`` here, so that each writer (HTML, terminal,
JSON) may print it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from queryscope.report.text import duration, moment, visible
from queryscope.report.timeline import Timeline, timeline_of
from queryscope.report.views import connections, stages
from queryscope.report.views.findings import MAX_FINDINGS, Findings, weight
from queryscope.report.views.headline import figures_of, split_of, summary_of, totals_of
from queryscope.report.views.notes import notes_of
from queryscope.report.views.reading import Material, Reading, kind_of, title_of
from queryscope.report.views.statements import Grouper

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.report.views.connections import CheckoutView, SessionView, TransactionView
    from queryscope.report.views.executions import Executions
    from queryscope.report.views.findings import FindingView
    from queryscope.report.views.headline import Figure, Split, Totals
    from queryscope.report.views.notes import Note
    from queryscope.report.views.stages import StageView
    from queryscope.report.views.statements import Group, Rest, Statements
    from queryscope.trace.events import Query, Trace

MAX_NESTED = 40
"""Nested Traces shown in full."""
_TITLE_HEAD_CHARS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One Trace as the reports show it; ``findings`` of the root hold those of nested ones."""

    key: str
    id: str
    kind: str
    name: str
    status: str
    attributes: tuple[tuple[str, str], ...]
    started: str
    duration_ns: int
    mode: str
    recording: str
    w3c_trace_id: str
    error: str
    summary: str
    split: Split
    totals: Totals
    figures: tuple[Figure, ...]
    findings: tuple[FindingView, ...]
    findings_left: int
    timeline: Timeline
    groups: tuple[Group, ...]
    groups_rest: Rest
    statements: int
    stages: tuple[StageView, ...]
    stages_left: int
    sessions: tuple[SessionView, ...]
    sessions_left: int
    checkouts: tuple[CheckoutView, ...]
    checkouts_left: int
    transactions: tuple[TransactionView, ...]
    transactions_left: int
    executions: Executions
    nested: tuple[Report, ...]
    nested_left: int
    notes: tuple[Note, ...]


def report_of(
    trace: Trace,
    findings: Sequence[Finding],
    *,
    failed_detectors: Iterable[str | tuple[str, object]] = (),
) -> Report:
    """Return the view of a Trace.

    Args:
        trace: A finished Trace.
        findings: What the detectors say of it and of the Traces nested in it.
        failed_detectors: Codes of detectors that raised, alone or with the error.
    """
    return _Builder(trace, findings).report(trace, failed_detectors)


class _Builder:
    """Builds the Report of one Trace and of those nested in it, within common limits."""

    def __init__(self, root: Trace, findings: Sequence[Finding]) -> None:
        self.root = root
        self.findings = sorted(findings, key=weight)
        self.material = Material(root)
        self.grouper = Grouper(self.material)
        self.statements: dict[str, Statements] = {}
        self.names: dict[str, str] = {}
        self.begun = 0

    def report(self, trace: Trace, failed: Iterable[str | tuple[str, object]] = ()) -> Report:
        is_root = trace is self.root
        reading = Reading(trace, f"t{self.begun}", self.material, self.findings)
        self.begun += 1
        self.names[trace.id] = "" if is_root else title_of(trace)
        groups, rest, executions = self.statements[trace.id] = self.grouper.statements(reading)
        nested = []
        for child in trace.children:
            if self.begun > MAX_NESTED:
                break
            nested.append(self.report(child))
        about = self.findings
        if not is_root:
            ids = {item.id for item in trace.subtree()}
            about = [finding for finding in self.findings if finding.trace_id in ids]
        shown = about[:MAX_FINDINGS] if is_root else []
        views = Findings(self.material, self.names, self.statements)
        split = split_of(trace)
        totals = totals_of(trace, self.material.shapes)
        statements = self.material.shapes.statements(trace)
        return Report(
            key=reading.key,
            id=visible(trace.id, limit=64),
            kind=trace.kind,
            name=title_of(trace),
            status=visible(trace.attributes.get("status", ""), limit=16),
            attributes=tuple(
                (visible(name, limit=60), visible(value))
                for name, value in trace.attributes.items()
                if name != "status"
            ),
            started=moment(trace.started_at_ns),
            duration_ns=trace.duration_ns,
            mode=visible(trace.mode, limit=20),
            recording=visible(trace.recording, limit=20),
            w3c_trace_id=visible(trace.w3c_trace_id, limit=64),
            error=self.material.error(trace.error),
            summary=summary_of(split, about),
            split=split,
            totals=totals,
            figures=figures_of(trace, totals, statements, about),
            findings=tuple(views.view(number, finding) for number, finding in enumerate(shown)),
            findings_left=len(about) - len(shown) if is_root else 0,
            timeline=self._timeline(reading),
            groups=groups,
            groups_rest=rest,
            statements=statements,
            stages=stages.stages_of(reading),
            stages_left=max(len(trace.stages) - stages.MAX_ROWS, 0),
            sessions=connections.sessions_of(reading),
            sessions_left=max(len(trace.sessions) - connections.MAX_ROWS, 0),
            checkouts=connections.checkouts_of(reading),
            checkouts_left=max(len(trace.checkouts) - connections.MAX_ROWS, 0),
            transactions=connections.transactions_of(reading),
            transactions_left=max(len(trace.transactions) - connections.MAX_ROWS, 0),
            executions=executions,
            nested=tuple(nested),
            nested_left=len(trace.children) - len(nested),
            notes=notes_of(self.root, failed, values_kept=self.material.values_kept)
            if is_root
            else (),
        )

    def _timeline(self, reading: Reading) -> Timeline:
        shapes = self.material.shapes

        def kind(query: Query) -> str:
            return "error" if query.error is not None else kind_of(shapes.of(query))

        def title(query: Query) -> str:
            head = shapes.head(shapes.of(query))[:_TITLE_HEAD_CHARS]
            return f"#{query.number}  {duration(query.duration_ns)}  {head}"

        return timeline_of(reading, kind, title)
