"""QS208: rows that one session has loaded are loaded again in another session of the request.

## What it does

Finds SELECTs of one set of rows, a single row by its key mostly, that two or more sessions of one
Trace sent to the same database, with nothing written to the tables in between. The statements may
differ in columns, order and limit: what they filter by and the values are the same.

## Why it is bad

Every session has an identity map of its own, so what is loaded in one is unknown in the next: the
user, the tenant and the settings are read once a session.

    cost = (sessions - 1) x (round trip + making the objects)

## Example

    def is_allowed(key):
        with SessionLocal() as session:
            return session.get(User, key).is_active

    def view(session, key):
        user = session.get(User, key)
        if is_allowed(key):               # the same user again, in a session of its own
            ...

## Use instead

Hand the session on, or the row itself:

    def is_allowed(session, key):
        return session.get(User, key).is_active      # answered by the identity map

## Not flagged

Rows that were written in between, by this Trace or a nested one; rows that were locked; other
databases; what one session reads twice (QS201 and QS203 speak of that); tests, whose fixtures have
a session beside the one of the code under test. Sessions of different threads are an `info`: a
session must not be shared by threads, though the row might be handed over.

## Settings

- `reread_sessions_min` (sessions that loaded the same rows, 2).
- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

SQLAlchemy, "Is the Session a cache?":
https://docs.sqlalchemy.org/en/20/orm/session_basics.html#is-the-session-a-cache
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from queryscope.detectors import _loops
from queryscope.detectors._advice import framework_of, short
from queryscope.detectors._openers import KINDS, place, share
from queryscope.detectors.finding import Mend
from queryscope.detectors.registry import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query
    from queryscope.trace.sets import Ask

CODE = "QS208"
NAME = "reread-in-other-session"
THRESHOLDS: Mapping[str, Threshold] = {
    "reread_sessions_min": Threshold(2, "sessions of one request that loaded the same rows"),
    **_loops.thresholds(_loops.CRITICAL_MIN_COUNT),
}


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each pair of openers between which rows were read again."""
    if case.trace.kind == "test" or len(case.trace.sessions) < 2:  # noqa: PLR2004 - a second one
        return
    least = case.threshold("reread_sessions_min")
    found: dict[object, list[list[Query]]] = {}
    for asks in case.repeats.sets:
        loaded = _loaded(case, asks)
        if len(loaded) >= max(least, 2):
            openers = tuple(dict.fromkeys(_opener(case, query) for query in loaded))
            found.setdefault((openers, loaded[0].model or loaded[0].shape.reads), []).append(loaded)
    for groups in found.values():
        yield _finding(case, groups)


def _loaded(case: Case, asks: tuple[Ask, ...]) -> list[Query]:
    """Return the first statement of each session that loaded the rows of a set."""
    first: dict[int, Query] = {}
    for ask in asks:
        query = ask.query
        session = query.session
        if (
            ask.probe
            or not query.rows
            or session is None
            or query.operation in _loops.ISOLATION_VERBS
        ):
            continue
        if query.load is not None and query.load.relation in ("column", "expired"):
            continue
        # Of what is limited only a single row is the same one each time.
        if ask.limited and query.rows != 1:
            continue
        before = next(iter(first.values()), None)
        if before is not None and not (
            case.repeats.unchanged(before, query) and before.rows == query.rows
        ):
            continue
        first.setdefault(session, query)
    return list(first.values())


def _opener(case: Case, query: Query) -> object:
    assert query.session is not None  # noqa: S101 - see _loaded
    return case.trace.sessions[query.session].opener.first


def _finding(case: Case, groups: list[list[Query]]) -> Finding:
    trace = case.trace
    queries = sorted((q for group in groups for q in group), key=lambda query: query.number)
    first, again = groups[0][0], groups[0][1]
    sessions = list(dict.fromkeys(q.session for q in queries if q.session is not None))
    kept, spared = trace.sessions[sessions[0]], trace.sessions[sessions[1]]
    threads = len({query.thread for query in queries}) > 1
    what = short(first.model) or ", ".join(sorted(first.shape.reads))
    rows = sum(group[0].rows or 0 for group in groups)
    amount = "The same row" if rows == 1 else f"The same {rows:,} rows"
    mend = None
    if framework_of(trace, first) != "django":
        later = kept.opened_ns > spared.opened_ns
        mend = share(kept.opener, spared.opener, "session", later=later)
        if mend is not None:
            # QS501 names the call to hand it through; here it is the session that is not needed.
            mend = mend._replace(at=spared.opener.frame)
    if mend is None or threads:
        mend = Mend(
            again.origin.frame,
            "",
            f"Hand over the rows of {what} that {place(first.origin)} has loaded.",
        )
    finding = _loops.finding(
        case,
        queries,
        code=CODE,
        name=NAME,
        confidence="low" if threads or trace.kind == "script" else "high",
        message=(
            f"{amount} of {what} {'is' if rows == 1 else 'are'} loaded in {len(sessions)} sessions "
            f"of this {KINDS[trace.kind]}, {len(queries)} statements in all."
        ),
        saved=len(queries) - len(groups),
        mend=mend,
        subject=what,
        origin=again.origin,
        evidence={
            "sessions": len(sessions),
            "loaded at": "; ".join(dict.fromkeys(place(query.origin) for query in queries)),
            "opened at": "; ".join(place(trace.sessions[number].opener) for number in sessions),
            "different threads": "yes" if threads else "no",
        },
    )
    return replace(finding, sessions=tuple(sessions))
