"""Findings of several Traces: each once, the gravest for all, by the policy of today."""

from __future__ import annotations

from queryscope.detectors.finding import Cost, Known
from queryscope.detectors.registry import Judged
from queryscope.policy import decisions
from queryscope.report import console
from queryscope.report.collected import collect
from tests.builders import MS, a_finding, a_frame, a_trace, an_origin


def collected(tmp_path, *traces, level=None):
    """Return the collection of Traces, each given by its findings."""
    judged = [Judged(a_trace(id=f"t{n}", name=f"GET /{n}/"), f) for n, f in enumerate(traces)]
    return collect(judged, decisions.load(tmp_path), level=level)


def test_finding_of_several_traces_is_one(tmp_path):
    """The costliest stands for all; each Trace counts once."""
    cheap = a_finding(cost=Cost(duration_ns=MS), count=2)
    dear = a_finding(cost=Cost(duration_ns=9 * MS), count=9)
    found = collected(tmp_path, (cheap, cheap), (dear,), ())
    (spotted,) = found.findings
    assert (spotted.finding.count, spotted.traces, spotted.name) == (9, 2, "GET /1/")
    assert (found.traces, len(found.failed)) == (3, 1)


def test_other_subject_is_another_finding(tmp_path):
    """One line may load two relations."""
    found = collected(tmp_path, (a_finding(subject="a"), a_finding(subject="b")))
    assert len(found.findings) == 2


def test_only_the_level_and_graver_fail(tmp_path):
    """The order is by severity."""
    three = [a_finding(severity=s, subject=s) for s in ("info", "warning", "critical")]
    found = collected(tmp_path, three)
    assert [item.finding.severity for item in found.findings] == ["critical", "warning", "info"]
    assert [item.finding.severity for item in found.failed] == ["critical", "warning"]
    assert len(collected(tmp_path, three, level="critical").failed) == 1
    assert len(collected(tmp_path, three, level="info").failed) == 3


def test_what_was_known_when_recorded_does_not_count(tmp_path):
    """The baseline may have changed since."""
    known = a_finding(known=Known("baseline", "gone.toml"))
    (spotted,) = collected(tmp_path, (known,)).failed
    assert spotted.finding.known is None


def test_one_of_two_places_of_a_finding_may_be_ignored(tmp_path):
    """An ignore is for its line: the other loop of the function still speaks."""
    file = tmp_path / "views.py"
    file.write_text("one()  # queryscope: ignore[QS101] ok\ntwo()\n", encoding="utf-8")
    at = [a_finding(origin=an_origin(a_frame(line, file=str(file)))) for line in (1, 2)]
    found = collected(tmp_path, at)
    assert [item.finding.known is None for item in found.findings] == [True, False]
    assert len(found.failed) == 1


def test_wrong_ignore_is_told(tmp_path):
    """It stands where something was found, and is not in force."""
    file = tmp_path / "views.py"
    file.write_text("one()  # queryscope: ignore\n", encoding="utf-8")
    found = collected(tmp_path, (a_finding(origin=an_origin(a_frame(1, file=str(file)))),))
    (text,) = found.wrong
    assert "names no code" in text
    assert len(found.failed) == 1


def test_terminal_shows_what_fails(tmp_path):
    """With how many Traces have it; findings of one code under one heading."""
    found = collected(
        tmp_path, (a_finding(subject="a"), a_finding(subject="b")), (a_finding(subject="a"),)
    )
    text = console.render_findings(found)
    assert text.count("QS101 n-plus-one") == 1
    assert "In 2 Traces." in text
    assert console.render_findings(collected(tmp_path)) == ""
