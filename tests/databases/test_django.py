"""Django on each database: rows, cursors, copies, errors, several aliases and schemas."""

from __future__ import annotations

import threading

import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.db.models import Count, F

from queryscope import profile
from queryscope.django import hooks
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE
from tests.databases.aliases import aliases, make_genres
from tests.databases.configured import django_settings
from tests.databases.servers import mariadb, need, postgresql
from tests.django.library.models import Genre
from tests.django.recorded import here, recorded


@pytest.fixture(scope="module")
def servers(django_db_blocker, tmp_path_factory):
    """One alias a server, with the genres in its database; ``archive`` is a second schema."""
    file = tmp_path_factory.mktemp("databases") / "lite.db"
    schema = {"options": "-c search_path=archive,public"}
    with aliases(
        django_db_blocker,
        lite={"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)},
        pg=django_settings(postgresql()),
        pg_archive=django_settings(postgresql(), OPTIONS=schema),
    ):
        for alias in ("lite", "pg"):
            make_genres(alias)
        with connections["pg"].cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS archive CASCADE; CREATE SCHEMA archive")
            cursor.execute("CREATE TABLE archive.library_genre (LIKE library_genre INCLUDING ALL)")
            cursor.execute("INSERT INTO archive.library_genre SELECT * FROM library_genre")
        yield


@pytest.fixture(scope="module")
def mysql(django_db_blocker):
    """Two databases of one MariaDB, through mysqlclient."""
    need("MySQLdb")
    with aliases(
        django_db_blocker,
        my=django_settings(mariadb()),
        my_archive=django_settings(mariadb("queryscope_databases_archive")),
    ):
        for alias in ("my", "my_archive"):
            make_genres(alias)
        yield


@pytest.fixture(autouse=True)
def put_in(servers, django_db_blocker):
    """Put the hooks in for each test; none of them may fail."""
    token = ACTIVE.set(None)
    guard.clear()
    hooks.install(full=False)
    with django_db_blocker.unblock():
        yield
    hooks.uninstall()
    ACTIVE.reset(token)
    assert guard.failures() == ()


@pytest.fixture(params=["pg", "my"])
def alias(request):
    """An alias on a server."""
    if request.param == "my":
        request.getfixturevalue("mysql")
    return request.param


def facts_of(run):
    """Return what must be equal on every database, of the statements that count."""
    return [(item.operation, item.many, item.rows, item.error is None) for item in run.queries]


def work(alias):
    """Read and write in every way that counts rows differently."""
    genres = Genre.objects.using(alias)
    with transaction.atomic(alias):
        list(genres.all())
        list(genres.all().iterator(chunk_size=2))
        genres.filter(pk__gt=0).count()
        genres.filter(name="g1").update(name=F("name"))
        genres.filter(name="nobody").update(name="x")
        genres.bulk_create([Genre(name=f"new {n}") for n in range(4)], batch_size=2)
        genres.filter(name__startswith="new")._raw_delete(alias)  # no cascade: one table is there
        genres.first()
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT id FROM library_genre WHERE id > %s", [0])
            cursor.fetchmany(2)
            cursor.execute("UPDATE library_genre SET name = name")
            cursor.executemany("INSERT INTO library_genre (name) VALUES (%s)", [["a"], ["b"]])
            cursor.execute("DELETE FROM library_genre WHERE name IN ('a', 'b')")
            list(Genre.objects.using(alias).raw("SELECT * FROM library_genre"))
        with pytest.raises(IntegrityError), transaction.atomic(alias):
            genres.create(pk=genres.first().pk, name="again")
        transaction.set_rollback(True, using=alias)


def test_statements_rows_and_errors_are_those_of_sqlite(alias):
    """Verbs, batches, rows, errors and savepoints are told alike on each database."""
    with recorded("light") as expected:
        work("lite")
    with recorded("light") as run:
        work(alias)
    assert facts_of(run) == facts_of(expected)
    assert {query.vendor for query in run.queries} == {connections[alias].vendor}
    assert {query.database for query in run.queries} == {alias}
    (outer,) = run.trace.transactions
    assert (outer.outcome, outer.savepoints) == ("rollback", 1)


def test_error_is_on_its_statement(alias):
    """What Django raised is on the one statement that failed; the next one works."""
    with recorded("light") as run:
        with pytest.raises(DatabaseError), connections[alias].cursor() as cursor:
            cursor.execute("SELECT nonsense")
        Genre.objects.using(alias).count()
    failed, fine = run.queries
    assert failed.error.startswith("django.db.utils.")
    assert fine.error is None


def test_server_side_cursor_counts_what_was_fetched():
    """A named cursor's rows are counted as they are handed out, inside and outside transactions."""
    genres = Genre.objects.using("pg").order_by("pk")
    with recorded("light") as run:
        rows = genres.iterator(chunk_size=2)
        next(rows)
        rows.close()
        assert len(list(genres.iterator(chunk_size=2))) == 5
        with transaction.atomic("pg"):
            assert len(list(genres.iterator(chunk_size=100))) == 5
    assert [query.rows for query in run.queries] == [2, 5, 5]
    assert [query.operation for query in run.queries] == ["iterate"] * 3


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "DEBUG"])
def test_copy_is_one_statement(debug, monkeypatch):
    """COPY in and out: the text, the rows, the line, in DEBUG too, and an error."""
    monkeypatch.setattr(connections["pg"], "force_debug_cursor", debug)
    with recorded("light") as run, transaction.atomic("pg"):
        with connections["pg"].cursor() as cursor:
            with cursor.copy("COPY library_genre (name) FROM STDIN") as copy:  # copied in
                copy.write_row(["copied 1"])
                copy.write_row(["copied 2"])
            with cursor.copy("COPY (SELECT name FROM library_genre) TO STDOUT") as copy:
                assert len(list(copy.rows())) == 7
            cursor.execute("SELECT name FROM library_genre")
            assert len(cursor.fetchall()) == 7
        with pytest.raises(Exception, match="nonsense"), transaction.atomic("pg"):
            copy_nonsense()
        transaction.set_rollback(True, using="pg")
    assert [query.rows for query in run.queries] == [2, 7, 7, None]
    first = run.queries[0]
    assert first.statement == "COPY library_genre (name) FROM STDIN"
    assert (first.operation, first.database, first.transaction) == ("cursor", "pg", 0)
    assert here(first.origin, "# copied in")
    assert run.queries[3].error.startswith("psycopg.errors.Undefined")
    if debug:
        assert any("COPY" in entry["sql"] for entry in connections["pg"].queries_log)


def copy_nonsense():
    """Copy out of a table that is not there."""
    with connections["pg"].cursor() as cursor, cursor.copy("COPY nonsense TO STDOUT"):
        pass


def test_pipeline_counts_what_it_hands_out():
    """In psycopg's pipeline no count is known until the answers are asked for."""
    with recorded("light") as run, transaction.atomic("pg"):
        connection = connections["pg"]
        pipeline = connection.connection.pipeline()
        with pipeline, connection.cursor() as first, connection.cursor() as second:
            first.execute("UPDATE library_genre SET name = name")
            second.execute("SELECT id FROM library_genre")
            assert len(second.fetchall()) == 5
        transaction.set_rollback(True, using="pg")
    assert [query.rows for query in run.queries] == [None, 5]


def test_debug_cursor_counts_rows(alias, monkeypatch):
    """Django's cursors of DEBUG count rows as the others do: PostgreSQL has its own."""
    monkeypatch.setattr(connections[alias], "force_debug_cursor", True)
    with recorded("light") as run:
        assert len(Genre.objects.using(alias).all()) == 5
        Genre.objects.using(alias).filter(pk=0).update(name="x")
    assert [query.rows for query in run.queries] == [5, 0]


def test_several_aliases_and_schemas_in_one_trace(mysql):
    """Each alias is a database and a session of its own, also where two share a server."""
    names = ["pg", "pg_archive", "my", "my_archive"]
    with recorded("light") as run:
        for name in (*names, "pg"):
            assert Genre.objects.using(name).count() == 5
    assert [query.database for query in run.queries] == [*names, "pg"]
    assert [query.session for query in run.queries] == [0, 1, 2, 3, 0]
    assert [session.databases for session in run.trace.sessions] == [(name,) for name in names]


class Router:
    """Reads from the replica, writes to the primary."""

    def db_for_read(self, model, **hints):
        """Choose the replica."""
        return "pg_archive"

    def db_for_write(self, model, **hints):
        """Choose the primary."""
        return "pg"


def test_router_sends_reads_to_the_replica(settings):
    """What a router chose is what the statement says, and a replica is no second session."""
    from queryscope.detectors.registry import judge_all

    settings.DATABASE_ROUTERS = [Router()]
    with recorded("light") as run:
        for _ in range(2):
            assert Genre.objects.count() == 5
        Genre.objects.filter(pk=0).update(name="x")
    assert [query.database for query in run.queries] == ["pg_archive", "pg_archive", "pg"]
    assert "QS501" not in {finding.code for finding in judge_all(run.trace)}


def test_autocommit_and_isolation():
    """In autocommit there is no transaction; Django's own switch of it begins one."""
    connection = connections["pg"]
    with recorded("light") as run:
        Genre.objects.using("pg").count()
        connection.set_autocommit(False)
        Genre.objects.using("pg").count()
        connection.rollback()
        connection.set_autocommit(True)
        with transaction.atomic("pg"), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    assert [query.transaction for query in run.queries] == [None, 0]
    assert [item.outcome for item in run.trace.transactions] == ["rollback", "commit"]


def test_connection_by_hand_is_not_ours():
    """A driver's connection that the application opened itself is beside the ORM."""
    import psycopg

    with recorded("light") as run, psycopg.connect(postgresql()) as connection:
        connection.execute("SELECT 1")
    assert run.trace.queries == ()


def test_connection_that_only_asks_mariadb_for_its_version_is_no_session(mysql):
    """Django opens one for that where a thread has none yet, and closes it: not the user's."""
    done = []

    def ask():
        with profile("a thread's first question") as run:
            list(Genre.objects.using("my").annotate(copies=Count("pk")))
            Genre.objects.using("my").count()
        done.append(run)
        connections["my"].close()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    trace = done[0].trace
    assert trace.queries[0].shape.kind == "catalogue"
    assert len(trace.sessions) == 2
    assert len(trace.sessions_at_work) == 1
    assert done[0].findings == ()
