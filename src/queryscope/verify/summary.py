"""A Verdict as what reports show of it: measures side by side, the diff, both answers."""

from __future__ import annotations

import difflib
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from queryscope.report.text import duration, visible, visible_lines
from queryscope.report.views.verification import (
    AnswerView,
    CheckView,
    CounterexampleView,
    DifferenceView,
    EndpointView,
    FileDiff,
    Line,
    Measure,
    VerificationView,
)
from queryscope.verify.contract import is_json, masked
from queryscope.verify.cost import TIME_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.verify.contract import Answer, Pairs, Request
    from queryscope.verify.proposal import Cost, Counterexample, Edit, Proposal, Verdict

MAX_BODY_CHARS = 200_000
"""Of a body that is laid out; what is behind is cut."""
MAX_LINES = 400
"""Of one side of an answer."""
MAX_CONTEXT = 3
"""Lines around what differs in two bodies."""
MAX_DIFF_LINES = 2_000
MAX_TEXT_CHARS = 2_000
MAX_DIFFERENCES = 12
BAR = 1_000
STATES = {True: "passed", False: "failed", None: "open"}
CLONE = "answers on clone "
NOISE = "within noise"
"""Of times that differ by less than what is never blamed on a patch."""


def view_of(verdict: Verdict, proposal: Proposal) -> VerificationView:
    """Return what reports show of a Verdict."""
    after = dict(verdict.after)
    checks = tuple(
        CheckView(STATES[one.passed], visible(one.name), visible(one.detail, limit=MAX_TEXT_CHARS))
        for one in verdict.checks
    )
    return VerificationView(
        outcome=verdict.outcome,
        machinery=verdict.machinery,
        reason=visible(verdict.reason, limit=MAX_TEXT_CHARS),
        title=visible(proposal.title),
        origin=visible(proposal.origin),
        learned=""
        if verdict.constraint is None
        else visible(verdict.constraint.sentence, limit=MAX_TEXT_CHARS),
        endpoints=tuple(endpoint_of(name, was, after[name]) for name, was in verdict.before),
        checks=tuple(one for one in checks if not one.name.startswith(CLONE)),
        clones=tuple(_clone(one) for one in checks if one.name.startswith(CLONE)),
        counterexample=None
        if verdict.counterexample is None
        else _counterexample(verdict.counterexample),
        diff=tuple(
            FileDiff(visible(path), tuple(_hunk(edit) for edit in proposal.edits_of(path)))
            for path in proposal.paths
        ),
    )


def _clone(check: CheckView) -> CheckView:
    """Return a check of the answers on one clone, with the clone's name said once."""
    name = check.name.removeprefix(CLONE).strip("'\"")
    return check._replace(name=name, detail=check.detail.replace(f"; {name}: ", "; "))


# -- measures ---------------------------------------------------------------------------------


def endpoint_of(name: str, was: Cost, now: Cost) -> EndpointView:
    """Return what an endpoint cost on both sides."""
    measures = [
        _measure("time", "time", was.duration_ns, now.duration_ns, unit="ns"),
        _measure("statements", "statements", was.statements, now.statements),
        _measure("rows", "rows", was.rows, now.rows),
        _measure("sessions", "sessions", was.sessions, now.sessions),
        _measure("loops", "N+1 loops", was.loops, now.loops),
        _measure("lazy", "lazy loads", was.lazy_loads, now.lazy_loads),
        _measure("held", "connection time", was.held_ns, now.held_ns, unit="ns"),
    ]
    before, after = capacity_of(was), capacity_of(now)
    if before is not None and after is not None:
        label = "pool capacity, requests/s a connection"
        measures.append(_measure("capacity", label, before, after, unit="/s"))
    return EndpointView(visible(name), max(was.requests, now.requests), tuple(measures))


def capacity_of(cost: Cost) -> float | None:
    """Return how many such requests a second one connection of a pool carries.

    It is busy for as long as it is out of the pool; None where no connection was, or where an
    older ledger does not say how many requests there were.
    """
    if not cost.requests or not cost.held_ns:
        return None
    return cost.requests * 1e9 / cost.held_ns


A_RATIO = 1.1
"""From which on a ratio says more than a difference: 107 rows for 104 are 3 more."""


def _measure(key: str, label: str, was: float, now: float, *, unit: str = "") -> Measure:
    largest = max(was, now) or 1
    change = _change(was, now, timed=bool(unit))
    falls = now < was
    tone = "better" if falls != (unit == "/s") else "worse"
    return Measure(
        key,
        label,
        _number(was, unit),
        _number(now, unit),
        change,
        tone if change not in ("", NOISE) else "",
        round(BAR * was / largest),
        round(BAR * now / largest),
    )


def _number(value: float, unit: str) -> str:
    if unit == "ns":
        return duration(value)
    return f"{value:,.0f}" if not unit or value >= 10 else f"{value:.1f}"  # noqa: PLR2004 - two digits


def _change(was: float, now: float, *, timed: bool) -> str:
    """Return how much less or more, ``""`` for equal ones."""
    if was == now:
        return ""
    least, most = min(was, now), max(was, now)
    if timed and most <= least * (1 + TIME_SHARE):
        return NOISE
    if timed and not least:
        return NOISE
    if not least or (not timed and most < least * A_RATIO):
        return f"{now - was:+,.0f}"
    how = "less" if now < was else "more"
    ratio = most / least
    return f"{ratio:.0f}x {how}" if ratio >= 10 else f"{ratio:.1f}x {how}"  # noqa: PLR2004 - two digits


# -- the diff ---------------------------------------------------------------------------------


def _hunk(edit: Edit) -> tuple[Line, ...]:
    """Return an edit as the lines of a diff, with their numbers in the source before."""
    old, new = ((text or "").splitlines() for text in (edit.old, edit.new))
    found: list[Line] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if kind == "equal":
            found += [
                Line("", str(edit.line + at), "", _shown(old[at])) for at in range(old_from, old_to)
            ]
            continue
        found += [
            Line("old", str(edit.line + at), "", _shown(old[at])) for at in range(old_from, old_to)
        ]
        found += [Line("new", "", "", _shown(new[at])) for at in range(new_from, new_to)]
    return tuple(found[:MAX_DIFF_LINES])


def _shown(line: str) -> str:
    return visible_lines(line, limit=MAX_TEXT_CHARS).replace("\n", " ")


# -- the counterexample -----------------------------------------------------------------------


def _counterexample(found: Counterexample) -> CounterexampleView:
    texts = [_lines(answer) for answer in (found.expected, found.got)]
    sides = _side_by_side(*texts)
    return CounterexampleView(
        request=visible(str(found.request), limit=MAX_TEXT_CHARS),
        variant=visible(found.request.variant),
        headers=_pairs(masked(found.request.headers)),
        body=_body_of(found.request),
        clone=visible(found.clone, limit=MAX_TEXT_CHARS),
        differences=tuple(
            DifferenceView(*(visible(part, limit=MAX_TEXT_CHARS) for part in one))
            for one in found.differences[:MAX_DIFFERENCES]
        ),
        differences_left=max(len(found.differences) - MAX_DIFFERENCES, 0),
        expected=_answer(found.expected, sides[0]),
        got=_answer(found.got, sides[1]),
    )


def _answer(answer: Answer, lines: Sequence[Line]) -> AnswerView:
    head = answer.error or f"{answer.status} {answer.media_type}".strip()
    return AnswerView(
        visible(head, limit=MAX_TEXT_CHARS),
        _pairs(masked(answer.headers)),
        _pairs(answer.effects),
        tuple(lines[:MAX_LINES]),
        max(len(lines) - MAX_LINES, 0),
    )


def _pairs(pairs: Pairs) -> tuple[tuple[str, str], ...]:
    return tuple((visible(name), visible(value)) for name, value in pairs)


def _body_of(request: Request) -> str:
    return visible_lines(request.body.decode("utf-8", "replace"), limit=MAX_TEXT_CHARS)


def laid_out(answer: Answer) -> str:
    """Return a body as text, JSON with a line for each value."""
    text = answer.body[:MAX_BODY_CHARS].decode("utf-8", "replace")
    if is_json(answer.media_type):
        with suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    return text


def _lines(answer: Answer) -> list[str]:
    return [_shown(line) for line in laid_out(answer).splitlines()]


def _side_by_side(expected: list[str], got: list[str]) -> tuple[list[Line], list[Line]]:
    """Return the lines of both, what differs marked, with what is equal cut to its edges."""
    left: list[Line] = []
    right: list[Line] = []
    matcher = difflib.SequenceMatcher(None, expected, got, autojunk=False)
    opcodes = matcher.get_opcodes() if len(expected) + len(got) <= MAX_DIFF_LINES else ()
    for kind, from_left, to_left, from_right, to_right in opcodes:
        equal = kind == "equal"
        left += _numbered(expected, from_left, to_left, "" if equal else "old")
        right += _numbered(got, from_right, to_right, "" if equal else "new")
    if not opcodes:  # too long to compare line by line
        return (
            list(_numbered(expected, 0, len(expected), "")),
            list(_numbered(got, 0, len(got), "")),
        )
    return _around(left), _around(right)


def _numbered(lines: list[str], start: int, end: int, kind: str) -> Iterator[Line]:
    for at in range(start, end):
        yield Line(kind, str(at + 1), "", lines[at])


def _around(lines: list[Line]) -> list[Line]:
    """Return what differs with the lines around it; all of them where they are few."""
    if len(lines) <= MAX_LINES:
        return lines
    kept = {
        near
        for at, line in enumerate(lines)
        if line.kind
        for near in range(at - MAX_CONTEXT, at + MAX_CONTEXT + 1)
    }
    return [line for at, line in enumerate(lines) if at in kept]
