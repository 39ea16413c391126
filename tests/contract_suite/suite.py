"""Starts the child processes of the suite and reads what they wrote."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pymysql

from queryscope.store.file import Store
from tests import services
from tests.contract_suite.normal import lines_of, part_of
from tests.contract_suite.plan import Plan
from tests.contract_suite.script import PREFIX

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("golden")
DEADLINE_S = 240
EVERYWHERE = ("profile", "wsgi", "flask", "asgi", "fastapi", "celery")
OF_DJANGO = ("django-client", "django-wsgi", "django-asgi")
ASYNC = ("async-profile", "async-asgi", "async-fastapi")


@dataclass(frozen=True)
class Group:
    """The ways that one child process runs.

    Attributes:
        orm: ``django`` or ``sqlalchemy``.
        database: ``sqlite``, ``postgresql`` or ``mariadb``.
        driver: As in ``Plan``.
        ways: Names of the ways.
    """

    orm: str
    database: str
    driver: str
    ways: tuple[str, ...]

    @property
    def name(self) -> str:
        """How the group is called in the name of a test."""
        return "-".join(filter(None, (self.orm, self.database, self.driver)))


GROUPS = (
    Group("django", "sqlite", "", (*EVERYWHERE, *OF_DJANGO, *ASYNC, "django-async")),
    Group("django", "sqlite", "", ("run",)),
    Group("django", "sqlite", "", ("greenlet",)),
    Group("django", "postgresql", "", ("profile", "django-wsgi", "django-asgi", "django-async")),
    Group("django", "mariadb", "", ("profile", "django-wsgi", "django-asgi", "django-async")),
    Group("sqlalchemy", "sqlite", "", (*EVERYWHERE, *ASYNC)),
    Group("sqlalchemy", "sqlite", "", ("run",)),
    Group("sqlalchemy", "sqlite", "", ("greenlet",)),
    Group("sqlalchemy", "postgresql", "psycopg", ("profile", "fastapi", *ASYNC)),
    Group("sqlalchemy", "postgresql", "psycopg2", ("flask",)),
    Group("sqlalchemy", "postgresql", "asyncpg", ("async-fastapi",)),
    Group("sqlalchemy", "mariadb", "pymysql", ("profile", "flask")),
)


def lines_by_way(group, folder):
    """Run a group's child process; return the lines by way and scenario.

    Args:
        group: The group.
        folder: An empty folder for files.
    """
    with databases(group.database, folder) as (first, second):
        output = folder / "lines.json"
        plan = Plan(group.orm, group.database, group.driver, first, second, group.ways, str(output))
        command = [sys.executable, "-m", "tests.contract_suite.child", plan.text()]
        if group.ways == ("run",):
            store = str(folder / "traces.db")
            launch = [sys.executable, "-m", "queryscope", "run", "--store", store, "--"]
            _start([*launch, *command])
            return {"run": _of_script(store)}
        _start(command)
        return json.loads(output.read_text(encoding="utf-8"))


def reference(orm, name):
    """Return the reference lines of a scenario, none where there are none."""
    path = GOLDEN / orm / f"{name}.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _start(command):
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def _of_script(path):
    """Return the lines of each scenario's stage in the one Trace of a script."""
    store = Store(path)
    try:
        trace = store.latest().trace
    finally:
        store.close()
    return {
        item.name.removeprefix(PREFIX): lines_of(*part_of(trace, item))
        for item in trace.stages
        if item.name.startswith(PREFIX)
    }


@contextlib.contextmanager
def databases(database, folder):
    """Give the addresses of two empty databases, deleted afterwards.

    Args:
        database: As in ``Plan``.
        folder: Where SQLite's files are.
    """
    if database == "sqlite":
        yield str(folder / "first.db"), str(folder / "second.db")
        return
    url = services.postgresql_url() if database == "postgresql" else services.mariadb_url()
    names = [f"queryscope_contract_{os.getpid()}_{number}" for number in (1, 2)]
    try:
        for name in names:
            _administrate(database, url, f"DROP DATABASE IF EXISTS {name}")
            _administrate(database, url, f"CREATE DATABASE {name}")
        yield [urlsplit(url)._replace(path=f"/{name}").geturl() for name in names]
    finally:
        for name in names:
            _administrate(database, url, f"DROP DATABASE IF EXISTS {name}")


def _administrate(database, url, statement):
    if database == "postgresql":
        with psycopg.connect(url, autocommit=True) as connection:
            forced = " WITH (FORCE)" if statement.startswith("DROP") else ""
            connection.execute(statement + forced)
        return
    where = urlsplit(url)
    if statement.startswith("CREATE"):
        statement += " CHARACTER SET utf8mb4"
    with (
        pymysql.connect(
            host=where.hostname,
            port=where.port or 3306,
            user=where.username,
            password=where.password or "",
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET sql_notes = 0")
        cursor.execute(statement)
