"""Writes that a framework or a log makes on the way, whatever the request is about.

Sessions, log-ins, throttles, audits and counted visits are written while a page is read, each by
itself, and nobody would want them otherwise.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queryscope.trace.events import Query, Trace

_WORDS = frozenset(
    {
        "accesslog", "activities", "activity", "analytics", "attempt", "attempts",
        "audit", "audits", "auditlog", "axes", "cache", "caches", "hit", "hits", "histories",
        "history", "impression", "impressions", "log", "logentry", "logins", "logs", "metric",
        "metrics", "nonce", "pageview", "pageviews", "ratelimit", "seen", "session", "sessions",
        "stats", "telemetry", "throttle", "throttles", "tracking", "visit", "visits",
    }
)  # fmt: skip
"""Words of a table's name: ``django_session``, ``auditlog_logentry``, ``page_visits``."""
_MOMENTS = re.compile(
    r"(last|latest|recent)_?(\w+_)?(login|seen|used|use|access|accessed|active|activity|visit|"
    r"visited|request|online|viewed|read|ip|at|on|time)\Z|\w*_?(seen|accessed|viewed)_at\Z"
)
"""Columns that say when somebody was here last: ``last_login``, ``last_used_at``."""
_SET = re.compile(r"\bSET (.+?)(?: WHERE | RETURNING |\Z)", re.IGNORECASE | re.DOTALL)
_ASSIGNED = re.compile(
    r"""(?:\A|, )(?:["`\[]?\w+["`\]]? ?\. ?)?["`\[]?(\w+)["`\]]? ?= """, re.IGNORECASE
)
_WORD = re.compile(r"[a-z]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def is_bookkeeping(query: Query) -> bool:
    """Tell whether a write is a framework's or a log's, by its tables and columns."""
    shape = query.shape
    tables = shape.writes - {"*"}
    if tables and all(_WORDS & set(_WORD.findall(table)) for table in tables):
        return True
    if _WORDS & set(_WORD.findall(_HUMP.sub("_", query.model.rpartition(".")[2]).lower())):
        return True
    columns = assigned_columns(query)
    return bool(columns) and all(_MOMENTS.match(column) for column in columns)


def assigned_columns(query: Query) -> tuple[str, ...]:
    """Return the columns that an UPDATE sets, lower case; none where they cannot be read."""
    if query.shape.kind != "update":
        return ()
    found = _SET.search(query.shape.text)
    return () if found is None else tuple(map(str.lower, _ASSIGNED.findall(found[1])))


def is_kept(query: Query, trace: Trace) -> bool:
    """Tell whether a statement wrote rows, by a line of the user's, that were not rolled back.

    Temporary tables and definitions of tables are no rows; a write without a line of the user's
    is a middleware's. What is open when the Trace ends may still be undone.
    """
    shape = query.shape
    if query.error is not None or shape.kind not in ("insert", "update", "delete"):
        return False
    if not query.origin.steps or any("temp" in table or "tmp" in table for table in shape.writes):
        return False
    if query.rows == 0 and not query.many:
        return False
    return query.transaction is None or trace.transactions[query.transaction].outcome == "commit"
