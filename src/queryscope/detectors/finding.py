"""What a detector says about a Trace: a Finding, with its cost and what to write where."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.trace.events import NOWHERE, Frame, Origin, TemplateNode

if TYPE_CHECKING:
    from collections.abc import Mapping

Severity = Literal["info", "warning", "critical"]
Confidence = Literal["low", "medium", "high"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""From the mildest to the gravest."""


class Cost(NamedTuple):
    """What the finding's statements or connections cost in this Trace.

    ``connection_ns`` is connection-time: nanoseconds summed over the connections concerned.
    ``avoidable`` is how many of the statements a mend would save.
    """

    statements: int = 0
    avoidable: int = 0
    rows: int = 0
    duration_ns: int = 0
    connection_ns: int = 0


class Mend(NamedTuple):
    """What to edit, and the text to write there.

    Attributes:
        at: The position to edit, None where the place is not known.
        write: The text to write, such as ``.select_related("publisher")``.
        how: One sentence that says what to do with it.
    """

    at: Frame | TemplateNode | None
    write: str
    how: str


class Known(NamedTuple):
    """Why a finding asks nobody to act: somebody has looked at it and decided.

    Attributes:
        by: ``baseline``, ``comment`` (an inline ignore) or ``path`` (settings of its path).
        place: Where that stands: the file, with the line of a comment, or the pattern of paths.
        reason: What was written there, ``""`` if nothing was.
        owner: Who answers for it, ``""`` if nobody is named.
        expires: The last day on which it holds, as ``2027-01-31``; ``""`` for no end.
    """

    by: Literal["baseline", "comment", "path"]
    place: str
    reason: str = ""
    owner: str = ""
    expires: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One verdict of one detector.

    Attributes:
        code: Catalogue code, such as ``QS101``. Codes never change meaning.
        name: Catalogue name, such as ``n-plus-one``.
        message: One sentence: what happens, how often.
        count: How often.
        origin: Where it ran.
        mend: What to edit.
        queries: ``Query.number`` of the statements it explains.
        sessions: ``Session.number`` of the sessions it is about.
        checkouts: ``Checkout.number`` of the checkouts it is about.
        subject: The relation, shape or resource it is about; part of the fingerprint.
        evidence: Names to values that carry the verdict, for reports.
        trace_id: The Trace it is about.
        known: Why nobody has to act on it, None for one that is open.
    """

    code: str
    name: str
    severity: Severity
    confidence: Confidence
    message: str
    count: int
    cost: Cost
    origin: Origin = NOWHERE
    mend: Mend | None = None
    queries: tuple[int, ...] = ()
    sessions: tuple[int, ...] = ()
    checkouts: tuple[int, ...] = ()
    subject: str = ""
    evidence: Mapping[str, str | int | float] = field(default_factory=dict)
    trace_id: str = ""
    known: Known | None = None

    @property
    def fingerprint(self) -> str:
        """Stable across runs: code, user file, function, subject; no line numbers, no ids."""
        where = place_of(self.origin)
        text = f"{self.code}\0{where}\0{self.subject}"
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


class Weight(NamedTuple):
    """How findings are ordered: open ones first, then the gravest, then the costliest."""

    known: bool
    severity: int
    cost_ns: int
    statements: int
    code: str


def weight(finding: Finding) -> Weight:
    """Return the key that sorts findings for every report."""
    cost = finding.cost
    return Weight(
        finding.known is not None,
        -SEVERITIES.index(finding.severity),
        -(cost.duration_ns + cost.connection_ns),
        -cost.statements,
        finding.code,
    )


def place_of(origin: Origin) -> str:
    """Return the user's module and function, or template and tag: the same on every machine.

    ``""`` where no line of the user's was on the stack.
    """
    first = origin.first
    if isinstance(first, Frame):
        # Every script's module is called __main__: its file tells one from another.
        module = "" if first.module == "__main__" else first.module
        return f"{module or _end(first.file)}:{first.scope}"
    if isinstance(first, TemplateNode):
        return (
            f"{_end(first.template) if _is_full(first.template) else first.template}:{first.source}"
        )
    return ""


def _end(file: str) -> str:
    """Return the last folder and the name of a file: where a project lies is no part of it."""
    return "/".join(file.replace("\\", "/").split("/")[-2:])


def _is_full(file: str) -> bool:
    return file.startswith(("/", "\\")) or file[1:2] == ":"
