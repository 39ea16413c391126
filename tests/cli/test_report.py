"""The command ``report``: the right Trace, in the form and at the place asked for."""

from __future__ import annotations

import json
import time

import pytest

from queryscope.cli.main import main
from queryscope.detectors.registry import Judged
from queryscope.store.file import Store
from tests.builders import a_finding, a_trace, some


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a working directory whose store has three requests."""
    monkeypatch.chdir(tmp_path)
    store = Store(".queryscope/traces.db")
    for age_s, (ident, path) in enumerate([("new1", "/b/"), ("mid2", "/a/"), ("mid3", "/a/")]):
        attributes = {"method": "GET", "path": path, "route": path, "status": "200"}
        trace = a_trace(
            *some(3),
            id=ident,
            name=f"GET {path}",
            started_at_ns=time.time_ns() - (age_s + 1) * 10**9,
            attributes=attributes,
        )
        store.add([Judged(trace, (a_finding(trace_id=ident),))])
    store.close()
    return tmp_path


def shown(capsys, *arguments) -> str:
    """Return the output of a successful ``queryscope report``."""
    assert main(["report", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


@pytest.mark.parametrize(
    ("which", "ident"),
    [
        ([], "new1"),
        (["--latest"], "new1"),
        (["mid3"], "mid3"),
        (["new"], "new1"),
        (["--route", "GET /a"], "mid2"),
        (["--route", "/b/"], "new1"),
    ],
)
def test_wanted_trace_is_reported(folder, capsys, which, ident):
    """An id, the beginning of one, a route, or nothing for the newest, choose the Trace."""
    report = json.loads(shown(capsys, *which, "--format", "json"))
    assert report["trace"]["id"] == ident


def test_html_goes_beside_the_store(folder, capsys):
    """The page is written into the store's folder, and only its path is printed."""
    assert shown(capsys, "mid2") == ".queryscope/report-mid2.html\n"
    page = (folder / ".queryscope" / "report-mid2.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "mid2" in page


def test_terminal_form_is_printed(folder, capsys):
    """The short report goes to the standard output, without colours where it is no terminal."""
    text = shown(capsys, "--format", "terminal")
    assert "GET /b/" in text
    assert "QS101" in text
    assert "\x1b" not in text
    assert not list((folder / ".queryscope").glob("report-*"))


@pytest.mark.parametrize("form", ["html", "terminal", "json"])
def test_output_names_the_file(folder, capsys, form):
    """With --output each form goes to that file, and its path is printed."""
    assert shown(capsys, "--format", form, "--output", "mine.txt") == "mine.txt\n"
    assert "new1" in (folder / "mine.txt").read_text(encoding="utf-8")


def test_dash_is_standard_output(folder, capsys):
    """With --output - the page itself is printed."""
    assert shown(capsys, "--output", "-").rstrip().endswith("</html>")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nope"], "There is no Trace 'nope'"),
        (["mid"], "begin with 'mid': mid"),
        (["--route", "GET /c"], "no Trace of 'GET /c' in"),
        (["--output", "missing/x.html"], "cannot be written to missing/x.html: No such file"),
        (["--store", "other.db"], "other.db does not exist"),
    ],
)
def test_what_is_not_there_is_told(folder, capsys, arguments, text):
    """A Trace, route, folder or store that is not there is an error of one sentence."""
    assert main(["report", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert text in captured.err


@pytest.mark.parametrize(
    "arguments",
    [["mid2", "--latest"], ["--latest", "--route", "/a/"], ["--format", "pdf"], ["a", "b"]],
)
def test_contradiction_is_wrong_use(folder, capsys, arguments):
    """Two ways to choose a Trace at once, or an unknown form, are refused."""
    with pytest.raises(SystemExit) as end:
        main(["report", *arguments])
    assert end.value.code == 2


def test_hostile_id_stays_in_the_folder(folder, capsys):
    """A Trace whose id is a path, in a file from elsewhere, does not write outside."""
    store = Store(".queryscope/traces.db")
    trace = a_trace(id="../../evil\0", name="\udcff</script>", started_at_ns=time.time_ns())
    store.add([Judged(trace, ())])
    store.close()
    assert shown(capsys) == ".queryscope/report-______evil_.html\n"
