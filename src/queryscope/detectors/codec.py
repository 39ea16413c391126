"""Findings as bytes and back, to lie beside their Trace."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from queryscope.detectors.finding import SEVERITIES, Cost, Finding, Known, Mend
from queryscope.trace.events import NOWHERE, Frame, Origin, TemplateNode
from queryscope.trace.packing import Envelope, damaged, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
"""Version of what is written; raised whenever a reader would misread older bytes."""
ENVELOPE = Envelope(b"F", "list of findings", VERSION)

_TEXTS = ("code", "name", "severity", "confidence", "message", "subject", "trace_id")
_NUMBERS = ("queries", "sessions", "checkouts")
_BROKEN = (TypeError, ValueError, LookupError, AttributeError)


def encode(findings: Iterable[Finding]) -> bytes:
    """Return findings as bytes.

    Raises:
        TraceFormatError: One holds what is no text and no number.
    """
    written = [_written(finding) for finding in findings]
    return pack(ENVELOPE, written) if written else _nothing()


@cache
def _nothing() -> bytes:
    """Return no finding as bytes: most Traces have none."""
    return pack(ENVELOPE, [])


def decode(data: bytes) -> tuple[Finding, ...]:
    """Return the findings of what ``encode`` gave, in this or any earlier version.

    Raises:
        TraceFormatError: The bytes are something else, cut, damaged, or of a newer format.
    """
    _, document = unpack(ENVELOPE, data)
    try:
        return tuple(map(_read, document))
    except _BROKEN as error:
        raise damaged(ENVELOPE.name, f"{type(error).__name__}: {error}") from error


def _written(finding: Finding) -> dict[str, Any]:
    written: dict[str, Any] = {name: getattr(finding, name) for name in (*_TEXTS, *_NUMBERS)}
    written["count"] = finding.count
    written["cost"] = finding.cost._asdict()
    written["origin"] = finding.origin.steps
    written["mend"] = finding.mend
    written["evidence"] = dict(finding.evidence)
    if finding.known is not None:
        written["known"] = finding.known
    return written


def _read(written: Any) -> Finding:
    texts: dict[str, Any] = {name: written[name] for name in _TEXTS}
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError("a text of a finding is no text")
    if texts["severity"] not in SEVERITIES:
        raise ValueError(f"no severity {texts['severity']!r}")
    numbers: dict[str, Any] = {name: tuple(map(int, written[name])) for name in _NUMBERS}
    steps = tuple(map(_step, written["origin"]))
    mend = written["mend"]
    known = written.get("known")  # younger than the format: a reader without it sees it as open
    return Finding(
        **texts,
        **numbers,
        count=int(written["count"]),
        cost=Cost(**{name: int(value) for name, value in written["cost"].items()}),
        origin=Origin(steps) if steps else NOWHERE,
        mend=None if mend is None else Mend(mend[0] and _step(mend[0]), mend[1], mend[2]),
        evidence=dict(written["evidence"]),
        known=None if known is None else Known(*map(_text, known)),  # type: ignore[arg-type] # how is a Literal
    )


def _text(written: object) -> str:
    if not isinstance(written, str):
        raise TypeError("a text of a finding is no text")
    return written


def _step(written: list[Any]) -> Frame | TemplateNode:
    """Return a frame or a template node: they have seven and five fields."""
    if len(written) == len(Frame._fields):
        return Frame._make(written)
    return TemplateNode._make(written)
