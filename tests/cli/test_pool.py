"""The command ``pool``: the forecast of stored Traces, and the server's limit."""

from __future__ import annotations

import json
import time

import pytest

from queryscope.cli.main import main
from queryscope.cli.server import limit_of
from queryscope.detectors.registry import Judged
from queryscope.errors import QueryscopeError
from queryscope.store.file import Store
from tests.builders import MS, a_checkout, a_trace
from tests.services import mariadb_url, postgresql_url

FAST = ("--arrivals", "500")


@pytest.fixture
def fill(tmp_path, monkeypatch):
    """Return a function that stores requests which held these connections."""
    monkeypatch.chdir(tmp_path)
    store = Store(".queryscope/traces.db")
    count = iter(range(1_000))

    def fill(*checkouts, route="/books/", times=1):
        for _ in range(times):
            number = next(count)
            trace = a_trace(
                id=f"t{number:04}",
                name=f"GET {route}",
                checkouts=checkouts,
                started_at_ns=time.time_ns() - number,
                attributes={"method": "GET", "path": route, "route": route, "status": "200"},
            )
            store.add([Judged(trace, ())])

    yield fill
    store.close()


def nested():
    """Return two connections, one inside the other."""
    return (
        a_checkout(returned_ns=30 * MS, connection=1),
        a_checkout(asked_ns=5 * MS, returned_ns=25 * MS, connection=2),
    )


def shown(capsys, *arguments):
    """Return what a successful ``queryscope pool`` prints."""
    assert main(["pool", *FAST, *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_forecast_is_told_in_words(fill, capsys):
    """What is held, admitted, safe, waited, and what would help."""
    fill(*nested(), times=3)
    text = shown(capsys, "--concurrency", "5")
    assert "pool default: 5 connections; 3 recorded requests" in text
    assert "They are few" in text
    assert "a request holds   50.0 ms of connection-time, up to 2 at once" in text
    assert "the pool admits   100.0 requests/s at most" in text
    assert "possible from 5 requests at a time on; safe up to 4" in text
    assert "5 requests can" in text
    assert [line.split()[0] for line in text.splitlines() if "%  " in line][:1] == ["50.0"]
    assert "sessions merged" in text


def test_rates_are_asked_for(fill, capsys):
    """One line each; what the pool does not admit is endless."""
    fill(a_checkout(returned_ns=20 * MS))
    lines = shown(capsys, "--rate", "100", "--rate", "400").splitlines()
    assert sum("endless" in line for line in lines) == 1
    (line,) = [line for line in lines if line.split()[:2] == ["100.0", "40%"]]
    assert "ms" in line


def test_json_has_every_number(fill, capsys):
    """For other programs; what is endless is null."""
    fill(*nested(), times=2)
    document = json.loads(shown(capsys, "--format", "json", "--rate", "50", "--rate", "900"))
    (pool,) = document["pools"]
    assert (pool["pool"], pool["capacity"], pool["requests"]) == ("default", 5, 2)
    found = pool["forecast"]
    assert (found["most_held"], found["deadlock_from"], found["safe_concurrency"]) == (2, 5, 4)
    assert [rate["waits"]["mean_s"] is None for rate in found["rates"]] == [False, True]
    assert found["changes"][0]["name"] == "as recorded"
    assert document["server"] is None


def test_route_and_capacity_are_chosen(fill, capsys):
    """Only the requests asked for, and a pool of another size."""
    fill(*nested(), route="/nested/")
    fill(a_checkout(), route="/books/")
    text = shown(capsys, "--route", "GET /nested/", "--capacity", "9")
    assert "9 connections; 1 recorded request" in text
    assert "possible from 9" in text


def test_pool_without_a_bound_is_told(fill, capsys):
    """There is nothing to foretell."""
    fill(a_checkout(size=None))
    assert "without a bound, so nobody waits; 1 recorded request" in shown(capsys)


def test_text_goes_to_a_file(fill, capsys, tmp_path):
    """As with the other commands, its path is printed."""
    fill(a_checkout())
    assert shown(capsys, "--output", "pool.txt") == "pool.txt\n"
    assert "pool default" in (tmp_path / "pool.txt").read_text(encoding="utf-8")


def test_recorded_names_are_shown_safely(fill, capsys):
    """A name with control characters does not move the cursor."""
    fill(a_checkout(pool="a\x1b[2Jb"))
    assert "\x1b" not in shown(capsys)


# -- QS512 -----------------------------------------------------------------------------------


def test_pools_beyond_a_given_limit_are_told(fill, capsys):
    """All pools of a process together."""
    fill(a_checkout(size=10, max_overflow=10), a_checkout(pool="other", size=5))
    text = shown(capsys, "--processes", "8", "--server-limit", "100")
    assert "QS512: 8 processes may open 200 connections; the server admits 100." in text
    assert "12 at most" in text
    assert "QS512" not in shown(capsys, "--processes", "4", "--server-limit", "100")


@pytest.mark.parametrize("url", [postgresql_url, mariadb_url])
def test_server_is_asked_for_its_limit(fill, capsys, url):
    """On a connection of our own, which is closed again."""
    fill(a_checkout(size=2_000))
    limit = limit_of(url())
    assert 0 < limit.admitted <= limit.connections - limit.reserved
    text = shown(capsys, "--processes", "100", "--database", url())
    assert (
        f"QS512: 100 processes may open 200000 connections; the server admits {limit.admitted}"
        in text
    )


# -- wrong use -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--processes", "4"], "--processes needs"),
        (["--server-limit", "4"], "need --processes"),
        (["--processes", "4", "--database", "sqlite:///x.db"], "SQLite has no server"),
        (["--processes", "4", "--database", "oracle://x"], "PostgreSQL or MariaDB"),
        (["--processes", "4", "--database", "postgresql://h:port/x"], "no URL"),
        (["--route", "GET /nowhere/"], "/nowhere/"),
    ],
)
def test_wrong_use_is_an_error(fill, capsys, arguments, words):
    """One line that says what to do, and exit code 2."""
    fill(a_checkout())
    assert main(["pool", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--rate", "0"], ["--rate", "-3"], ["--rate", "many"], ["--rate", "nan"], ["--capacity", "0"],
     ["--concurrency", "-1"], ["--timeout", "0"], ["--arrivals", "0"], ["--format", "xml"],
     ["--server-limit", "9", "--database", "postgresql://x"]],
)  # fmt: skip
def test_wrong_numbers_are_refused(fill, capsys, arguments):
    """By the parser, with the same exit code."""
    with pytest.raises(SystemExit) as raised:
        main(["pool", *arguments])
    assert raised.value.code == 2
    assert capsys.readouterr().err


def test_traces_without_a_pool_are_an_error(fill, capsys):
    """Django without a pool opens a connection for each thread."""
    fill()
    assert main(["pool"]) == 2
    assert "Without a pool nobody waits" in capsys.readouterr().err


def test_server_that_does_not_answer_is_an_error_without_the_password():
    """The reason of the driver, and nothing secret."""
    with pytest.raises(QueryscopeError, match="does not tell its limit") as raised:
        limit_of("postgresql://me:se%40cret@127.0.0.1:1/nowhere")
    assert "se@cret" not in str(raised.value)
    assert "se%40cret" not in str(raised.value)
