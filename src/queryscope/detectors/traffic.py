"""Recorded Traces together: what the detectors that need several of them are given."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.registry import in_force

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.trace.events import Query, Trace

SERVING = frozenset({"request", "task"})
"""Kinds of Traces that happen again and again; scripts, tests and blocks are each their own."""


class Asked(NamedTuple):
    """One statement in one Trace of the traffic.

    ``trace`` is the outermost one; ``part`` the one nested in it, or itself, that has the query.
    """

    trace: Trace
    part: Trace
    query: Query


def endpoint_name(trace: Trace) -> str:
    """Return what a Trace's requests have in common: method and route, else the Trace's name.

    Example:
        >>> from queryscope.trace.events import Trace
        >>> attributes = {"method": "GET", "route": "books/<int:pk>/"}
        >>> facts = dict(id="a", kind="request", name="b", started_at_ns=0, duration_ns=1)
        >>> endpoint_name(Trace(**facts, attributes=attributes))
        'GET /books/<int:pk>/'
    """
    method, route = trace.attributes.get("method", ""), trace.attributes.get("route", "")
    if method and route:
        return f"{method} /{route.lstrip('/')}"
    return trace.name or trace.kind


def mode_of(traces: Sequence[Trace]) -> str:
    """Return the mode that most Traces have."""
    modes = Counter(trace.mode for trace in traces)
    return modes.most_common(1)[0][0] if modes else "production"


@dataclass(frozen=True, eq=False)
class Traffic:
    """Recorded Traces in the order in which they began, each with those nested in it.

    Attributes:
        traces: The outermost Traces.
        chosen: Thresholds that the user set, by name.
    """

    traces: Sequence[Trace]
    chosen: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, traces: Sequence[Trace], chosen: Mapping[str, float] | None = None) -> Traffic:
        """Return Traces in the order in which they began."""
        return cls(sorted(traces, key=lambda trace: trace.started_at_ns), chosen or {})

    def threshold(self, name: str) -> float:
        """Return the value in force of a threshold, for the mode that most Traces have."""
        return in_force(name, self.chosen, mode_of(self.traces))

    @cached_property
    def served(self) -> Sequence[Trace]:
        """The requests and tasks."""
        return [trace for trace in self.traces if trace.kind in SERVING]

    @cached_property
    def endpoints(self) -> Mapping[str, Sequence[Trace]]:
        """The requests and tasks by endpoint, in order."""
        found: dict[str, list[Trace]] = defaultdict(list)
        for trace in self.served:
            found[endpoint_name(trace)].append(trace)
        return found

    @cached_property
    def written(self) -> frozenset[str]:
        """Tables that any Trace wrote; ``*`` among them where some were not known."""
        return frozenset(
            table
            for trace in self.traces
            for part in trace.subtree()
            for query in part.queries
            for table in query.shape.writes
        )

    def asked(self) -> Iterator[Asked]:
        """Yield every SELECT of the requests and tasks that did not fail, in order."""
        for trace in self.served:
            for part in trace.subtree():
                for query in part.queries:
                    if query.error is None and query.shape.kind == "select":
                        yield Asked(trace, part, query)
