"""Decides which findings are known: the baseline, inline ignores and settings per path together.

They stand in ``[tool.queryscope]`` of the nearest ``pyproject.toml``:

    [tool.queryscope]
    level = "warning"                        # the mildest severity that fails a check
    baseline = "queryscope-baseline.toml"

    [tool.queryscope.per-path."app/legacy/*"]
    ignore = ["QS502"]
    level = "critical"

An inline ignore is asked first, then the path, then the baseline: what stands nearest to the code
is what a report names.
"""

from __future__ import annotations

import datetime as dt
import os
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.detectors.finding import SEVERITIES, Known, Severity
from queryscope.detectors.registry import by_clock
from queryscope.errors import SettingsError, nearest
from queryscope.policy import baseline as baselines
from queryscope.policy.comments import covering
from queryscope.policy.paths import Paths, level_of, names, paths_of, relative
from queryscope.trace import guard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from queryscope.detectors.finding import Finding
    from queryscope.policy.baseline import Baseline

PROJECT = "pyproject.toml"
TABLE = "tool.queryscope"
KEYS = ("level", "baseline", "per-path")
VERIFY_KEYS = (
    "app",
    "boot",
    "health",
    "database",
    "database-variable",
    "environment",
    "seed",
    "actors",
    "host",
    "copy",
    "contracts",
    "time-limit-s",
    "memory-limit-mib",
    "allow",
    "constant-tables",
)
"""What else may stand in the table: how a project is verified is no decision about findings."""
LEVEL: Severity = "warning"
"""The mildest severity that fails a check, unless the project says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one project has decided.

    Attributes:
        root: The project's folder: patterns and shown files are relative to it.
        level: The mildest severity that fails a check or a strict test.
        paths: Settings per path.
        baseline: The known findings.
        today: The day on which entries are judged; None for the day of asking.
    """

    root: Path
    level: Severity = LEVEL
    paths: Paths = field(default_factory=Paths)
    baseline: Baseline
    today: dt.date | None = None

    def apply(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Return findings, each with what makes it known; whatever was decided before is over."""
        return tuple(map(self._applied, findings))

    def _applied(self, finding: Finding) -> Finding:
        known = self.known(finding)
        # Nearly all are open and were so before: a copy costs more than all the rest.
        return finding if known == finding.known else replace(finding, known=known)

    def known(self, finding: Finding) -> Known | None:
        """Return why nobody has to act on a finding, None for one that is open."""
        return self._by_comment(finding) or self._by_path(finding) or self._by_baseline(finding)

    def fails(
        self, finding: Finding, level: Severity | None = None, *, in_test: bool = False
    ) -> bool:
        """Tell whether a finding is open and grave enough to fail a check.

        Args:
            finding: The finding.
            level: The mildest severity that fails; None for the project's own.
            in_test: It was found in a test. What a detector tells by the clock fails none: it
                would come and go with the speed of the machine.
        """
        if finding.known is not None or (in_test and by_clock(finding.code)):
            return False
        return at_least(finding, level or self.level)

    def expired(self, finding: Finding) -> baselines.Entry | None:
        """Return the entry that a finding had in the baseline until it expired."""
        entry = self.baseline.entry(finding)
        return entry if entry is not None and self.is_over(entry) else None

    def is_over(self, entry: baselines.Entry) -> bool:
        """Tell whether an entry's last day is over."""
        return entry.expired(self._today())

    def _by_comment(self, finding: Finding) -> Known | None:
        for comment in covering(finding):
            if finding.code in comment.codes and not comment.error:
                place = f"{relative(comment.file, self.root)}:{comment.line}"
                return Known("comment", place, comment.reason)
        return None

    def _by_path(self, finding: Finding) -> Known | None:
        file = file_of(finding)
        if file is None or not self.paths.rules:
            return None
        verdict = self.paths.of(relative(file, self.root))
        if names(verdict.ignore, finding.code):
            return Known("path", verdict.ignored_by, "ignored there")
        if verdict.level is not None and not at_least(finding, verdict.level):
            return Known("path", verdict.level_by, f"below the level {verdict.level} of there")
        return None

    def _by_baseline(self, finding: Finding) -> Known | None:
        entry = self.baseline.entry(finding)
        if entry is None or self.is_over(entry):
            return None
        expires = entry.expires.isoformat() if entry.expires else ""
        return Known("baseline", self.baseline.path.name, entry.reason, entry.owner, expires)

    def _today(self) -> dt.date:
        return self.today or dt.datetime.now().astimezone().date()


def at_least(finding: Finding, level: Severity) -> bool:
    """Tell whether a finding is of a severity or graver."""
    return SEVERITIES.index(finding.severity) >= SEVERITIES.index(level)


def file_of(finding: Finding) -> str | None:
    """Return the user's file that a finding is about: where it ran, else what is to be edited."""
    first = finding.origin.first
    if first is not None and first.file:
        return first.file
    at = finding.mend.at if finding.mend is not None else None
    return at.file if at is not None else None


def load(start: Path, *, baseline: Path | None = None) -> Policy:
    """Return the policy of the project that a folder belongs to.

    Args:
        start: The folder; the nearest ``pyproject.toml`` in it or above says where the project
            is. Without one the folder itself is the project.
        baseline: A baseline file other than the project's.

    Raises:
        SettingsError: Something in ``[tool.queryscope]`` or in the baseline is unknown or
            ill-typed.
    """
    project = project_of(start)
    if project is None:
        return Policy(root=start, baseline=baselines.read(baseline or start / baselines.FILE))
    source = f"{project}: [{TABLE}]"
    table = table_of(project)
    known = (*KEYS, *VERIFY_KEYS)
    for key in table:
        if key not in known:
            raise SettingsError(f"{source}: there is no setting {key!r}.{nearest(key, known)}")
    name = table.get("baseline", baselines.FILE)
    if not isinstance(name, str) or not name:
        raise SettingsError(f"{source}: baseline must be the name of a file, not {name!r}.")
    return Policy(
        root=project.parent,
        level=level_of(source, table) or LEVEL,
        paths=paths_of(source, table.get("per-path", {})),
        baseline=baselines.read(baseline or project.parent / name),
    )


def project_of(start: Path) -> Path | None:
    """Return the nearest ``pyproject.toml``, in a folder or above it."""
    here = start.absolute()
    return next((f for p in (here, *here.parents) if (f := p / PROJECT).is_file()), None)


def table_of(project: Path) -> dict[str, object]:
    """Return ``[tool.queryscope]`` of a ``pyproject.toml``, empty where there is none."""
    try:
        document = tomllib.loads(project.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{project} cannot be read: {reason}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{project} is no TOML: {error}.") from error
    tool = document.get("tool", {})
    table = tool.get("queryscope", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(f"{project}: {TABLE} must be a table, not {table!r}.")
    return table


# -- in the observed process ------------------------------------------------------------------

_Stamp = tuple[str, tuple[int, int] | None, tuple[int, int] | None]
_current: tuple[_Stamp, Policy] | None = None


def settled(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return what a Trace's findings are by the policy of the working directory.

    Files are looked at only where there are findings, and read again when they were written.
    What is wrong with them is counted and shown with the failures, and leaves findings open: an
    application runs on, ``queryscope check`` and pytest say it aloud.
    """
    if not findings:
        return findings
    try:
        return _of_here().apply(findings)
    except Exception as error:  # noqa: BLE001 - a finding that stays open harms nobody
        guard.caught(error, "policy")
        return findings


def _of_here() -> Policy:
    global _current
    here = os.getcwd()  # noqa: PTH109 - no Path needed
    found = _current
    if found is not None and found[0] == _stamp(here, found[1]):
        return found[1]
    policy = load(Path(here))
    _current = _stamp(here, policy), policy
    return policy


def _stamp(here: str, policy: Policy) -> _Stamp:
    """Return what changes when the policy's files are written."""
    return here, _written(f"{policy.root}/{PROJECT}"), _written(str(policy.baseline.path))


def _written(path: str) -> tuple[int, int] | None:
    try:
        facts = os.stat(path)  # noqa: PTH116 - a Path costs more than the call
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size
