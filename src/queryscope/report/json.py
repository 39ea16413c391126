"""The report of one Trace as JSON, for programs. ``SCHEMA_VERSION`` says what to expect.

The document, version 1; every time is in milliseconds, moments from the start of the Trace:

``schema``, ``schema_version``
    ``"queryscope.report"`` and 1. New names may appear within a version; a name that goes or
    changes its meaning raises it.
``trace``
    ``id``, ``kind``, ``name``, ``started``, ``duration_ms``, ``mode``, ``recording``,
    ``attributes``, ``error``, ``w3c_trace_id`` and:

    ``time``: ``database_ms``, ``pool_wait_ms``, ``connect_ms``, ``own_ms``; they add up to
    ``duration_ms``, nested Traces included.
    ``totals``: ``statements``, ``rows``, ``sessions``, ``connections_held``, ``transactions``,
    nested Traces included.
    ``groups``: statements by shape and origin, the dearest first, with ``sql`` (the shape where
    values are not kept), ``origin`` (the innermost step first) and figures.
    ``queries``: every statement kept; ``group`` is an index into ``groups``, None for one of a
    group beyond the cap.
    ``stages``, ``sessions``, ``checkouts``, ``transactions``: as recorded.
    ``nested``: the same again for each nested Trace.
``findings``
    Those of the Trace and of nested ones, the gravest and costliest first, those of one severity
    and code together; ``trace`` is the id of the Trace concerned, ``queries`` are numbers of its
    ``queries``.
``notes``
    What is missing or went wrong while recording and judging.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from queryscope.report.text import milliseconds
from queryscope.report.view import report_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.report.source import StepView
    from queryscope.report.view import Report
    from queryscope.report.views.connections import CheckoutView
    from queryscope.report.views.executions import Executions
    from queryscope.report.views.findings import FindingView
    from queryscope.report.views.statements import Group
    from queryscope.trace.events import Trace

SCHEMA = "queryscope.report"
SCHEMA_VERSION = 1


def render(
    trace: Trace,
    findings: Sequence[Finding],
    *,
    failed_detectors: Iterable[str | tuple[str, object]] = (),
    indent: int | None = 1,
) -> str:
    """Return the JSON document of a Trace as text, in ASCII, with a line end."""
    document = to_json(trace, findings, failed_detectors=failed_detectors)
    return json.dumps(document, indent=indent) + "\n"


def to_json(
    trace: Trace,
    findings: Sequence[Finding],
    *,
    failed_detectors: Iterable[str | tuple[str, object]] = (),
) -> dict[str, Any]:
    """Return the document of a Trace as plain dicts, lists, strings and numbers.

    Args:
        trace: A finished Trace.
        findings: What the detectors say of it and of those nested in it.
        failed_detectors: Codes of detectors that raised, alone or with the error.
    """
    report = report_of(trace, findings, failed_detectors=failed_detectors)
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "trace": _trace(report),
        "findings": [_finding(item) for item in report.findings],
        "findings_left": report.findings_left,
        "notes": [{"text": note.text, "details": list(note.details)} for note in report.notes],
    }


def _trace(report: Report) -> dict[str, Any]:
    times = {part.kind: milliseconds(part.duration_ns) for part in report.split.segments}
    return {
        "id": report.id,
        "kind": report.kind,
        "name": report.name,
        "started": report.started,
        "duration_ms": milliseconds(report.duration_ns),
        "mode": report.mode,
        "recording": report.recording,
        "attributes": {**dict(report.attributes), **_status(report)},
        "error": report.error or None,
        "w3c_trace_id": report.w3c_trace_id or None,
        "time": {
            "database_ms": times["database"],
            "pool_wait_ms": times.get("wait", 0.0),
            "connect_ms": times.get("connect", 0.0),
            "own_ms": times["own"],
        },
        "totals": report.totals._asdict(),
        "groups": [_group(item) for item in report.groups],
        "groups_left": report.groups_rest.count,
        "queries": list(_queries(report.executions)),
        "stages": [
            {
                "name": item.name,
                "kind": item.kind,
                "depth": item.depth,
                "thread": item.thread,
                "start_ms": milliseconds(item.start_ns),
                "duration_ms": milliseconds(item.duration_ns),
                "database_ms": milliseconds(item.database_ns),
                "pool_wait_ms": milliseconds(item.pool_wait_ns),
                "own_ms": milliseconds(item.own_ns),
                "queries": item.queries,
            }
            for item in report.stages
        ],
        "sessions": [
            {
                "number": item.number,
                "framework": item.framework,
                "databases": item.databases,
                "opener": _step(item.opener),
                "opened_ms": milliseconds(item.opened_ns),
                "used_ms": milliseconds(item.used_ns),
                "closed": item.closed,
                "queries": item.queries,
                "database_ms": milliseconds(item.database_ns),
                "threads": list(item.threads),
            }
            for item in report.sessions
        ],
        "checkouts": [_checkout(item) for item in report.checkouts],
        "transactions": [
            {
                "number": item.number,
                "database": item.database,
                "connection": item.connection,
                "start_ms": milliseconds(item.started_ns),
                "duration_ms": milliseconds(item.duration_ns),
                "ended": item.ended,
                "outcome": item.outcome,
                "savepoints": item.savepoints,
                "queries": item.queries,
                "opener": _step(item.opener),
            }
            for item in report.transactions
        ],
        "nested": [_trace(item) for item in report.nested],
        "nested_left": report.nested_left,
    }


def _status(report: Report) -> dict[str, str]:
    return {"status": report.status} if report.status else {}


def _finding(item: FindingView) -> dict[str, Any]:
    mend = item.mend
    return {
        "code": item.code,
        "name": item.name,
        "severity": item.severity,
        "confidence": item.confidence,
        "message": item.message,
        "subject": item.subject,
        "count": item.count,
        "cost": {
            "statements": item.cost.statements,
            "avoidable": item.cost.avoidable,
            "rows": item.cost.rows,
            "duration_ms": milliseconds(item.cost.duration_ns),
            "connection_ms": milliseconds(item.cost.connection_ns),
        },
        "origin": [_step(step) for step in item.steps],
        "mend": None
        if mend is None
        else {"at": _step(mend.at), "write": mend.write, "how": mend.how},
        "evidence": dict(item.evidence),
        "queries": list(item.queries),
        "trace": item.trace_id,
        "fingerprint": item.fingerprint,
    }


def _step(step: StepView | None) -> dict[str, Any] | None:
    if step is None:
        return None
    inside = "function" if step.kind == "python" else "tag"
    found = {"kind": step.kind, "where": step.where, "file": step.file, "line": step.line}
    return {**found, inside: step.inside, "source": step.text}


def _group(item: Group) -> dict[str, Any]:
    return {
        "sql": "".join(part.text for part in item.text),
        "is_shape": item.text_is_shape,
        "kind": item.kind,
        "label": item.label,
        "database": item.database,
        "vendor": item.vendor,
        "count": item.count,
        "total_ms": milliseconds(item.total_ns),
        "longest_ms": milliseconds(item.longest_ns),
        "rows": item.rows,
        "rows_unknown": item.rows_unknown,
        "parameter_sets": item.parameter_sets,
        "in_list": item.in_list,
        "errors": item.errors,
        "codes": list(item.codes),
        "origin": [_step(step) for step in item.steps],
        "created": _step(item.created),
    }


def _queries(columns: Executions) -> Iterator[dict[str, Any]]:
    values = [dict(item) for item in columns.values]
    for number, group in enumerate(columns.group):
        chosen = columns.parameter_set[number]
        yield {
            "number": number,
            "group": None if group < 0 else group,
            "start_ms": columns.start_us[number] / 1_000,
            "duration_ms": columns.duration_us[number] / 1_000,
            "rows": _or_none(columns.rows[number]),
            "parameter_set": _or_none(chosen),
            "parameters": None if group < 0 else values[group].get(chosen),
            "many": columns.many[number],
            "thread": columns.thread[number],
            "connection": columns.connection[number],
            "session": _or_none(columns.session[number]),
            "transaction": _or_none(columns.transaction[number]),
            "stage": _or_none(columns.stage[number]),
            "error": columns.errors[columns.error[number]] if columns.error[number] >= 0 else None,
        }


def _or_none(number: int) -> int | None:
    return None if number < 0 else number


def _checkout(item: CheckoutView) -> dict[str, Any]:
    return {
        "number": item.number,
        "pool": item.pool,
        "capacity": item.capacity,
        "connection": item.connection,
        "session": item.session,
        "thread": item.thread,
        "asked_ms": milliseconds(item.asked_ns),
        "waited_ms": milliseconds(item.waited_ns),
        "connect_ms": milliseconds(item.connect_ns),
        "held_ms": milliseconds(item.held_ns),
        "busy_ms": milliseconds(item.busy_ns),
        "idle_ms": milliseconds(item.idle_ns),
        "held_before": item.held_before,
        "overflow": item.overflow,
        "state": item.state,
        "opener": _step(item.opener),
        "holders": list(item.holders),
    }
