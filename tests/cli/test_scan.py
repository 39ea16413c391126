"""The command ``scan``: recorded traffic ranked, in the terminal and as JSON."""

from __future__ import annotations

import json

import pytest

from queryscope.cli.main import main
from queryscope.store.file import Store
from tests.test_scan import a_request


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A store with a loop, twice, and a clean endpoint."""
    monkeypatch.chdir(tmp_path)
    store = Store(".queryscope/traces.db", max_age_days=100_000)
    store.add([a_request("a", loads=6), a_request("b", loads=10), a_request("c", "clean/")])
    store.close()


def scanned(capsys, *arguments):
    """Return what a successful scan prints."""
    assert main(["scan", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_scan_ranks_endpoints_and_lines(recorded, capsys):
    """The sum, the endpoints, and the lines that findings speak of."""
    lines = [line.split() for line in scanned(capsys).splitlines() if line.strip()]
    assert lines[0][:7] == ["3", "Traces,", "19", "statements:", "84", "%", "waste,"]
    assert lines[1] == ["wasted", "waste", "Traces", "statements", "rows", "endpoint", "codes"]
    assert lines[2] == ["16.0", "ms", "89", "%", "2", "18", "34", "GET", "/books/", "QS101"]
    assert lines[3] == ["0", "ms", "0", "%", "1", "1", "9", "GET", "/clean/"]
    assert lines[5] == [
        "16.0", "ms", "100", "%", "2", "16", "16", "library/views.py:41",
        "SELECT", "FROM", "library_book", "QS101", "GET", "/books/",
    ]  # fmt: skip
    assert len(lines) == 6


def test_scan_as_json_has_everything(recorded, capsys):
    """Programs get the amounts, the lines and the costliest finding of each."""
    document = json.loads(scanned(capsys, "--format", "json"))
    assert (document["schema"], document["traces"]) == ("queryscope.scan", 3)
    assert document["waste"] == round(16 / 19, 4)
    first, second = document["endpoints"]
    assert (first["name"], first["codes"], second["lines"][0]["finding"]) == (
        "GET /books/", {"QS101": 2}, None,
    )  # fmt: skip
    line = first["lines"][0]
    assert line["place"]["line"] == 41
    assert (line["spent"]["statements"], line["left"]["statements"]) == (16, 0)
    assert line["finding"]["code"] == "QS101"
    assert line["spent"]["bytes"] is None


def test_scan_of_one_route_leaves_the_others(recorded, capsys):
    """Route and limit choose Traces as for the list."""
    assert "/books/" not in scanned(capsys, "--route", "GET /clean/")
    assert scanned(capsys, "--limit", "1").startswith("1 Trace, ")


def test_lines_left_out_are_said(recorded, tmp_path, capsys):
    """A limit never looks like an end."""
    store = Store(".queryscope/traces.db", max_age_days=100_000)
    store.add([a_request("d", "more/", loads=7, origin=60)])
    store.close()
    assert "… 1 more line: --lines 2" in scanned(capsys, "--lines", "1")


def test_nothing_recorded_is_an_error(tmp_path, monkeypatch, capsys):
    """Without a store there is nothing to rank."""
    monkeypatch.chdir(tmp_path)
    assert main(["scan"]) == 2
    assert "There is no Trace: " in capsys.readouterr().err
