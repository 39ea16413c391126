"""Findings as a report shows them, the gravest and costliest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.finding import SEVERITIES
from queryscope.report import sql
from queryscope.report.page import page_view
from queryscope.report.text import visible
from queryscope.trace.events import Frame, TemplateNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from queryscope.detectors.finding import Cost, Finding
    from queryscope.report.page import PageView
    from queryscope.report.source import StepView
    from queryscope.report.views.reading import Material
    from queryscope.report.views.statements import Statements

MAX_FINDINGS = 200
MAX_EVIDENCE = 40
MAX_MENTIONS = 8
"""Groups of statements that one finding names."""
MAX_WRITE_CHARS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MendView:
    """What to write, where, and why there."""

    write: str
    how: str
    at: StepView | None


class Mention(NamedTuple):
    """A group of statements that a finding explains, and how many of them."""

    anchor: str
    times: int
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """One finding, ready to be shown."""

    anchor: str
    code: str
    name: str
    severity: str
    confidence: str
    message: str
    subject: str
    count: int
    cost: Cost
    steps: tuple[StepView, ...]
    steps_left: int
    mend: MendView | None
    evidence: tuple[tuple[str, str], ...]
    queries: tuple[int, ...]
    mentions: tuple[Mention, ...]
    page: PageView | None
    page_anchor: str
    trace_id: str
    nested_name: str
    fingerprint: str


class Weight(NamedTuple):
    """How findings are ordered: the gravest first, then the costliest."""

    severity: int
    cost_ns: int
    statements: int
    code: str


def weight(finding: Finding) -> Weight:
    """Return the key that sorts findings for every report."""
    cost = finding.cost
    return Weight(
        -SEVERITIES.index(finding.severity),
        -(cost.duration_ns + cost.connection_ns),
        -cost.statements,
        finding.code,
    )


class Findings:
    """Makes the views of findings, one page for each code.

    Args:
        material: What the parts of the report share.
        names: What the nested Traces are called, by their ids.
        statements: The statements of every Trace shown, by its id.
    """

    def __init__(
        self, material: Material, names: Mapping[str, str], statements: Mapping[str, Statements]
    ) -> None:
        """Start with no page shown."""
        self.material = material
        self.names = names
        self.statements = statements
        self._pages: dict[str, str] = {}

    def view(self, number: int, finding: Finding) -> FindingView:
        """Return the finding that stands at a place of the list, counted from 0."""
        anchor = f"f{number}"
        own_page = f"{anchor}-page"
        page_anchor = self._pages.setdefault(finding.code, own_page)
        trace_id = finding.trace_id or self.material.root.id
        steps, steps_left = self.material.steps(finding.origin)
        return FindingView(
            anchor=anchor,
            code=visible(finding.code, limit=20),
            name=visible(finding.name, limit=60),
            severity=finding.severity,
            confidence=finding.confidence,
            message=visible(finding.message, limit=2_000),
            subject=visible(finding.subject, limit=200),
            count=finding.count,
            cost=finding.cost,
            steps=steps,
            steps_left=steps_left,
            mend=self._mend(finding),
            evidence=tuple(
                (visible(name.replace("_", " "), limit=80), _evidence(value))
                for name, value in list(finding.evidence.items())[:MAX_EVIDENCE]
            ),
            queries=finding.queries,
            mentions=self._mentions(trace_id, finding),
            page=page_view(finding.code) if page_anchor == own_page else None,
            page_anchor=page_anchor,
            trace_id=visible(trace_id, limit=64),
            nested_name=self.names.get(trace_id, ""),
            fingerprint=finding.fingerprint,
        )

    def _mend(self, finding: Finding) -> MendView | None:
        mend = finding.mend
        if mend is None:
            return None
        at = mend.at
        return MendView(
            # It is to be written into source: with its line ends, nothing hidden.
            write=sql.cut(mend.write, MAX_WRITE_CHARS),
            how=visible(mend.how, limit=1_000),
            at=self.material.sources.step(at) if isinstance(at, (Frame, TemplateNode)) else None,
        )

    def _mentions(self, trace_id: str, finding: Finding) -> tuple[Mention, ...]:
        statements = self.statements.get(trace_id)
        if statements is None:
            return ()
        group_of = statements.executions.group
        counts: dict[int, int] = {}
        for number in finding.queries:
            if 0 <= number < len(group_of) and group_of[number] >= 0:
                counts[group_of[number]] = counts.get(group_of[number], 0) + 1
        ordered = sorted(counts.items(), key=lambda item: -item[1])[:MAX_MENTIONS]
        groups = statements.groups
        return tuple(Mention(groups[n].anchor, count, groups[n].head) for n, count in ordered)


def _evidence(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return visible(str(value), limit=600)
