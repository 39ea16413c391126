"""The report of one Trace, and the findings of several, as JSON for programs.

``document.py`` says what stands in them; their schemas are in the reference.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from queryscope.report.collected import finding_views
from queryscope.report.document import FINDINGS_VERSION, SCHEMA_VERSION
from queryscope.report.text import milliseconds
from queryscope.report.view import report_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.report.collected import Collection
    from queryscope.report.document import (
        CheckoutRow,
        FindingsDocument,
        FoundOnce,
        GroupPart,
        ReportDocument,
        Statement,
        Step,
        TracePart,
        WastePart,
    )
    from queryscope.report.source import StepView
    from queryscope.report.view import Report
    from queryscope.report.views.connections import CheckoutView
    from queryscope.report.views.executions import Executions
    from queryscope.report.views.findings import FindingView
    from queryscope.report.views.statements import Group
    from queryscope.trace.events import Trace
    from queryscope.waste import Account


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
) -> ReportDocument:
    """Return the document of a Trace as plain dicts, lists, strings and numbers.

    Args:
        trace: A finished Trace.
        findings: What the detectors say of it and of those nested in it.
        failed_detectors: Codes of detectors that raised, alone or with the error.
    """
    report = report_of(trace, findings, failed_detectors=failed_detectors)
    return {
        "schema": "queryscope.report",
        "schema_version": SCHEMA_VERSION,
        "trace": _trace(report),
        "findings": [_finding(item) for item in report.findings],
        "findings_left": report.findings_left,
        "notes": [{"text": note.text, "details": list(note.details)} for note in report.notes],
    }


def render_findings(collection: Collection, *, indent: int | None = 1) -> str:
    """Return the JSON document of several Traces' findings as text, in ASCII, with a line end."""
    return json.dumps(findings_to_json(collection), indent=indent) + "\n"


def findings_to_json(collection: Collection) -> FindingsDocument:
    """Return the document of several Traces' findings."""
    views = finding_views(item.finding for item in collection.findings)
    return {
        "schema": "queryscope.findings",
        "schema_version": FINDINGS_VERSION,
        "traces": collection.traces,
        "level": collection.level,
        "failed": len(collection.failed),
        "findings": [
            {**_finding(view), "traces": item.traces, "expired": item.expired}
            for view, item in zip(views, collection.findings, strict=True)
        ],
        "stale": [
            {
                "file": item.file,
                "line": item.line,
                "codes": list(item.codes),
                "reason": item.reason,
                "recorded": item.recorded,
            }
            for item in collection.stale
        ],
    }


def _trace(report: Report) -> TracePart:
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
        "totals": {
            "statements": report.totals.statements,
            "rows": report.totals.rows,
            "sessions": report.totals.sessions,
            "connections_held": report.totals.connections_held,
            "transactions": report.totals.transactions,
        },
        "waste": _waste(report.waste),
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


def _finding(item: FindingView) -> FoundOnce:
    mend, known = item.mend, item.known
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
        "origin": [_position(step) for step in item.steps],
        "mend": None
        if mend is None
        else {"at": _step(mend.at), "write": mend.write, "how": mend.how},
        "evidence": dict(item.evidence),
        "queries": list(item.queries),
        "trace": item.trace_id,
        "fingerprint": item.fingerprint,
        "known": None
        if known is None
        else {
            "by": known.by,
            "place": known.place,
            "reason": known.reason,
            "owner": known.owner,
            "expires": known.expires,
        },
    }


def _step(step: StepView | None) -> Step | None:
    return None if step is None else _position(step)


def _position(step: StepView) -> Step:
    found: Step = {
        "kind": step.kind,
        "where": step.where,
        "file": step.file,
        "line": step.line,
        "source": step.text,
    }
    if step.kind == "python":
        found["function"] = step.inside
    else:
        found["tag"] = step.inside
    return found


def _waste(account: Account) -> WastePart:
    wasted = account.wasted
    return {
        "ratio": round(account.ratio, 4),
        "statements": round(wasted.statements),
        "rows": round(wasted.rows),
        "duration_ms": milliseconds(wasted.duration_ns),
        "connection_ms": milliseconds(wasted.connection_ns),
        "columns": wasted.columns,
        "bytes": wasted.size_bytes,
    }


def _group(item: Group) -> GroupPart:
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
        "origin": [_position(step) for step in item.steps],
        "created": _step(item.created),
    }


def _queries(columns: Executions) -> Iterator[Statement]:
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


def _checkout(item: CheckoutView) -> CheckoutRow:
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
