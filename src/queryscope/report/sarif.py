"""Findings as SARIF 2.1.0, for code scanning: https://docs.oasis-open.org/sarif/sarif/v2.1.0/.

Columns are left out: those of a Trace count bytes, SARIF's count characters. Paths are relative to
``SRCROOT``, the project's folder; a file elsewhere has its own address.
"""

from __future__ import annotations

import json
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import queryscope
from queryscope.detectors import registry
from queryscope.policy.paths import relative
from queryscope.report.collected import headline, remedy
from queryscope.report.text import milliseconds, visible
from queryscope.trace.events import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors.finding import Finding, Known
    from queryscope.report.collected import Collection, Spotted
    from queryscope.trace.events import TemplateNode

VERSION = "2.1.0"
SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
ROOT = "SRCROOT"
FINGERPRINT = "queryscope/v1"
"""Name of our fingerprint: another way to make one gets another number."""
MAX_STEPS = 12
"""Steps of one origin that are listed."""
_LEVELS = {"critical": "error", "warning": "warning", "info": "note"}
_RANKS = {"high": 90.0, "medium": 60.0, "low": 30.0}
"""``rank`` is from 0 to 100; ours says how sure the detector is."""


def render(collection: Collection, *, indent: int | None = 1) -> str:
    """Return the log of several Traces' findings as text, in ASCII, with a line end."""
    return json.dumps(to_sarif(collection), indent=indent) + "\n"


def to_sarif(collection: Collection) -> dict[str, Any]:
    """Return the log of several Traces' findings as plain dicts, lists, strings and numbers."""
    codes = list(dict.fromkeys(item.finding.code for item in collection.findings))
    return {
        "$schema": SCHEMA,
        "version": VERSION,
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "queryscope",
                        "version": queryscope.__version__,
                        "rules": [_rule(code) for code in codes],
                    }
                },
                "originalUriBaseIds": {ROOT: {"uri": f"{collection.root.absolute().as_uri()}/"}},
                "columnKind": "unicodeCodePoints",
                "results": [
                    _result(item, codes.index(item.finding.code), collection)
                    for item in collection.findings
                ],
            }
        ],
    }


def _rule(code: str) -> dict[str, Any]:
    detector = registry.all_detectors().get(code)
    if detector is None:  # recorded by another version
        return {"id": code}
    page = registry.page_of(code)
    sentence = page.partition("\n")[0].partition(":")[2].strip()
    return {
        "id": code,
        "name": detector.NAME,
        "shortDescription": {"text": sentence},
        "help": {"text": page, "markdown": page},
    }


def _result(item: Spotted, rule: int, collection: Collection) -> dict[str, Any]:
    finding = item.finding
    steps = list(_steps(finding))
    found: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "rank": _RANKS[finding.confidence],
        "message": {"text": "\n".join(filter(None, (headline(finding), remedy(finding))))},
        "locations": [_location(step, collection) for step in steps[:1]],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "occurrenceCount": item.traces,
        "properties": {
            "confidence": finding.confidence,
            "subject": visible(finding.subject, limit=200),
            "count": finding.count,
            "statements": finding.cost.statements,
            "avoidable": finding.cost.avoidable,
            "duration_ms": milliseconds(finding.cost.duration_ns),
            "connection_ms": milliseconds(finding.cost.connection_ns),
            "trace": visible(finding.trace_id, limit=64),
            "traceName": visible(item.name),
        },
        # An empty list says that nothing is suppressed; without one nobody would know.
        "suppressions": [] if finding.known is None else [_suppression(finding.known)],
    }
    related = [_location(step, collection, "called from") for step in steps[1:]]
    at = finding.mend.at if finding.mend is not None else None
    if at is not None and at.file and steps[:1] != [at]:
        related.insert(0, _location(at, collection, "to be edited"))
    if related:
        found["relatedLocations"] = related
    return found


def _steps(finding: Finding) -> Iterator[Frame | TemplateNode]:
    """Yield the steps in files, the innermost first; what is to be edited where there is none."""
    shown = [step for step in finding.origin.steps if step.file][:MAX_STEPS]
    at = finding.mend.at if finding.mend is not None else None
    yield from shown or ([at] if at is not None and at.file else [])


def _location(
    step: Frame | TemplateNode, collection: Collection, message: str = ""
) -> dict[str, Any]:
    region = {"startLine": max(step.line, 1)}
    if isinstance(step, Frame) and step.end_line > step.line:
        region["endLine"] = step.end_line
    found: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": _artifact(step, collection), "region": region}
    }
    if isinstance(step, Frame):
        name = visible(f"{step.module}.{step.scope}")
        found["logicalLocations"] = [{"fullyQualifiedName": name, "kind": "function"}]
    if message:
        found["message"] = {"text": message}
    return found


def _artifact(step: Frame | TemplateNode, collection: Collection) -> dict[str, str]:
    file = step.file or ""
    below = relative(file, collection.root)
    if below != file.replace("\\", "/"):
        return {"uri": quote(below, errors="replace"), "uriBaseId": ROOT}
    path = PurePath(file)
    if path.is_absolute():
        return {"uri": "file:///" + quote(path.as_posix().lstrip("/"), safe="/:", errors="replace")}
    return {"uri": quote(PurePosixPath(below).as_posix(), errors="replace")}


def _suppression(known: Known) -> dict[str, Any]:
    parts = [known.reason, known.owner and f"owner: {known.owner}"]
    parts.append(known.expires and f"until {known.expires}")
    found: dict[str, Any] = {
        "kind": "inSource" if known.by == "comment" else "external",
        "status": "accepted",
        "properties": {"by": known.by, "place": visible(known.place)},
    }
    justification = visible("; ".join(filter(None, parts)), limit=1_000)
    return {**found, "justification": justification} if justification else found
