"""The lines of a list of Traces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queryscope.detectors.finding import weight
from queryscope.report.text import error_text, moment, visible
from queryscope.report.views.reading import Shapes, keeps_values, title_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.trace.events import Trace

_METHOD = re.compile(r"[A-Z]{3,10} ")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """One line of the viewer's list."""

    id: str
    kind: str
    method: str
    route: str
    status: str
    started: str
    duration_ns: int
    database_ns: int
    statements: int
    sessions: int
    findings: int
    worst: str
    codes: tuple[str, ...]
    error: str


def list_entry(trace: Trace, findings: Sequence[Finding]) -> ListEntry:
    """Return the line of one Trace with its open findings, those of nested Traces included."""
    everything = list(trace.subtree())
    shapes = Shapes()
    method, route = _method_and_route(trace)
    ordered = sorted((item for item in findings if item.known is None), key=weight)
    error = error_text(trace.error, with_values=keeps_values(trace)) if trace.error else ""
    return ListEntry(
        id=visible(trace.id, limit=64),
        kind=trace.kind,
        method=method,
        route=route,
        status=visible(trace.attributes.get("status", ""), limit=16),
        started=moment(trace.started_at_ns),
        duration_ns=trace.duration_ns,
        database_ns=sum(item.database_ns for item in everything),
        statements=sum(shapes.statements(item) for item in everything),
        sessions=sum(len(item.sessions_at_work) for item in everything),
        findings=len(ordered),
        worst=ordered[0].severity if ordered else "",
        codes=tuple(dict.fromkeys(visible(finding.code, limit=20) for finding in ordered)),
        error=error,
    )


def _method_and_route(trace: Trace) -> tuple[str, str]:
    method = visible(trace.attributes.get("method", ""), limit=16)
    name = title_of(trace)
    if not method and trace.kind == "request":
        method = name.partition(" ")[0] if _METHOD.match(name) else ""
    if method and name.startswith(method + " "):
        return method, name[len(method) + 1 :]
    return method, name
