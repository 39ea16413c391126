"""Blocks, selects before writes and chains on real SQLAlchemy code, beside what is innocent.

The comment ``# mend`` marks the line to edit. All of it runs in light and in full recording.
"""

# The names of the scenarios say what they are, and reading an attribute is what they do.
# ruff: noqa: D103

from __future__ import annotations

import asyncio
import inspect

import pytest
from sqlalchemy import create_engine, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from tests.detectors import on_sqlalchemy
from tests.detectors.judging import said
from tests.detectors.scenarios import Scenarios, marked
from tests.recording import recorded
from tests.sqlalchemy.shop import Author, Book, Novel, Tag, fill

CODES = ("QS106", "QS108", "QS109", "QS110", "QS111", "QS316")


@pytest.fixture
def path(tmp_path):
    """A database with the shop: 3 authors, 7 books, one of them a novel, 2 tags."""
    found = tmp_path / "shop.db"
    engine = create_engine(f"sqlite:///{found}")
    fill(engine)
    engine.dispose()
    return found


def run(function, path, recording):
    """Return the Trace of a function, or coroutine function, that is given a session."""
    with recorded(full=recording == "full", mode="tests") as result:
        if inspect.iscoroutinefunction(function):
            asyncio.run(awaited(function, path))
        else:
            engine = create_engine(f"sqlite:///{path}")
            with Session(engine) as session:
                function(session)
            engine.dispose()
    return result.trace


async def awaited(function, path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with AsyncSession(engine) as session:
        await function(session)
    await engine.dispose()


recording = on_sqlalchemy.recording
SCENARIOS = Scenarios(lambda function, code, severity=None: (function, code, severity))
dirty, clean = SCENARIOS.dirty, SCENARIOS.clean


# -- QS106 --------------------------------------------------------------------------------------


@dirty("QS106", "warning")
def block_per_name(session):
    for n in range(3):  # mend
        session.scalars(select(Author).where(Author.name == f"author {n}")).one()
        session.scalars(select(Book).where(Book.title == f"book {n}.0")).first()


@dirty("QS106", "warning")
async def block_per_name_awaited(session):
    for n in range(3):  # mend
        (await session.scalars(select(Author).where(Author.name == f"author {n}"))).one()
        (await session.scalars(select(Book).where(Book.title == f"book {n}.0"))).first()


@clean
def block_per_name_repaired(session):
    names = [f"author {n}" for n in range(3)]
    session.scalars(select(Author).where(Author.name.in_(names))).all()
    session.scalars(select(Book).where(Book.title.in_(names))).all()


@clean
def block_once(session):
    session.scalars(select(Author).where(Author.name == "author 1")).one()
    session.scalars(select(Book).where(Book.title == "book 1.0")).first()


# -- QS108 --------------------------------------------------------------------------------------


@dirty("QS108", "critical")
def asked_then_flushed(session):
    for name in ("a", "b", "c", "d", "e"):  # mend
        if session.scalars(select(Tag).where(Tag.name == name)).first() is None:
            session.add(Tag(name=name))
            session.flush()


@dirty("QS108", "critical")
async def asked_then_flushed_awaited(session):
    for name in ("a", "b", "c", "d", "e"):  # mend
        if (await session.scalars(select(Tag).where(Tag.name == name))).first() is None:
            session.add(Tag(name=name))
            await session.flush()


@dirty("QS108")
def asked_then_autoflushed(session):
    for name in ("a", "b", "c", "d", "e"):  # mend
        if session.scalars(select(Tag).where(Tag.name == name)).first() is None:
            session.add(Tag(name=name))
    session.commit()


@clean
def asked_once_then_added(session):
    names = {"a", "b", "c", "d", "e"}
    names -= set(session.scalars(select(Tag.name).where(Tag.name.in_(names))))
    session.add_all([Tag(name=name) for name in sorted(names)])
    session.commit()


@dirty("QS108")
def core_select_then_delete(session):
    for n in range(3):  # mend
        if session.execute(select(Tag.id).where(Tag.name == f"tag {n}")).first():
            session.execute(delete(Tag).where(Tag.name == f"tag {n}"))


@clean
def edited_form(session):
    book = session.get(Book, 1)
    book.title = "a new title"
    session.commit()


@clean
def savepoint_around_each_row(session):
    for name in ("a", "b", "c", "d", "e", "f"):
        with session.begin_nested():
            if session.scalars(select(Tag).where(Tag.name == name)).first() is None:
                session.add(Tag(name=name))
    session.commit()


@dirty("QS108", "info")
def read_modify_write(session):
    novel = session.scalars(select(Novel)).one()
    novel.pages += 1
    session.commit()  # mend


@dirty("QS108", "info")
async def read_modify_write_awaited(session):
    novel = (await session.scalars(select(Novel))).one()
    novel.pages = novel.pages + 1
    await session.commit()  # mend


@clean
def read_modify_write_locked(session):
    novel = session.scalars(select(Novel).with_for_update()).one()
    novel.pages = Novel.pages + 1
    session.commit()


@clean
def read_modify_write_repaired(session):
    session.execute(update(Book).where(Book.id == 1).values(title=Book.title + "!"))
    session.commit()


# -- QS109 --------------------------------------------------------------------------------------


@dirty("QS109", "info")
def keys_into_the_next(session):
    keys = session.scalars(select(Author.id).where(Author.name.contains("a"))).all()  # mend
    return session.scalars(select(Book).where(Book.author_id.in_(keys))).all()


@dirty("QS109", "info")
async def keys_into_the_next_awaited(session):
    keys = (await session.scalars(select(Author.id))).all()  # mend
    return (await session.scalars(select(Book).where(Book.author_id.in_(keys)))).all()


@dirty("QS109", "info")
def keys_into_a_statement_made_before(session):
    keys = session.scalars(select(Author.id).where(Author.name.contains("a"))).all()  # mend
    statement = select(Book).where(Book.author_id.in_(keys))
    return session.scalars(statement).all()


@clean
def keys_in_a_subquery(session):
    keys = select(Author.id).where(Author.name.contains("a"))
    return session.scalars(select(Book).where(Book.author_id.in_(keys))).all()


@clean
def keys_that_are_returned_too(session):
    keys = session.scalars(select(Author.id)).all()
    return keys, session.scalars(select(Book).where(Book.author_id.in_(keys))).all()


@clean
def objects_whose_keys_are_sent(session):
    authors = session.scalars(select(Author)).all()
    books = session.scalars(select(Book).where(Book.author_id.in_([a.id for a in authors]))).all()
    return authors, books


# -- the tests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", SCENARIOS.cases, ids=lambda case: case[0].__name__)
def test_dirty_code_is_found(case, path, recording):
    """The code alone, the severity, and the line to mend."""
    function, code, severity = case
    findings = said(run(function, path, recording), *CODES)
    assert [finding.code for finding in findings] == [code], [f.message for f in findings]
    assert severity in (None, findings[0].severity)
    assert findings[0].mend.at.line in marked(function)


@pytest.mark.parametrize("function", SCENARIOS.innocent, ids=lambda function: function.__name__)
def test_innocent_code_is_clean(function, path, recording):
    """Not even an info."""
    found = said(run(function, path, recording), *CODES)
    assert [f"{finding.code}: {finding.message}" for finding in found] == []
