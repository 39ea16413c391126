"""The page that says what is found in real applications: docs/reference/applications.md."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.applications.outcome import looked_at
from queryscope.detectors.registry import by_clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from benchmarks.applications.oracle import Group, Said
    from benchmarks.applications.outcome import Outcome, Way

MAX_TEXT_CHARS = 150
_COLUMNS = re.compile(r"^SELECT \"[^()]*? FROM ")
"""Columns of a table: long, and always the same."""
HEAD = (
    "application", "version", "pages", "requests", "statements", "groups", "growing", "found",
    "missed", "false alarms", "share found",
)  # fmt: skip
INTRODUCTION = """\
Applications that we did not write, installed from the registry with pinned versions, each in an \
environment of its own, and asked as a logged-in user. Run on {date}, with 5 and with 20 rows of \
whatever a page lists, in light recording (as in production) and in full recording (as in \
development), each page with empty caches and once more with what it had cached. The user's code \
is the application: `user_packages` names it.

What the first run missed or misnamed, all of it in HyperKitty, was mended in the detectors, where \
the cause is a general one: a relation of the user that is filtered by each row of a list, cached \
values that ask each other, rows of which two statements may be the source, and a table that joins \
three classes. For the other applications nothing was; what is missed there has its reason below."""
ORACLE = """\
An oracle that knows nothing of our detectors puts the statements of a request into groups: by \
their text without values, and by the application's line. A group that has more statements with \
four times the rows *grows*, and has to be covered by findings of QS1xx or QS2xx, all its \
statements but one. A warning of QS101 to QS108, QS201 or QS202 on statements that neither grow \
nor are sent more than once within the request is a *false alarm*. The same group counts once for \
each way in which a page was asked."""

TIMES = """\
Each page was asked without queryscope, too. Time is the processor's for all pages, theirs without \
queryscope being 1: until the answer, and what a thread does behind it to judge the Trace. The \
machine did other things as well, so these are coarse; [Overhead](overhead.md) measures them."""
OTHERS = """\
Warnings of codes that speak of something else than repetition, which the oracle cannot judge: \
somebody read the application's source at that line."""
GROWING = """\
Each group that grows, with its statements at the two sizes in the request that has most, and the \
codes that speak of it."""


def page(found: Sequence[Outcome], left_out: Mapping[str, str]) -> str:
    """Return the page."""
    parts = [
        "# Real applications",
        "Written by `make bench-applications`; do not edit.",
        INTRODUCTION.format(date=datetime.now(UTC).date().isoformat()),
        ORACLE,
        _table(HEAD, [_row(item) for item in found]),
        "\n".join(f"- {item.subject.distribution}: {_versions(item)}" for item in found),
        "\n".join(f"- {name} was left out: {reason}" for name, reason in left_out.items()),
        "## Missed",
        _missed(found),
        "## False alarms",
        _false(found),
        "## What recording changed",
        TIMES,
        _changed(found),
        "## Other warnings",
        OTHERS,
        _others(found),
        "## What grows",
        GROWING,
        *(part for item in found for part in (f"### {item.subject.distribution}", _growing(item))),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def told(item: Outcome) -> Iterator[str]:
    """Yield what is printed of an application."""
    yield ", ".join(f"{name} {value}" for name, value in zip(HEAD, _row(item), strict=True))
    for group, ways in _by_group(item, "missed"):
        yield f"  missed: {group.key.line}  {group.few} -> {group.many}  {_ways(ways)}"
        yield f"    {group.key.text[:300]}"
    for said, ways in _by_said(item, "false"):
        yield f"  false alarm: {said.code} at {said.place}  {_ways(ways)}\n    {said.message}"
    for said, reason in item.wrong:
        yield f"  {said.code} at {said.place}: {reason}\n    {said.message}"
    yield from (f"  {text}" for text in item.changed)
    yield f"  time: {_times(item)}"


def _row(item: Outcome) -> tuple[str, ...]:
    found, missed = item.total("found"), item.total("missed")
    return (
        item.subject.distribution,
        item.versions[item.subject.distribution],
        str(item.endpoints),
        str(len(item.judged)),
        f"{item.total('statements'):,}",
        f"{item.total('groups'):,}",
        str(found + missed),
        str(found),
        str(missed),
        str(item.total("false")),
        f"{found / (found + missed):.3f}" if found + missed else "-",
    )


def _versions(item: Outcome) -> str:
    names = ", ".join(f"{name} {number}" for name, number in item.versions.items())
    return f"{names}; {item.subject.note}" if item.subject.note else names


def _missed(found: Iterable[Outcome]) -> str:
    rows = [
        (
            item.subject.distribution, group.key.line or "no line of its own", _text(group),
            f"{group.few} -> {group.many}", _ways(ways),
            _reason(item, "missed", group.key.line),
        )
        for item in found
        for group, ways in _by_group(item, "missed")
    ]  # fmt: skip
    return _table(("application", "line", "statement", "sent", "where", "why"), rows) or "Nothing."


def _false(found: Iterable[Outcome]) -> str:
    rows = [
        (
            item.subject.distribution, said.code, said.place, said.message, _ways(ways),
            _reason(item, said.code, said.place),
        )
        for item in found
        for said, ways in _by_said(item, "false")
    ]  # fmt: skip
    return _table(("application", "code", "line", "said", "where", "why"), rows) or "None."


def _reason(item: Outcome, code: str, place: str) -> str:
    known = looked_at(item.subject.name, code, place)
    return "" if known is None else known["reason"]


def _changed(found: Iterable[Outcome]) -> str:
    lines = []
    for item in found:
        changed = "; ".join(item.changed) or (
            "nothing: the same answers, the same number of statements as the ORM itself counts, "
            "no failure of a hook, nothing printed"
        )
        lines.append(f"- {item.subject.distribution}: {changed}. Time: {_times(item)}.")
    return "\n".join(lines)


def _times(item: Outcome) -> str:
    return ", ".join(
        f"{name} recording {found.answer:.2f} + {found.behind:.2f}"
        for name, found in item.times.items()
    )


def _others(found: Iterable[Outcome]) -> str:
    rows = []
    for item in found:
        for said, ways in _by_said(item, "others"):
            known = looked_at(item.subject.name, said.code, said.place)
            if known is None:
                verdict = "by the clock" if by_clock(said.code) else "not looked at"
            else:
                verdict = "true" if known["true"] else "false"
            reason = "" if known is None else known["reason"]
            rows.append(
                (item.subject.distribution, said.code, said.place, str(len(ways)), verdict, reason)
            )
    return _table(("application", "code", "line", "times", "verdict", "why"), rows) or "None."


def _growing(item: Outcome) -> str:
    rows = [
        (group.key.line or "no line of its own", _text(group), f"{group.few} -> {group.many}",
         ", ".join(group.codes))
        for group, _ in _by_group(item, "found")
    ]  # fmt: skip
    return _table(("line", "statement", "sent", "codes"), rows)


def _by_group(item: Outcome, what: str) -> list[tuple[Group, list[Way]]]:
    """Return groups by their key, each with the largest of it and where it was."""
    ways: dict[object, list[Way]] = defaultdict(list)
    largest: dict[object, Group] = {}
    for way, judged in item.judged.items():
        for group in getattr(judged, what):
            ways[group.key].append(way)
            known = largest.get(group.key)
            if known is None or group.many > known.many:
                largest[group.key] = group
    return [(largest[key], ways[key]) for key in sorted(ways, key=str)]


def _by_said(item: Outcome, what: str) -> list[tuple[Said, list[Way]]]:
    """Return warnings by code and place, each with one of it and where it was."""
    ways: dict[tuple[str, str], list[Way]] = defaultdict(list)
    one: dict[tuple[str, str], Said] = {}
    for way, judged in item.judged.items():
        for said in getattr(judged, what):
            ways[said.code, said.place].append(way)
            one.setdefault((said.code, said.place), said)
    return [(one[key], ways[key]) for key in sorted(ways)]


def _ways(ways: Iterable[Way]) -> str:
    """Return the pages, and in which recording or state alone."""
    by_endpoint: dict[str, set[str]] = defaultdict(set)
    for way in ways:
        by_endpoint[way.endpoint].add(f"{way.recording} {way.state}")
    return "; ".join(f"{name} ({', '.join(sorted(how))})" for name, how in by_endpoint.items())


def _text(group: Group) -> str:
    text = _COLUMNS.sub("SELECT ... FROM ", group.key.text)
    return f"`{text[:MAX_TEXT_CHARS]}{'...' if len(text) > MAX_TEXT_CHARS else ''}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    if not body:
        return ""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
