"""What a list tells of a stored Trace, so that its body need not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.trace.events import Trace

MAX_SUMMARY_CHARS = 500


class Summary(NamedTuple):
    """One line about a stored Trace; the numbers are those of its whole subtree.

    Attributes:
        id: The Trace's.
        started_at_ns: Unix time, in nanoseconds.
        kind: What the unit of work was.
        name: Route, test id, command or label.
        method: HTTP method, ``""`` for what is no request.
        path: Path of the request.
        route: The route that matched it, ``""`` where the framework did not tell.
        status: HTTP status code.
        duration_ns: Wall time.
        statements: Statements sent.
        rows: Rows fetched.
        sessions: Sessions that used a connection.
        info: Number of open findings of this severity, as the next two; known ones do not count.
        warning: See ``info``.
        critical: See ``info``.
        codes: Codes of the open findings, once each, comma-separated.
    """

    id: str
    started_at_ns: int
    kind: str
    name: str
    method: str
    path: str
    route: str
    status: str
    duration_ns: int
    statements: int
    rows: int
    sessions: int
    info: int
    warning: int
    critical: int
    codes: str


def summary_of(trace: Trace, findings: Sequence[Any]) -> Summary:
    """Return the summary of a Trace and what was found in it."""
    subtree = list(trace.subtree())
    attributes = trace.attributes
    is_open = [finding for finding in findings if finding.known is None]
    severities = [finding.severity for finding in is_open]
    return Summary(
        storable(trace.id),
        _number(trace.started_at_ns),
        storable(trace.kind),
        storable(trace.name),
        storable(attributes.get("method", "")),
        storable(attributes.get("path", "")),
        storable(attributes.get("route", "")),
        storable(attributes.get("status", "")),
        _number(trace.duration_ns),
        _number(sum(item.statements for item in subtree)),
        _number(sum(item.rows for item in subtree)),
        _number(sum(len(item.sessions_at_work) for item in subtree)),
        severities.count("info"),
        severities.count("warning"),
        severities.count("critical"),
        storable(",".join(dict.fromkeys(finding.code for finding in is_open))),
    )


def storable(value: str) -> str:
    """Return a text that SQLite can hold; the body has the exact one."""
    kept = value[:MAX_SUMMARY_CHARS]
    return kept if kept.isascii() else kept.encode("utf-8", "replace").decode()


def _number(value: int) -> int:
    """Return a number that SQLite can hold."""
    return max(-(2**63), min(value, 2**63 - 1))
