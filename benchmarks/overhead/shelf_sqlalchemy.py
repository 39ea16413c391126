"""The WSGI application on SQLAlchemy that is measured: as many queries as its URL says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import databases
from sqlalchemy import ForeignKey, create_engine, inspect, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    sessionmaker,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

ROWS = 1_000
"""Books, each on a shelf of its own: no query of a request is answered by the session."""


class Base(DeclarativeBase):
    """The tables of the shelf."""


class Shelf(Base):
    """Holds one book."""

    __tablename__ = "shelf"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Book(Base):
    """What is queried."""

    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author: Mapped[str]
    pages: Mapped[int]
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id"))
    shelf: Mapped[Shelf] = relationship()


def boot(folder: Path) -> tuple[Engine, Callable[..., Any]]:
    """Return an engine on the database of ``folder``, filled when new, and its application.

    Args:
        folder: Whose database it is; processes that are compared share it.
    """
    engine = create_engine(databases.sqlalchemy(folder))
    if not inspect(engine).has_table("book"):
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            for number in range(1, ROWS + 1):
                shelf = Shelf(id=number, name=f"shelf {number}")
                author = f"author {number % 40}"
                session.add(
                    Book(
                        id=number,
                        title=f"book {number}",
                        author=author,
                        pages=100 + number,
                        shelf=shelf,
                    )
                )
            session.commit()
    make = sessionmaker(engine)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        view, _, count = environ["PATH_INFO"].strip("/").partition("/")
        with make() as session:
            found = _VIEWS[view](session, int(count))
        body = json.dumps(found).encode()
        start_response(
            "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        )
        return [body]

    return engine, app


def describe(session: Session, number: int) -> dict[str, Any]:
    """Return one book: one query by its primary key, and what was read."""
    book = session.get_one(Book, number)
    return {"title": book.title, "author": book.author, "pages": book.pages}


def books(session: Session, count: int) -> list[Any]:
    """Return ``count`` books, one query each."""
    return [describe(session, number) for number in range(1, count + 1)]


def shelves(session: Session, count: int) -> list[Any]:
    """Return the shelves of ``count`` books, each loaded by reading ``book.shelf``."""
    found = session.scalars(select(Book).order_by(Book.id).limit(count))
    return [book.shelf.name for book in found]


def rows(session: Session, count: int) -> list[Any]:
    """Return ``count`` books of one query: four columns of each are read."""
    return [
        {"id": book.id, "title": book.title, "author": book.author, "pages": book.pages}
        for book in session.scalars(select(Book).order_by(Book.id).limit(count))
    ]


_VIEWS: dict[str, Callable[[Session, int], list[Any]]] = {
    "books": books,
    "shelves": shelves,
    "rows": rows,
}
