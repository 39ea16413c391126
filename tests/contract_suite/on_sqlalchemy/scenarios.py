"""What the SQLAlchemy application does: one function a scenario, a statement a line."""

# The names say what is done.
# ruff: noqa: D103

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from jinja2 import DictLoader, Environment
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DatabaseError, IntegrityError, NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import (
    Session,
    defer,
    joinedload,
    selectinload,
    subqueryload,
)

import queryscope
from tests.contract_suite.on_sqlalchemy import engines
from tests.contract_suite.on_sqlalchemy.models import FIRST_ID, Author, Book, Profile, Tag
from tests.contract_suite.scenarios import Raised, Scenarios

SCENARIOS = Scenarios()
scenario = SCENARIOS.add
MANY = 1_000
HOSTILE = ("'; DROP TABLE contract_book; --", '"', "%s", "\\", "?", "{}", "ﷺ\u202e", ":name")
BY_ID = select(Book).order_by(Book.id)
AUTHORS = select(Author).order_by(Author.id)
PAGES = Environment(
    loader=DictLoader({"books": "{% for book in books %}\n{{ book.author.name }}\n{% endfor %}"}),
    autoescape=True,
)


def opened():
    return Session(engines.sync)


# -- relationships ---------------------------------------------------------------------------


@scenario()
def forward():
    with opened() as session:
        book = session.get(Book, FIRST_ID)
        assert book.author.name


@scenario()
def reverse():
    with opened() as session:
        author = session.get(Author, FIRST_ID)
        assert [book.title for book in author.books]


@scenario()
def many_to_many():
    with opened() as session:
        book = session.get(Book, FIRST_ID)
        assert [tag.name for tag in book.tags]


@scenario()
def one_to_one():
    with opened() as session:
        profile = session.get(Profile, FIRST_ID)
        assert profile.author.name


@scenario()
def one_to_one_reverse():
    with opened() as session:
        author = session.get(Author, FIRST_ID)
        assert author.profile.text


@scenario()
def self_reference():
    with opened() as session:
        author = session.get(Author, FIRST_ID + 2)
        while author.mentor is not None:
            author = author.mentor


@scenario()
def self_reference_reverse():
    with opened() as session:
        author = session.get(Author, FIRST_ID)
        assert [pupil.name for pupil in author.pupils]


@scenario()
def deferred_column():
    with opened() as session:
        book = session.get(Book, FIRST_ID)
        assert book.summary == ""


@scenario(writes=True)
def expired():
    with opened() as session:
        book = session.get(Book, FIRST_ID)
        session.commit()
        assert book.title


# -- verbs -----------------------------------------------------------------------------------


@scenario()
def refresh():
    with opened() as session:
        book = session.get(Book, FIRST_ID)
        session.refresh(book)


@scenario()
def get_missing():
    with opened() as session:
        assert session.get(Book, 1) is None
        with suppress(NoResultFound):
            session.scalars(select(Book).where(Book.id == 2)).one()


@scenario()
def count():
    with opened() as session:
        assert session.scalar(select(func.count(Book.id)).where(Book.year > 2001)) == 4


@scenario()
def legacy_count():
    with opened() as session:
        assert session.query(Book).filter(Book.year > 2001).count() == 4


@scenario()
def exists():
    with opened() as session:
        assert session.scalar(select(select(Book).where(Book.year == 2001).exists()))


@scenario()
def first():
    with opened() as session:
        assert session.scalars(BY_ID.limit(1)).first()
        assert session.query(Book).order_by(Book.year).first()


@scenario()
def columns():
    found = select(Book.title, Author.name).join(Author).order_by(Book.id)
    with opened() as session:
        assert session.execute(found).all()


@scenario()
def yield_per():
    with opened() as session:
        assert [book.title for book in session.scalars(BY_ID.execution_options(yield_per=2))]


@scenario()
def textual():
    statement = text("SELECT title FROM contract_book WHERE year = :year")
    with opened() as session:
        assert session.execute(statement, {"year": 2002}).scalar() == "book 2"


@scenario()
def driver_sql():
    with engines.sync.connect() as connection:
        assert len(connection.exec_driver_sql("SELECT title FROM contract_book").all()) == 6


@scenario()
def core_select():
    table = Book.__table__
    with engines.sync.connect() as connection:
        assert connection.execute(select(table.c.title).order_by(table.c.id)).all()


@scenario()
def aggregate():
    with opened() as session:
        assert session.scalar(select(func.max(Book.year))) == 2005


@scenario()
def grouped():
    found = select(Book.author_id, func.count(Book.id)).group_by(Book.author_id)
    with opened() as session:
        assert session.execute(found.order_by(Book.author_id)).all()


@scenario()
def empty_result():
    with opened() as session:
        assert session.scalars(select(Book).where(Book.year == 1)).all() == []


@scenario()
def large_in_list():
    ids = range(FIRST_ID, FIRST_ID + 500)
    with opened() as session:
        assert len(session.scalars(select(Book).where(Book.id.in_(ids))).all()) == 6


@scenario()
def hostile_values():
    with opened() as session:
        for value in HOSTILE:
            assert session.scalars(select(Book).where(Book.title == value)).first() is None


# -- writes ----------------------------------------------------------------------------------


@scenario(writes=True)
def create():
    with opened() as session:
        session.add(Author(name="new"))
        session.commit()


@scenario(writes=True)
def save():
    with opened() as session:
        book = session.get(Book, FIRST_ID)
        book.title = "other"
        session.commit()


@scenario(writes=True)
def update_many():
    with opened() as session:
        session.execute(update(Book).where(Book.year > 2002).values(year=Book.year + 1))
        session.commit()


@scenario(writes=True)
def insertmany():
    with opened() as session:
        session.add_all([Tag(name=f"new {number}") for number in range(5)])
        session.commit()


@scenario(writes=True)
def insertmany_returning():
    with opened() as session:
        made = session.scalars(insert(Tag).returning(Tag), [{"name": "one"}, {"name": "two"}])
        assert len(made.all()) == 2
        session.commit()


@scenario(writes=True)
def thousand_rows():
    with opened() as session:
        session.execute(insert(Tag), [{"name": f"new {number}"} for number in range(MANY)])
        assert len(session.scalars(select(Tag)).all()) == MANY + 3
        session.rollback()


@scenario(writes=True)
def executemany():
    statement = text("INSERT INTO contract_tag (name) VALUES (:name)")
    with engines.sync.begin() as connection:
        connection.execute(statement, [{"name": "one"}, {"name": "two"}])


@scenario(writes=True)
def delete_cascade():
    with opened() as session:
        author = session.get(Author, FIRST_ID + 2)
        session.delete(author)
        session.commit()


@scenario(writes=True)
def delete_many():
    with opened() as session:
        session.execute(delete(Profile).where(Profile.id > FIRST_ID))
        session.commit()


@scenario(writes=True)
def many_to_many_add():
    with opened() as session:
        book = session.get(Book, FIRST_ID)
        book.tags.append(session.get(Tag, FIRST_ID + 2))
        session.flush()
        book.tags.clear()
        session.commit()


@scenario(writes=True)
def write_then_read():
    with opened() as session:
        book = session.get(Book, FIRST_ID)
        book.title = "newer"
        assert session.scalars(select(Book).where(Book.id == FIRST_ID)).one().title == "newer"
        session.commit()


@scenario(writes=True)
def write_in_loop():
    with opened() as session:
        for book in session.scalars(BY_ID).all():
            book.year += 1
            session.flush()
        session.commit()


# -- transactions ----------------------------------------------------------------------------


@scenario(writes=True)
def savepoints():
    with opened() as session, session.begin():
        session.add(Tag(name="kept"))
        session.flush()
        with suppress(Raised), session.begin_nested():
            session.add(Tag(name="lost"))
            session.flush()
            raise Raised
        with session.begin_nested():
            session.add(Tag(name="kept too"))
            session.flush()


@scenario(writes=True)
def rolled_back():
    with suppress(Raised), opened() as session, session.begin():
        session.add(Tag(name="lost"))
        session.flush()
        raise Raised


@scenario(only=("postgresql", "mariadb"))
def select_for_update():
    with opened() as session:
        assert session.get(Book, FIRST_ID, with_for_update=True)


# -- loops and remedies ----------------------------------------------------------------------


@scenario()
def n_plus_one():
    with opened() as session:
        for book in session.scalars(BY_ID):
            assert book.author.name


@scenario()
def n_plus_one_reverse():
    with opened() as session:
        for author in session.scalars(AUTHORS):
            assert len(author.books) == 2


@scenario()
def joined_load():
    with opened() as session:
        for book in session.scalars(BY_ID.options(joinedload(Book.author))):
            assert book.author.name


@scenario()
def selectin_load():
    with opened() as session:
        for author in session.scalars(AUTHORS.options(selectinload(Author.books))):
            assert len(author.books) == 2


@scenario()
def subquery_load():
    with opened() as session:
        for author in session.scalars(AUTHORS.options(subqueryload(Author.books))):
            assert len(author.books) == 2


@scenario()
def look_up_in_loop():
    with opened() as session:
        for number in range(4):
            assert session.scalars(select(Book).where(Book.id == FIRST_ID + number)).one()


@scenario()
def count_in_loop():
    with opened() as session:
        for author in session.scalars(AUTHORS):
            assert session.scalar(select(func.count(Book.id)).where(Book.author_id == author.id))


@scenario()
def deferred_in_loop():
    with opened() as session:
        for book in session.scalars(BY_ID.options(defer(Book.year))):
            assert book.year


@scenario()
def duplicates():
    with opened() as session:
        assert session.scalars(select(Author).where(Author.name == "author 0")).one()
        assert session.scalars(select(Author).where(Author.name == "author 0")).one()


@scenario()
def loop_invariant():
    with opened() as session:
        for _ in range(4):
            assert session.scalars(select(Tag).where(Tag.name == "tag 0")).one()


@scenario()
def session_per_book():
    for number in range(5):
        with opened() as session:
            assert session.get(Book, FIRST_ID + number)


@scenario()
def template():
    with opened() as session:
        PAGES.get_template("books").render(books=session.scalars(BY_ID))


# -- failing, streamed, threaded, nested ------------------------------------------------------


@scenario()
def failing_statement():
    with opened() as session:
        with suppress(DatabaseError):
            session.execute(text("SELECT nothing FROM contract_missing"))
        session.rollback()
        assert session.scalar(select(func.count(Book.id))) == 6


@scenario(writes=True)
def broken_constraint():
    with opened() as session:
        session.add(Tag(name="tag 0"))
        with suppress(IntegrityError):
            session.commit()
        session.rollback()
        assert session.scalar(select(func.count(Tag.id))) == 3


@scenario()
def raising():
    with opened() as session:
        assert session.scalar(select(func.count(Book.id))) == 6
        raise Raised("as it should")


@scenario(streams=True)
def streamed():
    with opened() as session:
        assert session.scalar(select(func.count(Tag.id))) == 3
    return _lines()


def _lines():
    with opened() as session:
        for book in session.scalars(BY_ID):
            yield f"{book.title} {book.author.name}"


@scenario()
def in_thread():
    thread = threading.Thread(target=_read)
    thread.start()
    thread.join()


@scenario()
def in_thread_pool():
    with ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            pool.submit(_read).result()


def _read():
    with opened() as session:
        assert len(session.get(Author, FIRST_ID).books) == 2


@scenario()
def nested():
    with opened() as session:
        assert session.scalar(select(func.count(Tag.id))) == 3
        with queryscope.profile("inner"):
            for book in session.scalars(BY_ID):
                assert book.author.name
        assert session.scalar(select(func.count(Author.id))) == 3


@scenario()
def staged():
    with opened() as session:
        assert session.scalar(select(func.count(Tag.id))) == 3
        with queryscope.stage("availability"):
            assert session.scalar(select(func.count(Book.id))) == 6
            with queryscope.stage("prices"):
                assert session.scalar(select(func.count(Author.id))) == 3


@scenario()
def second_engine():
    with Session(engines.second) as session:
        book = session.get(Book, FIRST_ID)
        assert book.author.name
    with opened() as session:
        assert session.scalar(select(func.count(Book.id))) == 6


@scenario()
def two_connections_held():
    with opened() as session:
        assert session.scalar(select(func.count(Tag.id))) == 3
        with opened() as other:
            assert other.scalar(select(func.count(Book.id))) == 6


# -- asyncio ---------------------------------------------------------------------------------


def aopened():
    return AsyncSession(engines.asynchronous, expire_on_commit=False)


@scenario(asynchronous=True)
async def async_get():
    async with aopened() as session:
        assert await session.get(Book, FIRST_ID)


@scenario(asynchronous=True)
async def async_verbs():
    async with aopened() as session:
        assert await session.scalar(select(func.count(Book.id))) == 6
        assert (await session.scalars(BY_ID)).all()
        assert (await session.execute(text("SELECT title FROM contract_book"))).all()
        await session.refresh(await session.get(Book, FIRST_ID))


@scenario(asynchronous=True)
async def async_n_plus_one():
    async with aopened() as session:
        for book in await session.scalars(BY_ID):
            author = await book.awaitable_attrs.author
            assert author.name


@scenario(asynchronous=True)
async def async_selectin_load():
    async with aopened() as session:
        for author in await session.scalars(AUTHORS.options(selectinload(Author.books))):
            assert len(author.books) == 2


@scenario(asynchronous=True)
async def async_stream():
    async with aopened() as session:
        assert [book.title async for book in await session.stream_scalars(BY_ID)]


@scenario(asynchronous=True)
async def async_run_sync():
    async with aopened() as session:
        await session.run_sync(_read_helper)


def _read_helper(session):
    assert session.get(Book, FIRST_ID).author.name


@scenario(asynchronous=True)
async def async_core():
    async with engines.asynchronous.connect() as connection:
        assert (await connection.execute(select(Book.__table__.c.title))).all()


@scenario(asynchronous=True, writes=True)
async def async_writes():
    async with aopened() as session, session.begin():
        session.add_all([Tag(name="one"), Tag(name="two")])
        await session.flush()
        async with session.begin_nested():
            await session.execute(update(Book).where(Book.id == FIRST_ID).values(year=1))
        await session.execute(delete(Profile).where(Profile.id == FIRST_ID))


@scenario(asynchronous=True)
async def async_raising():
    async with aopened() as session:
        assert await session.scalar(select(func.count(Book.id))) == 6
        raise Raised("as it should")


@scenario(asynchronous=True, streams=True)
async def async_streamed():
    async with aopened() as session:
        assert await session.scalar(select(func.count(Tag.id))) == 3
    return _alines()


async def _alines():
    async with aopened() as session:
        for book in await session.scalars(BY_ID):
            author = await book.awaitable_attrs.author
            yield f"{book.title} {author.name}"


@scenario(asynchronous=True)
async def async_nested():
    async with aopened() as session:
        assert await session.scalar(select(func.count(Tag.id))) == 3
        async with queryscope.profile("inner"):
            assert await session.scalar(select(func.count(Book.id))) == 6
