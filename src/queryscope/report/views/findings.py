"""Findings as a report shows them, the gravest and costliest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.finding import weight
from queryscope.report import sql
from queryscope.report.page import page_view
from queryscope.report.source import MAX_EXCERPTS
from queryscope.report.text import visible
from queryscope.trace.events import Frame, TemplateNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from queryscope.detectors.finding import Confidence, Cost, Finding, Severity
    from queryscope.report.page import PageView
    from queryscope.report.source import StepView
    from queryscope.report.views.reading import Material
    from queryscope.report.views.statements import Statements

MAX_FINDINGS = 200
MAX_EVIDENCE = 40
MAX_MENTIONS = 8
"""Groups of statements that one finding names."""
MAX_WRITE_CHARS = 4_000
_CLAUSE = "; "
_CODE = re.compile(r"^\.|[(=\[{]")
"""Text without any of these is a name, such as ``session``: nothing to paste into source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MendView:
    """What to write, where, and why there; ``is_code`` where ``write`` is source as it stands."""

    write: str
    how: str
    at: StepView | None
    is_code: bool

    @property
    def instruction(self) -> str:
        """What to do as a sentence, with what is to be written where that is a mere name."""
        if self.is_code or not self.write or self.write in self.how:
            return self.how
        return f"{self.write}: {self.how}" if self.how else self.write


class Mention(NamedTuple):
    """A group of statements that a finding explains, and how many of them."""

    anchor: str
    times: int
    head: str


class KnownView(NamedTuple):
    """Why nobody has to act on a finding; ``sentence`` says all of it."""

    by: str
    place: str
    reason: str
    owner: str
    expires: str

    @property
    def sentence(self) -> str:
        """Where that stands, why, whose it is, and until when."""
        how = {"comment": "Ignored at", "path": "By the settings of", "baseline": "Known in"}
        parts = [f"{how.get(self.by, self.by)} {self.place}"]
        parts += [f"of {self.owner}"] if self.owner else []
        parts += [f"until {self.expires}"] if self.expires else []
        return f"{', '.join(parts)}: {self.reason}" if self.reason else f"{', '.join(parts)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """One finding, ready to be shown."""

    anchor: str
    code: str
    name: str
    severity: Severity
    confidence: Confidence
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
    known: KnownView | None

    @property
    def place(self) -> StepView | None:
        """Where it ran, or where to mend it if it has no origin."""
        if self.steps:
            return self.steps[0]
        return self.mend.at if self.mend is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Findings of one code, severity and Trace, shown under one heading.

    Attributes:
        code: Their code.
        name: Its name.
        severity: Their severity.
        nested_name: What the nested Trace is called that they are about, ``""`` for the root.
        shared: The clause with which all their messages begin, ``""`` if there is none.
        items: The findings, the costliest first.
        messages: What each says beyond the shared clause and its place.
    """

    code: str
    name: str
    severity: str
    nested_name: str
    shared: str
    items: tuple[FindingView, ...]
    messages: tuple[str, ...]


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings as reports show them: open ones first, the gravest and costliest first.

    Those of one severity, code and Trace follow one another at the place of the costliest.
    """
    together: dict[tuple[bool, str, str, str], list[Finding]] = {}
    for finding in sorted(findings, key=weight):
        key = (finding.known is None, finding.severity, finding.code, finding.trace_id)
        together.setdefault(key, []).append(finding)
    return [finding for found in together.values() for finding in found]


def folds_of(findings: Iterable[FindingView]) -> tuple[Fold, ...]:
    """Return findings, which are in order, folded: neighbours of one sort are one."""
    folds = []
    for _, neighbours in groupby(findings, key=_sort):
        items = tuple(neighbours)
        first = items[0]
        shared = _shared_clause([item.message for item in items])
        folds.append(
            Fold(
                code=first.code,
                name=first.name,
                severity=first.severity,
                nested_name=first.nested_name,
                shared=shared,
                items=items,
                messages=tuple(_rest(item, shared) for item in items),
            )
        )
    return tuple(folds)


def _sort(item: FindingView) -> tuple[bool, str, str, str, str]:
    return item.known is None, item.severity, item.code, item.name, item.trace_id


def _shared_clause(messages: Sequence[str]) -> str:
    """Return the clause, up to a semicolon, with which several messages begin."""
    first = messages[0].partition(_CLAUSE)[0]
    if len(messages) > 1 and all(text.startswith(f"{first}{_CLAUSE}") for text in messages):
        return first
    return ""


def _rest(item: FindingView, shared: str) -> str:
    """Return what a message says beyond the shared clause, without the place that stands beside."""
    message = item.message.removeprefix(f"{shared}{_CLAUSE}") if shared else item.message
    word, _, rest = message.partition(" ")
    said = rest and item.place is not None and f"/{item.place.where}".endswith(f"/{word}")
    return rest if said else message


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
        """Start with no page shown; findings have excerpts however many statements had some."""
        material.sources.allow(MAX_EXCERPTS)
        self.material = material
        self.names = names
        self.statements = statements
        self._pages: dict[str, str] = {}

    def view(self, number: int, finding: Finding) -> FindingView:
        """Return the finding that stands at a place of the list, counted from 0."""
        anchor = f"f{number}"
        own_page = f"{anchor}-page"
        page_anchor = self._pages.setdefault(finding.code, own_page)
        trace_id = self.material.trace_id(finding)
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
            known=KnownView(*(visible(text, limit=400) for text in finding.known))
            if finding.known is not None
            else None,
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
            is_code=_CODE.search(mend.write) is not None,
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
