"""A Celery application on SQLAlchemy: what workers are asked to do; one line for queryscope."""

from __future__ import annotations

import json
import os
import time

from celery import Celery
from celery.exceptions import Ignore, SoftTimeLimitExceeded
from sqlalchemy import ForeignKey, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

import queryscope.celery

app = Celery("bookshop")
app.conf.update(json.loads(os.environ["BOOKS_CELERY"]))
if "QUERYSCOPE_RUN" not in os.environ:
    queryscope.celery.install()
engine = create_engine(f"sqlite:///{os.environ['BOOKS_DATABASE']}")


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship()


def ask(after=0):
    """Count authors in a session of its own."""
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(Author).where(Author.id > after))


@app.task(name="loop")
def loop():
    """Ask for each book's author: the fault that is to be found."""
    with Session(engine) as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()
        return [book.author.name for book in books]


@app.task(name="count")
def count(times):
    """Send so many statements, while other tasks send theirs."""
    for number in range(times):
        ask(times * 100 + number)
        time.sleep(0.001)
    return times


@app.task(name="total")
def total(numbers):
    """End a chord."""
    ask()
    return sum(numbers)


@app.task(name="fails")
def fails():
    """Raise an error."""
    ask()
    raise ValueError("as it should")


@app.task(name="retries", bind=True)
def retries(self):
    """Fail at first."""
    ask()
    if self.request.retries == 0:
        raise self.retry(countdown=0, exc=ValueError("not yet"))
    return "done"


@app.task(name="ignored")
def ignored():
    """Tell Celery to forget this execution."""
    ask()
    raise Ignore


@app.task(name="nests")
def nests():
    """Run another task at once."""
    ask()
    return count.apply([2]).get(disable_sync_subtasks=False)


@app.task(name="limited", soft_time_limit=1, time_limit=30)
def limited():
    """Go on until the soft time limit."""
    with Session(engine) as session:
        try:
            while True:
                session.scalar(select(func.count()).select_from(Author))
                time.sleep(0.0005)
        except SoftTimeLimitExceeded:
            session.scalar(select(func.count()).select_from(Book))
            return "limited"


@app.task(name="hangs", time_limit=2)
def hangs():
    """Go on until Celery kills the process."""
    ask()
    time.sleep(60)
