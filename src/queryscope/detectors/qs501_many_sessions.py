"""QS501: more than one session or connection to the same database in one request.

## What it does

Counts the sessions of one Trace that used a connection to the same database, and names the
line that opened each. On Django a session is a connection object in use; a connection made
by ``connections["default"].copy(...)`` counts to the database it was copied from.

## Why it is bad

Every session takes a connection of its own while it is open. With ``C`` connections held by
one request a pool of ``S`` serves ``S / C`` requests at a time, and each session has its own
identity map, so the same rows are read again. Cost: connection-time of the sessions that one
session would spare.

## Example

    def is_allowed(token):
        session = SessionLocal()          # a second session, in every request
        ...

## Use instead

Open one session where the request begins and pass it into the helpers:

    def is_allowed(session, token):
        ...

## Not flagged

One session for each database (a configured alias, engine or replica): sessions are judged
together only when they share a database. Sessions of which each thread has one, since a
session must not be shared by threads; where such sessions were in use at the same time it is
said as information. Tests, whose fixtures have a session beside the one of the code under
test. In scripts it is information only. Where each further session wrote, as a log of audits
does that must outlive a rollback, confidence is medium.

## Settings

``many_sessions_min`` (sessions, default 2) and ``many_sessions_critical`` (sessions, default
5). Sessions that held connections of one bounded pool at the same time are critical, too:
QS505 says from how many requests on they can deadlock.

## Source

SQLAlchemy, "When do I construct a Session":
https://docs.sqlalchemy.org/en/20/orm/session_basics.html
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from queryscope.detectors._openers import KINDS, place, share
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.pool import capacity, held_ns, held_together

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Severity
    from queryscope.detectors.registry import Case
    from queryscope.trace.connections import Session
    from queryscope.trace.events import Frame, TemplateNode, Trace

CODE = "QS501"
NAME = "many-sessions"
LOOKS_AT = ("sessions", "checkouts")
THRESHOLDS: Mapping[str, Threshold] = {
    "many_sessions_min": Threshold(2, "Sessions on one database, in one thread, from which on."),
    "many_sessions_critical": Threshold(5, "Sessions on one database from which on critical."),
}
MAX_OPENERS_NAMED = 8
"""Openers listed in the evidence of each finding."""


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that opened a session which another could have spared."""
    if case.trace.kind == "test":
        return
    for group in _by_database(case.trace.sessions_at_work):
        per_thread = Counter(session.thread for session in group)
        minimum = case.threshold("many_sessions_min")
        crowded = [item for item in group if per_thread[item.thread] >= minimum]
        if crowded:
            yield from _judge(case, crowded)
        elif len(group) >= minimum and _overlap(group, case.trace):
            yield _one_a_thread(case.trace, group)


def _by_database(sessions: tuple[Session, ...]) -> list[list[Session]]:
    """Return the sessions grouped so that two which share a database are in one group."""
    groups: list[tuple[set[str], list[Session]]] = []
    for session in sessions:
        names = set(session.databases)
        joined = [session]
        apart = []
        for group in groups:
            if group[0] & names or not (group[0] or names):
                names |= group[0]
                joined = group[1] + joined
            else:
                apart.append(group)
        groups = [*apart, (names, joined)]
    return [sorted(found, key=lambda item: item.number) for _, found in groups]


def _closed_ns(session: Session, trace: Trace) -> int:
    return trace.duration_ns if session.closed_ns is None else session.closed_ns


def _life_ns(session: Session, trace: Trace) -> int:
    return _closed_ns(session, trace) - session.opened_ns


def _to_keep(sessions: list[Session], trace: Trace) -> Session:
    """Return the session that outlasts most others beside it, or has most statements, or is first.

    Not the one that took longest: between sessions of one kind that is another one each time,
    and with it the line of the finding, and its fingerprint.
    """
    statements = Counter(query.session for query in trace.queries)

    def rank(session: Session) -> tuple[int, int, int]:
        end = (_closed_ns(session, trace), -session.opened_ns)
        outlasted = sum(
            session.opened_ns < _closed_ns(other, trace)
            and (_closed_ns(other, trace), -other.opened_ns) < end
            for other in sessions
        )
        return outlasted, statements[session.number], -session.number

    return max(sessions, key=rank)


def _overlap(sessions: list[Session], trace: Trace) -> bool:
    """Tell whether two of the sessions were open at the same time."""
    lives = sorted((item.first_used_ns, _closed_ns(item, trace)) for item in sessions)
    return any(later[0] < earlier[1] for earlier, later in pairwise(lives))


def _judge(case: Case, sessions: list[Session]) -> Iterator[Finding]:
    trace = case.trace
    kept = {
        thread: _to_keep([item for item in sessions if item.thread == thread], trace)
        for thread in {session.thread: None for session in sessions}
    }
    spared: dict[Frame | TemplateNode | None, list[Session]] = {}
    for session in sessions:
        if kept[session.thread] is not session:
            spared.setdefault(session.opener.first, []).append(session)
    numbers = {session.number for session in sessions}
    together = held_together(
        (c for c in trace.checkouts if c.session in numbers and capacity(c) is not None), trace
    )
    for opened in spared.values():
        yield _finding(case, sessions, kept[opened[0].thread], opened, together)


def _finding(
    case: Case,
    sessions: list[Session],
    kept: Session,
    opened: list[Session],
    together: frozenset[int],
) -> Finding:
    trace = case.trace
    numbers = {session.number for session in opened}
    checkouts = [item for item in trace.checkouts if item.session in numbers]
    queries = [item for item in trace.queries if item.session in numbers]
    nested = any(item.number in together for item in checkouts)
    severity: Severity = "warning"
    if trace.kind == "script":
        severity = "info"
    elif nested or len(sessions) >= case.threshold("many_sessions_critical"):
        severity = "critical"
    writers = {item.session for item in queries if item.shape.is_write}
    # The line that opened the session to keep has opened that one, too.
    here = sum(item.opener.first == opened[0].opener.first for item in sessions)
    databases = ", ".join(sorted({name for item in sessions for name in item.databases}))
    times = "one" if here == 1 else f"{here}"
    held = held_ns(checkouts, trace) or sum(_life_ns(item, trace) for item in opened)
    evidence: dict[str, str | int | float] = {
        "sessions": len(sessions),
        "opened_here": here,
        "database": databases,
        "held_at_once": "yes" if nested else "no",
        "kept_session": place(kept.opener),
    }
    openers = Counter(place(item.opener) for item in sessions)
    for number, (opener, count) in enumerate(openers.most_common(MAX_OPENERS_NAMED), 1):
        evidence[f"opener_{number}"] = f"{opener}, {count} x"
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity,
        confidence="medium" if writers == numbers else "high",
        message=(
            f"{len(sessions)} sessions used the database {databases} in this "
            f"{KINDS[trace.kind]}; {place(opened[0].opener)} opened {times} of them"
            f"{', while another held a connection' if nested else ''}."
        ),
        count=here,
        cost=Cost(statements=len(queries), connection_ns=held),
        origin=opened[0].opener,
        mend=_mend(kept, opened[0]),
        sessions=tuple(sorted(numbers)),
        checkouts=tuple(item.number for item in checkouts),
        subject=databases,
        evidence=evidence,
    )


def _mend(kept: Session, opened: Session) -> Mend | None:
    """Return how to use the kept session in the place of another."""
    if opened.framework != "django":
        later = kept.opened_ns > opened.opened_ns
        return share(kept.opener, opened.opener, "session", later=later)
    if opened.opener.frame is None:
        return None
    alias = next(iter(kept.databases), "default")
    return Mend(
        opened.opener.frame,
        f'.using("{alias}")',
        f'Ask on the connection "{alias}" that is in use since {place(kept.opener)}, instead of '
        "opening one of its own.",
    )


def _one_a_thread(trace: Trace, sessions: list[Session]) -> Finding:
    """Say that a request took a connection a thread: right, and still several at once."""
    numbers = {session.number for session in sessions}
    checkouts = [item for item in trace.checkouts if item.session in numbers]
    databases = ", ".join(sorted({name for item in sessions for name in item.databases}))
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="medium",
        message=(
            f"{len(sessions)} threads of this {KINDS[trace.kind]} each used a session on the "
            f"database {databases} at the same time: it takes as many connections."
        ),
        count=len(sessions),
        cost=Cost(
            statements=sum(item.session in numbers for item in trace.queries),
            connection_ns=held_ns(checkouts, trace)
            or sum(_life_ns(item, trace) for item in sessions),
        ),
        origin=sessions[0].opener,
        sessions=tuple(sorted(numbers)),
        checkouts=tuple(item.number for item in checkouts),
        subject=databases,
        evidence={"sessions": len(sessions), "threads": len(sessions), "database": databases},
    )
