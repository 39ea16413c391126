"""What the parts of one report share: facts looked up once, and limits that they have in common."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from queryscope.report import sql
from queryscope.report.source import Sources
from queryscope.report.text import error_text, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from queryscope.detectors.finding import Finding
    from queryscope.report.source import StepView
    from queryscope.trace.events import Origin, Query, Trace
    from queryscope.trace.shape import Shape

MAX_STEPS = 12
"""Steps of one origin that are shown."""
UNCOUNTED = ("transaction", "savepoint", "catalogue")
"""Kinds of statements that budgets do not count."""


class Shapes:
    """The shapes of a report's statements: each distinct text is read once.

    ``shape_of`` forgets all it keeps when that is too much.
    """

    def __init__(self) -> None:
        """Start with none read."""
        self._shapes: dict[tuple[str, str], Shape] = {}
        self._heads: dict[int, str] = {}

    def of(self, query: Query) -> Shape:
        """Return the shape of a statement."""
        key = (query.statement, query.vendor)
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = query.shape
        return shape

    def head(self, shape: Shape) -> str:
        """Return the short line that stands for the statements of a shape."""
        head = self._heads.get(id(shape))
        if head is None:
            head = self._heads[id(shape)] = sql.head(shape.text)
        return head

    def statements(self, trace: Trace) -> int:
        """Return ``Trace.statements``."""
        kept = sum(self.of(query).kind not in UNCOUNTED for query in trace.queries)
        return kept + trace.dropped.get("queries", 0)

    def rows(self, trace: Trace) -> int:
        """Return ``Trace.rows``."""
        return sum(query.rows or 0 for query in trace.queries if not self.of(query).is_write)


class Material:
    """What is common to the report of a Trace and of those nested in it."""

    def __init__(self, root: Trace) -> None:
        """Look whether values were kept; nothing else is read yet."""
        self.root = root
        self.values_kept = keeps_values(root)
        self.shapes = Shapes()
        self.sources = Sources()

    def steps(self, origin: Origin) -> tuple[tuple[StepView, ...], int]:
        """Return the steps of an origin that are shown, and how many are not."""
        shown = origin.steps[:MAX_STEPS]
        return tuple(self.sources.step(step) for step in shown), len(origin.steps) - len(shown)

    def opener(self, origin: Origin) -> StepView | None:
        """Return where something was opened, without the lines around it."""
        first = origin.first
        return self.sources.step(first, excerpt=False) if first is not None else None

    def trace_id(self, finding: Finding) -> str:
        """Return the Trace that a finding is about; one that names none is about the root."""
        return finding.trace_id or self.root.id

    def error(self, error: str | None) -> str:
        """Return an error's text, ``""`` for none."""
        return error_text(error, with_values=self.values_kept) if error else ""


class Reading:
    """One Trace while its report is made: small numbers for its threads and connections.

    Attributes:
        trace: The Trace.
        key: What the ids of its parts begin with.
        material: What it shares with the Traces around it and within.
        findings: Those that are about itself, not about a Trace nested in it.
    """

    def __init__(
        self, trace: Trace, key: str, material: Material, findings: Iterable[Finding]
    ) -> None:
        """Take the findings of this Trace out of those of the whole report."""
        self.trace = trace
        self.key = key
        self.material = material
        self.findings = [item for item in findings if material.trace_id(item) == trace.id]

    @cached_property
    def threads(self) -> dict[int, int]:
        """The idents of all threads that did something, numbered as they appear."""
        return threads_of(self.trace)

    @cached_property
    def connections(self) -> dict[int, int]:
        """The process-wide numbers of all connections, as small ones."""
        return connections_of(self.trace)

    def thread(self, ident: int) -> int:
        """Return the number of a thread, a new one for a thread not met yet."""
        return self.threads.setdefault(ident, len(self.threads))

    def end_ns(self, moment_ns: int | None) -> int:
        """Return a moment; what had none lasted until the end of the Trace."""
        return self.trace.duration_ns if moment_ns is None else moment_ns


def connections_of(trace: Trace) -> dict[int, int]:
    """Return the process-wide numbers of all connections, as small ones: pooled ones first."""
    found: dict[int, int] = {}
    for checkout in trace.checkouts:
        if checkout.connection is not None:
            found.setdefault(checkout.connection, len(found))
    for query in trace.queries:
        found.setdefault(query.connection, len(found))
    for transaction in trace.transactions:
        found.setdefault(transaction.connection, len(found))
    return found


def threads_of(trace: Trace) -> dict[int, int]:
    """Return the idents of all threads that did something, numbered as they appear."""
    found: dict[int, int] = {}
    for facts in (trace.stages, trace.queries, trace.checkouts, trace.sessions):
        for fact in facts:
            found.setdefault(fact.thread, len(found))
    return found


def keeps_values(trace: Trace) -> bool:
    """Return whether any statement of a Trace or of those nested in it has its parameters."""
    return any(q.parameters is not None for item in trace.subtree() for q in item.queries)


def title_of(trace: Trace) -> str:
    """Return how a Trace is called on one line."""
    return visible(trace.name) or trace.kind


def kind_of(shape: Shape) -> str:
    """Return the class of a statement's mark: ``read``, ``write`` or ``other``."""
    if shape.kind in UNCOUNTED:
        return "other"
    return "write" if shape.is_write else "read"
