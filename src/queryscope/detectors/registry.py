"""Finds the detectors by folder and runs them over finished Traces."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, NamedTuple, Protocol

from queryscope import detectors
from queryscope.detectors.finding import SEVERITIES, Finding
from queryscope.detectors.precedence import DUPLICATES, PRECEDENCE
from queryscope.errors import NotFoundError, nearest
from queryscope.trace import guard
from queryscope.trace.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from queryscope.trace.events import Trace


FAILED_PLACE = "detector "
"""How the guard calls the place of a detector that raised; its code follows."""

_MODULE = re.compile(r"qs\d{3}_\w+$")


class Threshold(NamedTuple):
    """A number that a user may set by its flat name; the name carries the unit.

    ``default`` is one number, or one per mode: ``development``, ``tests``, ``production``.
    """

    default: float | Mapping[str, float]
    meaning: str


@dataclass(frozen=True, slots=True)
class Case:
    """What a detector is given: one Trace, its repeats, and the thresholds in force.

    Attributes:
        trace: The Trace judged by itself, without its nested ones.
        repeats: Its repeated statements, grouped once for all detectors.
        chosen: Thresholds that the user set, by name.
    """

    trace: Trace
    repeats: Repeats
    chosen: Mapping[str, float] = field(default_factory=dict)

    def threshold(self, name: str) -> float:
        """Return the value in force of a threshold that some detector declares."""
        if name in self.chosen:
            return self.chosen[name]
        default = thresholds()[name].default
        if isinstance(default, (int, float)):
            return default
        return default[self.trace.mode]


class Detector(Protocol):
    """What a module ``qsNNN_name.py`` in this folder has."""

    CODE: str
    NAME: str
    THRESHOLDS: Mapping[str, Threshold]

    def detect(self, case: Case) -> Iterator[Finding]:
        """Yield the findings of one Trace; pure, reads finished Traces only."""


@cache
def all_detectors() -> Mapping[str, Detector]:
    """Return every detector of the folder by its code, in the order of the codes.

    Raises:
        ValueError: Two files have one code: it would be two things in reports and baselines.
    """
    found: dict[str, Detector] = {}
    for module in sorted(item.name for item in iter_modules(detectors.__path__)):
        if _MODULE.match(module):
            detector: Detector = import_module(f"{detectors.__name__}.{module}")
            if detector.CODE in found:
                raise ValueError(f"{module} has the code {detector.CODE} of another detector")
            found[detector.CODE] = detector
    return found


@cache
def thresholds() -> Mapping[str, Threshold]:
    """Return every threshold that a detector declares, by name.

    Raises:
        ValueError: Two detectors declare one name differently; which default holds, nobody knows.
    """
    found: dict[str, Threshold] = {}
    for code, detector in all_detectors().items():
        for name, threshold in detector.THRESHOLDS.items():
            if found.setdefault(name, threshold) != threshold:
                raise ValueError(f"{code} declares the threshold {name} otherwise than another")
    return found


def threshold_names() -> Mapping[str, float]:
    """Return the names of all thresholds, as ``Settings.from_mapping`` wants them."""
    return dict.fromkeys(thresholds(), 0.0)


def page_of(code: str) -> str:
    """Return the documentation page of a code.

    Raises:
        NotFoundError: There is no such code.
    """
    detector = all_detectors().get(code.upper())
    if detector is None:
        raise NotFoundError(
            f"There is no detector {code!r}.{nearest(code.upper(), all_detectors())}"
        )
    return (detector.__doc__ or "").strip() + "\n"


class Judged(NamedTuple):
    """A finished Trace and what the detectors say about it and its nested Traces."""

    trace: Trace
    findings: tuple[Finding, ...]


def judge(
    trace: Trace,
    *,
    chosen: Mapping[str, float] | None = None,
    on_failure: Callable[[str, Exception], None] | None = None,
) -> tuple[Finding, ...]:
    """Return the findings of one Trace, the costliest first; its nested ones are not judged.

    Args:
        trace: A finished Trace.
        chosen: Thresholds that differ from the defaults, by name.
        on_failure: Told (code, error) when a detector raised; the others go on. The code is
            ``repeats`` when the grouping before them did.
    """
    try:
        repeats = Repeats.of(trace)
    except Exception as error:  # noqa: BLE001 - sessions and pools are judged without repeats
        guard.count(error, "repeats")
        if on_failure is not None:
            on_failure("repeats", error)
        repeats = Repeats()
    case = Case(trace, repeats, chosen or {})
    found: list[Finding] = []
    for code, detector in all_detectors().items():
        try:
            found.extend(replace(item, trace_id=trace.id) for item in detector.detect(case))
        except Exception as error:  # noqa: BLE001 - one broken detector must not hide the others
            guard.count(error, f"{FAILED_PLACE}{code}")
            if on_failure is not None:
                on_failure(code, error)
    return tuple(sorted(_without_silenced(found), key=_weight))


def failed_detectors() -> tuple[str, ...]:
    """Return the codes of the detectors that have raised in this process."""
    places = [failure.place for failure in guard.failures()]
    codes = (place.removeprefix(FAILED_PLACE) for place in places if FAILED_PLACE in place)
    return tuple(dict.fromkeys(codes))


def judge_all(
    trace: Trace,
    *,
    chosen: Mapping[str, float] | None = None,
    on_failure: Callable[[str, Exception], None] | None = None,
) -> tuple[Finding, ...]:
    """Return the findings of a Trace and of all Traces nested in it, each judged by itself."""
    return tuple(
        finding
        for item in trace.subtree()
        for finding in judge(item, chosen=chosen, on_failure=on_failure)
    )


def _without_silenced(found: list[Finding]) -> Iterable[Finding]:
    """Drop findings whose statements codes of higher precedence explain already."""
    explained: set[int] = set()
    for code in PRECEDENCE:
        spoken: set[int] = set()
        for finding in found:
            if finding.code != code:
                continue
            left = len(set(finding.queries) - explained)
            if finding.queries and left <= (code in DUPLICATES):
                continue
            spoken.update(finding.queries)
            yield finding
        explained |= spoken
    yield from (finding for finding in found if finding.code not in PRECEDENCE)


def _weight(finding: Finding) -> tuple[int, int, int, str]:
    """Order: severity first, then cost, then code."""
    cost = finding.cost
    return (
        -SEVERITIES.index(finding.severity),
        -(cost.duration_ns + cost.connection_ns),
        -cost.statements,
        finding.code,
    )
