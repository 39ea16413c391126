"""Which engines reach the same database: by what they connect to, not by what they are called."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool, StaticPool

from queryscope.detectors.registry import judge_all
from tests.databases.drivers import url_of
from tests.recording import recorded
from tests.sqlalchemy.conftest import hooks

__all__ = ["hooks"]


def ask(*engines):
    """Ask in a session on each engine, one inside the other, as a request would."""
    with recorded() as run:
        run.recorder.kind = "request"
        sessions = [Session(engine) for engine in engines]
        for session in sessions:
            session.scalar(text("SELECT 1"))
        for session in reversed(sessions):
            session.close()
    return run


def codes_of(run):
    """Return the codes of the findings on a run."""
    return [finding.code for finding in judge_all(run.trace)]


def names_of(run):
    """Return the database of each statement."""
    return [query.database for query in run.queries]


def test_two_databases_in_memory_are_two():
    """Each engine on SQLite's memory has a database of its own: not two sessions on one."""
    first, second = (create_engine("sqlite://", poolclass=StaticPool) for _ in range(2))
    run = ask(first, second, first)
    assert names_of(run) == [":memory:", ":memory: 2", ":memory:"]
    assert [item.databases for item in run.trace.sessions] == [
        (":memory:",),
        (":memory: 2",),
        (":memory:",),
    ]
    (finding,) = [item for item in judge_all(run.trace) if item.code == "QS501"]
    assert finding.evidence["sessions"] == 2  # those on the first engine
    assert "QS501" not in codes_of(ask(first, second))
    for engine in (first, second):
        engine.dispose()


def test_names_do_not_depend_on_what_ran_before():
    """The first database of a name has it alone in every Trace: findings stay the same."""
    engines = [create_engine("sqlite://", poolclass=StaticPool) for _ in range(3)]
    assert [names_of(ask(engine)) for engine in engines] == [[":memory:"]] * 3
    with recorded() as run:
        ask(engines[2])
        inner = ask(engines[1])
    assert names_of(inner) == [":memory:"]
    assert [child.queries[0].database for child in run.trace.children] == [":memory:", ":memory: 2"]
    for engine in engines:
        engine.dispose()


def test_files_of_one_name_are_two_databases(tmp_path):
    """Files in two folders may have one name; one file on two engines is one database."""
    engines = []
    for folder in ("one", "two", "one"):
        (tmp_path / folder).mkdir(exist_ok=True)
        engines.append(create_engine(f"sqlite:///{tmp_path / folder / 'db.sqlite3'}"))
    assert names_of(ask(*engines)) == ["db.sqlite3", "db.sqlite3 2", "db.sqlite3"]
    assert "QS501" not in codes_of(ask(*engines[:2]))
    assert "QS501" in codes_of(ask(engines[0], engines[2]))
    for engine in engines:
        engine.dispose()


def test_memory_that_is_shared_by_name_is_one_database():
    """SQLite's shared cache: two engines, one database."""
    url = "sqlite:///file:shared?mode=memory&cache=shared&uri=true"
    engines = [create_engine(url, poolclass=QueuePool) for _ in range(2)]
    run = ask(*engines)
    assert names_of(run) == ["file:shared"] * 2
    assert "QS501" in codes_of(run)
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "pymysql"])
def test_two_engines_on_one_server(driver):
    """Two engines on one database are one, whatever the driver's options; two databases are two."""
    url = url_of(driver)
    first, second = create_engine(url), create_engine(url, isolation_level="AUTOCOMMIT")
    run = ask(first, second)
    assert len(set(names_of(run))) == 1
    assert "QS501" in codes_of(run)
    other = url.rpartition("/")[0] + ("/postgres" if driver == "psycopg" else "/mysql")
    third = create_engine(other)
    run = ask(first, third)
    assert len(set(names_of(run))) == 2
    assert "QS501" not in codes_of(run)
    for engine in (first, second, third):
        engine.dispose()


def test_engines_of_one_logging_name_are_told_apart(tmp_path):
    """A name that a user gave to two databases does not make them one."""
    engines = [create_engine(f"sqlite:///{tmp_path / name}", logging_name="shard") for name in "ab"]
    run = ask(*engines)
    assert names_of(run) == ["shard", "shard 2"]
    assert "QS501" not in codes_of(run)
    for engine in engines:
        engine.dispose()
