"""Annotations: one command a line, which no recorded text can end or change."""

from __future__ import annotations

import re

import pytest

from queryscope.detectors.finding import Mend
from queryscope.detectors.registry import Judged
from queryscope.policy import decisions
from queryscope.policy.stale import StaleIgnore
from queryscope.report import github
from queryscope.report.collected import collect
from tests.builders import a_finding, a_frame, a_trace, an_origin
from tests.report.pages import HOSTILE, poisoned, some_findings

COMMAND = re.compile(r"::(error|warning|notice) ((?:\w+=[^,:]+(?:,|(?=::)))+)::(.*)")


def lines(tmp_path, *findings, **policy):
    """Return the commands for one Trace's findings in a project."""
    found = decisions.replace(decisions.load(tmp_path), **policy)
    return github.render(collect([Judged(a_trace(), findings)], found)).splitlines()


def test_command_names_the_line_and_the_remedy(tmp_path):
    """The file is relative to the project, as GitHub wants it."""
    frame = a_frame(41, file=str(tmp_path / "app" / "views.py"), end_line=42)
    mend = Mend(frame, '.select_related("publisher")', "Add it to the queryset.")
    finding = a_finding(origin=an_origin(frame), mend=mend, message="Loaded 12 times, 100 % alike.")
    (line,) = lines(tmp_path, finding)
    assert line == (
        "::warning file=app/views.py,line=41,endLine=42,title=QS101 n-plus-one"
        "::Loaded 12 times, 100 %25 alike."
        '%0A.select_related("publisher")  (Add it to the queryset.)'
    )


@pytest.mark.parametrize(
    ("severity", "command"), [("critical", "error"), ("warning", "warning"), ("info", "notice")]
)
def test_severity_is_the_command(tmp_path, severity, command):
    """The gravest stand first: GitHub cuts the list."""
    found = lines(tmp_path, a_finding("QS201", severity="info"), a_finding(severity=severity))
    assert f"::{command} " in " ".join(found)
    assert found[-1].startswith("::notice ")


def test_known_finding_has_no_annotation(tmp_path):
    """Nobody is asked again."""
    finding = a_finding()
    policy = decisions.load(tmp_path).baseline.with_findings([finding])
    assert lines(tmp_path, finding, baseline=policy) == []


def test_finding_without_a_line_has_no_file(tmp_path):
    """GitHub shows it with the run."""
    finding = a_finding(origin=an_origin()._replace(steps=()))
    assert lines(tmp_path, finding)[0].startswith("::warning title=QS101 n-plus-one::")


def test_stale_ignore_is_a_warning(tmp_path):
    """Only where a Trace came through its file."""
    found = collect([], decisions.load(tmp_path))
    gone = StaleIgnore(str(tmp_path / "a.py"), 3, ("QS101",), "old", recorded=True)
    text = github.render(found._replace(stale=(gone, gone._replace(recorded=False))))
    assert text == (
        "::warning file=a.py,line=3,title=stale ignore"
        "::Nothing matches QS101 here any more: delete the ignore.\n"
    )


def test_hostile_texts_stay_in_their_command(tmp_path):
    """A line end, a colon or a comma of a recorded text begins no command and no property."""
    findings = [poisoned(item) for item in some_findings()]
    assert "\n" in HOSTILE
    found = lines(tmp_path, *findings)
    assert len(found) == len({finding.fingerprint for finding in findings})
    for line in found:
        assert COMMAND.fullmatch(line), line
        assert line.isprintable()
