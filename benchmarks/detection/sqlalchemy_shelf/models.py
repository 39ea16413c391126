"""A small library and shop: every kind of relation once."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    DynamicMapped,
    Mapped,
    WriteOnlyMapped,
    deferred,
    mapped_column,
    relationship,
)


class Base(AsyncAttrs, DeclarativeBase):
    """What the models have in common."""


book_tag = Table(
    "book_tag",
    Base.metadata,
    Column("book_id", ForeignKey("book.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)


class Publisher(Base):
    """Publishes books."""

    __tablename__ = "publisher"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    country: Mapped[str] = mapped_column(String(2), default="DE")
    books: Mapped[list[Book]] = relationship(back_populates="publisher")


class Author(Base):
    """Writes books."""

    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    country: Mapped[str] = mapped_column(String(2), default="DE")
    books: Mapped[list[Book]] = relationship(
        back_populates="author", foreign_keys="Book.author_id", order_by="Book.id"
    )
    some_books: DynamicMapped[Book] = relationship(
        foreign_keys="Book.author_id", viewonly=True, lazy="dynamic"
    )
    new_books: WriteOnlyMapped[Book] = relationship(
        foreign_keys="Book.author_id", viewonly=True, lazy="write_only"
    )
    profile: Mapped[Profile | None] = relationship(back_populates="author")


class Profile(Base):
    """About an author; every second author has one."""

    __tablename__ = "profile"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"), unique=True)
    motto: Mapped[str] = mapped_column(String(100))
    author: Mapped[Author] = relationship(back_populates="profile")


class Tag(Base):
    """What a book is about."""

    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    books: Mapped[list[Book]] = relationship(secondary=book_tag, back_populates="tags")


class Book(Base):
    """Each has an author and a publisher of its own; every second one has an editor."""

    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(100))
    isbn: Mapped[str] = mapped_column(String(20), unique=True)
    status: Mapped[str] = mapped_column(String(10), default="ready")
    price: Mapped[int] = mapped_column(default=10)
    summary: Mapped[str] = mapped_column(Text, default="")
    blurb: Mapped[str] = deferred(mapped_column(Text, default=""))
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publisher.id"))
    editor_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books", foreign_keys=[author_id])
    publisher: Mapped[Publisher] = relationship(back_populates="books")
    editor: Mapped[Author | None] = relationship(foreign_keys=[editor_id])
    tags: Mapped[list[Tag]] = relationship(
        secondary=book_tag, back_populates="books", order_by="Tag.id"
    )
    reviews: Mapped[list[Review]] = relationship(back_populates="book", order_by="Review.id")

    @hybrid_property
    def line(self):
        """The book with its author."""
        return f"{self.title} by {self.author.name}"


class Review(Base):
    """Two of each book."""

    __tablename__ = "review"
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"))
    stars: Mapped[int]
    text: Mapped[str] = mapped_column(String(100), default="")
    book: Mapped[Book] = relationship(back_populates="reviews")


class Employee(Base):
    """Everybody but the first has a boss of their own: a chain."""

    __tablename__ = "employee"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("employee.id"))
    boss: Mapped[Employee | None] = relationship(remote_side="Employee.id", back_populates="team")
    team: Mapped[list[Employee]] = relationship(back_populates="boss")


class Product(Base):
    """The parent of joined inheritance."""

    __tablename__ = "product"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(10))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "product"}


class Disc(Product):
    """The child."""

    __tablename__ = "disc"
    id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True)
    minutes: Mapped[int] = mapped_column(default=60)
    __mapper_args__ = {"polymorphic_identity": "disc"}


class Option(Base):
    """Configuration."""

    __tablename__ = "options"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    value: Mapped[str] = mapped_column(String(50))


class Stock(Base):
    """How many of a book are there."""

    __tablename__ = "stock"
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"), unique=True)
    quantity: Mapped[int] = mapped_column(default=5)


class Entry(Base):
    """What happened; written by the scenarios, empty at first."""

    __tablename__ = "entry"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(100))
    number: Mapped[int] = mapped_column(default=0)


class Reading(Base):
    """Of a sensor: many rows, as many at every size."""

    __tablename__ = "reading"
    id: Mapped[int] = mapped_column(primary_key=True)
    sensor: Mapped[int] = mapped_column(Integer, index=True)
    taken: Mapped[int]
    value: Mapped[int]
    comment: Mapped[str] = mapped_column(String(200), default="")


class Shelfmark(Base):
    """Where a book stands; its two indexes begin alike."""

    __tablename__ = "shelfmark"
    __table_args__ = (
        Index("shelfmark_room", "room"),
        Index("shelfmark_room_place", "room", "place"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"))
    room: Mapped[str] = mapped_column(String(10))
    place: Mapped[int]


class Loan(Base):
    """Of a book: a table that is made by hand, without the foreign key."""

    __tablename__ = "loan"
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"))
    day: Mapped[int]
