"""The command ``check``: what fails it, what it says, and which Traces it looks at."""

from __future__ import annotations

import datetime as dt
import json
import time

import pytest

from queryscope.cli.main import main
from queryscope.detectors.registry import Judged
from queryscope.policy import decisions
from queryscope.store.file import Store
from tests.builders import a_finding, a_frame, a_query, a_trace, an_origin

VIEWS = "def book_list():\n    one()\n    two()\n    three()\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return the folder of a project with one module; it is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "views.py").write_text(VIEWS, encoding="utf-8")
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def finding(line=2, code="QS101", severity="warning", **facts):
    """Return a finding at a line of the module."""
    frame = a_frame(line, file="views.py", module="views")
    facts.setdefault("subject", f"Book.line{line}")
    return a_finding(code, severity=severity, origin=an_origin(frame), **facts)


def recorded(project, *findings, name="GET /books/", age_s=1, ident="one", **facts):
    """Record a Trace with findings, which came through the module."""
    file = str(project / "views.py")
    located = tuple(
        decisions.replace(
            one, origin=an_origin(*(step._replace(file=file) for step in one.origin.steps))
        )
        for one in findings
    )
    origin = an_origin(a_frame(2, file=file, module="views"))
    trace = a_trace(
        a_query(origin=origin),
        id=ident,
        name=name,
        started_at_ns=time.time_ns() - age_s * 10**9,
        **facts,
    )
    store = Store(".queryscope/traces.db")
    store.add([Judged(trace, located)])
    store.close()
    return located


def checked(capsys, *arguments, command="check"):
    """Return the exit code of a command, and what it printed to each stream."""
    code = main([command, *arguments])
    return code, *capsys.readouterr()


def test_open_finding_fails(project, capsys):
    """With its line, what it says and the sum."""
    recorded(project, finding())
    code, out, err = checked(capsys)
    assert (code, err) == (1, "")
    assert "QS101 n-plus-one" in out
    assert "views.py:2 in book_list" in out
    assert out.endswith("1 open finding of level warning or graver; 1 Trace.\n")


def test_without_findings_nothing_fails(project, capsys):
    """Silence but for the sum."""
    recorded(project)
    assert checked(capsys) == (0, "0 open findings of level warning or graver; 1 Trace.\n", "")


def test_mild_finding_is_counted_only(project, capsys):
    """The level says what fails."""
    recorded(project, finding(severity="info"))
    assert checked(capsys)[:2] == (
        0,
        "0 open findings of level warning or graver, 1 other; 1 Trace.\n",
    )
    assert checked(capsys, "--level", "info")[0] == 1


def test_findings_by_the_clock_fail_no_test(project, capsys):
    """A slow machine holds connections longer; a request on a server is another matter."""
    recorded(project, finding(2, "QS502"), finding(3, "QS504"), mode="tests")
    code, out, _ = checked(capsys)
    assert (code, out) == (0, "0 open findings of level warning or graver, 2 others; 1 Trace.\n")
    recorded(project, finding(2, "QS502"), name="GET /b/", ident="two")
    code, out, _ = checked(capsys)
    assert code == 1
    assert "1 open finding of level warning or graver, 1 other; 2 Traces." in out


def test_known_findings_do_not_fail(project, capsys):
    """By a comment, by the path, by the baseline."""
    text = VIEWS.replace("one()", "one()  # queryscope: ignore[QS101] few")
    (project / "views.py").write_text(text, encoding="utf-8")
    (project / "pyproject.toml").write_text(
        '[tool.queryscope.per-path."views.py"]\nignore = ["QS502"]\n', encoding="utf-8"
    )
    found = recorded(project, finding(2), finding(3, "QS502"), finding(4, "QS201"))
    decisions.load(project).baseline.with_findings(found[2:]).write()
    assert checked(capsys) == (
        0,
        "0 open findings of level warning or graver, 3 known; 1 Trace.\n",
        "",
    )


def test_expired_entry_speaks_again(project, capsys):
    """And says that it was known."""
    found = recorded(project, finding())
    day = dt.date(2020, 1, 31)
    decisions.load(project).baseline.with_findings(found, expires=day).write()
    code, out, _ = checked(capsys)
    assert code == 1
    assert "Known in the baseline until 2020-01-31." in " ".join(out.split())


def test_newest_trace_of_each_name_counts(project, capsys):
    """What was mended since does not fail for days; --every looks at all."""
    recorded(project, finding(), age_s=60, ident="old")
    recorded(project, age_s=1, ident="new")
    recorded(project, name="GET /authors/", age_s=90, ident="other")
    assert checked(capsys)[:2] == (0, "0 open findings of level warning or graver; 2 Traces.\n")
    assert checked(capsys, "--every")[0] == 1
    assert checked(capsys, "old")[0] == 1
    assert checked(capsys, "new")[0] == 0


def test_choice_of_traces(project, capsys):
    """By route and by kind, as the other commands choose."""
    recorded(project, finding(), name="test_a", kind="test", ident="a")
    recorded(project, name="GET /b/", ident="b")
    assert checked(capsys, "--kind", "request")[0] == 0
    assert checked(capsys, "--kind", "test")[0] == 1
    assert checked(capsys, "--route", "test_a")[0] == 1
    code, _, err = checked(capsys, "--kind", "task")
    assert code == 2
    assert "no such Trace of kind 'task'" in err


@pytest.mark.parametrize("form", ["json", "sarif", "github"])
def test_machine_forms_are_alone_on_the_output(project, capsys, form):
    """The sum goes to the standard error."""
    recorded(project, finding())
    code, out, err = checked(capsys, "--format", form)
    assert code == 1
    assert err == "1 open finding of level warning or graver; 1 Trace.\n"
    if form == "github":
        assert out.startswith("::warning file=views.py,line=2,title=QS101 n-plus-one::")
    else:
        assert json.loads(out)["runs" if form == "sarif" else "findings"]


@pytest.mark.parametrize("form", ["sarif", "github"])
def test_report_has_the_forms_of_one_trace(project, capsys, form):
    """``report --format`` writes them without judging: its exit code is 0."""
    recorded(project, finding())
    code, out, err = checked(capsys, "--format", form, command="report")
    assert (code, err) == (0, "")
    assert "QS101" in out


def test_report_shows_what_is_known_today(project, capsys):
    """The baseline may be younger than the Trace."""
    found = recorded(project, finding())
    decisions.load(project).baseline.with_findings(found, owner="ada").write()
    out = checked(capsys, "--format", "json", command="report")[1]
    assert json.loads(out)["findings"][0]["known"]["owner"] == "ada"


def test_output_goes_to_a_file(project, capsys):
    """Its path is printed."""
    recorded(project, finding())
    code, out, _ = checked(capsys, "--format", "sarif", "--output", "found.sarif")
    assert (code, out) == (1, "found.sarif\n")
    assert json.loads((project / "found.sarif").read_text())["version"] == "2.1.0"


def test_stale_ignores_are_named(project, capsys):
    """Only where a Trace came through the file; one that matches is none."""
    text = VIEWS.replace("one()", "one()  # queryscope: ignore[QS101, QS502] few")
    text = text.replace("three()", "three()  # queryscope: ignore[QS201] old")
    (project / "views.py").write_text(text, encoding="utf-8")
    (project / "other.py").write_text("ask()  # queryscope: ignore[QS101]\n", encoding="utf-8")
    recorded(project, finding(2))
    assert checked(capsys)[0] == 0
    code, out, _ = checked(capsys, "--stale")
    assert code == 1
    assert out == (
        "other.py:1: ignore[QS101] was not tried: no Trace came through its file.\n"
        "views.py:2: ignore[QS502] matches nothing any more: delete it.\n"
        "views.py:4: ignore[QS201] matches nothing any more: delete it.\n"
        "0 open findings of level warning or graver, 1 known, 2 stale ignores; 1 Trace.\n"
    )


def test_untried_ignores_do_not_fail(project, capsys):
    """What did not run cannot be judged."""
    (project / "other.py").write_text("ask()  # queryscope: ignore[QS101]\n", encoding="utf-8")
    recorded(project)
    assert checked(capsys, "--stale")[0] == 0


@pytest.mark.parametrize("stale", [True, False])
def test_ignore_without_a_code_is_an_error(project, capsys, stale):
    """It asks for one, wherever a finding is, and everywhere with --stale."""
    line = "one()" if not stale else "three()"
    text = VIEWS.replace(line, f"{line}  # queryscope: ignore")
    (project / "views.py").write_text(text, encoding="utf-8")
    recorded(project, finding(2))
    code, out, err = checked(capsys, *(["--stale"] if stale else []))
    assert code == 2
    assert "this ignore names no code. Write the one that you mean" in err
    assert "QS101 n-plus-one" in out


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", "[tool.queryscope]\nlvel = 1\n"),
        ("queryscope-baseline.toml", "version = 1\nfindings = []\n"),
    ],
)
def test_wrong_settings_are_errors(project, capsys, file, text):
    """Before anything is judged."""
    recorded(project, finding())
    (project / file).write_text(text, encoding="utf-8")
    for arguments in (["check"], ["baseline", "check"], ["report"]):
        code, out, err = checked(capsys, *arguments[1:], command=arguments[0])
        assert (code, out) == (2, "")
        assert "Did you mean" in err


def test_without_traces_is_an_error(project, capsys):
    """No Traces are no proof of anything."""
    code, _, err = checked(capsys)
    assert code == 2
    assert "does not exist. Record one first" in err
