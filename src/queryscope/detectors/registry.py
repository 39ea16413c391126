"""Finds the detectors by folder and runs them over finished Traces."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from queryscope import detectors
from queryscope.detectors.finding import Finding, weight
from queryscope.detectors.precedence import DUPLICATES, EXPLAINS, PRECEDENCE
from queryscope.errors import NotFoundError, nearest
from queryscope.trace import guard
from queryscope.trace.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from queryscope.detectors.planned import Planned
    from queryscope.detectors.traffic import Traffic
    from queryscope.trace.events import Trace


FAILED_PLACE = "detector "
"""How the guard calls the place of a detector that raised; its code follows."""

JUDGES = ("detect", "detect_over", "detect_plans")
"""Functions of which each detector has one."""
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
        return in_force(name, self.chosen, self.trace.mode)


def in_force(name: str, chosen: Mapping[str, float], mode: str) -> float:
    """Return what a threshold is: as the user set it, else its default for a mode."""
    if name in chosen:
        return chosen[name]
    default = thresholds()[name].default
    return default if isinstance(default, (int, float)) else default[mode]


class Code(Protocol):
    """What every module ``qsNNN_name.py`` in this folder has, and one of the functions that judge.

    ``detect`` judges one Trace, ``detect_over`` several, ``detect_plans`` what databases say of
    them.
    """

    CODE: str
    NAME: str
    THRESHOLDS: Mapping[str, Threshold]


FACTS = (
    "queries", "sessions", "checkouts", "transactions", "engines", "stages", "log_calls",
    "external_calls", "reads", "error",
)  # fmt: skip
"""Of a Trace, what a detector may look at."""


class Detector(Code, Protocol):
    """A code that judges each Trace by itself.

    Its module may say by ``LOOKS_AT`` which of ``FACTS`` it speaks about: it is not asked about a
    Trace that has none of them. Without, it speaks about statements.
    """

    def detect(self, case: Case) -> Iterator[Finding]:
        """Yield the findings of one Trace; pure, reads finished Traces only."""


class TrafficDetector(Code, Protocol):
    """A code that needs several Traces: ``queryscope scan`` asks it."""

    def detect_over(self, traffic: Traffic) -> Iterator[Finding]:
        """Yield the findings of recorded traffic; pure, reads finished Traces only.

        ``trace_id`` of a finding is the Trace that it gives as an example, and ``queries`` are
        statements of that one.
        """


class PlansDetector(Code, Protocol):
    """A code that needs plans or schemas: ``queryscope scan --plans`` and ``plan`` ask it."""

    def detect_plans(self, planned: Planned) -> Iterator[Finding]:
        """Yield the findings of recorded traffic; pure, reads what was asked for before.

        ``trace_id`` and ``queries`` are as for ``detect_over``.
        """


@cache
def all_detectors() -> Mapping[str, Code]:
    """Return every detector of the folder by its code, in the order of the codes.

    Raises:
        ValueError: Two files have one code: it would be two things in reports and baselines. Or a
            file judges nothing, or in several ways.
    """
    found: dict[str, Code] = {}
    for module in sorted(item.name for item in iter_modules(detectors.__path__)):
        if _MODULE.match(module):
            detector: Code = import_module(f"{detectors.__name__}.{module}")
            if detector.CODE in found:
                raise ValueError(f"{module} has the code {detector.CODE} of another detector")
            if sum(hasattr(detector, name) for name in JUDGES) != 1:
                names = ", ".join(f"{name}()" for name in JUDGES)
                raise ValueError(f"{module} must have one of {names}")
            found[detector.CODE] = detector
    return found


@cache
def for_a_trace() -> Mapping[str, Detector]:
    """Return the detectors that judge each Trace by itself, by code."""
    found: Mapping[str, Any] = all_detectors()
    return {code: item for code, item in found.items() if hasattr(item, "detect")}


@cache
def looking_at(facts: frozenset[str]) -> Mapping[str, Detector]:
    """Return the detectors that may speak of a Trace with these of ``FACTS``, by code."""
    return {
        code: item
        for code, item in for_a_trace().items()
        if not facts.isdisjoint(getattr(item, "LOOKS_AT", ("queries",)))
    }


def for_traffic() -> Mapping[str, TrafficDetector]:
    """Return the detectors that judge several Traces together, by code."""
    found: Mapping[str, Any] = all_detectors()
    return {code: item for code, item in found.items() if hasattr(item, "detect_over")}


def for_plans() -> Mapping[str, PlansDetector]:
    """Return the detectors that judge plans and schemas, by code."""
    found: Mapping[str, Any] = all_detectors()
    return {code: item for code, item in found.items() if hasattr(item, "detect_plans")}


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


def by_clock(code: str) -> bool:
    """Tell whether a code judges by durations: what it says of a test depends on the machine."""
    detector = all_detectors().get(code)
    return detector is not None and any(name.endswith("_ms") for name in detector.THRESHOLDS)


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
        meant = code.upper().replace("O", "0")  # the letter and the digit look alike
        raise NotFoundError(f"There is no detector {code!r}.{nearest(meant, all_detectors())}")
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
        guard.caught(error, "repeats")
        if on_failure is not None:
            on_failure("repeats", error)
        repeats = Repeats()
    case = Case(trace, repeats, chosen or {})
    found: list[Finding] = []
    facts = frozenset(name for name in FACTS if getattr(trace, name))
    for code, detector in looking_at(facts).items():
        try:
            found.extend(replace(item, trace_id=trace.id) for item in detector.detect(case))
        except Exception as error:  # noqa: BLE001 - one broken detector must not hide the others
            guard.caught(error, f"{FAILED_PLACE}{code}")
            if on_failure is not None:
                on_failure(code, error)
    return tuple(sorted(_without_silenced(found), key=weight)) if found else ()


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


def judge_traffic(
    traffic: Traffic, *, on_failure: Callable[[str, Exception], None] | None = None
) -> tuple[Finding, ...]:
    """Return what is found in several Traces together, the costliest first.

    Args:
        traffic: Recorded Traces, with the thresholds in force.
        on_failure: As for ``judge``.
    """
    ask = {code: item.detect_over for code, item in for_traffic().items()}
    return tuple(sorted(_asked(ask, traffic, on_failure), key=weight))


def judge_plans(
    planned: Planned, *, on_failure: Callable[[str, Exception], None] | None = None
) -> tuple[Finding, ...]:
    """Return what plans and schemas of recorded traffic show, the costliest first.

    Args:
        planned: What databases said, with the thresholds in force.
        on_failure: As for ``judge``.
    """
    ask = {code: item.detect_plans for code, item in for_plans().items()}
    return tuple(sorted(_without_silenced(_asked(ask, planned, on_failure)), key=weight))


def _asked(
    ask: Mapping[str, Callable[[Any], Iterator[Finding]]],
    given: object,
    on_failure: Callable[[str, Exception], None] | None,
) -> list[Finding]:
    found: list[Finding] = []
    for code, detect in ask.items():
        try:
            found.extend(detect(given))
        except Exception as error:  # noqa: BLE001 - one broken detector must not hide the others
            guard.caught(error, f"{FAILED_PLACE}{code}")
            if on_failure is not None:
                on_failure(code, error)
    return found


def _without_silenced(found: list[Finding]) -> Iterable[Finding]:
    """Drop findings whose statements codes of higher precedence explain already."""
    explained: set[tuple[str, int]] = set()
    needless: dict[str, set[tuple[str, int]]] = {}
    for code in PRECEDENCE:
        spoken: set[tuple[str, int]] = set()
        for finding in found:
            if finding.code != code:
                continue
            about = _about(finding)
            left = len(about - explained)
            if finding.queries and left <= (code in DUPLICATES):
                continue
            spoken |= about
            yield finding
        explained |= spoken
        _explain(code, spoken, needless)
    others = [finding for finding in found if finding.code not in PRECEDENCE]
    for finding in others:
        _explain(finding.code, _about(finding), needless)
    for finding in others:
        about = _about(finding)
        if not about or about - needless.get(finding.code, set()):
            yield finding


_Statements = set[tuple[str, int]]


def _about(finding: Finding) -> _Statements:
    """Return the statements that a finding explains."""
    return {(finding.trace_id, number) for number in finding.queries}


def _explain(code: str, about: _Statements, needless: dict[str, _Statements]) -> None:
    """Note which codes have nothing left to say of statements that a code speaks of."""
    for other in EXPLAINS.get(code, ()):
        needless.setdefault(other, set()).update(about)
