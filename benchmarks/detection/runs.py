"""Starts the workers: one process for each ORM and database, and reads what they wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks.detection.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 3_600
SERVERS = {
    "postgresql": "QUERYSCOPE_POSTGRESQL_URL",
    "mariadb": "QUERYSCOPE_MARIADB_URL",
}
LOCAL = {
    "postgresql": "postgresql://postgres@127.0.0.1:5432",
    "mariadb": "mysql://root@127.0.0.1:3306",
}
DRIVERS = {
    # database: (SQLAlchemy's scheme, the asynchronous one; empty where none is installed)
    "postgresql": ("postgresql+psycopg", "postgresql+asyncpg"),
    "mariadb": ("mysql+pymysql", ""),
}
DATABASE = "queryscope_detection"
IN_MEMORY = Path("/dev/shm")
"""Where SQLite's file lies where there is such a folder: a busy disk decides nothing."""


class Worked(NamedTuple):
    """What a worker wrote: the scenarios by name, and a line for each that was tried."""

    orm: str
    database: str
    scenarios: dict[str, Scenario]
    lines: list[dict[str, Any]]

    def written(self) -> list[Any]:
        """Return it as JSON takes it."""
        declared = [item.declared() for item in self.scenarios.values()]
        return [self.orm, self.database, declared, self.lines]

    @classmethod
    def of(cls, written: list[Any]) -> Worked:
        """Return what ``written`` was made of."""
        orm, database, declared, lines = written
        scenarios = map(Scenario.of, declared)
        return cls(orm, database, {item.name: item for item in scenarios}, lines)


class NotThereError(Exception):
    """A database server does not answer; the text says which and why."""


def work(
    orm: str,
    database: str,
    sizes: Iterable[int],
    *,
    only: Iterable[str] = (),
    codes: Iterable[str] = (),
    watcher: str = "queryscope",
    python: str | Path = sys.executable,
) -> Worked:
    """Run the scenarios of an ORM on a database; return what the worker wrote.

    Raises:
        NotThereError: The server of the database does not answer.
        RuntimeError: The worker ended with an error.
    """
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        url, async_url = _urls(orm, database, Path(folder))
        output = Path(folder) / "lines.jsonl"
        order = {
            "orm": orm, "watcher": watcher, "url": url, "async_url": async_url,
            "sizes": list(sizes), "only": list(only), "codes": list(codes), "output": str(output),
        }  # fmt: skip
        done = subprocess.run(
            [python, "-m", "benchmarks.detection.worker", json.dumps(order)],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([*_own_path(watcher), str(ROOT)]),
                "PYTHONHASHSEED": "0",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if done.returncode:
            raise RuntimeError(f"{orm} on {database}:\n{done.stdout[-2000:]}{done.stderr[-6000:]}")
        head, *lines = map(json.loads, output.read_text(encoding="utf-8").splitlines())
        scenarios = [Scenario.of(declared) for declared in head["scenarios"]]
        return Worked(orm, database, {item.name: item for item in scenarios}, lines)


def _own_path(watcher: str) -> list[str]:
    """Return where we are imported from; a peer runs without us."""
    return [*filter(None, [os.environ.get("PYTHONPATH")])] if watcher == "queryscope" else []


def _urls(orm: str, database: str, folder: Path) -> tuple[str, str]:
    """Return the URL of an empty database, and the one of its asynchronous driver."""
    if database == "sqlite":
        path = folder / "shelf.db"
        return f"sqlite:///{path}", f"sqlite+aiosqlite:///{path}"
    given = os.environ.get(SERVERS[database], LOCAL[database])
    where = urlsplit(given)._replace(path=f"/{DATABASE}_{orm}")
    try:
        (_make_postgresql if database == "postgresql" else _make_mariadb)(where)
    except Exception as error:
        raise NotThereError(f"{database}: {' '.join(str(error).split())[:100]}") from error
    if orm == "django":
        return where.geturl(), ""
    scheme, async_scheme = DRIVERS[database]
    return (
        where._replace(scheme=scheme).geturl(),
        where._replace(scheme=async_scheme).geturl() if async_scheme else "",
    )


def _make_postgresql(where: Any) -> None:
    import psycopg

    server = where._replace(path="/postgres").geturl()
    with psycopg.connect(server, autocommit=True, connect_timeout=3) as connection:
        name = where.path.strip("/")
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')


def _make_mariadb(where: Any) -> None:
    import pymysql

    connection = pymysql.connect(
        host=where.hostname, port=where.port or 3306, user=where.username,
        password=where.password or "", connect_timeout=3,
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        name = where.path.strip("/")
        cursor.execute("SET sql_notes = 0")
        cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
        cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
