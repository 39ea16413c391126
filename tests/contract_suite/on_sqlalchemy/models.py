"""Authors, books and tags, with a relationship of every kind."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, String, Table
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(AsyncAttrs, DeclarativeBase):
    pass


book_tag = Table(
    "contract_book_tags",
    Base.metadata,
    Column("book_id", ForeignKey("contract_book.id"), primary_key=True),
    Column("tag_id", ForeignKey("contract_tag.id"), primary_key=True),
)


class Author(Base):
    __tablename__ = "contract_author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    mentor_id: Mapped[int | None] = mapped_column(ForeignKey("contract_author.id"))
    mentor: Mapped[Author | None] = relationship(remote_side="Author.id", back_populates="pupils")
    pupils: Mapped[list[Author]] = relationship(back_populates="mentor", passive_deletes="all")
    books: Mapped[list[Book]] = relationship(
        back_populates="author", cascade="all, delete-orphan", order_by="Book.id"
    )
    profile: Mapped[Profile | None] = relationship(
        back_populates="author", cascade="all, delete-orphan"
    )


class Profile(Base):
    __tablename__ = "contract_profile"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("contract_author.id"), unique=True)
    text: Mapped[str] = mapped_column(String(100))
    author: Mapped[Author] = relationship(back_populates="profile")


class Tag(Base):
    __tablename__ = "contract_tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    books: Mapped[list[Book]] = relationship(secondary=book_tag, back_populates="tags")


class Book(Base):
    __tablename__ = "contract_book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(500))
    year: Mapped[int]
    summary: Mapped[str] = mapped_column(String(500), default="", deferred=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("contract_author.id"))
    author: Mapped[Author] = relationship(back_populates="books")
    tags: Mapped[list[Tag]] = relationship(secondary=book_tag, back_populates="books")


FIRST_ID = 1_000_001
"""Rows that are there have ids above every sequence, so that new rows never meet them."""


def fill(engine):
    """Make the rows anew, with the same ids each time."""
    with engine.begin() as connection:
        connection.execute(Author.__table__.update().values(mentor_id=None))
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
        for table, rows in _rows():
            connection.execute(table.insert(), rows)


def _rows():
    def ids(count, **more):
        return [
            {"id": FIRST_ID + n, **{name: make(n) for name, make in more.items()}}
            for n in range(count)
        ]

    yield Author.__table__, ids(3, name=lambda n: f"author {n}")[:1]
    for number in (1, 2):
        row = {"id": FIRST_ID + number, "name": f"author {number}"}
        yield Author.__table__, [{**row, "mentor_id": FIRST_ID + number - 1}]
    yield (
        Book.__table__,
        ids(
            6,
            title=lambda n: f"book {n}",
            year=lambda n: 2000 + n,
            summary=lambda n: "",
            author_id=lambda n: FIRST_ID + n % 3,
        ),
    )
    yield Profile.__table__, ids(3, author_id=lambda n: FIRST_ID + n, text=lambda n: "p")
    yield Tag.__table__, ids(3, name=lambda n: f"tag {n}")
    yield (
        book_tag,
        [
            {"book_id": FIRST_ID + n, "tag_id": FIRST_ID + (n + m) % 3}
            for n in range(6)
            for m in range(2)
        ],
    )
