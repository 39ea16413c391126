"""A small library on any of the three databases: every kind of column, and constraints."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from urllib.parse import urlsplit

from queryscope.plans.catalogue import quoted
from queryscope.plans.connection import rows_of
from queryscope.plans.database import Database

TYPES = {
    "sqlite": {"serial": "integer", "moment": "datetime", "flag": "bool", "bytes": "blob"},
    "postgresql": {
        "serial": "serial",
        "moment": "timestamp with time zone",
        "flag": "boolean",
        "bytes": "bytea",
    },
    "mysql": {
        "serial": "integer auto_increment",
        "moment": "datetime(6)",
        "flag": "tinyint(1)",
        "bytes": "blob",
    },
}
TABLES = (
    """CREATE TABLE reader (id {serial} NOT NULL PRIMARY KEY, name varchar(40) NOT NULL,
        token varchar(64) NOT NULL UNIQUE, is_active {flag} NOT NULL)""",
    """CREATE TABLE author (id {serial} NOT NULL PRIMARY KEY, name varchar(40) NOT NULL,
        active {flag} NOT NULL, born date)""",
    """CREATE TABLE tag (id {serial} NOT NULL PRIMARY KEY, name varchar(20) NOT NULL)""",
    """CREATE TABLE book (id {serial} NOT NULL PRIMARY KEY, title varchar(40) NOT NULL,
        subtitle varchar(40), isbn varchar(20) NOT NULL UNIQUE, author_id integer,
        status varchar(10), price decimal(8,2) NOT NULL, pages integer,
        position integer NOT NULL, weight double precision, published {moment} NOT NULL,
        CONSTRAINT pages_not_negative CHECK (pages >= 0),
        CONSTRAINT by_author FOREIGN KEY (author_id) REFERENCES author (id))""",
    """CREATE TABLE review (id {serial} NOT NULL PRIMARY KEY, book_id integer NOT NULL,
        reader_id integer NOT NULL, stars integer, cover {bytes},
        CONSTRAINT of_book FOREIGN KEY (book_id) REFERENCES book (id),
        CONSTRAINT by_reader FOREIGN KEY (reader_id) REFERENCES reader (id))""",
    """CREATE TABLE book_tag (book_id integer NOT NULL, tag_id integer NOT NULL,
        PRIMARY KEY (book_id, tag_id),
        CONSTRAINT link_book FOREIGN KEY (book_id) REFERENCES book (id),
        CONSTRAINT link_tag FOREIGN KEY (tag_id) REFERENCES tag (id))""",
    "CREATE TABLE note (text varchar(40))",
)
NAMES = ("reader", "author", "tag", "book", "review", "book_tag", "note")
BOOKS = 16


def server_url(url):
    """Return the URL of a database for the library alone, beside one that tests may use."""
    url = urlsplit(url)._replace(path=f"{urlsplit(url).path}_library").geturl()
    database = Database.of_url(url)
    there = replace(database, name="postgres" if database.vendor == "postgresql" else "")
    with closing(there.connect()) as connection:
        connection.rollback()
        if database.vendor == "postgresql":
            connection.autocommit = True
        names = rows_of(
            connection,
            "SELECT datname FROM pg_database"
            if database.vendor == "postgresql"
            else "SHOW DATABASES",
        )
        if (database.name,) not in [tuple(row) for row in names]:
            rows_of(connection, f"CREATE DATABASE {quoted(database.name, database.vendor)}")
    return url


def make(url):
    """Make the tables anew and fill them."""
    database = Database.of_url(url)
    with closing(database.connect(writable=True)) as connection:
        for name in reversed(NAMES):
            rows_of(connection, f"DROP TABLE IF EXISTS {name}")
        for statement in TABLES:
            rows_of(connection, statement.format(**TYPES[database.vendor]))
        mark = "?" if database.vendor == "sqlite" else "%s"
        for name, rows in _rows().items():
            for row in rows:
                marks = ", ".join([mark] * len(row))
                columns = ", ".join(row)
                rows_of(
                    connection, f"INSERT INTO {name} ({columns}) VALUES ({marks})", [*row.values()]
                )
        if database.vendor == "postgresql":
            for name in ("reader", "author", "tag", "book", "review"):
                rows_of(connection, f"SELECT setval('{name}_id_seq', max(id)) FROM {name}")
        rows_of(connection, "COMMIT") if database.vendor != "sqlite" else None


def _rows():
    numbers = range(1, BOOKS + 1)
    return {
        "reader": [
            {"id": n, "name": f"Reader {n}", "token": f"token-{n}", "is_active": True}
            for n in range(1, 5)
        ],
        "author": [
            {"id": n, "name": f"Author {n}", "active": True, "born": f"19{n + 10}-05-01"}
            for n in range(1, 7)
        ],
        "tag": [{"id": n, "name": f"tag{n}"} for n in range(1, 5)],
        "book": [
            {
                "id": n,
                "title": f"Title {n:02}",
                "subtitle": f"Subtitle {n}",
                "isbn": f"isbn-{n}",
                "author_id": n % 6 + 1,
                "status": "sold" if n % 4 == 0 else "open",
                "price": f"{n * 3}.25",
                "pages": n * 10,
                "position": 100 - n,
                "weight": n / 4,
                "published": f"2026-03-{n:02} 10:00:00",
            }
            for n in numbers
        ],
        "review": [
            {"id": n, "book_id": n % BOOKS + 1, "reader_id": n % 4 + 1, "stars": n % 5 + 1}
            for n in range(1, 41)
        ],
        "book_tag": [{"book_id": n, "tag_id": n % 4 + 1} for n in numbers],
        "note": [{"text": "nobody's key"}],
    }
