"""What a report shows of a verification, as frozen values without any markup.

Whoever fills them has passed every text through ``visible``: each writer may print it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Measure(NamedTuple):
    """One number of an endpoint, before and after.

    Attributes:
        key: ``time``, ``statements``, ``rows``, ``sessions``, ``loops``, ``lazy``, ``held`` or
            ``capacity``.
        label: Its name, with what one unit of it is.
        before: As text.
        after: As text.
        change: How much less or more: ``11x less``, ``+2``; ``""`` where nothing changed.
        tone: ``better``, ``worse`` or ``""``.
        before_share: Width of its bar, of 1,000, where the longer of both is 1,000.
        after_share: The same of the other bar.
    """

    key: str
    label: str
    before: str
    after: str
    change: str
    tone: str
    before_share: int
    after_share: int


class EndpointView(NamedTuple):
    """What the recorded requests of one endpoint cost on both sides, summed over them."""

    name: str
    requests: int
    measures: tuple[Measure, ...]


class CheckView(NamedTuple):
    """One step: ``passed``, ``failed`` or ``open``, its name and its numbers."""

    state: str
    name: str
    detail: str


class Line(NamedTuple):
    """One line of a diff or an answer.

    Attributes:
        kind: ``old``, ``new`` or ``""`` for what both sides have.
        old: Its number before, ``""`` where it is not there.
        new: Its number afterwards.
        text: Without its end.
    """

    kind: str
    old: str
    new: str
    text: str


class FileDiff(NamedTuple):
    """The edits of one file; between two of them is a gap."""

    path: str
    hunks: tuple[tuple[Line, ...], ...]


class AnswerView(NamedTuple):
    """One of two answers: its head (status, type, or the error), headers, effects, and its body.

    Attributes:
        head: Status and type, or what went wrong instead.
        headers: Names and values.
        effects: What it did beside answering.
        lines: Of the body, those that the other answer has not marked.
        left: Lines that are not shown.
    """

    head: str
    headers: tuple[tuple[str, str], ...]
    effects: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    left: int


class DifferenceView(NamedTuple):
    """A place where two answers differ."""

    path: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterexampleView:
    """The request that a refused patch answers otherwise, on which data, and both answers."""

    request: str
    variant: str
    headers: tuple[tuple[str, str], ...]
    body: str
    clone: str
    differences: tuple[DifferenceView, ...]
    differences_left: int
    expected: AnswerView
    got: AnswerView


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationView:
    """One verification.

    ``clones`` are those of the checks that say on which data answers were compared.
    """

    outcome: str
    machinery: str
    reason: str
    title: str
    origin: str
    learned: str
    endpoints: tuple[EndpointView, ...]
    checks: tuple[CheckView, ...]
    clones: tuple[CheckView, ...]
    counterexample: CounterexampleView | None
    diff: tuple[FileDiff, ...]
