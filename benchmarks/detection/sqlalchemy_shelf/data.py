"""The engines, made by the runner, and the rows: as many of each table as the size says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine, func, insert, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import configure_mappers, sessionmaker
from sqlalchemy.pool import NullPool

from benchmarks.detection.sqlalchemy_shelf.models import Base, Reading, book_tag

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

READINGS = 6_000
LOAN = (
    "CREATE TABLE IF NOT EXISTS loan "
    "(id INTEGER NOT NULL PRIMARY KEY, book_id INTEGER NOT NULL, day INTEGER NOT NULL)"
)
"""As somebody made it by hand, who left the foreign key out."""

engine: Engine
"""What ``Session`` is bound to."""
async_engine: AsyncEngine
engines: dict[str, Engine] = {}
"""Others of the same database: with ``small`` and with ``leaking`` pools, and ``plain``, without."""
urls: tuple[str, str]
Session = sessionmaker()
AsyncSession = async_sessionmaker()


KEYED = ("author", "publisher", "profile", "tag", "book", "employee", "product", "options")
"""Tables whose rows are given their keys, but for what shares the key of another table."""


def connect(url: str, async_url: str) -> None:
    """Make the engines of a database."""
    global engine, async_engine, urls
    urls = url, async_url
    engine = create_engine(url)
    engines["plain"] = create_engine(url, poolclass=NullPool)
    engines["small"] = create_engine(url, pool_size=1, max_overflow=0)
    engines["leaking"] = create_engine(url, pool_size=200)
    Session.configure(bind=engine)
    if async_url:
        async_engine = create_async_engine(async_url)
        AsyncSession.configure(bind=async_engine)


def make_tables() -> None:
    """Make every table, and the readings in theirs."""
    configure_mappers()  # or the first scenario would wait for it
    with engine.begin() as connection:
        connection.exec_driver_sql(LOAN)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        if connection.scalar(select(func.count()).select_from(Reading)) == 0:
            rows = [
                {"sensor": i % 50, "taken": i, "value": i % 97, "comment": "c" * 80}
                for i in range(READINGS)
            ]
            connection.execute(insert(Reading), rows)


def more_books(number: int = 120) -> None:
    """Make further books, as others do between two requests."""
    books = Base.metadata.tables["book"]
    with engine.begin() as connection:
        first = (connection.scalar(select(func.count()).select_from(books)) or 0) + 1
        rows = [
            {
                "id": i,
                "title": f"title {i}",
                "isbn": f"isbn-{i}",
                "status": "ready",
                "price": 10,
                "summary": "s",
                "blurb": "b",
                "author_id": 1,
                "publisher_id": 1,
            }
            for i in range(first, first + number)
        ]
        connection.execute(insert(books), rows)


def fill(size: int) -> None:
    """Make the rows of a size, in place of all there were."""
    numbers = range(1, size + 1)
    rows = {
        "author": [{"id": i, "name": f"author {i}", "country": "DE"} for i in numbers],
        "publisher": [{"id": i, "name": f"publisher {i}", "country": "DE"} for i in numbers],
        "profile": [{"id": i, "author_id": i, "motto": f"motto {i}"} for i in numbers if i % 2],
        "tag": [{"id": i, "name": f"tag {i}"} for i in numbers],
        "book": [
            {
                "id": i,
                "title": f"title {i}",
                "isbn": f"isbn-{i}",
                "status": "ready",
                "price": 10 + i,
                "summary": "s" * 2_000,
                "blurb": f"blurb {i}",
                "author_id": i,
                "publisher_id": i,
                "editor_id": i if i % 2 else None,
            }
            for i in numbers
        ],
        "book_tag": [
            {"book_id": i, "tag_id": tag} for i in numbers for tag in sorted({i, i % size + 1})
        ],
        "review": [
            {"book_id": i, "stars": 1 + (i + j) % 5, "text": f"text {i}"}
            for i in numbers
            for j in (0, 1)
        ],
        "employee": [{"id": i, "name": f"employee {i}", "boss_id": i - 1 or None} for i in numbers],
        "product": [{"id": i, "name": f"disc {i}", "kind": "disc"} for i in numbers],
        "disc": [{"id": i, "minutes": 60 + i} for i in numbers],
        "options": [{"id": i, "name": f"option {i}", "value": str(i)} for i in numbers],
        "stock": [{"book_id": i, "quantity": 5} for i in numbers],
    }
    tables = Base.metadata.tables
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":  # employees point at one another
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        elif engine.dialect.name != "postgresql":
            connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
        connection.execute(book_tag.delete())
        for table in reversed(Base.metadata.sorted_tables):
            if table.name not in ("reading", "book_tag"):
                connection.execute(table.delete())
        for name, values in rows.items():
            connection.execute(insert(tables[name]), values)
        if engine.dialect.name == "postgresql":  # keys were given, which sequences do not see
            for name in KEYED:
                connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), "
                    f"(SELECT max(id) + 1 FROM {name}))"
                )
        elif engine.dialect.name != "sqlite":
            connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 1")
