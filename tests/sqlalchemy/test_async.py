"""The adapter under SQLAlchemy's asyncio: its sync twin's facts, and the user's async lines."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import create_engine, event, func, insert, select, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    selectinload,
)
from sqlalchemy.schema import CreateSchema, DropSchema, ForeignKey

import queryscope.sqlalchemy as adapter
from queryscope.detectors import registry
from queryscope.trace import walk as walks
from tests.recording import recorded
from tests.services import postgresql_url
from tests.sqlalchemy.shop import line_of


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "async_shelf"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    volumes: Mapped[list[Volume]] = relationship(back_populates="shelf", order_by="Volume.id")


class Volume(Base):
    __tablename__ = "async_volume"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    blurb: Mapped[str] = mapped_column(default="", deferred=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("async_shelf.id"))
    shelf: Mapped[Shelf] = relationship(back_populates="volumes")


def fill(engine):
    """Make the tables anew: 6 shelves of 2 volumes each."""
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(
            Shelf(name=f"s{n}", volumes=[Volume(title=f"v{n}.{m}") for m in range(2)])
            for n in range(6)
        )
        session.commit()


class Place:
    """One database as an asyncio driver and as a sync one reach it."""

    def __init__(self, url, twin, options, twin_options):
        self.url = url
        self.options = options
        self.sync_engine = create_engine(twin, connect_args=twin_options)
        fill(self.sync_engine)

    @asynccontextmanager
    async def engine(self, **options):
        """Make an asyncio engine, disposed of in the loop that it was used in."""
        engine = create_async_engine(self.url, connect_args=self.options, **options)
        try:
            yield engine
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def sessions(self, **options):
        """Make a factory of sessions."""
        async with self.engine(**options) as engine:
            yield async_sessionmaker(engine, expire_on_commit=False)


@pytest.fixture(params=["aiosqlite", "asyncpg", "psycopg"])
def place(request, tmp_path):
    """Fill a database and give how to reach it; on PostgreSQL in a schema of our own."""
    if request.param == "aiosqlite":
        path = tmp_path / "shelves.db"
        place = Place(f"sqlite+aiosqlite:///{path}", f"sqlite:///{path}", {}, {})
        yield place
        place.sync_engine.dispose()
        return
    url = postgresql_url()
    twin = url.replace("postgresql:", "postgresql+psycopg:")
    schema = f"async_{os.getpid()}"
    owner = create_engine(twin)
    with owner.begin() as connection:
        connection.execute(DropSchema(schema, cascade=True, if_exists=True))
        connection.execute(CreateSchema(schema))
    path = {"options": f"-csearch_path={schema}"}
    if request.param == "asyncpg":
        own = {"server_settings": {"search_path": schema}}
        place = Place(url.replace("postgresql:", "postgresql+asyncpg:"), twin, own, path)
    else:
        place = Place(twin, twin, path, path)
    yield place
    place.sync_engine.dispose()
    with owner.begin() as connection:
        connection.execute(DropSchema(schema, cascade=True))
    owner.dispose()


def record(main, *, full=False):
    """Run a coroutine function in a loop of its own, recorded; return the run."""
    with recorded(full=full) as run:
        asyncio.run(main())
    return run


def lines(run):
    """Return the first user line of each statement that counts."""
    return [query.origin.frame.line for query in run.queries]


def test_origin_is_the_line_that_awaits(place):
    """Whatever a session or connection is asked by, the origin is the user's awaiting line."""

    async def main():
        async with place.engine() as engine, AsyncSession(engine) as session:
            (await session.scalars(select(Shelf))).all()  # scalars
            await session.execute(text("SELECT 1"))  # execute
            volume = await session.get(Volume, 1)  # get
            await session.refresh(volume)  # refresh
            session.add(Shelf(name="new"))
            await session.flush()  # flush
            await session.rollback()
            async with engine.connect() as connection:
                await connection.scalar(select(func.count(Shelf.id)))  # connection
            result = await session.stream(select(Volume))  # stream
            await result.close()

    names = ["scalars", "execute", "get", "refresh", "flush", "connection", "stream"]
    assert lines(record(main)) == [line_of(__file__, name) for name in names]


def test_origin_is_the_line_at_each_time(place):
    """One statement from three lines has three origins: no way is taken for another."""

    async def ask(session):
        await session.execute(text("SELECT 1"))  # the helper

    async def main():
        async with place.sessions() as sessions, sessions() as session:
            await ask(session)  # first caller
            await ask(session)  # second caller
            await session.execute(text("SELECT 1"))  # alone

    run = record(main)
    steps = [tuple(step.line for step in query.origin.steps) for query in run.queries]
    helper = line_of(__file__, "the helper")
    assert [found[:2] for found in steps[:2]] == [
        (helper, line_of(__file__, "first caller")),
        (helper, line_of(__file__, "second caller")),
    ]
    assert steps[2][0] == line_of(__file__, "alone")


def test_lazy_attribute_is_asked_for_at_its_line(place):
    """``awaitable_attrs`` loads have label, parent row and the line that awaits them."""

    async def main():
        async with place.sessions() as sessions, sessions() as session:
            volumes = (await session.scalars(select(Volume).order_by(Volume.id))).all()
            await volumes[0].awaitable_attrs.shelf  # forward
            await volumes[2].awaitable_attrs.blurb  # column
            shelf = await volumes[4].awaitable_attrs.shelf  # another
            await shelf.awaitable_attrs.volumes  # reverse

    run = record(main)
    names = ["forward", "column", "another", "reverse"]
    assert lines(run)[1:] == [line_of(__file__, name) for name in names]
    loads = [query.load for query in run.queries[1:]]
    assert [query.operation for query in run.queries[1:]] == ["lazy"] * 4
    assert [load.relation for load in loads] == ["forward", "column", "forward", "reverse"]
    assert [load.attribute for load in loads] == ["shelf", "blurb", "shelf", "volumes"]
    assert [load.parent_query for load in loads] == [0, 0, 0, 3]


def test_run_sync_goes_on_where_it_is_awaited(place):
    """In ``run_sync`` the user's sync function comes first, the line that awaits it second."""

    def ask(session):
        return session.scalar(select(func.count(Shelf.id)))  # in sync

    async def main():
        async with place.sessions() as sessions, sessions() as session:
            assert await session.run_sync(ask) == 6  # first await
            assert await session.run_sync(ask) == 6  # second await

    run = record(main)
    steps = [[step.line for step in query.origin.steps][:2] for query in run.queries]
    inner = line_of(__file__, "in sync")
    assert steps == [
        [inner, line_of(__file__, "first await")],
        [inner, line_of(__file__, "second await")],
    ]


@pytest.mark.parametrize("full", [False, True])
def test_facts_are_those_of_the_sync_twin(place, full):
    """Statements, labels, rows, sessions, checkouts and transactions equal the sync ones."""
    asked = select(Shelf).options(selectinload(Shelf.volumes)).order_by(Shelf.id)

    async def main():
        async with place.sessions() as sessions, sessions() as session:
            shelves = (await session.scalars(asked)).all()
            await session.get(Shelf, 999)
            await session.execute(text("SELECT 1"))
            await session.execute(insert(Shelf), [{"name": "a"}, {"name": "b"}])
            shelves[0].name = "other"
            await session.flush()
            await session.rollback()

    def twin(engine):
        with Session(engine, expire_on_commit=False) as session:
            shelves = session.scalars(asked).all()
            session.get(Shelf, 999)
            session.execute(text("SELECT 1"))
            session.execute(insert(Shelf), [{"name": "a"}, {"name": "b"}])
            shelves[0].name = "other"
            session.flush()
            session.rollback()

    def facts(run):
        trace = run.trace
        return (
            [(q.operation, q.model, q.many, q.session, q.checkout) for q in run.queries],
            [q.load and q.load[:3] + q.load[4:] for q in run.queries],
            [(s.framework, s.databases, s.closed_ns is not None) for s in trace.sessions],
            [(c.session, c.returned_ns is not None) for c in trace.checkouts],
            [(t.outcome, t.savepoints) for t in trace.transactions],
            trace.unlabelled,
        )

    run = record(main, full=full)
    engine = place.sync_engine
    with recorded(full=full) as sync:
        twin(engine)
    assert facts(run) == facts(sync)
    counted = [query.rows for query in run.queries]
    if "asyncpg" in place.url:
        assert counted.pop(4) is None  # the driver does not tell the rows of a batch
        assert counted == [6, 12, 0, None, 1]
    else:
        assert counted == [query.rows for query in sync.queries] == [6, 12, 0, None, 2, 1]


def test_finding_is_that_of_the_sync_twin(place):
    """A loop over lazy attributes is one finding, with the same remedy, at the awaiting line."""

    async def main():
        async with place.sessions() as sessions, sessions() as session:
            for volume in await session.scalars(select(Volume)):
                await volume.awaitable_attrs.shelf  # async loop

    run = record(main)
    engine = place.sync_engine
    with recorded() as sync, Session(engine) as session:
        for volume in session.scalars(select(Volume)):
            assert volume.shelf  # sync loop
    chosen = {"held_idle_min_ms": 60_000}  # how long a busy machine let it wait is not asked here
    # That the block makes its engine is the test's own way, and QS510's to say.
    (found,) = [item for item in registry.judge(run.trace, chosen=chosen) if item.code != "QS510"]
    (twin,) = registry.judge(sync.trace, chosen=chosen)
    assert (found.code, found.count, found.severity) == (twin.code, twin.count, twin.severity)
    assert (found.code, found.count) == ("QS101", 6)
    assert found.mend.write == twin.mend.write
    assert found.origin.frame.line == line_of(__file__, "async loop")
    assert twin.origin.frame.line == line_of(__file__, "sync loop")


def test_openers_are_lines_of_the_coroutine(place):
    """Sessions, checkouts and transactions name the async line that asked for each."""

    async def main():
        async with place.engine() as engine:
            async with AsyncSession(engine) as session:  # the session
                await session.execute(text("SELECT 1"))  # its checkout
            async with engine.begin() as connection:  # the connection
                await connection.execute(text("SELECT 2"))

    trace = record(main).trace
    assert [session.opener.frame.line for session in trace.sessions] == [
        line_of(__file__, "the session")
    ]
    opened = [line_of(__file__, name) for name in ("its checkout", "the connection")]
    assert [checkout.opener.frame.line for checkout in trace.checkouts] == opened
    assert [transaction.opener.frame.line for transaction in trace.transactions] == opened


def test_wait_for_the_pool_is_measured_in_the_task_that_waits(place):
    """Of two tasks on a pool of one the second waits, and is told who holds the connection."""

    async def main():
        async with place.sessions(pool_size=1, max_overflow=0) as sessions:
            has, asked = asyncio.Event(), asyncio.Event()

            async def holder():
                async with sessions() as session:
                    await session.execute(text("SELECT 1"))  # the holder
                    has.set()
                    await asked.wait()
                    await asyncio.sleep(0.05)

            async def waiter():
                await has.wait()
                async with sessions() as session:
                    asked.set()
                    await session.execute(text("SELECT 2"))  # the waiter

            await asyncio.gather(holder(), waiter())

    first, second = record(main).trace.checkouts
    assert first.waited_ns == 0
    assert 40e6 < second.waited_ns <= second.got_ns - second.asked_ns
    assert second.opener.frame.line == line_of(__file__, "the waiter")
    assert f":{line_of(__file__, 'the holder')} in " in second.holders[0]


def test_pool_time_out_is_a_failed_checkout(place):
    """A task that waits in vain has a checkout with the error, and nothing to give back."""

    async def main():
        options = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05}
        async with place.sessions(**options) as make, make() as outer, make() as inner:
            await outer.execute(text("SELECT 1"))
            with pytest.raises(PoolTimeoutError):
                await inner.execute(text("SELECT 2"))

    _, failed = record(main).trace.checkouts
    assert failed.error.startswith("sqlalchemy.exc.TimeoutError: QueuePool limit of size 1")
    assert failed.got_ns is None


def test_concurrent_recorders_do_not_mix(place):
    """Twenty tasks, each with a Recorder of its own: each has its statements and nothing else."""
    runs = {}

    async def main():
        async with place.sessions(pool_size=4, max_overflow=0) as sessions:

            async def one(number):
                with recorded() as runs[number]:
                    async with sessions() as session:
                        for _ in range(number % 3 + 1):
                            await session.execute(text(f"SELECT {number}"))
                            await asyncio.sleep(0)

            await asyncio.gather(*(one(number) for number in range(20)))

    asyncio.run(main())
    for number, run in runs.items():
        assert {query.statement for query in run.queries} == {f"SELECT {number}"}
        assert len(run.queries) == number % 3 + 1
        assert (len(run.trace.sessions), len(run.trace.checkouts)) == (1, 1)
        assert {query.checkout for query in run.queries} == {0}
        assert run.trace.checkouts[0].held_before == 0


def test_tasks_of_one_trace_keep_their_sessions_apart(place):
    """Statements of interleaved tasks belong each to the session that sent it."""

    async def main():
        async with place.sessions() as sessions:

            async def one(number):
                async with sessions() as session:
                    for _ in range(3):
                        await session.execute(text(f"SELECT {number}"))

            await asyncio.gather(*(one(number) for number in range(5)))

    run = record(main)
    assert len(run.trace.sessions) == 5
    by_session = {}
    for query in run.queries:
        by_session.setdefault(query.session, set()).add(query.statement)
    assert sorted(map(len, by_session.values())) == [1] * 5
    assert all(session.closed_ns for session in run.trace.sessions)


def test_streamed_rows_are_counted(place):
    """Rows of a streamed result are counted as they come."""

    async def main():
        async with place.sessions() as sessions, sessions() as session:
            asked = select(Volume).execution_options(yield_per=3)
            assert len([row async for row in await session.stream_scalars(asked)]) == 12
            result = await session.stream(asked)
            assert len(await result.fetchmany(3)) == 3
            await result.close()

    counts = [query.rows for query in record(main).queries if query.operation == "iterate"]
    assert counts == [12, 3]


def test_cancelled_statement_says_so(place):
    """A statement that a time-out cancels has the error, and its connection comes back."""
    slow = {
        "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20000000) "
        "SELECT count(x) FROM n",
        "postgresql": "SELECT pg_sleep(20)",
    }

    async def main():
        async with place.engine() as engine:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), AsyncSession(engine) as session:
                    await session.execute(text(slow[engine.dialect.name]))  # too slow
            async with AsyncSession(engine) as session:
                await session.execute(text("SELECT 1"))

    run = record(main)
    assert [query.error for query in run.queries] == ["asyncio.exceptions.CancelledError", None]
    assert lines(run)[0] == line_of(__file__, "too slow")
    assert all(checkout.returned_ns for checkout in run.trace.checkouts)


def test_one_engine_alone_can_be_recorded(place):
    """``install(async_engine)`` records that engine, not the others."""
    adapter.uninstall()

    async def main():
        async with place.engine() as mine, place.engine() as other:
            adapter.install(mine)
            for engine in (mine, other):
                async with engine.connect() as connection:
                    await connection.execute(text("SELECT 1"))

    assert len(record(main).queries) == 1


def test_sync_code_inside_a_loop_needs_no_greenlet(place):
    """A sync session in a coroutine or in a thread of the loop has the lines it stands on."""
    engine = place.sync_engine

    def ask():
        with Session(engine) as session:
            session.execute(text("SELECT 1"))  # in a thread

    async def main():
        with Session(engine) as session:
            session.execute(text("SELECT 1"))  # in the loop
        await asyncio.to_thread(ask)

    run = record(main)
    assert lines(run) == [line_of(__file__, name) for name in ("in the loop", "in a thread")]


def test_uninstall_asks_no_greenlet_any_more():
    """After uninstall the walk ends where Python's stack ends."""
    assert len(walks.beyond) == 1
    adapter.uninstall()
    assert walks.beyond == []


def test_user_listeners_still_run(place):
    """Events of the user's on the sync engine inside fire as without us."""
    seen = []

    async def main():
        async with place.engine() as engine:

            @event.listens_for(engine.sync_engine, "before_cursor_execute")
            def note(*args):
                seen.append(args[2])

            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))

    run = record(main)
    assert seen == [query.statement for query in run.queries] == ["SELECT 1"]
