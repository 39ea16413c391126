"""What two Traces of the same work have in common: everything but times, ids and numbers."""

from __future__ import annotations

import re

_SAVEPOINT = re.compile(r"\bs\d+_x\d+\b")
"""Django's names of savepoints have a thread and a running number in them."""


def facts_of(trace):
    """Return a Trace as plain values, equal for the same work done again."""
    return {
        "name": trace.name,
        "error": trace.error,
        "status": trace.attributes.get("status"),
        "queries": [
            (
                _SAVEPOINT.sub("s", query.statement), query.parameters_key, query.rows,
                query.error, query.operation, query.model, query.load and query.load[:3],
                query.many, query.checkout,
                query.session, query.transaction, query.stage, query.database, query.created,
                [step for step in query.origin.steps if hasattr(step, "function")],
            )
            for query in trace.queries
        ],
        "sessions": [
            (item.number, item.closed_ns is None, item.framework, item.databases, item.opener)
            for item in trace.sessions
        ],
        "checkouts": [
            (
                item.number, item.pool, item.error, item.overflow, item.held_before, item.holders,
                item.session, item.got_ns is None, item.returned_ns is None, item.opener,
            )
            for item in trace.checkouts
        ],
        "transactions": [
            (item.number, item.outcome, item.savepoints, item.ended_ns is None, item.opener)
            for item in trace.transactions
        ],
        "stages": [(item.name, item.kind, item.parent, item.queries) for item in trace.stages],
        "counts": (trace.orphans, dict(trace.dropped), trace.unlabelled),
        "children": [facts_of(child) for child in trace.children],
    }  # fmt: skip
