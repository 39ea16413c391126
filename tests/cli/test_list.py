"""The command ``list``: what is stored, the newest first, safe to show."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest

from queryscope.cli.main import main
from queryscope.detectors.registry import Judged
from queryscope.store.file import Store
from tests.builders import a_finding, a_session, a_trace, some


@pytest.fixture
def fill(tmp_path, monkeypatch):
    """Return a function that stores Traces under the default path of the working directory."""
    monkeypatch.chdir(tmp_path)
    store = Store(".queryscope/traces.db")

    def fill(ident, name, *findings, age_s=1, statements=2, **facts):
        attributes = {}
        if facts.setdefault("kind", "request") == "request":
            method, _, path = name.partition(" ")
            attributes = {"method": method, "route": path, "path": path, "status": "200"}
        started = time.time_ns() - age_s * 10**9
        queries = some(statements, rows=500)
        trace = a_trace(
            *queries, id=ident, name=name, started_at_ns=started, attributes=attributes, **facts
        )
        store.add([Judged(trace, findings)])

    yield fill
    store.close()


def lines(capsys, *arguments) -> list[str]:
    """Return the lines of a successful ``queryscope list``."""
    assert main(["list", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def test_list_shows_numbers_and_codes(fill, capsys):
    """A line has the id, the route, the status, the counts and the codes."""
    grave = a_finding("QS501", severity="critical")
    fill("k3f", "GET /books/", a_finding(), a_finding(), grave, sessions=[a_session()])
    header, line = lines(capsys)
    assert header.split() == [
        "trace", "started", "what", "status", "time", "statements", "rows", "sessions", "findings",
    ]  # fmt: skip
    words = line.split()
    assert words[0] == "k3f"
    assert words[3:6] == ["GET", "/books/", "200"]
    assert words[-7:] == ["ms", "2", "1,000", "1", "3", "QS101", "QS501"]


def test_newest_is_first(fill, capsys):
    """The Trace that began last stands first, and a limit cuts the oldest."""
    fill("old", "GET /a/", age_s=9)
    fill("new", "GET /b/", age_s=3)
    assert [line.split()[0] for line in lines(capsys)[1:]] == ["new", "old"]
    assert [line.split()[0] for line in lines(capsys, "--limit", "1")[1:]] == ["new"]


def test_route_and_kind_choose(fill, capsys):
    """Only what was asked for is listed."""
    fill("a1", "GET /a/")
    fill("b1", "GET /b/")
    fill("job", "nightly export", kind="task")
    assert [line.split()[0] for line in lines(capsys, "--route", "GET /b")[1:]] == ["b1"]
    assert [line.split()[0] for line in lines(capsys, "--kind", "task")[1:]] == ["job"]


def test_nothing_found_is_told(fill, capsys):
    """An empty list is an error that says why: no store, no such route, no such kind."""
    assert main(["list"]) == 2
    assert "does not exist. Record one first" in capsys.readouterr().err
    fill("a1", "GET /a/")
    assert main(["list", "--route", "GET /aa"]) == 2
    assert "Did you mean 'GET /a/'?" in capsys.readouterr().err
    assert main(["list", "--kind", "test"]) == 2
    assert "no such Trace of kind 'test'" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1e3", "9" * 5_000])
def test_odd_limit_is_wrong_use(capsys, limit):
    """A limit that is no count is refused."""
    with pytest.raises(SystemExit) as end:
        main(["list", f"--limit={limit}"])
    assert end.value.code == 2
    assert "is no whole number from 1 on" in capsys.readouterr().err


def test_hostile_name_is_shown_as_text(fill, capsys):
    """Escape sequences, line ends, markup and broken UTF-8 in a name stay on their line."""
    fill("h1", "GET /\x1b[31m\n[bold]\u202e\udcff</x>")
    (line,) = lines(capsys)[1:]
    assert r"GET /\x1b[31m\n[bold]\u202e?</x>" in line


def test_long_route_is_whole_in_a_pipe(fill, capsys):
    """For another program nothing is cut."""
    fill("k3f", "GET /" + "x" * 250)
    (line,) = lines(capsys)[1:]
    assert "x" * 250 in line


def test_terminal_gets_width_and_colour(fill):
    """In a terminal lines fit its width, and findings have the colour of the gravest."""
    fill("k3f", "GET /" + "x" * 250, a_finding())
    inner, outer = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    done = subprocess.run(
        [sys.executable, "-m", "queryscope", "list"],
        stdout=outer, stderr=subprocess.PIPE, env=environment, check=False,
    )  # fmt: skip
    os.close(outer)
    shown = os.read(inner, 65_536).decode()
    os.close(inner)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(shown.splitlines()) == 2
    assert "\x1b[33m1  QS101" in shown
    assert "x" * 10 in shown
    assert "x" * 100 not in shown
