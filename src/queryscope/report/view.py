"""What a report shows of a Trace and its findings, as frozen values without any markup.

Every text that was recorded has passed ``visible`` here, so that each writer (HTML, terminal,
JSON) may print it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from queryscope.report.text import duration, moment, visible
from queryscope.report.timeline import Timeline, timeline_of
from queryscope.report.views import connections, stages
from queryscope.report.views.clean import clean_of
from queryscope.report.views.findings import (
    MAX_FINDINGS,
    Findings,
    folds_of,
    in_order,
)
from queryscope.report.views.headline import (
    figures_of,
    split_of,
    summary_of,
    totals_of,
)
from queryscope.report.views.notes import notes_of
from queryscope.report.views.reading import Material, Reading, kind_of, title_of
from queryscope.report.views.statements import Grouper
from queryscope.trace.endpoint import ATTRIBUTE, endpoint_of
from queryscope.waste import waste_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.report.views.clean import Clean
    from queryscope.report.views.connections import CheckoutView, SessionView, TransactionView
    from queryscope.report.views.executions import Executions
    from queryscope.report.views.findings import FindingView, Fold
    from queryscope.report.views.headline import Figure, Split, Totals
    from queryscope.report.views.notes import Note
    from queryscope.report.views.stages import StageView
    from queryscope.report.views.statements import Group, Rest, Statements
    from queryscope.trace.events import Query, Trace
    from queryscope.waste import Account

MAX_NESTED = 40
"""Nested Traces shown in full."""
_TITLE_HEAD_CHARS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One Trace as the reports show it; what stands last, only the root has.

    ``findings`` hold those of nested Traces, too; ``folds`` are the same under headings. ``clean``
    stands where nothing was found.
    """

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
    split: Split
    totals: Totals
    waste: Account
    figures: tuple[Figure, ...]
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
    summary: str = ""
    findings: tuple[FindingView, ...] = ()
    findings_left: int = 0
    folds: tuple[Fold, ...] = ()
    clean: Clean | None = None
    notes: tuple[Note, ...] = ()


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
    failed = tuple(failed_detectors)
    ordered = in_order(findings)
    builder = _Builder(trace, ordered)
    part = builder.part(trace)
    views = Findings(builder.material, builder.names, builder.statements)
    shown = tuple(views.view(n, item) for n, item in enumerate(ordered[:MAX_FINDINGS]))
    return replace(
        part,
        summary=summary_of(part.split),
        findings=shown,
        findings_left=len(ordered) - len(shown),
        folds=folds_of(shown),
        clean=None
        if any(item.known is None for item in ordered)
        else clean_of(trace, part.totals, failed, known=len(ordered)),
        notes=notes_of(trace, failed, values_kept=builder.material.values_kept),
    )


class _Builder:
    """Builds the parts of one Trace and of those nested in it, within common limits."""

    def __init__(self, root: Trace, findings: Sequence[Finding]) -> None:
        self.root = root
        self.findings = findings
        self.material = Material(root)
        self.grouper = Grouper(self.material)
        self.statements: dict[str, Statements] = {}
        self.names: dict[str, str] = {}
        self.begun = 0

    def part(self, trace: Trace) -> Report:
        """Return a Trace with those nested in it, without what only the root has."""
        reading = Reading(trace, f"t{self.begun}", self.material, self.findings)
        self.begun += 1
        # Should two have one id, the outer one is meant.
        self.names.setdefault(trace.id, "" if trace is self.root else title_of(trace))
        groups, rest, executions = found = self.grouper.statements(reading)
        self.statements.setdefault(trace.id, found)
        nested = []
        for child in trace.children:
            if self.begun > MAX_NESTED:
                break
            nested.append(self.part(child))
        about = self.findings
        if trace is not self.root:
            ids = {item.id for item in trace.subtree()}
            about = [item for item in about if self.material.trace_id(item) in ids]
        totals = totals_of(trace, self.material.shapes)
        statements = self.material.shapes.statements(trace)
        waste = waste_of(trace, about, shape_of=self.material.shapes.of).total
        return Report(
            key=reading.key,
            id=visible(trace.id, limit=64),
            kind=trace.kind,
            name=title_of(trace),
            status=visible(trace.attributes.get("status", ""), limit=16),
            attributes=tuple(
                (visible(name, limit=60), visible(value))
                for name, value in self._attributes(trace)
                if name != "status"
            ),
            started=moment(trace.started_at_ns),
            duration_ns=trace.duration_ns,
            mode=visible(trace.mode, limit=20),
            recording=visible(trace.recording, limit=20),
            w3c_trace_id=visible(trace.w3c_trace_id, limit=64),
            error=self.material.error(trace.error),
            split=split_of(trace),
            totals=totals,
            waste=waste,
            figures=figures_of(trace, totals, statements, about, waste),
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
        )

    def _attributes(self, trace: Trace) -> Iterator[tuple[str, str]]:
        """Yield the attributes of a Trace, who answered the request as a place in its file."""
        for name, value in trace.attributes.items():
            if name == ATTRIBUTE:
                defined = endpoint_of(trace)
                if defined is not None:
                    step = self.material.sources.step(defined, excerpt=False)
                    yield name, f"{step.where} in {step.inside}"
                    continue
            yield name, value

    def _timeline(self, reading: Reading) -> Timeline:
        shapes = self.material.shapes

        def kind(query: Query) -> str:
            return "error" if query.error is not None else kind_of(shapes.of(query))

        def title(query: Query) -> str:
            head = shapes.head(shapes.of(query))[:_TITLE_HEAD_CHARS]
            return f"#{query.number}  {duration(query.duration_ns)}  {head}"

        return timeline_of(reading, kind, title)
