"""SQLAlchemy: sessions, transactions, pools, and the path operations of FastAPI (QS5 and QS6)."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import joinedload, sessionmaker

from benchmarks.detection.calling import get
from benchmarks.detection.scenario import dirty, innocent, repaired
from benchmarks.detection.sqlalchemy_shelf import data
from benchmarks.detection.sqlalchemy_shelf.data import AsyncSession, Session
from benchmarks.detection.sqlalchemy_shelf.models import Author, Book, Entry, Option, Stock, Tag

IDLE_S = 1.0
"""Longer than a busy machine makes anybody wait."""

log = logging.getLogger("shelf")


def _count(session, model):
    return session.scalar(select(func.count()).select_from(model))


# -- QS501, QS505 ------------------------------------------------------------------------------


def _counted(model):
    with Session() as session:  # mend: session_in_each_helper
        return _count(session, model)


@dirty("QS501")
def session_in_each_helper():
    return [_counted(model) for model in (Book, Author, Tag)]  # mend


@repaired(session_in_each_helper)
def one_session_for_all_helpers():
    with Session() as session:
        return [_count(session, model) for model in (Book, Author, Tag)]


@dirty("QS501")
async def session_in_each_coroutine():
    found = []
    for model in (Book, Author, Tag):  # mend
        async with AsyncSession() as session:  # mend
            found.append(await session.scalar(select(func.count()).select_from(model)))
    return found


@repaired(session_in_each_coroutine)
async def one_session_for_all_coroutines():
    async with AsyncSession() as session:
        return [
            await session.scalar(select(func.count()).select_from(m)) for m in (Book, Author, Tag)
        ]


@innocent("QS501")
def one_session_two_transactions():
    with Session() as session:
        books = _count(session, Book)
        session.commit()
        return books + _count(session, Author)


@innocent("QS501")
def session_that_asks_nothing():
    with Session(), Session() as session:
        return _count(session, Book)


@dirty("QS505", also=("QS501",))
def session_within_a_session():
    with Session() as session:
        books = _count(session, Book)
        with Session() as inner:  # mend
            return books + _count(inner, Author)


@repaired(session_within_a_session)
def session_handed_on():
    with Session() as session:
        return _count(session, Book) + _count(session, Author)


@dirty("QS505", also=("QS501",))
async def async_session_within_a_session():
    async with AsyncSession() as session:
        books = await session.scalar(select(func.count()).select_from(Book))
        async with AsyncSession() as inner:  # mend
            return books + await inner.scalar(select(func.count()).select_from(Author))


@repaired(async_session_within_a_session)
async def async_session_handed_on():
    async with AsyncSession() as session:
        books = await session.scalar(select(func.count()).select_from(Book))
        return books + await session.scalar(select(func.count()).select_from(Author))


@innocent("QS505", also=("QS501",))
def session_after_a_session():
    with Session() as session:
        books = _count(session, Book)
    with Session() as session:
        return books + _count(session, Author)


@innocent("QS505", also=("QS501",))
def without_a_pool():
    engine = _plain_engine()
    one, two = sessionmaker(engine)(), sessionmaker(engine)()
    try:
        return _count(one, Book) + _count(two, Author)
    finally:
        one.close()
        two.close()


def _plain_engine():
    return data.engines["plain"]


# -- QS502, QS506 ------------------------------------------------------------------------------


@dirty("QS502", accept=("QS506",), also=("QS506",))
def sleeps_with_a_connection():
    with Session() as session:
        books = _count(session, Book)
        time.sleep(IDLE_S)
    return books


@repaired(sleeps_with_a_connection)
def sleeps_without_a_connection():
    with Session() as session:
        books = _count(session, Book)
    time.sleep(IDLE_S)
    return books


@dirty("QS502", accept=("QS506",), also=("QS506",))
async def waits_with_a_connection():
    async with AsyncSession() as session:
        books = await session.scalar(select(func.count()).select_from(Book))
        await asyncio.sleep(IDLE_S)
    return books


@repaired(waits_with_a_connection)
async def waits_without_a_connection():
    async with AsyncSession() as session:
        books = await session.scalar(select(func.count()).select_from(Book))
    await asyncio.sleep(IDLE_S)
    return books


@innocent("QS502")
def session_open_but_unused():
    """Without a statement it has no connection."""
    with Session() as session:
        time.sleep(IDLE_S)
        return _count(session, Book)


@innocent("QS502")
def given_back_before_the_sleep():
    with Session() as session:
        books = _count(session, Book)
        session.commit()
        time.sleep(IDLE_S)
    return books


@dirty("QS506", writes=True, accept=("QS502",), also=("QS502",))
def sleeps_after_a_write():
    with Session.begin() as session:
        session.add(Entry(text="new"))
        session.flush()
        time.sleep(IDLE_S)
    return "written"


@repaired(sleeps_after_a_write)
def sleeps_before_the_write():
    time.sleep(IDLE_S)
    with Session.begin() as session:
        session.add(Entry(text="new"))
        session.flush()
    return "written"


@innocent("QS506", writes=True)
def short_transaction():
    with Session.begin() as session:
        session.add_all([Entry(text="new", number=n) for n in range(10)])
    return "written"


@innocent("QS506")
def two_short_reads():
    with Session() as session:
        return _count(session, Book) + _count(session, Author)


# -- QS503, QS504 ------------------------------------------------------------------------------


@dirty("QS503")
def connection_never_closed():
    connection = _leaking_engine().connect()  # mend
    _leaked.append(connection)
    return connection.scalar(select(func.count()).select_from(Book))


_leaked = []


def _leaking_engine():
    return data.engines["leaking"]


@repaired(connection_never_closed)
def connection_closed():
    with _leaking_engine().connect() as connection:
        return connection.scalar(select(func.count()).select_from(Book))


@innocent("QS503")
def session_closed_by_its_block():
    with Session() as session:
        return [book.title for book in session.scalars(select(Book))]


@innocent("QS503")
def session_closed_by_hand():
    session = Session()
    try:
        return _count(session, Book)
    finally:
        session.close()


def _small_engine():
    return data.engines["small"]


def _held(model, seconds, ready=None):
    with _small_engine().connect() as connection:
        found = connection.scalar(select(func.count()).select_from(model))
        if ready is not None:
            ready.set()
        time.sleep(seconds)
        return found


@dirty("QS504", also=("QS501", "QS502", "QS506"))
def waits_for_the_pool():
    ready = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(_held, Author, IDLE_S, ready)
        ready.wait(5)
        return _held(Book, 0) + first.result()


@repaired(waits_for_the_pool, also=("QS501",))
def one_after_the_other():
    return _held(Book, 0) + _held(Author, 0)


@innocent("QS504")
def free_pool():
    return _held(Book, 0)


@innocent("QS504")
def many_statements_on_one_connection():
    with Session() as session:
        return [_count(session, model) for model in (Book, Author, Tag, Option)]


# -- QS507, QS508, QS510, QS511 ----------------------------------------------------------------


@dirty("QS507", writes=True, at_least=6, accept=("QS107",))
def commit_of_each_write():
    with Session() as session:
        for number in range(6):
            session.add(Entry(text="new", number=number))
            session.commit()
        return _count(session, Entry)


@repaired(commit_of_each_write)
def one_commit_of_all():
    with Session() as session:
        session.add_all([Entry(text="new", number=number) for number in range(6)])
        session.commit()
        return _count(session, Entry)


@innocent("QS507", writes=True)
def one_write():
    with Session.begin() as session:
        session.add(Entry(text="new"))
    return "written"


@innocent("QS507", writes=True)
def two_units_of_work():
    with Session() as session:
        session.add(Entry(text="one"))
        session.commit()
        session.add(Entry(text="two"))
        session.commit()
    return "written"


@dirty("QS508", also=("QS102", "QS201", "QS202"))
def session_shared_by_threads():
    """One session for all threads: whose statement comes first is left to chance."""
    with Session() as session, ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(_title_of, session, key) for key in (1, 2) * 8]  # mend
        if any(one.exception() for one in asked):  # SQLAlchemy or the driver noticed it
            session.invalidate()
        return "asked"


def _title_of(session, key):
    time.sleep(0.005)
    return session.scalar(
        select(Book.title).where(Book.id == key)
    )  # mend: session_shared_by_threads


@repaired(session_shared_by_threads, also=("QS102", "QS201", "QS202", "QS208", "QS501", "QS505"))
def session_of_each_thread():
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(_title_in_own_session, key) for key in (1, 2) * 8]
        assert {one.result() for one in asked} == {"title 1", "title 2"}
        return "asked"


def _title_in_own_session(key):
    with Session() as session:
        return _title_of(session, key)


@innocent("QS508")
def session_of_one_thread():
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_title_in_own_session, 1).result()


@innocent("QS508")
async def session_of_one_task():
    async with AsyncSession() as session:
        return [await session.scalar(select(Book.title).where(Book.id == key)) for key in (1,)]


@dirty("QS510", also=("QS501",), times=3)
def engine_of_each_request():
    engine = create_engine(data.urls[0])  # mend
    with sessionmaker(engine)() as session:
        found = _count(session, Book)
    engine.dispose()
    return found


@repaired(engine_of_each_request)
def engine_of_the_application():
    with Session() as session:
        return _count(session, Book)


@innocent("QS510")
def options_of_the_same_engine():
    with data.engine.execution_options(isolation_level="SERIALIZABLE").connect() as connection:
        return connection.scalar(select(func.count()).select_from(Book))


@innocent("QS510")
def two_connections_of_the_engine():
    with data.engine.connect() as connection:
        one = connection.scalar(select(func.count()).select_from(Book))
    with data.engine.connect() as connection:
        return one + connection.scalar(select(func.count()).select_from(Author))


@dirty(
    "QS511", writes=True, at_least=6, accept=("QS107",), also=("QS102", "QS106", "QS107", "QS108")
)
def flush_before_each_query():
    with Session.begin() as session:
        keys = session.scalars(select(Book.id)).all()
        total = 0
        for key in keys:  # mend
            session.add(Entry(text="new", number=key))
            stock = session.scalars(select(Stock).where(Stock.book_id == key)).one()  # mend
            total += stock.quantity
    return total


@repaired(flush_before_each_query)
def flush_at_the_end():
    with Session.begin() as session:
        stocks = {one.book_id: one for one in session.scalars(select(Stock))}
        for key in stocks:
            session.add(Entry(text="new", number=key))
        return sum(stock.quantity for stock in stocks.values())


@innocent("QS511", writes=True)
def one_flush_before_a_query():
    with Session.begin() as session:
        session.add(Entry(text="new"))
        return _count(session, Entry)


@innocent("QS511")
def queries_with_nothing_to_flush():
    with Session() as session:
        return [_count(session, model) for model in (Book, Author, Tag)]


# -- FastAPI -----------------------------------------------------------------------------------


class _AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str


class _BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    title: str
    author: _AuthorOut


class _TitleOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    title: str


def _session():
    with Session() as session:
        yield session


async def _async_session():
    async with AsyncSession() as session:
        yield session


app = FastAPI()


@app.get("/books", response_model=list[_BookOut])
def _books(session=Depends(_session)):  # noqa: B008 - FastAPI's way
    return session.scalars(select(Book).order_by(Book.id)).all()  # mend: response_model_loads


@app.get("/joined", response_model=list[_BookOut])
def _joined(session=Depends(_session)):  # noqa: B008 - FastAPI's way
    return session.scalars(select(Book).options(joinedload(Book.author)).order_by(Book.id)).all()


@app.get("/titles", response_model=list[_TitleOut])
async def _titles(session=Depends(_async_session)):  # noqa: B008 - FastAPI's way
    return (await session.scalars(select(Book).order_by(Book.id))).all()


@app.get("/lookups")
async def _lookups(session=Depends(_async_session)):  # noqa: B008 - FastAPI's way
    books = (await session.scalars(select(Book).order_by(Book.id))).all()
    return [
        (await session.get(Author, book.author_id)).name for book in books
    ]  # mend: path_operation_looks_up


@app.get("/joined-names")
async def _names(session=Depends(_async_session)):  # noqa: B008 - FastAPI's way
    statement = select(Author.name).join(Book.author).order_by(Book.id)
    return (await session.scalars(statement)).all()


@app.get("/stream")
def _stream():
    def lines():
        with Session() as session:
            for book in session.scalars(
                select(Book).order_by(Book.id)
            ).all():  # mend: streamed_lines
                yield f"{book.author.name}\n"

    return StreamingResponse(lines())


@app.get("/joined-stream")
def _joined_stream():
    def lines():
        with Session() as session:
            statement = select(Book).options(joinedload(Book.author)).order_by(Book.id)
            for book in session.scalars(statement):
                yield f"{book.author.name}\n"

    return StreamingResponse(lines())


@app.get("/write")
def _write(session=Depends(_session)):  # noqa: B008 - FastAPI's way
    session.add(Entry(text="seen"))
    session.commit()
    return "seen"


@app.get("/count")
def _read(session=Depends(_session)):  # noqa: B008 - FastAPI's way
    return _count(session, Book)


@dirty("QS101", relation="Book.author", table="author", also=("QS316",))
async def response_model_loads():
    return json.loads(await get(app, "/books"))


@repaired(response_model_loads)
async def response_model_of_joined_rows():
    return json.loads(await get(app, "/joined"))


@dirty("QS102", table="author")
async def path_operation_looks_up():
    return json.loads(await get(app, "/lookups"))


@repaired(path_operation_looks_up)
async def path_operation_joins():
    return json.loads(await get(app, "/joined-names"))


@dirty("QS101", relation="Book.author", table="author", also=("QS316",))
async def streamed_lines():
    return (await get(app, "/stream")).decode()


@repaired(streamed_lines)
async def streamed_joined_lines():
    return (await get(app, "/joined-stream")).decode()


@innocent("QS101")
async def response_model_of_columns():
    return json.loads(await get(app, "/titles"))


@dirty("QS509", writes=True)
async def get_writes():
    return json.loads(await get(app, "/write"))


@repaired(get_writes)
async def post_would_write():
    await get(app, "/count")
    return "seen"


@innocent("QS509")
async def get_reads():
    return json.loads(await get(app, "/count"))


@innocent("QS509", writes=True)
def job_writes():
    with Session.begin() as session:
        session.add(Entry(text="job"))
    return "written"


# -- QS601 -------------------------------------------------------------------------------------


@dirty("QS601", at_least=50)
def logged_for_each():
    with Session() as session:
        titles = session.scalars(select(Book.title)).all()
    for title in titles:  # mend
        for turn in range(4):  # mend
            log.warning("%s, turn %s", title, turn)  # mend
    return len(titles)


@repaired(logged_for_each)
def logged_once():
    with Session() as session:
        titles = session.scalars(select(Book.title)).all()
    log.warning("%s titles", len(titles))
    return len(titles)


@innocent("QS601")
def logged_twice():
    log.warning("begin")
    with Session() as session:
        found = _count(session, Book)
    log.warning("end")
    return found


@dirty("QS512", settings={"pool_processes": 100, "server_max_connections": 100})
def pool_above_the_limit():
    """A hundred workers with such a pool each want more than any server admits."""
    with data.engines["leaking"].connect() as connection:
        return connection.scalar(select(func.count()).select_from(Book))


@repaired(pool_above_the_limit)
def pool_of_one():
    with data.engines["small"].connect() as connection:
        return connection.scalar(select(func.count()).select_from(Book))


@innocent("QS512", settings={"pool_processes": 100, "server_max_connections": 100})
def without_a_pool_at_all():
    with data.engines["plain"].connect() as connection:
        return connection.scalar(select(func.count()).select_from(Book))


@innocent("QS512", settings={"pool_processes": 6, "server_max_connections": 100})
def pool_within_the_limit():
    with Session() as session:
        return _count(session, Book)
