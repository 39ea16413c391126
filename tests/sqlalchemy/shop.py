"""A book shop with one relationship of every kind, and the verbs that its tests share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, ForeignKey, String, Table
from sqlalchemy.orm import (
    DeclarativeBase,
    DynamicMapped,
    Mapped,
    Session,
    WriteOnlyMapped,
    mapped_column,
    relationship,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine


AUTHORS = 3
BOOKS_EACH = 2


class Base(DeclarativeBase):
    pass


book_tag = Table(
    "shop_book_tag",
    Base.metadata,
    Column("book_id", ForeignKey("shop_book.id"), primary_key=True),
    Column("tag_id", ForeignKey("shop_tag.id"), primary_key=True),
)


class Author(Base):
    __tablename__ = "shop_author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    books: Mapped[list[Book]] = relationship(back_populates="author")
    letters: DynamicMapped[Letter] = relationship(lazy="dynamic")
    notes: WriteOnlyMapped[Note] = relationship()
    portrait: Mapped[Portrait | None] = relationship(back_populates="author")


class Portrait(Base):
    __tablename__ = "shop_portrait"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("shop_author.id"))
    author: Mapped[Author] = relationship(back_populates="portrait")


class Letter(Base):
    __tablename__ = "shop_letter"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("shop_author.id"))


class Note(Base):
    __tablename__ = "shop_note"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("shop_author.id"))


class Tag(Base):
    __tablename__ = "shop_tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Book(Base):
    __tablename__ = "shop_book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(50))
    blurb: Mapped[str] = mapped_column(String(50), default="", deferred=True)
    kind: Mapped[str] = mapped_column(String(10), default="book")
    author_id: Mapped[int] = mapped_column(ForeignKey("shop_author.id"))
    author: Mapped[Author] = relationship(back_populates="books")
    tags: Mapped[list[Tag]] = relationship(secondary=book_tag)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "book"}


class Novel(Book):
    __tablename__ = "shop_novel"
    id: Mapped[int] = mapped_column(ForeignKey("shop_book.id"), primary_key=True)
    pages: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "novel"}


def fill(engine: Engine) -> None:
    """Make the tables anew: 3 authors with 2 books, 1 letter, 1 note and a portrait each."""
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        tags = [Tag(name=f"tag {number}") for number in range(2)]
        for number in range(AUTHORS):
            author = Author(name=f"author {number}", portrait=Portrait())
            author.books = [Book(title=f"book {number}.{n}", tags=tags) for n in range(BOOKS_EACH)]
            session.add(author)
            session.flush()
            session.add_all([Letter(author_id=author.id), Note(author_id=author.id)])
        session.add(Novel(title="novel", pages=7, author_id=1))
        session.commit()


def line_of(file: str, text: str) -> int:
    """Return the number of the one line of a test file that ends with a comment."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    (found,) = [n for n, line in enumerate(lines, 1) if line.endswith(f"# {text}")]
    return found
