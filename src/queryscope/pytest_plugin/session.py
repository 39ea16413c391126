"""What a session of pytest has found, workers of pytest-xdist included, and what it says of it.

A worker hands what it found to the controller when it ends, as plain lists and numbers; the
controller adds them up and speaks once, as a session without workers does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from queryscope.detectors.qs112_unused_eager_load import loads_of
from queryscope.detectors.registry import Judged
from queryscope.policy.comments import covering
from queryscope.policy.decisions import at_least
from queryscope.policy.paths import relative
from queryscope.policy.stale import files_of, stale_ignores, used_by
from queryscope.pytest_plugin.message import where
from queryscope.report.text import counted, visible
from queryscope.trace.events import Origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from queryscope.detectors.finding import Finding
    from queryscope.policy.decisions import Policy
    from queryscope.policy.stale import Used
    from queryscope.trace.events import Trace

OUTPUT = "queryscope"
"""Name under which a worker hands over what it found."""
MAX_LINES = 20
"""Findings, and ignores, named at the end of a session."""
MAX_PROPERTY_CHARS = 500
_PREFIX = "queryscope_"


class Told(NamedTuple):
    """One finding of a session: the line that names it, and how many tests have it."""

    line: str
    tests: int


class Session:
    """Collects what the blocks of a session found.

    Args:
        policy: What is known.
        strict: Whether findings fail tests.
    """

    def __init__(self, policy: Policy, *, strict: bool) -> None:
        """Start with nothing found."""
        self.policy = policy
        self.strict = strict
        self.recorded = 0
        self.findings: dict[str, Told] = {}
        self.known: set[str] = set()
        self.used: set[Used] = set()
        self.files: set[str] = set()
        self.wrong: set[str] = set()
        self.loaded: dict[str, Told] = {}
        self.read: set[str] = set()

    def settle(self, judged: Judged) -> Judged:
        """Return a Trace with its findings by the policy of pytest's root directory."""
        return Judged(judged.trace, self.policy.apply(judged.findings))

    def failing(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the findings that fail a strict test; none in a session that is not strict."""
        return [item for item in findings if self.strict and self.policy.fails(item, in_test=True)]

    def add(self, item: pytest.Item, judged: Judged) -> None:
        """Take in what a block of a test found, and note it as properties of the test."""
        trace, findings = judged
        base = item.config.invocation_params.dir
        self.recorded += 1
        self.files |= files_of(trace)
        self.used.update(used_by(findings))
        self.known.update(one.fingerprint for one in findings if one.known is not None)
        for finding in findings:
            self.wrong.update(comment.error for comment in covering(finding) if comment.error)
        for fingerprint, finding in {
            one.fingerprint: one for one in findings if self.policy.fails(one, in_test=True)
        }.items():
            line = f"{finding.code} {finding.name}  {where(finding.origin, base)}"
            _count(self.findings, fingerprint, Told(line, 1))
        if self.strict:
            self._add_loads(trace, base)
        parts = list(trace.subtree())
        _sum(item.user_properties, "queries", sum(part.statements for part in parts))
        _sum(item.user_properties, "rows", sum(part.rows for part in parts))
        _sum(item.user_properties, "findings", sum(one.known is None for one in findings))
        for finding in findings:
            said = f"{finding.severity} {finding.code} {where(finding.origin, base)}"
            kind = "finding" if finding.known is None else "known"
            text = visible(f"{said}: {finding.message}", limit=MAX_PROPERTY_CHARS)
            item.user_properties.append((_PREFIX + kind, text))

    def _add_loads(self, trace: Trace, base: Path) -> None:
        """Note which relations were loaded along, and which of them were read."""
        for (step, relation), finding in loads_of(trace).items():
            if step is None:
                continue
            key = f"{step.file}:{step.line} {relation}"
            if finding is None:
                self.read.add(key)
            elif self.policy.known(finding) is None and at_least(finding, self.policy.level):
                inside = where(Origin((step,)), base)
                _count(self.loaded, key, Told(f"{finding.code} {relation}  {inside}", 1))

    # -- from a worker to the controller ------------------------------------------------------

    def to_plain(self) -> dict[str, Any]:
        """Return what was found as values that go from process to process."""
        return {
            "recorded": self.recorded,
            "findings": [[key, *told] for key, told in self.findings.items()],
            "known": sorted(self.known),
            "used": [list(one) for one in sorted(self.used)],
            "files": sorted(self.files),
            "wrong": sorted(self.wrong),
            "loaded": [[key, *told] for key, told in self.loaded.items()],
            "read": sorted(self.read),
        }

    def merge(self, plain: dict[str, Any]) -> None:
        """Add what a worker found."""
        self.recorded += plain["recorded"]
        for key, line, tests in plain["findings"]:
            _count(self.findings, key, Told(line, tests))
        for key, line, tests in plain["loaded"]:
            _count(self.loaded, key, Told(line, tests))
        self.read.update(plain["read"])
        self.known.update(plain["known"])
        self.used.update((file, line, code) for file, line, code in plain["used"])
        self.files.update(plain["files"])
        self.wrong.update(plain["wrong"])

    # -- the end ------------------------------------------------------------------------------

    def lines(self, *, whole: bool) -> Iterator[str]:
        """Yield what is to be said at the end of a strict session.

        Args:
            whole: Whether the whole suite ran: otherwise an ignore without a match tells nothing,
                nor does a relation that no test read.
        """
        if not self.strict:
            return
        if self.findings:
            yield (
                f"{counted(len(self.findings), 'finding')} of level {self.policy.level} or graver:"
            )
            yield from _told(self.findings.values())
        if self.known:
            yield f"{counted(len(self.known), 'known finding')}."
        yield from _limited(sorted(self.wrong))
        if whole:
            unread = [told for key, told in self.loaded.items() if key not in self.read]
            if unread:
                yield f"{counted(len(unread), 'relation')} loaded along and read in no test:"
                yield from _told(unread)
            yield from _limited(
                [
                    f"{relative(one.file, self.policy.root)}:{one.line}: "
                    f"ignore[{', '.join(one.codes)}] matches nothing any more: delete it."
                    for one in stale_ignores(self.policy.root, self.used, self.files)
                    if one.recorded
                ]
            )


def _sum(properties: list[tuple[str, object]], name: str, number: int) -> None:
    """Add to a property of a test, which may have several blocks."""
    key = _PREFIX + name
    before = next((value for known, value in properties if known == key), 0)
    properties[:] = [pair for pair in properties if pair[0] != key]
    properties.append((key, (before if isinstance(before, int) else 0) + number))


def _count(found: dict[str, Told], key: str, told: Told) -> None:
    """Add the tests that have a finding to those that are known to."""
    before = found.get(key)
    found[key] = Told(told.line, told.tests + (before.tests if before is not None else 0))


def _told(found: Iterable[Told]) -> Iterator[str]:
    ordered = sorted(found, key=lambda told: (-told.tests, told.line))
    yield from _limited([f"  {told.line}  in {counted(told.tests, 'test')}" for told in ordered])


def _limited(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:MAX_LINES]
    if len(lines) > MAX_LINES:
        yield f"  … {len(lines) - MAX_LINES:,} more"


class Hooks:
    """The hooks of pytest that carry a session from its workers to its end.

    Args:
        session: What is found in this process.
    """

    def __init__(self, session: Session) -> None:
        """Belong to one session; nothing was left out yet."""
        self._session = session
        self._deselected = False
        self._ended_early = False

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Note that not every test runs."""
        self._deselected = self._deselected or bool(items)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Hand what a worker found to the controller."""
        stopped = session.shouldstop or session.shouldfail
        if stopped or exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            self._ended_early = True
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[OUTPUT] = {**self._session.to_plain(), "deselected": self._deselected}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Add what a worker of pytest-xdist found; one that crashed found nothing."""
        found = getattr(node, "workeroutput", {}).get(OUTPUT)
        if found is None or error:
            self._ended_early = True
        if found is not None:
            self._deselected = self._deselected or found["deselected"]
            self._session.merge(found)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was found in the whole session."""
        config = terminalreporter.config
        whole = not self._deselected and not self._ended_early and all_asked_for(config)
        lines = list(self._session.lines(whole=whole))
        if lines:
            terminalreporter.write_sep("-", "queryscope")
            for line in lines:
                terminalreporter.write_line(visible(line, limit=MAX_PROPERTY_CHARS))


def all_asked_for(config: pytest.Config) -> bool:
    """Tell whether pytest was asked for the whole suite: by no paths, or by all of them."""
    source = getattr(config, "args_source", None)
    if source is not None and source.name != "ARGS":
        return True
    start = config.invocation_params.dir
    asked = {(start / str(argument).partition("::")[0]).resolve() for argument in config.args}
    if any("::" in str(argument) for argument in config.args):
        return False
    root = config.rootpath.resolve()
    paths = {(root / path).resolve() for path in config.getini("testpaths")}
    return root in asked or (bool(paths) and paths <= asked)
