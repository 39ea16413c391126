"""The command ``plan``, and ``scan --plans``: plans of recorded statements, what they show."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing

import pytest

from queryscope.cli.main import main
from queryscope.detectors.registry import Judged
from queryscope.store.file import Store
from tests.builders import a_query, a_trace

BOOKS = 3_000
BY_ISBN = "SELECT id, title FROM book WHERE isbn = %s"
BY_KEY = "SELECT id, title FROM book WHERE id = %s"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project with a database of books, and a request that asks for some of them."""
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("shop.db")) as connection:
        connection.execute("CREATE TABLE book (id integer PRIMARY KEY, title text, isbn varchar)")
        rows = [(n, f"title {n}", f"isbn-{n}") for n in range(BOOKS)]
        connection.executemany("INSERT INTO book VALUES (?, ?, ?)", rows)
        connection.commit()
    trace = a_trace(
        a_query(BY_ISBN, parameters=["isbn-7"]),
        a_query(BY_KEY, parameters=[7]),
        a_query("INSERT INTO book (id, title) VALUES (%s, %s)", parameters=[-1, "new"], rows=1),
        a_query("BEGIN", parameters=None, rows=None),
        a_query("SELECT id FROM gone WHERE x = %s", parameters=[7]),
        id="abc",
        mode="production",
        started_at_ns=time.time_ns(),
    )
    store = Store(".queryscope/traces.db")
    store.add([Judged(trace, ())])
    store.close()
    return tmp_path


def printed(capsys, *arguments, code=0):
    """Return what a command prints."""
    assert main([*arguments]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


HERE = ("--database", "sqlite:///shop.db")


def test_plan_says_what_the_database_does_and_what_it_shows(folder, capsys):
    """The steps, what they mean, with which values, and the index that was tried."""
    out = printed(capsys, "plan", "ab", "0", *HERE)
    assert "statement 0 of abc" in out
    assert f"reads all of book (about {BOOKS:,} rows)" in out
    assert "values sampled from the tables" in out
    assert "QS401 missing-index" in out
    assert "tried on a copy" in out


def test_latest_stands_for_the_newest_trace(folder, capsys):
    """Nobody has to look its id up."""
    assert "statement 1 of abc" in printed(capsys, "plan", "latest", "1", *HERE)


def test_plan_of_a_search_has_no_finding(folder, capsys):
    """A key is a key."""
    out = printed(capsys, "plan", "abc", "1", *HERE)
    assert "searches book by its key" in out
    assert "QS4" not in out


def test_write_is_explained_and_not_done(folder, capsys):
    """The database has what it had."""
    before = (folder / "shop.db").read_bytes()
    printed(capsys, "plan", "abc", "2", *HERE)
    assert (folder / "shop.db").read_bytes() == before


@pytest.mark.parametrize(
    ("number", "arguments", "reason"),
    [
        (3, HERE, "has no plan"),
        (4, HERE, "no such table"),
        (0, ("--database", "sqlite:///not-there.db"), "There is no SQLite database"),
        (0, ("--database", "mysql://me@nowhere/x"), "Nobody said where"),
        (0, (), "--database"),
    ],
)
def test_what_cannot_be_explained_is_said(folder, capsys, number, arguments, reason):
    """With exit code 1, and without a traceback."""
    out = printed(capsys, "plan", "abc", str(number), *arguments, code=1)
    assert "There is no plan." in out
    assert reason in out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["abc", "9", *HERE], "has no statement 9"),
        (["nothing", "0", *HERE], "nothing"),
        (["abc", "0", "--database", "oracle://x/y"], "must be a URL"),
    ],
)
def test_what_does_not_exist_is_an_error(folder, capsys, arguments, reason):
    """Exit code 2, one sentence."""
    assert main(["plan", *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_database_of_the_project_needs_no_option(folder, capsys, monkeypatch):
    """It stands in pyproject.toml; a SQLite file lies beside that, wherever one is."""
    (folder / "pyproject.toml").write_text('[tool.queryscope]\ndatabase = "sqlite:///shop.db"\n')
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    out = printed(capsys, "plan", "--store", str(folder / ".queryscope/traces.db"), "abc", "1")
    assert "searches book by its key" in out


def test_database_by_its_alias_goes_before_the_others(folder, capsys):
    """One option for each alias."""
    other = ("--database", "sqlite:///not-there.db", "--database", "default=sqlite:///shop.db")
    assert "searches book" in printed(capsys, "plan", "abc", "1", *other)


def test_json_has_the_steps_and_the_trial(folder, capsys):
    """For programs."""
    document = json.loads(printed(capsys, "plan", "abc", "0", "--json", *HERE))
    assert (document["schema"], document["schema_version"]) == ("queryscope.plan", 1)
    assert document["plan"]["steps"][0]["kind"] == "table scan"
    assert document["plan"]["rows_of"] == {"book": BOOKS}
    assert document["trial"]["columns"] == ["isbn"]
    assert document["trial"]["saved"] > 0.9
    assert [finding["code"] for finding in document["findings"]] == ["QS401"]


def test_no_index_is_tried_where_nobody_wants_it(folder, capsys):
    """The finding says so, and is not sure."""
    out = printed(capsys, "plan", "abc", "0", "--no-trial", *HERE)
    assert "was not tried" in out
    assert "low confidence" in out


def test_analyze_is_for_selects(folder, capsys):
    """A write is not run to be analyzed."""
    assert "There is no plan." in printed(capsys, "plan", "abc", "2", "--analyze", *HERE, code=1)
    assert "searches book" in printed(capsys, "plan", "abc", "1", "--analyze", *HERE)


def test_scan_judges_plans_where_it_is_told_to(folder, capsys):
    """Its findings stand with those over all Traces; what had no plan is counted with a reason."""
    assert "QS401" not in printed(capsys, "scan")
    out = printed(capsys, "scan", "--plans", *HERE)
    assert "QS401 missing-index" in out
    assert "2 statements explained" in out
    assert "1 statement without a plan: The database does not explain it: no such table" in out
    document = json.loads(printed(capsys, "scan", "--plans", "--format", "json", *HERE))
    assert "QS401" in [finding["code"] for finding in document["findings"]]
    assert document["plans"]["explained"] == 2


def test_scan_without_a_database_says_which_is_missing(folder, capsys):
    """Nothing is judged, and nothing is silent."""
    assert "Nobody said where the sqlite database 'default' is" in printed(
        capsys, "scan", "--plans"
    )
