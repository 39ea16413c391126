"""Which findings are known, by what, and when they speak again."""

from __future__ import annotations

import datetime as dt

import pytest

from queryscope.errors import SettingsError
from queryscope.policy import baseline, decisions
from queryscope.trace import guard
from tests.builders import a_finding, a_frame, an_origin

TODAY = dt.date(2026, 11, 21)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return the folder of a project with one module; it is the working directory."""
    (tmp_path / "app" / "legacy").mkdir(parents=True)
    (tmp_path / "app" / "views.py").write_text("def view():\n    ask()\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configured(project, text: str):
    """Write ``[tool.queryscope]`` and return the policy."""
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    return decisions.load(project)


def found(project, file="app/views.py", code="QS101", line=2, severity="warning", **facts):
    """Return a finding in a file of the project."""
    frame = a_frame(line, file=str(project / file), function="view", module="app.views")
    return a_finding(code, severity=severity, origin=an_origin(frame), **facts)


def test_without_any_decision_findings_are_open(project):
    """A project that has decided nothing has no known findings."""
    policy = decisions.load(project)
    (finding,) = policy.apply([found(project)])
    assert finding.known is None
    assert policy.fails(finding)


@pytest.mark.parametrize(
    ("severity", "level", "fails"),
    [
        ("info", None, False),
        ("warning", None, True),
        ("critical", None, True),
        ("info", "info", True),
        ("warning", "critical", False),
    ],
)
def test_level_decides_what_fails(project, severity, level, fails):
    """Warnings and what is graver, unless another level is asked for."""
    assert decisions.load(project).fails(found(project, severity=severity), level) is fails


def test_level_of_the_project_is_the_default(project):
    """``level`` in pyproject.toml is what no option says otherwise."""
    policy = configured(project, '[tool.queryscope]\nlevel = "critical"\n')
    assert not policy.fails(found(project))
    assert policy.fails(found(project), "info")


def test_comment_makes_known(project):
    """The place is that of the comment, relative to the project."""
    file = project / "app" / "views.py"
    file.write_text("def view():\n    ask()  # queryscope: ignore[QS101] small\n", encoding="utf-8")
    policy = decisions.load(project)
    one, other = policy.apply([found(project), found(project, code="QS201")])
    assert one.known == ("comment", "app/views.py:2", "small", "", "")
    assert other.known is None


def test_baseline_makes_known_until_it_expires(project):
    """An expired entry leaves its finding open, and is named."""
    finding = found(project)
    policy = decisions.load(project)
    kept = policy.baseline.with_findings([finding], owner="ada", reason="old", expires=TODAY)
    kept.write()
    policy = decisions.load(project)
    on_its_day = decisions.replace(policy, today=TODAY)
    (known,) = on_its_day.apply([finding])
    assert known.known == ("baseline", baseline.FILE, "old", "ada", "2026-11-21")
    assert not on_its_day.fails(known)
    assert on_its_day.expired(finding) is None
    after = decisions.replace(policy, today=TODAY + dt.timedelta(days=1))
    (open_again,) = after.apply([known])
    assert open_again.known is None
    assert after.fails(open_again)
    assert after.expired(open_again).owner == "ada"


def test_baseline_may_have_another_name(project):
    """``baseline`` names it, relative to the project."""
    policy = configured(project, '[tool.queryscope]\nbaseline = "app/known.toml"\n')
    policy.baseline.with_findings([found(project)]).write()
    assert (project / "app" / "known.toml").exists()
    assert decisions.load(project / "app").known(found(project)).by == "baseline"


PATHS = """
[tool.queryscope.per-path."app/legacy/*"]
ignore = ["QS1", "QS502"]
level = "critical"

[tool.queryscope.per-path."app/legacy/orders.py"]
ignore = []

[tool.queryscope.per-path."tests"]
ignore = ["QS107"]

[tool.queryscope.per-path."*/admin.py"]
level = "critical"
"""


@pytest.mark.parametrize(
    ("file", "code", "severity", "by"),
    [
        ("app/views.py", "QS101", "warning", None),
        ("app/legacy/a.py", "QS101", "critical", "app/legacy/*"),
        ("app/legacy/deep/er/a.py", "QS107", "critical", "app/legacy/*"),
        ("app/legacy/a.py", "QS502", "critical", "app/legacy/*"),
        ("app/legacy/a.py", "QS201", "critical", None),
        ("app/legacy/a.py", "QS201", "warning", "app/legacy/*"),
        ("app/legacy/orders.py", "QS101", "critical", None),  # the file says: nothing is ignored
        ("app/legacy/orders.py", "QS101", "warning", "app/legacy/*"),  # the level is the folder's
        ("app/legacy_too/a.py", "QS101", "warning", None),
        ("tests/test_it.py", "QS107", "critical", "tests"),
        ("tests/deep/test_it.py", "QS107", "critical", "tests"),
        ("tests.py", "QS107", "critical", None),
        ("app/shop/admin.py", "QS101", "warning", "*/admin.py"),
        ("app/shop/admin.py", "QS101", "critical", None),
    ],
)
def test_most_specific_pattern_decides_each_key(project, file, code, severity, by):
    """A file before a folder before a wildcard, for each key by itself."""
    policy = configured(project, PATHS)
    known = policy.known(found(project, file, code, severity=severity))
    assert (known and known.place) == by


@pytest.mark.parametrize("order", [1, -1])
def test_order_of_the_tables_does_not_matter(project, order):
    """Tables of TOML have no order."""
    tables = [part for part in PATHS.split("\n\n") if part.strip()]
    policy = configured(project, "\n\n".join(tables[::order]))
    assert policy.known(found(project, "app/legacy/orders.py", severity="critical")) is None


def test_file_elsewhere_has_no_path_of_the_project(project):
    """Patterns are about the project's own files."""
    policy = configured(project, '[tool.queryscope.per-path."app/*"]\nignore = ["QS101"]\n')
    elsewhere = a_finding(origin=an_origin(a_frame(file="/srv/app/views.py")))
    assert policy.known(elsewhere) is None


def test_finding_without_a_line_is_open(project):
    """What no line of the user's asked for has no path and no comment."""
    policy = configured(project, '[tool.queryscope.per-path."*"]\nignore = ["QS101"]\n')
    assert policy.known(a_finding(origin=an_origin()._replace(steps=()))) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.queryscope]\nlevels = 1", "there is no setting 'levels'. Did you mean 'level'?"),
        ('[tool.queryscope]\nlevel = "error"', "level must be 'info' or 'warning' or 'critical'"),
        ("[tool.queryscope]\nbaseline = 5", "baseline must be the name of a file, not 5"),
        ("[tool]\nqueryscope = 5", "tool.queryscope must be a table, not 5"),
        ("[tool.queryscope]\nper-path = 5", "per-path must be a table of patterns"),
        ('[tool.queryscope.per-path]\n"a/*" = 5', 'per-path."a/*" must be a table'),
        ('[tool.queryscope.per-path."a"]\nignor = []', "Did you mean 'ignore'?"),
        ('[tool.queryscope.per-path."a"]\nignore = "QS101"', "ignore must be a list of codes"),
        ('[tool.queryscope.per-path."a"]\nignore = ["QS999"]', "there is no code 'QS999'"),
        ('[tool.queryscope.per-path."a"]\nignore = ["QS9"]', "there is no code 'QS9'"),
        ('[tool.queryscope.per-path."a"]\nlevel = "high"', "level must be"),
        ('[tool.queryscope.per-path."/a"]\nignore = []', "relative to the project's folder"),
        ('[tool.queryscope.per-path.""]\nignore = []', "relative to the project's folder"),
        ("[tool.queryscope", "is no TOML"),
    ],
)
def test_wrong_settings_are_errors(project, text, said):
    """The error names the file and the nearest right name."""
    with pytest.raises(SettingsError) as caught:
        configured(project, text)
    assert said in str(caught.value)
    assert "pyproject.toml" in str(caught.value)


def test_other_tools_tables_are_theirs(project):
    """A project without a table of ours has the defaults."""
    policy = configured(project, '[tool.ruff]\nlevel = "x"\n')
    assert (policy.level, policy.root) == ("warning", project)


def test_running_application_has_findings_settled(project):
    """What was decided is read once, and again when a file was written."""
    finding = found(project)
    (first,) = decisions.settled((finding,))
    assert first.known is None
    decisions.load(project).baseline.with_findings([finding]).write()
    (second,) = decisions.settled((finding,))
    assert second.known is not None
    (project / baseline.FILE).unlink()
    (third,) = decisions.settled((finding,))
    assert third.known is None


def test_wrong_baseline_does_not_disturb_the_application(project):
    """Findings stay open, and the failure is counted where reports show it."""
    (project / baseline.FILE).write_text("version = ", encoding="utf-8")
    guard.clear()
    try:
        finding = found(project)
        assert decisions.settled((finding,)) == (finding,)
        assert [failure.place for failure in guard.failures()] == ["policy"]
    finally:
        guard.clear()
