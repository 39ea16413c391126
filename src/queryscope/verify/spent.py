"""What a replayed request cost, wrote and read last, by its Trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors.precedence import N_PLUS_ONE
from queryscope.detectors.registry import judge_all
from queryscope.verify.proposal import Cost

if TYPE_CHECKING:
    from queryscope.trace.events import Trace


def cost_of(trace: Trace, duration_ns: int, *, judged: bool = False) -> Cost:
    """Return what a Trace cost, nested ones included; ``judged``, also what was found in it."""
    traces = list(trace.subtree())
    held_ns = 0
    for one in traces:
        ends = [(c.got_ns, c.returned_ns) for c in one.checkouts] or [
            (s.first_used_ns, s.closed_ns) for s in one.sessions
        ]
        held_ns += sum(end - start for start, end in ends if start is not None and end is not None)
    loops = lazy_loads = 0
    if judged:
        loops = sum(one.code in N_PLUS_ONE for one in judge_all(trace))
        loads = [query.load for one in traces for query in one.queries if query.load is not None]
        lazy_loads = sum(not load.batched for load in loads)
    return Cost(
        statements=sum(one.statements for one in traces),
        rows=sum(query.rows or 0 for one in traces for query in one.queries if query.counts),
        sessions=sum(len(one.sessions_at_work) for one in traces),
        duration_ns=duration_ns,
        held_ns=held_ns,
        requests=1,
        loops=loops,
        lazy_loads=lazy_loads,
    )


def last_read(trace: Trace) -> tuple[str, ...]:
    """Return the tables of the last statement that read any, sorted."""
    queries = [query for one in trace.subtree() for query in one.queries if query.shape.reads]
    last = max(queries, key=lambda query: query.start_ns, default=None)
    return () if last is None else tuple(sorted(last.shape.reads))


def wrote(trace: Trace) -> bool:
    """Tell whether any statement was one that writes."""
    return any(query.shape.is_write for one in trace.subtree() for query in one.queries)
