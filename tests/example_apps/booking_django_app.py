"""What the tests of the Django booking example share: seeding it and sending it requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

APP = Path(__file__).resolve().parents[2] / "example_apps" / "booking_django"
RUNNER = Path(__file__).with_name("booking_django_runner.py")
CALLER = "Token token-1"
"""The header of an open account with a plan and day passes."""
TRANSACTION_CONTROL = ("BEGIN", "SAVEPOINT", "RELEASE", "COMMIT", "ROLLBACK")

# Seeding 500 locations takes two seconds; a child that hangs must not hang the suite.
TIME_OUT_S = 300


def environment(database_url: str, **more: str) -> dict[str, str]:
    """Return the environment of a child: ours, without what would change the application."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BOOKING_", "DJANGO_", "QUERYSCOPE_")) and name != "DATABASE_URL"
    }
    log = {"BOOKING_LOG": os.devnull}
    return kept | log | {"DATABASE_URL": database_url} | more


def run(arguments: list[str], env: dict[str, str], stdin: str = "") -> str:
    """Return what a child prints; one that fails fails the test with what it said."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=APP,
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIME_OUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stderr}"
    return done.stdout


def seed(database_url: str, *options: str) -> str:
    """Create and fill the tables of a database and return its URL."""
    run(["manage.py", "seed", *options], environment(database_url))
    return database_url


def seeded_file(folder: Path, *options: str) -> str:
    """Return the URL of a SQLite file in a folder, created and filled."""
    return seed(f"sqlite:///{folder / 'booking.sqlite3'}", *options)


def ask(
    database_url: str,
    paths: list[str],
    *,
    token: str | None = CALLER,
    **environ: str,
) -> list[dict[str, Any]]:
    """Send requests to one process of the application, one after another."""
    return ask_each(database_url, [(path, token) for path in paths], **environ)


def ask_each(
    database_url: str, requests: list[tuple[str, str | None]], **environ: str
) -> list[dict[str, Any]]:
    """Send requests, each with an ``Authorization`` header of its own or none."""
    listed = json.dumps([{"path": path, "token": token} for path, token in requests])
    printed = run([str(RUNNER)], environment(database_url, **environ), listed)
    return json.loads(printed)


def discovery(parameters: list[tuple[str, str]]) -> str:
    """Return the path of a discovery request; names may be repeated."""
    return "/discovery?" + urlencode(parameters) if parameters else "/discovery"


def differing(
    database_url: str, requests: list[tuple[str, str | None]], **environ: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Ask legacy endpoints and their twins.

    Returns:
        The legacy answers, and one line for each request whose twin answered
        with another status, type or body.
    """
    twins = [("/v2" + path, token) for path, token in requests]
    legacy = ask_each(database_url, requests, **environ)
    repaired = ask_each(database_url, twins, **environ)
    lines = [
        f"{request}: {seen(old)!r:.300} against {seen(new)!r:.300}"
        for request, old, new in zip(requests, legacy, repaired, strict=True)
        if seen(old) != seen(new)
    ]
    return legacy, lines


def seen(answer: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a client sees of an answer, with 1, 1.0 and true told apart."""
    return answer["status"], answer["type"], json.dumps(answer["body"])


def sent(answer: dict[str, Any]) -> list[dict[str, str]]:
    """Return the statements of an answer without transaction control."""
    return [s for s in answer["statements"] if not s["sql"].startswith(TRANSACTION_CONTROL)]


def marked(number: str) -> list[str]:
    """Return ``file:line`` of every legacy Python line that carries a bottleneck's mark."""
    return [
        f"{path.relative_to(APP)}:{line}"
        for path in sorted((APP / "booking").rglob("*.py"))
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if number in marks_in(text)
    ]


def marks_in(text: str) -> list[str]:
    """Return the numbers in ``# bottleneck 3a, 4; mend 5`` that stand for bottlenecks."""
    _, _, after = text.partition("# bottleneck ")
    return [number.strip(" #}") for number in after.partition(";")[0].split(",")] if after else []
