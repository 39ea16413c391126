"""Sessions and transactions of real SQLAlchemy code: dirty, repaired, and what only looks alike."""

# Each function in here is a small program; its name says what it does.
# ruff: noqa: D103

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    String,
    create_engine,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, declarative_base

import queryscope.sqlalchemy as adapter
from queryscope.detectors.registry import judge
from queryscope.trace import codes
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder
from queryscope.trace.scope import ACTIVE
from tests.recording import hooked
from tests.services import mariadb_url, postgresql_url

OURS = ("QS506", "QS507", "QS508", "QS509", "QS510", "QS511", "QS512")
PAUSE_S = 0.12
TABLES = f"{os.getpid()}"
Base = declarative_base()


class Writer(Base):
    __tablename__ = f"writer_{TABLES}"
    id = Column(Integer, primary_key=True)
    name = Column(String(40), unique=True)


class Novel(Base):
    __tablename__ = f"novel_{TABLES}"
    id = Column(Integer, primary_key=True)
    title = Column(String(40))
    writer_id = Column(ForeignKey(Writer.id))


def urls():
    """Return how each database's URL is found, by the database's name."""
    return {
        "sqlite": lambda folder: f"sqlite:///{folder / 'shop.db'}",
        "postgresql": lambda _: postgresql_url().replace("postgresql:", "postgresql+psycopg:"),
        "mariadb": lambda _: mariadb_url().replace("mysql:", "mysql+pymysql:"),
    }


@pytest.fixture(autouse=True)
def hooks():
    """The adapter's hooks, put in and taken out around every test."""
    with hooked(adapter.install, adapter.uninstall):
        yield


@pytest.fixture(params=list(urls()))
def engine(request, tmp_path):
    """An engine on each database, with six writers."""
    made = create_engine(urls()[request.param](tmp_path), pool_size=5, max_overflow=0)
    Base.metadata.create_all(made)
    with Session(made) as session:
        session.add_all(Writer(id=n, name=f"w{n}") for n in range(1, 7))
        session.commit()
    yield made
    Base.metadata.drop_all(made)
    made.dispose()


CHOSEN = {"transaction_idle_min_ms": 80, "transaction_apart_ms": 2_000}
"""Wide enough for a machine that is busy with something else; a pause is longer than the first."""


@contextmanager
def recorded(kind="request", method="POST", **chosen):
    """Record a block as a Trace; the dict has it, and the findings of this family by code."""
    recorder = Recorder(kind, "/novels/", mode="tests")
    recorder.attributes = {"method": method, "path": "/novels/"}
    recorder.open()
    result = {}
    try:
        yield result
    finally:
        recorder.close()
        trace = result["trace"] = freeze(recorder)
        failures = []
        findings = judge(
            trace,
            chosen={**CHOSEN, **chosen},
            on_failure=lambda *failure: failures.append(failure),
        )
        assert failures == []
        result["found"] = {item.code: item for item in findings if item.code in OURS}
        result["all"] = [item.code for item in findings]


def line_with(function, mark):
    """Return the line of a function that ends with a comment."""
    lines, first = inspect.getsourcelines(function)
    (at,) = [n for n, line in enumerate(lines) if line.rstrip().endswith(f"# {mark}")]
    return first + at


# -- QS511 -----------------------------------------------------------------------------------


def import_novels(session, *, times=6):
    for number in range(times):
        query = select(Writer).where(Writer.name == f"w{number + 1}")
        writer = session.scalars(query).one()  # asks
        session.add(Novel(title=f"n{number}", writer_id=writer.id))


def import_without_autoflush(session):
    with session.no_autoflush:
        for number in range(6):
            writer = session.scalars(select(Writer).where(Writer.name == f"w{number + 1}")).one()
            session.add(Novel(title=f"n{number}", writer_id=writer.id))


def import_known_writers(session):
    writers = {writer.name: writer for writer in session.scalars(select(Writer))}
    session.add_all(Novel(title=name, writer_id=one.id) for name, one in writers.items())
    session.scalars(select(Novel)).all()


def import_row_by_row_in_savepoints(session):
    for number in range(6):
        try:
            with session.begin_nested():
                session.add(Writer(name=f"new{number // 2}"))
                session.scalars(select(Novel)).all()
        except IntegrityError:
            pass


def read_in_a_loop(session):
    session.add(Novel(title="one", writer_id=1))
    for number in range(6):
        session.scalars(select(Writer).where(Writer.name == f"w{number + 1}")).one()


@pytest.mark.parametrize(
    "program",
    [import_without_autoflush, import_known_writers, import_row_by_row_in_savepoints,
     read_in_a_loop],
)  # fmt: skip
def test_one_flush_or_isolated_rows_are_clean(engine, program):
    """One flush of many, no autoflush, a savepoint a row, and a loop that writes nothing."""
    with recorded() as result, Session(engine) as session:
        program(session)
        session.commit()
    assert "QS511" not in result["found"]


def test_few_turns_are_clean(engine):
    """Four flushes are no storm."""
    with recorded() as result, Session(engine) as session:
        import_novels(session, times=5)  # the last turn's object is flushed by the commit
        session.commit()
    assert "QS511" not in result["found"]


def test_autoflush_in_a_loop_is_found(engine):
    """Five queries each write the object of the turn before; the query's line is named."""
    with recorded() as result, Session(engine) as session:
        import_novels(session)
        session.commit()
    finding = result["found"]["QS511"]
    assert finding.count == 5
    assert finding.origin.first.line == line_with(import_novels, "asks")
    assert finding.mend.write == "with session.no_autoflush:"
    assert (finding.confidence, finding.cost.avoidable) == ("high", 4)
    assert "QS107" not in result["all"]


def test_autoflush_that_the_query_may_need_is_said_with_less_confidence(engine):
    """A loop that counts what it has just added."""
    with recorded() as result, Session(engine) as session:
        for number in range(8):
            if session.scalar(select(func.count()).select_from(Novel)) < 100:
                session.add(Novel(title=f"n{number}", writer_id=1))
        session.commit()
    assert result["found"]["QS511"].confidence == "medium"


# -- QS508 -----------------------------------------------------------------------------------


def carried(pool, function, *arguments):
    """Run a function in a pool's thread, in a copy of this context."""
    return pool.submit(contextvars.copy_context().run, function, *arguments)


def test_session_for_each_thread_is_clean(engine):
    """Four threads, four sessions, at the same time."""
    both = threading.Barrier(4)

    def work(key):
        with Session(engine) as session:
            both.wait(10)
            return session.get(Writer, key).name

    with recorded() as result, ThreadPoolExecutor(4) as pool:
        assert [item.result() for item in [carried(pool, work, n) for n in range(1, 5)]]
    assert "QS508" not in result["found"]


def test_session_that_is_handed_on_is_clean(engine):
    """Made in one thread, used in another, closed in a third: one at a time."""
    with recorded() as result:
        pools = [ThreadPoolExecutor(1) for _ in range(3)]
        made = carried(pools[0], Session, engine).result()
        carried(pools[0], made.get, Writer, 1).result()
        carried(pools[1], made.get, Writer, 2).result()
        carried(pools[0], made.get, Writer, 3).result()
        carried(pools[2], made.close).result()
        for pool in pools:
            pool.shutdown()
    assert len({query.thread for query in result["trace"].queries}) == 2
    assert "QS508" not in result["found"]


SLOW = {
    # A function written in Python would need the interpreter that the other thread holds.
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) "
    "SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(0.1)",
}


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
def test_session_of_two_threads_at_once_is_found(engine):
    """Two threads ask one session; PyMySQL would mix up what they send, and may hang for ever."""
    with recorded() as result, Session(engine) as session, ThreadPoolExecutor(2) as pool:
        session.connection()

        def work():
            session.execute(text(SLOW[engine.dialect.name]))

        for item in [carried(pool, work) for _ in range(2)]:
            item.exception(10)
    finding = result["found"]["QS508"]
    assert (finding.severity, finding.confidence) == ("critical", "high")
    assert finding.evidence["threads"] == 2


ASYNC = {
    "sqlite": lambda folder: f"sqlite+aiosqlite:///{folder / 'shop.db'}",
    "asyncpg": lambda _: postgresql_url().replace("postgresql:", "postgresql+asyncpg:"),
    "psycopg": lambda _: postgresql_url().replace("postgresql:", "postgresql+psycopg:"),
}


@pytest.mark.parametrize("driver", list(ASYNC))
@pytest.mark.parametrize("opened", [True, False], ids=["in use", "new"])
def test_session_of_two_tasks_is_found(tmp_path, driver, opened):
    """Tasks that share a session: refused by SQLAlchemy or the driver, or one waits for another."""
    url = ASYNC[driver](tmp_path)

    async def main():
        engine = create_async_engine(url)
        try:
            with recorded() as result:
                async with AsyncSession(engine) as session:
                    if opened:
                        await session.execute(text("SELECT 1"))
                    recorder = ACTIVE.get().recorder
                    errors = await asyncio.gather(
                        *(session.execute(text("SELECT 2")) for _ in range(3)),
                        return_exceptions=True,
                    )
                    for error in errors:
                        if isinstance(error, BaseException):
                            recorder.error = f"{type(error).__qualname__}: {error}"
                    await asyncio.sleep(0.05)
        finally:
            await engine.dispose()
        return result

    assert "QS508" in asyncio.run(main())["found"]


@pytest.mark.parametrize("driver", list(ASYNC))
def test_session_for_each_task_is_clean(tmp_path, driver):
    """Tasks with sessions of their own, and one session whose tasks take turns."""
    url = ASYNC[driver](tmp_path)

    async def main():
        engine = create_async_engine(url)

        async def load():
            async with AsyncSession(engine) as session:
                await session.execute(text("SELECT 2"))

        try:
            with recorded() as result:
                await asyncio.gather(*(load() for _ in range(4)))
                async with AsyncSession(engine) as session:
                    for _ in range(6):
                        await asyncio.create_task(session.execute(text("SELECT 3")))
        finally:
            await engine.dispose()
        return result

    assert "QS508" not in asyncio.run(main())["found"]


# -- QS507 and QS506 -------------------------------------------------------------------------


def commit_each(session):
    for number in range(6):
        session.add(Novel(title=f"n{number}", writer_id=1))  # adds
        session.commit()


def commit_behind_the_loop(session):
    for number in range(6):
        session.add(Novel(title=f"n{number}", writer_id=1))
    session.commit()


def commit_chunks(session):
    for _ in range(6):
        session.execute(insert(Novel), [{"title": "n", "writer_id": 1} for _ in range(20)])
        session.commit()


def commit_each_unless_it_is_there(session):
    for name in ("w1", "new", "w2", "newer", "w3", "newest", "w4"):
        try:
            session.add(Writer(name=name))
            session.commit()
        except IntegrityError:
            session.rollback()


def commit_between_pauses(session):
    for number in range(6):
        session.add(Novel(title=f"n{number}", writer_id=1))
        session.commit()
        time.sleep(0.03)


@pytest.mark.parametrize(
    "program",
    [commit_behind_the_loop, commit_chunks, commit_each_unless_it_is_there, commit_between_pauses],
)
def test_larger_transactions_are_clean(engine, program):
    """One commit, chunks, rows that may fail each, and commits before the program waits."""
    with recorded(transaction_apart_ms=20) as result, Session(engine) as session:
        program(session)
    assert not {"QS506", "QS507"} & set(result["found"])


def test_commit_in_each_turn_is_found(engine):
    """Six rows, six commits; QS107 leaves the loop to the more specific code."""
    with recorded() as result, Session(engine) as session:
        commit_each(session)
    finding = result["found"]["QS507"]
    assert (finding.count, finding.confidence) == (6, "high")
    assert "QS107" not in result["all"]


def test_begin_in_each_turn_is_found(engine):
    """Core connections with a transaction for each row."""
    with recorded() as result:
        for number in range(6):
            with engine.begin() as connection:
                connection.execute(insert(Novel).values(title=f"n{number}", writer_id=1))
    assert result["found"]["QS507"].count == 6


def test_pause_before_the_commit_is_found(engine):
    """A written row stays locked while the program does something else."""
    with recorded() as result, Session(engine) as session:
        session.execute(insert(Novel).values(title="n", writer_id=1))
        time.sleep(PAUSE_S)
        session.commit()
    finding = result["found"]["QS506"]
    assert finding.cost.connection_ns >= 0.9 * PAUSE_S * 1e9
    assert "QS502" not in result["all"]


def test_pause_before_the_write_or_after_the_commit_is_clean(engine):
    """Nobody waits for a row then; that a connection is held is QS502's."""
    with recorded() as result, Session(engine) as session:
        session.get(Writer, 1)
        time.sleep(PAUSE_S)
        session.execute(insert(Novel).values(title="n", writer_id=1))
        session.commit()
        time.sleep(PAUSE_S)
    assert "QS506" not in result["found"]
    assert "QS502" in result["all"]


def test_write_in_get_is_found(engine):
    """What is committed counts, what is rolled back does not."""
    with recorded(method="GET") as result, Session(engine) as session:
        session.add(Novel(title="n", writer_id=1))
        session.commit()
    assert result["found"]["QS509"].subject == Novel.__tablename__
    with recorded(method="GET") as result, Session(engine) as session:
        session.add(Novel(title="n", writer_id=1))
        session.flush()
        session.rollback()
    assert "QS509" not in result["found"]


# -- QS510 -----------------------------------------------------------------------------------


def test_engine_in_each_request_is_found(engine):
    """The second request names the line; the first may have been the one that needed it."""

    def view():
        made = create_engine(engine.url, pool_size=1)  # makes
        with Session(made) as session:
            session.get(Writer, 1)
        made.dispose()

    found = []
    for _ in range(3):
        with recorded() as result:
            view()
        found.append(result["found"].get("QS510"))
    assert found[0] is None
    assert [item.evidence["made_before"] for item in found[1:]] == [1, 2]
    assert found[1].origin.first.line == line_with(test_engine_in_each_request_is_found, "makes")
    assert found[1].cost.duration_ns > 0


def test_engine_made_once_is_clean(engine, tmp_path):
    """One that is kept, one for each tenant, options of one, and a pool that is made anew."""
    kept = {}

    def of_tenant(name):
        if name not in kept:
            kept[name] = create_engine(f"sqlite:///{tmp_path / name}")
        return kept[name]

    for _ in range(3):
        with recorded() as result:
            for name in ("a", "b", "c"):
                with of_tenant(name).connect() as connection:
                    connection.execute(text("SELECT 1"))
            options = engine.execution_options(isolation_level="AUTOCOMMIT")
            with options.connect() as connection:
                connection.execute(text("SELECT 1"))
            engine.dispose()
        assert "QS510" not in result["found"]
    for made in kept.values():
        made.dispose()


def test_engine_of_an_extension_is_clean(engine, tmp_path):
    """It makes one for each application, when that first asks; tests make many applications."""
    made = []
    extension = compile("def engine_of(url):\n    return make(url)\n", "ext.py", "exec")
    names = {"make": create_engine, "__name__": "extension"}
    exec(extension, names)
    codes.set_packages(user=(), library=("extension",))
    for _ in range(3):
        with recorded() as result:
            made.append(names["engine_of"](f"sqlite:///{tmp_path / 'app.db'}"))
        assert len(result["trace"].engines) == 1
        assert "QS510" not in result["found"]
    for one in made:
        one.dispose()
