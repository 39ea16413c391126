"""The command ``growth``: laws of recorded endpoints and lines, in the terminal and as JSON."""

from __future__ import annotations

import json

import pytest

from queryscope.cli.main import main
from queryscope.detectors.registry import Judged
from queryscope.store.file import Store
from tests.builders import a_query, a_trace
from tests.growth.test_observed import books, publishers


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A store with a loop at three sizes, and an endpoint seen once."""
    monkeypatch.chdir(tmp_path)
    store = Store(".queryscope/traces.db", max_age_days=100_000)
    for n in (5, 20, 80):
        attributes = {"method": "GET", "route": "books/", "path": "/books/"}
        queries = [books(n), *publishers(n, origin=50), a_query("SELECT 1", origin=60)]
        store.add([Judged(a_trace(*queries, id=f"t{n}", attributes=attributes), ())])
    store.add([Judged(a_trace(a_query(), id="once", name="GET /once/"), ())])
    store.close()


def shown(capsys, *arguments):
    """Return what a successful command prints."""
    assert main(["growth", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_growing_lines_are_shown_with_their_sizes(recorded, capsys):
    """The endpoint's law, and the line with rows, statements and the number for 10,000."""
    lines = [line.split() for line in shown(capsys).splitlines() if line.strip()]
    assert lines[0] == ["GET", "/books/", "3", "Traces:", "O(n)"]
    assert lines[2] == [
        "O(n)", "library/views.py:50", "SELECT", "FROM", "library_book", "5:", "5,", "20:", "20,",
        "80:", "80", "10,000", "high:", "in", "proportion", "to", "the", "rows",
    ]  # fmt: skip
    assert lines[3] == ["GET", "/once/", "1", "Trace:", "nothing", "tells", "how", "it", "grows"]
    assert len(lines) == 4


def test_constant_lines_are_shown_on_request(recorded, capsys):
    """With --all every line has its law."""
    text = shown(capsys, "--all", "--route", "GET /books/")
    assert "O(1)" in text
    assert "library/views.py:60" in text
    assert "/once/" not in text


def test_document_has_every_line(recorded, capsys):
    """Programs get points, law, confidence and the line whose rows are the size."""
    document = json.loads(shown(capsys, "--format", "json"))
    assert (document["schema"], document["schema_version"]) == ("queryscope.growth", 1)
    first, once = document["endpoints"]
    assert (first["name"], first["law"], once["law"]) == ("GET /books/", "n", "unknown")
    line = first["lines"][0]
    assert (line["law"], line["confidence"], line["at_10000"]) == ("n", "high", 10_000)
    assert sorted(line["points"]) == [[5, 5], [20, 20], [80, 80]]
    assert line["rows_of"]["place"]["line"] == 38
    assert once["lines"][0]["at_10000"] is None
