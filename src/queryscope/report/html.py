"""Self-contained HTML pages: one Trace, the list of Traces, a plan, a verification."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from queryscope.report import text
from queryscope.report.view import report_of
from queryscope.report.views.lists import ListEntry, list_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.report.view import Report
    from queryscope.report.views.executions import Executions
    from queryscope.report.views.plans import PlanPage
    from queryscope.report.views.verification import VerificationView
    from queryscope.trace.events import Trace

_COLUMNS = (
    "group",
    "start_us",
    "duration_us",
    "rows",
    "parameter_set",
    "thread",
    "connection",
    "session",
    "transaction",
    "stage",
    "many",
    "error",
)


def render(
    trace: Trace,
    findings: Sequence[Finding],
    *,
    failed_detectors: Iterable[str | tuple[str, object]] = (),
    list_href: str = "",
    plan_href: str = "",
) -> str:
    """Return the page of one Trace: one file, without any other resource.

    Args:
        trace: A finished Trace; those nested in it are shown below it.
        findings: What the detectors say of it and of the nested ones.
        failed_detectors: Codes of detectors that raised, alone or with the error.
        list_href: Where the list of Traces is, ``""`` for a page that stands alone.
        plan_href: What stands before ``/TRACE/N`` where the plan of a statement is, ``""`` where
            nobody answers that.
    """
    report = report_of(trace, findings, failed_detectors=failed_detectors)
    script, style = _asset("script.js"), _asset("style.css")
    template = _environment().get_template("report.html.j2")
    return template.render(
        report=report,
        island=_island(report),
        script=Markup(script),  # noqa: S704 - our own file
        style=Markup(style),  # noqa: S704 - our own file
        policy=_policy(style, script),
        list_href=list_href,
        plan_href=plan_href,
    )


def render_list(
    entries: Iterable[ListEntry | tuple[Trace, Sequence[Finding]]], *, base_href: str = ""
) -> str:
    """Return the viewer's list of Traces, in the order given.

    Args:
        entries: Lines, or pairs of a Trace and its findings such as ``Judged``.
        base_href: What stands before the id in a link; without it the report is looked for
            beside the list.
    """
    lines = [
        item if isinstance(item, ListEntry) else list_entry(item[0], item[1]) for item in entries
    ]
    style = _asset("style.css")
    template = _environment().get_template("list.html.j2")
    return template.render(
        entries=lines,
        slowest_ns=max((line.duration_ns for line in lines), default=0),
        style=Markup(style),  # noqa: S704 - our own file
        policy=_policy(style, None),
        base_href=base_href,
    )


def render_plan(page: PlanPage, *, back_href: str) -> str:
    """Return the page of the plan of one statement.

    Args:
        page: What it shows.
        back_href: Where the report of its Trace is.
    """
    style = _asset("style.css")
    return (
        _environment()
        .get_template("plan.html.j2")
        .render(
            page=page,
            style=Markup(style),  # noqa: S704 - our own file
            policy=_policy(style, None),
            back_href=back_href,
        )
    )


def render_verification(view: VerificationView) -> str:
    """Return the page of a verification: one file, without a script or any other resource."""
    style = _asset("style.css")
    return (
        _environment()
        .get_template("verification.html.j2")
        .render(
            view=view,
            style=Markup(style),  # noqa: S704 - our own file
            policy=_policy(style, None),
        )
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("queryscope.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=text.duration, counted=text.counted, share=text.share, thousands=_thousands
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


@cache
def _asset(name: str) -> str:
    """Return a file of ours as it stands in the page: browsers hash it with plain line ends."""
    loader = _environment().loader
    assert loader is not None  # noqa: S101 - for the type checker
    source, _, _ = loader.get_source(_environment(), name)
    return source.replace("\r\n", "\n")


def _policy(style: str, script: str | None) -> str:
    """Return the page's content security policy: our own style and script run, nothing else."""
    scripts = "'none'" if script is None else _digest(script)
    return (
        f"default-src 'none'; script-src {scripts}; style-src {_digest(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _thousands(number: int) -> str:
    return f"{number:,}"


def _island(report: Report) -> dict[str, Any]:
    """Return what the page's script needs beyond the markup: every single statement."""
    traces: dict[str, Any] = {}
    keys: dict[str, str] = {}

    def add(item: Report) -> None:
        keys[item.id] = item.key
        traces[item.key] = {
            "wall_us": item.duration_ns // 1_000,
            "count": len(item.executions.group),
            "thread_rows": [
                row.thread for lane in item.timeline.lanes for row in lane.rows if row.thread >= 0
            ],
            **_columns(item.executions),
        }
        for nested in item.nested:
            add(nested)

    add(report)
    return {
        "traces": traces,
        "findings": [
            {"anchor": item.anchor, "trace": keys.get(item.trace_id, ""), "queries": item.queries}
            for item in report.findings
        ],
    }


def _columns(executions: Executions) -> dict[str, Any]:
    """Return the columns; one number stands for a column of equal ones."""
    found: dict[str, Any] = {}
    for name in _COLUMNS:
        column = getattr(executions, name)
        found[name] = column[0] if column and column.count(column[0]) == len(column) else column
    found["kinds"] = executions.kinds
    found["heads"] = executions.heads
    found["stages"] = executions.stages
    found["errors"] = executions.errors
    found["values"] = [dict(item) for item in executions.values]
    return found
