"""A verification for people and programs: terminal, HTML, Markdown for a pull request, JSON."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from queryscope.report.text import visible, visible_lines
from queryscope.verify import compare, verdicts
from queryscope.verify.contract import is_json, masked
from queryscope.verify.summary import endpoint_of, view_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.verify.contract import Answer, Request
    from queryscope.verify.proposal import Counterexample, Proposal, Verdict

MARKS = {True: "yes", False: "NO", None: "--"}
MAX_BODY_CHARS = 600
MAX_TEXT_CHARS = 2_000
COLUMNS = {
    "statements": "statements",
    "rows": "rows",
    "sessions": "sessions",
    "N+1 loops": "loops",
    "lazy loads": "lazy",
    "time": "time",
    "connection time": "held",
    "requests/s a connection": "capacity",
}
"""Headings of the table, and the measures below them."""
HEADINGS = ("endpoint", *COLUMNS)


def render(form: str, verdict: Verdict, proposal: Proposal) -> str:
    """Return a Verdict as ``terminal``, ``markdown``, ``html`` or ``json``."""
    if form == "json":
        plain = {"proposal": _proposal(proposal), **verdicts.to_plain(verdict)}
        return json.dumps(plain, indent=1) + "\n"
    if form == "html":
        from queryscope.report import html  # templates and all, for this form alone

        return html.render_verification(view_of(verdict, proposal))
    lines = _markdown(verdict, proposal) if form == "markdown" else _terminal(verdict, proposal)
    return visible_lines("\n".join(lines), limit=10**6) + "\n"


def _proposal(proposal: Proposal) -> dict[str, object]:
    return {
        "title": proposal.title,
        "origin": proposal.origin,
        "key": proposal.key,
        "edits": [edit._asdict() for edit in proposal.edits],
    }


# -- terminal ---------------------------------------------------------------------------------


def _terminal(verdict: Verdict, proposal: Proposal) -> Iterator[str]:
    yield f"{proposal.origin}: {proposal.title}"
    width = max((len(check.name) for check in verdict.checks), default=0)
    for check in verdict.checks:
        detail = visible(check.detail, limit=MAX_TEXT_CHARS)
        yield f"  {MARKS[check.passed]:3}  {check.name:{width}}  {detail}"
    if verdict.before:
        yield ""
        yield from _aligned([HEADINGS, *_rows(verdict)])
    if verdict.counterexample is not None:
        yield ""
        yield from _counterexample(verdict.counterexample)
    yield ""
    yield f"{verdict.outcome}: {visible(verdict.reason, limit=MAX_TEXT_CHARS)}."
    if verdict.outcome == "inconclusive" and verdict.machinery != "completed":
        yield f"The verification itself has {verdict.machinery}."
    if verdict.constraint is not None:
        yield f"learned: {visible(verdict.constraint.sentence, limit=MAX_TEXT_CHARS)}"


def _rows(verdict: Verdict) -> Iterator[tuple[str, ...]]:
    after = dict(verdict.after)
    for name, was in verdict.before:
        endpoint = endpoint_of(name, was, after[name])
        told = {one.key: f"{one.before} -> {one.after}" for one in endpoint.measures}
        yield (endpoint.name, *(told.get(key, "") for key in COLUMNS.values()))


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()


def _counterexample(found: Counterexample) -> Iterator[str]:
    yield f"  {found.request}" + (f"   ({found.request.variant})" if found.request.variant else "")
    yield f"  on the data {found.clone}"
    for line in compare.table_of(found.differences).splitlines():
        yield f"    {visible(line, limit=MAX_TEXT_CHARS)}"


# -- Markdown ---------------------------------------------------------------------------------


def _markdown(verdict: Verdict, proposal: Proposal) -> Iterator[str]:
    yield f"### queryscope: {verdict.outcome}"
    yield ""
    yield f"{_plain(verdict.reason)}."
    if verdict.before:
        yield ""
        yield f"| {' | '.join(HEADINGS)} |"
        yield f"|{'---|' * len(HEADINGS)}"
        for row in _rows(verdict):
            yield f"| {' | '.join(map(_plain, row))} |"
    if verdict.counterexample is not None:
        yield ""
        yield from _markdown_counterexample(verdict.counterexample)
    yield ""
    yield f"<details><summary>{len(verdict.checks)} checks of {_plain(proposal.origin)}</summary>"
    yield ""
    yield "| passed | check | detail |"
    yield "|---|---|---|"
    for check in verdict.checks:
        yield f"| {MARKS[check.passed]} | {_plain(check.name)} | {_plain(check.detail)} |"
    yield ""
    yield "</details>"
    if verdict.constraint is not None:
        yield ""
        yield f"Learned: {_plain(verdict.constraint.sentence)}"


def _markdown_counterexample(found: Counterexample) -> Iterator[str]:
    yield f"Counterexample, on the data {_plain(found.clone)}:"
    yield ""
    yield "```http"
    yield from _request_lines(found.request)
    yield "```"
    yield ""
    yield "| where | expected | got |"
    yield "|---|---|---|"
    for one in found.differences[:8]:
        yield f"| {_plain(one.path)} | {_plain(one.expected)} | {_plain(one.got)} |"
    for name, answer in (("Original", found.expected), ("Patched", found.got)):
        yield ""
        yield f"{name}:"
        yield ""
        yield "```"
        yield _answer_text(answer)
        yield "```"


def _request_lines(request: Request) -> Iterator[str]:
    yield str(request)
    for name, value in masked(request.headers):
        yield f"{name}: {value}"
    if request.body:
        yield ""
        yield request.body.decode("utf-8", "replace")[:MAX_BODY_CHARS]


def _answer_text(answer: Answer) -> str:
    if answer.error:
        return answer.error
    text = answer.body.decode("utf-8", "replace")
    if is_json(answer.media_type):
        with suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(text), ensure_ascii=False)
    text = text.replace("```", "'''")
    cut = text if len(text) <= MAX_BODY_CHARS else f"{text[:MAX_BODY_CHARS]}…"
    return f"{answer.status} {answer.media_type}\n{cut}".rstrip()


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, in one cell."""
    shown = visible(text, limit=MAX_TEXT_CHARS)
    for mark in ("\\", "|", "<", "`", "*", "_", "["):
        shown = shown.replace(mark, f"\\{mark}")
    return shown
