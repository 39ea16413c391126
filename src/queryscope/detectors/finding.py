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

    @property
    def fingerprint(self) -> str:
        """Stable across runs: code, user file, function, subject; no line numbers, no ids."""
        first = self.origin.first
        if isinstance(first, Frame):
            where = f"{first.module or first.file}:{first.function}"
        elif isinstance(first, TemplateNode):
            where = f"{first.template}:{first.source}"
        else:
            where = ""
        text = f"{self.code}\0{where}\0{self.subject}"
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
