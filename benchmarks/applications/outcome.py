"""What came out for one application: verdicts of the oracle, and what recording changed."""

from __future__ import annotations

import base64
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.applications import oracle
from queryscope.detectors.registry import by_clock
from queryscope.trace import codec

if TYPE_CHECKING:
    from benchmarks.applications.site import Subject

Lines = Mapping[tuple[int, str], Sequence[Mapping[str, Any]]]
"""What the workers wrote, by size and watch."""

LOOKED_AT = Path(__file__).with_name("looked_at.toml")
"""What a person found when looking at a warning that the oracle cannot judge, or at a loss."""
RECORDINGS = ("light", "full")
MAX_RATIO = 1.5
"""Recorded time by bare time above which an application counts as slowed: far above the noise."""
_MOMENT = re.compile(r"\d+")


class Way(NamedTuple):
    """One page, asked in one way: ``cold`` is with empty caches."""

    recording: str
    endpoint: str
    state: str


class Times(NamedTuple):
    """Times as shares of those of the bare pages.

    Attributes:
        answer: Until the answer was there.
        behind: Behind the answer, in a thread: freezing and judging the Trace.
    """

    answer: float
    behind: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out for one application.

    Attributes:
        subject: The application.
        versions: Of what the page names.
        judged: The verdict on each page, by the way it was asked.
        endpoints: Different pages.
        changed: What recording changed or broke, a sentence each.
        times: How long recorded pages took, by recording.
    """

    subject: Subject
    versions: Mapping[str, str]
    judged: Mapping[Way, oracle.Judged]
    endpoints: int
    changed: Sequence[str]
    times: Mapping[str, Times]

    @property
    def is_met(self) -> bool:
        """Whether everything is as it is wanted."""
        lost = any(item.missed or item.false for item in self.judged.values())
        return not (lost or self.changed or self.wrong)

    @property
    def wrong(self) -> Sequence[tuple[oracle.Said, str]]:
        """Warnings of other codes that nobody looked at, or that are not true, with the reason.

        What is told by the clock comes and goes with what else the machine does.
        """
        seen = {}
        for said in (item for judged in self.judged.values() for item in judged.others):
            if by_clock(said.code):
                continue
            known = looked_at(self.subject.name, said.code, said.place)
            if known is None or not known["true"]:
                reason = "not looked at" if known is None else known["reason"]
                seen[said.code, said.place] = (said, reason)
        return list(seen.values())

    def total(self, what: str) -> int:
        """Return the sum over all pages of a count, or of the length of a list."""
        values = (getattr(item, what) for item in self.judged.values())
        return sum(item if isinstance(item, int) else len(item) for item in values)


def outcome(
    subject: Subject,
    versions: Mapping[str, str],
    lines: Lines,
    printed: Mapping[str, Sequence[str]],
    sizes: tuple[int, int],
) -> Outcome:
    """Judge what the workers wrote.

    Args:
        subject: The application.
        versions: Of what the page names.
        lines: What the workers wrote, by size and watch.
        printed: What they printed, by watch.
        sizes: Few and many rows.
    """
    judged = {}
    for recording in RECORDINGS:
        few, many = (_asked(lines[size, recording]) for size in sizes)
        for at, asked in many.items():
            if at in few:
                judged[Way(recording, *at)] = oracle.judge(few[at], asked)
    changed = [*_changed(lines, sizes), *_printed(printed)]
    times = {recording: _times(lines, sizes, recording) for recording in RECORDINGS}
    changed += [
        f"{recording} recording takes {found.answer:.2f} times as long as none"
        for recording, found in times.items()
        if found.answer > MAX_RATIO
    ]
    endpoints = len({way.endpoint for way in judged})
    return Outcome(subject, versions, judged, endpoints, changed, times)


def looked_at(site: str, code: str, place: str) -> Mapping[str, Any] | None:
    """Return what a person found about a warning at a place, None when nobody looked."""
    for known in _looked_at():
        places = known["places"]
        if known["site"] == site and known["code"] == code and (place in places or not places):
            return known
    return None


@cache
def _looked_at() -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = tomllib.loads(LOOKED_AT.read_text(encoding="utf-8"))[
        "warning"
    ]
    return found


def _asked(lines: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], oracle.Asked]:
    return {
        (line["endpoint"], line["state"]): oracle.Asked.of(
            codec.decode(base64.b64decode(line["trace"])), map(oracle.Said.of, line["findings"])
        )
        for line in lines
        if "trace" in line
    }


# -- what recording changed ------------------------------------------------------------------------


def _changed(lines: Lines, sizes: tuple[int, int]) -> Iterable[str]:
    for size in sizes:
        bare = {(line["endpoint"], line["state"]): line for line in lines[size, "bare"]}
        for (endpoint, state), line in bare.items():
            if line.get("status", 200) != 200:  # noqa: PLR2004 - HTTP's
                yield f"{endpoint} ({state}, {size} rows) is answered with {line['status']}"
        for recording in RECORDINGS:
            for line in lines[size, recording]:
                where = f"{line['endpoint']} ({line['state']}, {recording}, {size} rows)"
                yield from (f"{where}: {text}" for text in _against(line, bare))


def _against(
    line: Mapping[str, Any], bare: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Iterable[str]:
    """Yield how a recorded answer differs from the bare one, and what failed."""
    yield from line.get("failures", ())
    if line.get("lost"):
        yield f"{line['lost']} Traces were lost"
    if "broken" in line:
        yield line["broken"]
    if "trace" not in line:
        return
    plain = bare[line["endpoint"], line["state"]]
    if line["status"] != plain["status"]:
        yield f"status {line['status']}, bare {plain['status']}"
    elif line["body"] != plain["body"]:
        yield f"another body of {line['size']} bytes, bare {plain['size']}"
    trace = codec.decode(base64.b64decode(line["trace"]))
    if len(trace.queries) != plain["statements"]:
        yield f"{len(trace.queries)} statements, the ORM itself counts {plain['statements']}"
    for name in ("orphans", "unlabelled", "dropped"):
        if getattr(trace, name):
            yield f"{name}: {getattr(trace, name)}"


def _printed(printed: Mapping[str, Sequence[str]]) -> Iterable[str]:
    """Yield what only a recorded process prints; numbers in it may differ."""
    bare = {_MOMENT.sub("0", line) for line in printed["bare"]}
    for recording in RECORDINGS:
        new = Counter(_MOMENT.sub("0", line) for line in printed[recording] if line.strip())
        for line, count in new.items():
            if line not in bare:
                yield f"{recording} recording prints {count} x: {line[:200]}"


def _times(lines: Lines, sizes: tuple[int, int], recording: str) -> Times:
    def total(watch: str, which: int) -> int:
        return sum(line["ns"][which] for n in sizes for line in lines[n, watch] if "ns" in line)

    bare = total("bare", 0)
    return Times(total(recording, 0) / bare, total(recording, 1) / bare)
