"""Findings as annotations of a pull request: the workflow commands that GitHub Actions reads.

One line each, such as ``::warning file=app/views.py,line=41,title=QS101 n-plus-one::message``.
GitHub shows ten errors, ten warnings and ten notices of one step; the gravest stand first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.policy.paths import relative
from queryscope.report.collected import headline, remedy
from queryscope.report.text import visible
from queryscope.trace.events import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors.finding import Finding
    from queryscope.report.collected import Collection

_COMMANDS = {"critical": "error", "warning": "warning", "info": "notice"}


def render(collection: Collection) -> str:
    """Return one command a line for each open finding, and for each stale ignore."""
    lines = [*_findings(collection), *_stale(collection)]
    return "".join(f"{line}\n" for line in lines)


def _findings(collection: Collection) -> Iterator[str]:
    for item in collection.findings:
        finding = item.finding
        if finding.known is not None:
            continue
        text = [headline(finding), remedy(finding)]
        if item.expired:
            text.append(f"Known in the baseline until {item.expired}.")
        properties = {**_place(finding, collection), "title": f"{finding.code} {finding.name}"}
        yield _command(_COMMANDS[finding.severity], properties, "\n".join(filter(None, text)))


def _stale(collection: Collection) -> Iterator[str]:
    for item in collection.stale:
        if item.recorded:
            file = relative(item.file, collection.root)
            properties = {"file": file, "line": str(item.line), "title": "stale ignore"}
            text = f"Nothing matches {', '.join(item.codes)} here any more: delete the ignore."
            yield _command("warning", properties, text)


def _place(finding: Finding, collection: Collection) -> dict[str, str]:
    """Return the file and the line of the finding, or where to mend it; nothing if unknown."""
    at = finding.mend.at if finding.mend is not None else None
    for step in (finding.origin.first, at):
        if step is None or not step.file:
            continue
        found = {"file": relative(step.file, collection.root), "line": str(step.line)}
        if isinstance(step, Frame) and step.end_line > step.line:
            found["endLine"] = str(step.end_line)
        return found
    return {}


def _command(name: str, properties: dict[str, str], text: str) -> str:
    # An empty value ends the command for GitHub: properties without one are left out.
    written = ",".join(f"{key}={_property(value)}" for key, value in properties.items() if value)
    return f"::{name} {written}::{_data(text)}"


def _data(text: str) -> str:
    """Return a message: line ends are the only thing that would end it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text, limit=1_000)).replace(":", "%3A").replace(",", "%2C")
