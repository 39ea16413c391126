"""Ways to a database: every ORM and driver behind the same few verbs, with us and without.

A scenario is a function of a Door that notes what it gets in ``door.steps``. It runs twice, and
what it got must be the same; the Trace of the second run says what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from urllib.parse import urlsplit

from django.db import close_old_connections, connections, transaction
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util.concurrency import greenlet_spawn

import queryscope
from queryscope.django import hooks
from queryscope.trace import guard
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder

ALIAS = "faulty"
TABLE = "faults_row"
WAITED_S = 0.15
"""A step that waited for a time-out took longer; the time-outs here are 0.2 s and more."""
ENDLESS_S = 45
"""A step that takes longer would not have come back by itself."""
POSTGRESQL = ("django-postgresql", "psycopg", "psycopg2", "asyncpg")
MARIADB = ("django-mysql", "pymysql", "mysqldb")
_ENGINES = {"postgresql": "postgresql", "mysql": "mysql", "sqlite": "sqlite3"}
"""Django's backends by the scheme of a URL."""


class Door:
    """One way to a database.

    Attributes:
        name: One of ``POSTGRESQL`` or ``MARIADB``; for SQLite ``django`` or ``sqlalchemy``.
        steps: What the scenario got, in order.
        took_s: How long each step took, in seconds.
    """

    def __init__(self, name):
        """Open nothing yet."""
        self.name = name
        self.steps = []
        self.took_s = []

    def note(self, call, *arguments):
        """Note what a call gives or raises, and how long it took."""
        start = time.monotonic()
        try:
            found = call(*arguments)
        except Exception as error:
            found = _raised(error)
            raise
        finally:
            self.steps.append(found)
            self.took_s.append(time.monotonic() - start)
        return found

    def attempt(self, call, *arguments):
        """Note what a call gives or raises, and go on."""
        with contextlib.suppress(Exception):
            self.note(call, *arguments)


def _raised(error):
    """Return the classes of an error and of what caused it; the texts hold ports and pids."""
    names = []
    while error is not None:
        # A write to a socket that was reset fails with either, by what the kernel has seen so far.
        kind = ConnectionError if isinstance(error, ConnectionError) else type(error)
        names.append(f"{kind.__module__}.{kind.__qualname__}")
        error = error.__cause__
    return tuple(names)


class Alchemy(Door):
    """SQLAlchemy's Core."""

    connection = None

    def __init__(self, name, engine):
        """Use an engine."""
        super().__init__(name)
        self.engine = engine

    @contextlib.contextmanager
    def transaction(self):
        """Give a transaction that ends with the block."""
        with self.engine.begin() as self.connection:
            yield

    def ask(self, statement):
        """Send one statement in the transaction and return its first value."""
        found = self.connection.exec_driver_sql(statement)
        return found.scalar() if found.returns_rows else None

    def raw(self):
        """Return the driver's own connection."""
        return self.connection.connection.driver_connection

    def next_request(self):
        """Do what happens between two requests: nothing."""


class Django(Door):
    """A Django connection."""

    @contextlib.contextmanager
    def transaction(self):
        """Give a transaction that ends with the block."""
        with transaction.atomic(using=ALIAS):
            yield

    def ask(self, statement):
        """Send one statement and return its first value."""
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None

    def raw(self):
        """Return the driver's own connection."""
        return connections[ALIAS].connection

    def next_request(self):
        """Do what happens between two requests: what cannot be used is closed."""
        close_old_connections()


def _configured(url, **options):
    """Return Django's settings of a database."""
    where = urlsplit(url)
    if where.scheme == "sqlite":
        options = {"timeout": 0.2, **options}
    values = {
        "ENGINE": f"django.db.backends.{_ENGINES[where.scheme]}",
        "NAME": where.path[1:],
        "USER": where.username,
        "PASSWORD": where.password or "",
        "HOST": where.hostname,
        "PORT": where.port,
        "CONN_MAX_AGE": 0 if "pool" in options else None,
        "OPTIONS": options,
    }
    return connections.configure_settings({"default": values})["default"]


@contextlib.contextmanager
def django_alias(url, **options):
    """Give Django an alias for a database, for a block."""
    values = _configured(url, **options)
    connections.settings[ALIAS] = values  # the same dict as settings.DATABASES
    try:
        yield connections[ALIAS]
    finally:
        connections[ALIAS].close()
        close_pool = getattr(connections[ALIAS], "close_pool", None)
        if close_pool is not None:
            close_pool()
        del connections[ALIAS]
        del connections.settings[ALIAS]


def went(name, url, scenario, **options):
    """Run a scenario through one door and return the door."""
    if name.startswith("django"):
        with django_alias(url, **options):
            door = Django(name)
            scenario(door)
        return door
    where = urlsplit(url)
    address = url
    if where.scheme == "sqlite":
        options = {"connect_args": {"timeout": 0.2}, **options}
    else:
        address = url.replace(f"{where.scheme}:", f"{where.scheme}+{name}:", 1)
    if name != "asyncpg":
        engine = create_engine(address, **options)
        try:
            door = Alchemy(name, engine)
            scenario(door)
        finally:
            engine.dispose()
        return door

    async def awaited():
        engine = create_async_engine(address, **options)
        try:
            door = Alchemy(name, engine.sync_engine)
            await greenlet_spawn(scenario, door)
        finally:
            await engine.dispose()
        return door

    return asyncio.run(awaited())


@contextlib.contextmanager
def recording():
    """Record a block with all hooks; give a list that gets its Trace."""
    queryscope.install()
    hooks.install(full=True)
    recorder = Recorder("request", "faults", full=True)
    recorder.open()
    found = []
    try:
        yield found
    finally:
        recorder.close()
        found.append(freeze(recorder))


def compared(name, url, scenario, **options):
    """Run a scenario without us and with us; return the Trace and the door of the second run."""
    bare = went(name, url, scenario, **options)
    with recording() as found:
        profiled = went(name, url, scenario, **options)
    assert profiled.steps == bare.steps, f"{profiled.steps}\n{bare.steps}"
    assert max(bare.took_s + profiled.took_s) < ENDLESS_S
    assert guard.failures() == ()
    return found[0], profiled
