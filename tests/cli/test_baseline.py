"""The command ``baseline``: write, check, prune."""

from __future__ import annotations

import datetime as dt

import pytest

from queryscope.policy import baseline, decisions
from tests.cli.test_check import checked, finding, project, recorded

__all__ = ["project"]

HEAD = f"{baseline.FILE}: "


def entries(project):
    """Return the entries in the file."""
    return baseline.read(project / baseline.FILE).entries


def ran(capsys, *arguments):
    """Return the exit code and the lines of ``queryscope baseline``."""
    code, out, err = checked(capsys, *arguments, command="baseline")
    assert err == ""
    return code, out.splitlines()


def test_written_findings_do_not_fail_any_more(project, capsys):
    """The way into a legacy code base: write once, then check."""
    recorded(project, finding(2), finding(3, severity="critical"), finding(4, severity="info"))
    assert checked(capsys)[0] == 1
    options = ("--owner", "ada", "--reason", "old", "--expires", "2999-01-31")
    assert ran(capsys, "write", *options) == (0, [f"{HEAD}2 findings added; 1 Trace."])
    assert checked(capsys)[0] == 0
    for entry in entries(project).values():
        assert (entry.owner, entry.reason, entry.expires) == ("ada", "old", dt.date(2999, 1, 31))


def test_new_finding_fails_beside_known_ones(project, capsys):
    """The ratchet: what is known stays, what is new fails."""
    recorded(project, finding(2))
    ran(capsys, "write")
    recorded(project, finding(2), finding(3), ident="two", age_s=0)
    code, out, _ = checked(capsys)
    assert code == 1
    assert "1 open finding of level warning or graver, 1 known; 1 Trace." in out


def test_level_decides_what_is_written(project, capsys):
    """By default what would fail."""
    recorded(project, finding(severity="info"))
    assert ran(capsys, "write")[1] == [f"{HEAD}0 findings added; 1 Trace."]
    assert ran(capsys, "write", "--level", "info")[1] == [f"{HEAD}1 finding added; 1 Trace."]


def test_writing_again_keeps_owners(project, capsys):
    """What somebody wrote by hand stays, also for an entry that has expired."""
    (found,) = recorded(project, finding(2))
    day = dt.date(2020, 1, 31)
    policy = decisions.load(project)
    policy.baseline.with_findings([found], owner="ada", expires=day).write()
    code, lines = ran(capsys, "write", "--owner", "bob")
    assert code == 0
    assert lines[0] == f"{HEAD}0 findings added, 1 kept; 1 Trace."
    assert lines[1].endswith("(ada) expired on 2020-01-31: mend it, or give it a new day.")
    (entry,) = entries(project).values()
    assert (entry.owner, entry.expires) == ("ada", day)


def test_ignored_findings_are_not_written(project, capsys):
    """What a comment says needs no entry."""
    text = (project / "views.py").read_text().replace("one()", "one()  # queryscope: ignore[QS101]")
    (project / "views.py").write_text(text, encoding="utf-8")
    recorded(project, finding(2))
    ran(capsys, "write")
    assert entries(project) == {}


def test_check_of_a_sound_file(project, capsys):
    """Every entry still matches."""
    recorded(project, finding(2))
    ran(capsys, "write")
    assert ran(capsys, "check") == (0, [f"{HEAD}1 known finding."])


def test_check_names_what_expired(project, capsys):
    """With its owner."""
    found = recorded(project, finding(2))
    day = dt.date(2020, 1, 31)
    decisions.load(project).baseline.with_findings(found, owner="ada", expires=day).write()
    code, lines = ran(capsys, "check")
    assert code == 1
    first, last = lines
    assert first.startswith(f"{found[0].fingerprint} QS101 views:book_list (ada): has expired: ")
    assert last == f"{HEAD}1 known finding, 1 expired."


def test_mended_finding_is_to_be_pruned(project, capsys):
    """The entry goes, so that the finding cannot come back unseen."""
    (found, _) = recorded(project, finding(2), finding(3))
    ran(capsys, "write")
    recorded(project, finding(3), ident="two", age_s=0)
    code, lines = ran(capsys, "check")
    assert code == 1
    assert (
        lines[0] == f"{found.fingerprint} QS101 views:book_list: matches nothing any more: prune it"
    )
    code, lines = ran(capsys, "prune")
    assert code == 0
    assert lines[-1] == f"{HEAD}1 taken out, 1 known finding left."
    assert found.fingerprint not in entries(project)
    assert ran(capsys, "check")[0] == 0
    recorded(project, finding(2), finding(3), ident="three", age_s=-1)
    assert checked(capsys)[0] == 1


def test_what_was_not_tried_stays(project, capsys):
    """A run of some tests must not forget what the others know; --all takes it out, too."""
    recorded(project, finding(2))
    elsewhere = finding(2, subject="other")
    step = elsewhere.origin.steps[0]._replace(module="other.views")
    elsewhere = decisions.replace(elsewhere, origin=elsewhere.origin._replace(steps=(step,)))
    decisions.load(project).baseline.with_findings([elsewhere]).write()
    assert ran(capsys, "check") == (0, [f"{HEAD}1 known finding, 1 not tried."])
    assert ran(capsys, "prune")[1] == [
        f"{HEAD}0 taken out, 1 known finding left, 1 of them not tried."
    ]
    assert ran(capsys, "prune", "--all")[1][-1] == f"{HEAD}1 taken out, 0 known findings left."
    assert entries(project) == {}


def test_check_needs_no_traces_and_prune_does(project, capsys):
    """Without Traces nothing is known to be over."""
    decisions.load(project).baseline.with_findings([finding(2)]).write()
    assert ran(capsys, "check") == (0, [f"{HEAD}1 known finding, 1 not tried."])
    code, _, err = checked(capsys, "prune", "--all", command="baseline")
    assert code == 2
    assert "Record one first" in err
    assert len(entries(project)) == 1


@pytest.mark.parametrize("arguments", [["write", "--expires", "soon"], ["burn"], []])
def test_wrong_use_ends_with_2(project, capsys, arguments):
    """As with every command."""
    with pytest.raises(SystemExit) as caught:
        checked(capsys, *arguments, command="baseline")
    assert caught.value.code == 2
