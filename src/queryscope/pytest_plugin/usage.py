"""What a block used of each budget, nested Traces included."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.precedence import N_PLUS_ONE
from queryscope.trace.pool import most_held
from queryscope.waste import waste_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.trace.connections import Checkout, Session
    from queryscope.trace.events import Query, Trace
    from queryscope.trace.facts import OpenSession
    from queryscope.trace.recorder import Recorder


class Usage(NamedTuple):
    """One number per budget, under its name."""

    queries: int
    sessions: int
    connections_held: int
    n_plus_one: int
    duplicates: int
    rows: int
    time_ms: float
    waste: float


class At(NamedTuple):
    """A statement, and what names it in a subtree: the Trace's id and its number there."""

    key: tuple[str, int]
    query: Query


def usage_of(recorder: Recorder, trace: Trace, findings: Sequence[Finding]) -> Usage:
    """Return what a block used.

    Args:
        recorder: The block's closed Recorder; it knows which sessions of nested Traces are one.
        trace: Its Trace.
        findings: Those of the Trace and of every Trace in it.
    """
    parts = list(trace.subtree())
    return Usage(
        queries=sum(part.statements for part in parts),
        sessions=len(used_sessions(recorder, trace)),
        connections_held=most_held(trace),
        n_plus_one=sum(one.code in N_PLUS_ONE and one.known is None for one in findings),
        duplicates=sum(len(group) - 1 for group in duplicates(trace)),
        rows=sum(part.rows for part in parts),
        time_ms=trace.duration_ns / 1e6,
        waste=waste_of(trace, findings).total.ratio,
    )


def statements(trace: Trace) -> Iterator[At]:
    """Yield every statement kept, of nested Traces too."""
    for part in trace.subtree():
        for query in part.queries:
            yield At((part.id, query.number), query)


def duplicates(trace: Trace) -> list[list[At]]:
    """Return the groups of equal statements: same database, text and parameters.

    A write between two of them changes nothing here: QS201 judges that. Batches are left out,
    since their parameters are not kept.
    """
    groups: dict[tuple[str, str, str], list[At]] = {}
    for at in statements(trace):
        query = at.query
        if query.counts and not query.many:
            key = (query.database, query.statement, query.parameters_key)
            groups.setdefault(key, []).append(at)
    return [group for group in groups.values() if len(group) > 1]


def used_sessions(recorder: Recorder, trace: Trace) -> list[Session]:
    """Return the sessions that used a connection, once each.

    A SQLAlchemy session that goes on in a nested Trace is there again under its own number. On
    Django each Trace has a session of its own for one connection object: as long as the object
    keeps its connection, it is the same one.
    """
    found: dict[int, Session] = {}
    by_connection: dict[int, list[tuple[OpenSession, Session]]] = {}
    for part, its_trace in pairs(recorder, trace):
        at_work = {session.number for session in its_trace.sessions_at_work}
        connection_of = {raw[8].uid: raw[6].uid for raw in part.queries if raw[8] is not None}
        for raw_session, session in zip(part.sessions, its_trace.sessions, strict=True):
            connection = connection_of.get(raw_session.uid)
            if session.number not in at_work:
                continue
            if session.framework == "django" and connection is not None:
                by_connection.setdefault(connection, []).append((raw_session, session))
            else:
                found.setdefault(raw_session.uid, session)
    sessions = list(found.values())
    for alike in by_connection.values():
        alike.sort(key=lambda pair: pair[0].opened_ns)
        still_open = False
        for raw_session, session in alike:
            if not still_open:
                sessions.append(session)
            still_open = raw_session.closed_ns is None
    return sessions


def used_checkouts(recorder: Recorder, trace: Trace) -> list[tuple[Checkout, int]]:
    """Return the checkouts that got a connection, once each, with the nanoseconds it was out.

    One that an outer Trace took and a nested one used is there in both.
    """
    found: dict[int, tuple[Checkout, int]] = {}
    for part, its_trace in pairs(recorder, trace):
        for raw_checkout, checkout in zip(part.checkouts, its_trace.checkouts, strict=True):
            if raw_checkout.uid not in found and checkout.got_ns is not None:
                until = checkout.returned_ns
                until = its_trace.duration_ns if until is None else until
                found[raw_checkout.uid] = checkout, max(until - checkout.got_ns, 0)
    return list(found.values())


def pairs(recorder: Recorder, trace: Trace) -> Iterator[tuple[Recorder, Trace]]:
    """Yield the Recorder and the Trace of each part of a subtree, outermost first."""
    yield recorder, trace
    for child, its_trace in zip(recorder.children, trace.children, strict=True):
        yield from pairs(child, its_trace)
