"""The findings of several Traces, each once: what a check, SARIF and annotations are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.finding import weight
from queryscope.policy.comments import covering
from queryscope.report.text import visible
from queryscope.report.views.findings import Findings
from queryscope.report.views.reading import Material
from queryscope.trace.events import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from queryscope.detectors.finding import Finding, Severity
    from queryscope.detectors.registry import Judged
    from queryscope.policy.decisions import Policy
    from queryscope.policy.stale import StaleIgnore
    from queryscope.report.views.findings import FindingView

_Key = tuple[str, bool]


class Spotted(NamedTuple):
    """A finding of several Traces.

    Attributes:
        finding: Its gravest and costliest occurrence.
        traces: Traces that have it.
        expired: The day on which its entry in the baseline expired, ``""`` if it has none.
        name: What the Trace of this occurrence is called.
    """

    finding: Finding
    traces: int
    expired: str
    name: str


class Collection(NamedTuple):
    """What was found in several Traces.

    Attributes:
        root: The project's folder.
        traces: Traces that were looked at, nested ones not counted.
        level: The mildest severity that fails.
        findings: Each once, open ones first, the gravest and costliest first.
        failed: Those that are open and of the level or graver, without what was told by the
            clock in tests alone.
        wrong: Error texts of inline ignores that stand where something was found.
        stale: Inline ignores that nothing matched, where they were looked for.
    """

    root: Path
    traces: int
    level: Severity
    findings: tuple[Spotted, ...]
    failed: tuple[Spotted, ...]
    wrong: tuple[str, ...] = ()
    stale: tuple[StaleIgnore, ...] = ()


def collect(
    judged: Iterable[Judged], policy: Policy, *, level: Severity | None = None
) -> Collection:
    """Return what was found in several Traces, by the policy of today.

    Args:
        judged: Traces with their findings; read once, and not kept.
        policy: What is known; what was known when the Traces were recorded does not count.
        level: The mildest severity that fails; None for the project's own.
    """
    limit = level or policy.level
    best: dict[_Key, tuple[Finding, str]] = {}
    seen: dict[_Key, int] = {}
    outside_tests: set[_Key] = set()
    wrong: dict[str, None] = {}
    traces = 0
    for trace, findings in judged:
        traces += 1
        here: set[_Key] = set()
        for finding in policy.apply(findings):
            wrong.update((comment.error, None) for comment in covering(finding) if comment.error)
            key = finding.fingerprint, finding.known is None
            here.add(key)
            if trace.mode != "tests":
                outside_tests.add(key)
            if key not in best or weight(finding) < weight(best[key][0]):
                best[key] = finding, trace.name
        for key in here:
            seen[key] = seen.get(key, 0) + 1
    spotted = []
    failed = []
    for key, (finding, name) in sorted(
        best.items(), key=lambda item: (weight(item[1][0]), item[0])
    ):
        item = Spotted(finding, seen[key], _expired(policy, finding), name)
        spotted.append(item)
        if policy.fails(finding, limit, in_test=key not in outside_tests):
            failed.append(item)
    return Collection(policy.root, traces, limit, tuple(spotted), tuple(failed), tuple(wrong))


def _expired(policy: Policy, finding: Finding) -> str:
    entry = policy.expired(finding) if finding.known is None else None
    return entry.expires.isoformat() if entry is not None and entry.expires is not None else ""


def finding_views(findings: Iterable[Finding]) -> Iterator[FindingView]:
    """Yield the views of findings whose Traces are not at hand."""
    nothing = Trace(id="", kind="block", name="", started_at_ns=0, duration_ns=0)
    views = Findings(Material(nothing), {}, {})
    return (views.view(number, finding) for number, finding in enumerate(findings))


def headline(finding: Finding) -> str:
    """Return what a finding says in one line."""
    return visible(finding.message, limit=2_000)


def remedy(finding: Finding) -> str:
    """Return what to do, in one line; ``""`` where nothing is proposed."""
    mend = finding.mend
    if mend is None:
        return ""
    write, how = visible(mend.write), visible(mend.how, limit=1_000)
    if not write or write in how:
        return how
    return f"{write}  ({how})" if how else write
