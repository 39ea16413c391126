"""Clones on a server: who is connected stays, and what a killed run left is swept."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from queryscope.plans.catalogue import quoted
from queryscope.plans.connection import rows_of
from queryscope.plans.database import Database
from queryscope.verify.clones import source_of
from queryscope.verify.clones.source import DatabaseError
from tests.services import mariadb_url, postgresql_url
from tests.verify import library


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request):
    """Return the URL of a library of our own."""
    tests = postgresql_url() if request.param == "postgresql" else mariadb_url()
    found = library.server_url(tests)
    library.make(found)
    return found


@pytest.fixture
def source(url, tmp_path):
    """Return what makes clones of the library."""
    return source_of(url, tmp_path / "clones", "run")


def names(source):
    """Return the names of the server's databases."""
    with closing(source.administration()) as connection:
        return set(source.databases(connection))


def made_by(source, name):
    """Make an empty database of a name."""
    with closing(source.administration()) as connection:
        rows_of(connection, f"CREATE DATABASE {quoted(name, source.vendor)}")


def test_open_transaction_of_the_user_stays(url, source):
    """The copy holds what is committed; the user's session goes on in its transaction."""
    with closing(Database.of_url(url).connect(writable=True)) as connection:
        rows_of(connection, "INSERT INTO tag (name) VALUES ('open')")
        clone = source.pristine(30.0)
        try:
            assert source.state(clone)["tag"].startswith("4 rows ")
            assert rows_of(connection, "SELECT count(*) FROM tag")[0][0] == 5
        finally:
            source.drop(clone)
        connection.rollback()


def test_keys_go_on_where_they_were(url, source):
    """What is inserted on a clone gets the key that it would have got."""
    clone = source.pristine(30.0)
    try:
        with source.connection(clone) as connection:
            rows_of(connection, "INSERT INTO tag (name) VALUES ('new')")
            assert rows_of(connection, "SELECT max(id) FROM tag")[0][0] == 5
            connection.rollback()
    finally:
        source.drop(clone)


def test_copy_locked_by_a_transaction_is_restored_or_said(source):
    """A transaction left open on the working copy does not hold up the next request for ever."""
    pristine = source.pristine(30.0)
    work = source.copy(pristine, "work")
    try:
        with source.connection(work) as connection:
            rows_of(connection, "UPDATE tag SET name = 'x' WHERE id = 1")
            rows_of(connection, "COMMIT")
            rows_of(connection, "SELECT * FROM tag")
            source.restore(work, pristine)
            assert source.state(work) == source.state(pristine)
            connection.rollback()
    finally:
        source.drop(work)
        source.drop(pristine)


def test_what_a_killed_run_left_is_swept(source):
    """A database of a process that is no more goes; one of a living process stays."""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    alive = source.new_name()
    dead = alive.replace(f"_{os.getpid()}_", f"_{gone}_")
    foreign = dead.replace("queryscope_clone_", "queryscope_other_")
    for name in (alive, dead, foreign):
        made_by(source, name)
    clone = source.pristine(30.0)
    left = names(source)
    with closing(source.administration()) as connection:
        for name in (alive, foreign):
            source.drop_database(connection, name)
    source.drop(clone)
    assert {alive, foreign} <= left
    assert dead not in left


def test_foreign_database_is_never_dropped(url, source):
    """A clone that names the user's database is refused."""
    with pytest.raises(DatabaseError, match="none of ours"):
        source.drop(source.clone_of(Database.of_url(url).name, "pristine"))
    assert Database.of_url(url).name in names(source)


def test_nothing_is_left_of_a_database_that_cannot_be_copied(url, tmp_path):
    """A database that is not there: a sentence, no dump, no copy."""
    missing = urlsplit(url)._replace(path="/queryscope_no_such_database").geturl()
    source = source_of(missing, tmp_path / "clones", "run")
    before = names(source)
    with pytest.raises(DatabaseError, match=r"queryscope_no_such_database"):
        source.pristine(30.0)
    mine = {name for name in names(source) - before if f"_{os.getpid()}_" in name}
    assert mine == set()
    assert list((tmp_path / "clones").glob("*")) == []


def test_server_that_does_not_answer_is_named(url, tmp_path):
    """Nobody listens there."""
    where = urlsplit(url)
    silent = where._replace(netloc=where.netloc.replace(str(where.port), "9")).geturl()
    with pytest.raises(DatabaseError, match="does not let us in"):
        source_of(silent, tmp_path, "run").pristine(5.0)


def test_missing_program_is_named(source, monkeypatch):
    """Where a dump is needed and its program is not there, the program is named."""
    monkeypatch.setenv("PATH", "")
    user = replace(source._database)
    with closing(user.connect()) as connection:  # a template cannot be made of it now
        rows_of(connection, "SELECT 1")
        with pytest.raises(DatabaseError, match=r"without the program \w+"):
            source.pristine(30.0)


def test_password_is_in_no_argument(url, source, tmp_path, monkeypatch):
    """It goes to the programs by their environment alone."""
    seen = []
    run = subprocess.run

    def watched(arguments, **more):
        seen.append((arguments, dict(more["env"])))
        more["env"] = {name: value for name, value in more["env"].items() if value != "s3cret"}
        return run(arguments, **more)

    monkeypatch.setattr("queryscope.verify.clones.server.subprocess.run", watched)
    source.administration = source_of(url, tmp_path, "plain").administration
    source._database = replace(source._database, password="s3cret")
    with closing(Database.of_url(url).connect()) as connection:
        rows_of(connection, "SELECT 1")
        source.drop(source.pristine(30.0))
    assert len(seen) == 2
    assert all("s3cret" not in " ".join(arguments) for arguments, _ in seen)
    assert all("s3cret" in environment.values() for _, environment in seen)
