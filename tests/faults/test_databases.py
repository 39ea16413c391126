"""Databases that fail: the application gets what it gets without us, and the Trace says why."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from types import SimpleNamespace
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
from django.db import connections

from tests.faults import doors
from tests.faults.doors import MARIADB, POSTGRESQL, TABLE, compared
from tests.faults.servers import MariaDB, PostgreSQL, proxied, running, until
from tests.services import mariadb_url, postgresql_url

DOORS = [*POSTGRESQL, *MARIADB]
ENDED = {"rollback", "closed"}


@pytest.fixture(autouse=True)
def unblocked(django_db_blocker):
    """Let Django connect: these tests have databases of their own."""
    with django_db_blocker.unblock():
        yield


def _connected(url):
    """Return a connection beside the application's, by the driver alone."""
    where = urlsplit(url)
    if where.scheme == "postgresql":
        return psycopg.connect(url, connect_timeout=3)
    return pymysql.connect(
        host=where.hostname, port=where.port, user=where.username,
        database=where.path.strip("/"), connect_timeout=3,
    )  # fmt: skip


def _sent(connection, *statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


@pytest.fixture(scope="module")
def tables():
    """Give a function that returns the URL of a server with three rows; made when first asked."""
    made = {}

    def url_for(name):
        url = postgresql_url() if name in POSTGRESQL else mariadb_url()
        if url not in made:
            made[url] = True
            with contextlib.closing(_connected(url)) as connection:
                _sent(
                    connection,
                    f"DROP TABLE IF EXISTS {TABLE}",
                    f"CREATE TABLE {TABLE} (id INTEGER PRIMARY KEY, n INTEGER)",
                    f"INSERT INTO {TABLE} VALUES " + ", ".join(f"({n}, 0)" for n in range(1, 9)),
                )
                connection.commit()
        return url

    yield url_for
    for url in made:
        with contextlib.closing(_connected(url)) as connection:
            _sent(connection, f"DROP TABLE {TABLE}")
            connection.commit()


def failed(trace):
    """Return the statements that failed, as (statement, class)."""
    return [
        (query.statement, query.error.partition(":")[0].rpartition(".")[2])
        for query in trace.queries
        if query.error
    ]


# -- connections that go away ------------------------------------------------------------------


@contextlib.contextmanager
def cut_url(url):
    """Give a proxy to a server, and the URL by which it is asked through the proxy."""
    where = urlsplit(url)
    with proxied(where.port) as proxy:
        yield proxy, where._replace(netloc=f"{where.username}@127.0.0.1:{proxy.port}").geturl()


@pytest.mark.parametrize("name", DOORS)
def test_connection_reset_between_statements(tables, name):
    """The next statement fails as ever, its transaction has not committed, the next one works."""

    def scenario(door):
        def broken():
            with door.transaction():
                door.note(door.ask, "SELECT 1")
                proxy.cut()
                door.note(door.ask, "SELECT 2")

        door.attempt(broken)
        door.next_request()
        with door.transaction():
            door.note(door.ask, "SELECT 3")

    with cut_url(tables(name)) as (proxy, url):
        trace, door = compared(name, url, scenario)
    assert [step for step in door.steps if isinstance(step, int)] == [1, 3]
    assert [statement for statement, _ in failed(trace)] == ["SELECT 2"]
    first, last = [item.outcome for item in trace.transactions]
    assert first in ENDED
    assert last == "commit"
    assert None not in [item.ended_ns for item in trace.transactions]


@pytest.mark.parametrize("name", DOORS)
def test_connection_reset_within_a_statement(tables, name):
    """A statement that the server never answers is in the Trace, with its error."""

    def scenario(door):
        def broken():
            with door.transaction():
                door.note(door.ask, "SELECT 1")
                proxy.marker = b"never answered"
                door.note(door.ask, "SELECT 'never answered'")

        door.attempt(broken)
        door.next_request()
        with door.transaction():
            door.note(door.ask, "SELECT 3")

    with cut_url(tables(name)) as (proxy, url):
        trace, _ = compared(name, url, scenario)
    assert [statement for statement, _ in failed(trace)] == ["SELECT 'never answered'"]
    first, last = [item.outcome for item in trace.transactions]
    assert first in ENDED
    assert last == "commit"


@pytest.mark.parametrize("name", DOORS)
def test_connection_reset_within_a_commit(tables, name):
    """A commit that the server never confirms is not called a commit."""

    def scenario(door):
        def broken():
            with door.transaction():
                door.note(door.ask, f"UPDATE {TABLE} SET n = n + 1 WHERE id = 1")
                proxy.marker = b"commit"

        door.attempt(broken)
        door.next_request()
        with door.transaction():
            door.note(door.ask, f"SELECT n FROM {TABLE} WHERE id = 1")

    with cut_url(tables(name)) as (proxy, url):
        trace, door = compared(name, url, scenario)
    assert door.steps[-1] == 0
    first, last = [item.outcome for item in trace.transactions]
    assert first in ENDED
    assert last == "commit"


# -- servers that go away ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_servers():
    """Give a function that returns a server which may be killed; made when first asked for."""
    with contextlib.ExitStack() as stack:
        made = {}

        def server_for(name):
            kind = PostgreSQL if name in POSTGRESQL else MariaDB
            if kind not in made:
                made[kind] = stack.enter_context(running(kind))
            return made[kind]

        yield server_for


@pytest.mark.parametrize("name", ["django-postgresql", "psycopg", "django-mysql", "pymysql"])
def test_restart_of_the_server(own_servers, name):
    """Killed in a transaction, down for a request, then back: each step is as without us."""
    server = own_servers(name)

    def scenario(door):
        def broken():
            with door.transaction():
                door.note(door.ask, "SELECT 1")
                server.stop()
                door.note(door.ask, "SELECT 2")

        def down():
            with door.transaction():
                door.note(door.ask, "SELECT 3")

        door.attempt(broken)
        door.next_request()
        door.attempt(down)
        server.start()
        door.next_request()
        with door.transaction():
            door.note(door.ask, "SELECT 4")

    trace, door = compared(name, server.url, scenario)
    assert [step for step in door.steps if isinstance(step, int)] == [1, 4]
    assert [statement for statement, _ in failed(trace)] == ["SELECT 2"]
    first, last = [item.outcome for item in trace.transactions]
    assert first in ENDED
    assert last == "commit"
    if not name.startswith("django"):
        refused = [item for item in trace.checkouts if item.got_ns is None]
        assert [item.error is not None for item in refused] == [True]


# -- time-outs and locks -----------------------------------------------------------------------

LIMITS = {
    # Sent first: the longest statement, the longest wait for a lock; then a statement that takes
    # longer, and the class of its error by its driver.
    "postgresql": ("SET statement_timeout = 200", "SET lock_timeout = 200", "SELECT pg_sleep(60)"),
    "mysql": (
        "SET max_statement_time = 0.2", "SET innodb_lock_wait_timeout = 1",
        "SELECT count(*) FROM seq_1_to_100000000 a, seq_1_to_100000000 b",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DOORS)
def test_statement_that_takes_too_long(tables, name):
    """The server ends it: the application waits no longer, and the Trace has error and time."""
    limit, _, slow = LIMITS["postgresql" if name in POSTGRESQL else "mysql"]

    def scenario(door):
        def too_long():
            with door.transaction():
                door.note(door.ask, limit)
                door.note(door.ask, slow)

        door.attempt(too_long)
        with door.transaction():
            door.note(door.ask, "SELECT 1")

    trace, _ = compared(name, tables(name), scenario)
    assert [statement for statement, _ in failed(trace)] == [slow]
    (query,) = [query for query in trace.queries if query.error]
    assert query.duration_ns > 150_000_000
    assert [item.outcome for item in trace.transactions] == ["rollback", "commit"]


@pytest.mark.parametrize("name", DOORS)
def test_lock_that_is_not_given(tables, name):
    """Who waits for a row of somebody else's is told so in time, and the Trace has the wait."""
    url = tables(name)
    _, limit, _ = LIMITS["postgresql" if name in POSTGRESQL else "mysql"]
    wanted = f"UPDATE {TABLE} SET n = 7 WHERE id = 2"

    def scenario(door):
        def locked_out():
            with door.transaction():
                door.note(door.ask, limit)
                door.note(door.ask, wanted)

        with contextlib.closing(_connected(url)) as other:
            _sent(other, f"SELECT * FROM {TABLE} WHERE id = 2 FOR UPDATE")
            door.attempt(locked_out)

    trace, _ = compared(name, url, scenario)
    assert [statement for statement, _ in failed(trace)] == [wanted]
    (query,) = [query for query in trace.queries if query.error]
    assert query.duration_ns > 150_000_000
    assert [item.outcome for item in trace.transactions] == ["rollback"]


def _waits(url, other_id):
    """Tell whether a connection stands before a lock."""
    if url.startswith("postgresql"):
        asked = f"SELECT count(*) FROM pg_locks WHERE pid = {other_id} AND NOT granted"
    else:
        # Not from innodb_trx: InnoDB fills it anew only where nobody has asked for a while. A
        # write of one row that takes so long stands before a lock.
        asked = (
            "SELECT count(*) FROM information_schema.processlist "
            f"WHERE id = {other_id} AND info LIKE 'UPDATE%' AND time_ms > 300"
        )
    with contextlib.closing(_connected(url)) as third:
        return _sent(third, asked)


@pytest.mark.parametrize("name", DOORS)
def test_deadlock_victim(tables, name):
    """Of two who wait for one another, the application is the victim: once, with the error."""
    url = tables(name)
    postgresql = name in POSTGRESQL
    wanted = f"UPDATE {TABLE} SET n = n + 1 WHERE id = 3"

    def scenario(door):
        with contextlib.closing(_connected(url)) as other, contextlib.ExitStack() as stack:
            if postgresql:  # who looks first is the victim
                _sent(other, "SET deadlock_timeout = '60s'")
                other_id = _sent(other, "SELECT pg_backend_pid()")
            else:  # who has changed less
                other_id = _sent(other, "SELECT connection_id()")
            for number in (3, 5, 6, 7, 8):
                _sent(other, f"UPDATE {TABLE} SET n = n + 5 WHERE id = {number}")
            crossing = threading.Thread(
                target=_sent, args=[other, f"UPDATE {TABLE} SET n = n + 5 WHERE id = 4"]
            )
            stack.callback(lambda: crossing.ident and crossing.join(30))

            def victim():
                with door.transaction():
                    if postgresql:
                        door.note(door.ask, "SET deadlock_timeout = '200ms'")
                    door.note(door.ask, f"UPDATE {TABLE} SET n = n + 1 WHERE id = 4")
                    crossing.start()
                    until(lambda: _waits(url, other_id), 10)
                    door.note(door.ask, wanted)

            door.attempt(victim)

    trace, _ = compared(name, url, scenario)
    assert [statement for statement, _ in failed(trace)] == [wanted]
    assert [item.outcome for item in trace.transactions] == ["rollback"]


@pytest.mark.parametrize("name", ["django-postgresql", "psycopg", "asyncpg"])
def test_pool_that_is_empty(tables, name):
    """Who gets no connection in time is told so by the pool; later there is one again."""
    url = tables(name)
    options = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.2}
    if name == "django-postgresql":
        options = {"pool": {"min_size": 1, "max_size": 1, "timeout": 0.2}}

    def scenario(door):
        taken = (lambda: _taken_beside(url)) if name == "django-postgresql" else door.engine.connect

        def locked_out():
            with door.transaction():
                door.note(door.ask, "SELECT 1")

        with contextlib.closing(taken()):
            door.attempt(door.note, locked_out)
        with door.transaction():
            door.note(door.ask, "SELECT 2")
        door.next_request()

    trace, door = compared(name, url, scenario, **options)
    assert min(door.took_s[:2]) > doors.WAITED_S
    assert [query.statement for query in trace.queries if query.counts] == ["SELECT 2"]
    assert failed(trace) == []
    if name != "django-postgresql":
        errors = [item.error.partition(":")[0] for item in trace.checkouts if item.error]
        assert errors == ["sqlalchemy.exc.TimeoutError"]


def _taken_beside(url):
    """Return the only connection of Django's pool, taken past Django."""
    wrapper = connections[doors.ALIAS]
    wrapper.close()
    pool = wrapper.pool
    pool.open(wait=True)
    connection = pool.getconn()
    return SimpleNamespace(close=lambda: pool.putconn(connection))


@pytest.mark.parametrize("name", ["django", "sqlalchemy"])
@pytest.mark.parametrize("fault", ["interrupt", "busy"])
def test_sqlite_that_gives_up(tmp_path, name, fault):
    """A statement that is interrupted, or finds the file locked, fails as ever and is recorded."""
    path = tmp_path / "faults.db"
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (n INTEGER)")
        made.commit()
    slow = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
    statement = slow if fault == "interrupt" else "INSERT INTO t VALUES (1)"

    def scenario(door):
        def gives_up():
            with door.transaction():
                door.note(door.ask, "SELECT 1")
                if fault == "interrupt":
                    interrupt = door.raw().interrupt
                    started = threading.Event()
                    door.raw().set_progress_handler(started.set, 1000)
                    timer = threading.Thread(target=lambda: (started.wait(20), interrupt()))
                    timer.start()
                try:
                    door.note(door.ask, statement)
                finally:
                    if fault == "interrupt":
                        started.set()
                        timer.join(20)
                        door.raw().set_progress_handler(None, 0)

        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            if fault == "busy":
                other.execute("BEGIN IMMEDIATE")
            door.attempt(gives_up)
        with door.transaction():
            door.note(door.ask, "SELECT 2")

    trace, _ = compared(name, f"sqlite:///{path}", scenario)
    assert failed(trace) == [(statement, "OperationalError")]
    assert [item.outcome for item in trace.transactions] == ["rollback", "commit"]
