"""What SQLAlchemy's tables promise, translated and compared with what it made of them."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    Column,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from queryscope.plans.catalogue import schema_of
from queryscope.plans.declared import missing
from queryscope.sqlalchemy.declared import declared
from tests.databases.drivers import engine_on, url_of

DRIVERS = ("sqlite", "psycopg", "pymysql")
VENDORS = {"sqlite": "sqlite", "psycopg": "postgresql", "pymysql": "mysql"}
MADE = "declared_author", "declared_book", "declared_link", "declared_place"


class Base(DeclarativeBase):
    metadata = MetaData()


class Author(Base):
    __tablename__ = "declared_author"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail: Mapped[str] = mapped_column(String(40), unique=True)


class Book(Base):
    __tablename__ = "declared_book"
    __table_args__ = (
        UniqueConstraint("title", "author_id", name="declared_one_title"),
        Index("declared_one_isbn", "isbn", unique=True),
        Index(
            "declared_one_cheap",
            "title",
            unique=True,
            postgresql_where=text("price < 5"),
            sqlite_where=text("price < 5"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column("title", String(40))
    isbn: Mapped[str | None] = mapped_column(String(20))
    writer: Mapped[int] = mapped_column("author_id", ForeignKey("declared_author.id"))
    price: Mapped[int] = mapped_column(default=1)
    double: Mapped[int] = mapped_column(Computed("price * 2", persisted=True))


Table(
    "declared_link",
    Base.metadata,
    Column("book_id", ForeignKey("declared_book.id"), primary_key=True),
    Column("author_id", ForeignKey("declared_author.id"), primary_key=True),
)
Table(
    "declared_place",
    Base.metadata,
    Column("room", Integer, nullable=False),
    Column("book_id", Integer),
    Column("author_id", Integer),
    ForeignKeyConstraint(
        ["book_id", "author_id"], ["declared_link.book_id", "declared_link.author_id"]
    ),
)


def ours():
    """Return what is declared here, by table."""
    return {model.table: model for model in declared() if model.table in MADE}


@pytest.mark.parametrize("driver", DRIVERS)
def test_made_tables_keep_what_is_declared(driver, tmp_path):
    """On each database; then without any of it."""
    with engine_on(url_of(driver, tmp_path)) as engine:
        Base.metadata.drop_all(engine)
        Base.metadata.create_all(engine)
        try:
            with engine.connect() as connection:
                schema = schema_of(connection.connection.dbapi_connection, VENDORS[driver])
        finally:
            Base.metadata.drop_all(engine)
    lacks = [(name, rule.name) for name, one in ours().items() for rule in missing(one, schema)]
    assert set(ours()) == set(MADE)
    assert lacks == []


def test_classes_say_where_they_are():
    """A table without a class has a name only."""
    found = ours()
    assert (found["declared_book"].name, found["declared_book"].scope) == ("Book", "Book")
    assert found["declared_book"].file == __file__
    assert (found["declared_link"].name, found["declared_link"].file) == ("declared_link", "")


def test_every_way_to_say_it_is_read():
    """Columns, constraints and indexes; the attribute is the one of the class."""
    found = ours()["declared_book"].rules
    assert {(rule.kind, rule.columns, rule.attribute, rule.text) for rule in found} == {
        ("not null", ("title",), "title", "nullable=False"),
        ("not null", ("author_id",), "writer", "nullable=False"),
        ("not null", ("price",), "price", "nullable=False"),
        ("unique", ("title", "author_id"), "", "UniqueConstraint"),
        ("unique", ("isbn",), "isbn", "Index(unique=True)"),
        ("unique", ("title",), "title", "Index(unique=True)"),
        ("foreign key", ("author_id",), "writer", "ForeignKey"),
    }
    assert [rule.name for rule in found if rule.partial] == ["declared_one_cheap"]
    (key,) = [r for r in ours()["declared_place"].rules if r.kind == "foreign key"]
    assert (key.columns, key.refers) == (("book_id", "author_id"), "declared_link")
    (one,) = [r for r in ours()["declared_author"].rules if r.kind == "unique"]
    assert one.text == "unique=True"
