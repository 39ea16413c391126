"""Rows that differ by their keys, and those of which nobody can say so."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from queryscope.plans.schema import Column, Index, IndexColumn, Schema, Table
from queryscope.plans.uniqueness import rows_differ
from queryscope.trace.clauses import clauses_of


def a_table(name, *columns, nullable=(), unique=()):
    """Return a table with the key ``id`` and some unique columns."""
    keys = [("id",), *unique]
    return Table(
        name=name,
        columns=tuple(Column(one, "int", one in nullable) for one in ("id", *columns)),
        indexes=tuple(
            Index(f"k{n}", tuple(map(IndexColumn, key)), unique=True, primary=not n)
            for n, key in enumerate(keys)
        ),
    )


TABLES = (
    a_table("author", "name", "code", unique=[("code",)], nullable=("code",)),
    a_table("book", "title", "isbn", "author_id", unique=[("isbn",)], nullable=("author_id",)),
    a_table("profile", "author_id", "motto", unique=[("author_id",)]),
    a_table("mark", "room", "place", unique=[("room", "place")]),
)


def differ(statement, vendor="sqlite"):
    """Tell whether the rows of a statement differ."""
    return rows_differ(clauses_of(statement, vendor), Schema(vendor, TABLES))


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT DISTINCT "book"."title" FROM "book"',
        "SELECT DISTINCT b.author_id FROM book b WHERE b.isbn > ?",
        "SELECT DISTINCT a.code FROM author a",
        "SELECT DISTINCT a.id FROM author a INNER JOIN book b ON (a.id = b.author_id)",
        "SELECT DISTINCT a.id FROM author a LEFT JOIN book b ON a.id = b.author_id",
        "SELECT DISTINCT b.author_id FROM book b INNER JOIN author a ON b.author_id = a.id",
        "SELECT DISTINCT a.id FROM author a, book b",
        "SELECT DISTINCT a.id FROM author a INNER JOIN mark m ON (m.room = a.id)",
        "SELECT DISTINCT b.id FROM book b INNER JOIN author a ON (b.author_id = a.id OR a.id = 1)",
        "SELECT DISTINCT b.id FROM book b LEFT JOIN author a ON (b.author_id > a.id)",
        "SELECT DISTINCT a.id FROM book b LEFT JOIN author a ON (b.id = a.id)",
        "SELECT DISTINCT b.id FROM book b RIGHT JOIN author a ON b.author_id = a.id",
        "SELECT DISTINCT b.title FROM book b WHERE b.id = ? OR b.id = ?",
        "SELECT DISTINCT b.id, x.id FROM book b INNER JOIN unknown x ON b.id = x.id",
        "SELECT DISTINCT b.id FROM (SELECT id FROM book) b",
        "SELECT DISTINCT id FROM book INNER JOIN author ON book.author_id = author.id",
        "SELECT DISTINCT MAX(b.id) FROM book b GROUP BY b.title",
        "SELECT DISTINCT b.id + 1 FROM book b",
    ],
)
def test_rows_may_be_alike(statement):
    """No key is shown or settled, or the text does not say so for sure."""
    assert not differ(statement)


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT DISTINCT "book"."id" AS "col1", "book"."title" FROM "book" ORDER BY 2',
        "SELECT DISTINCT * FROM book",
        "SELECT DISTINCT b.isbn FROM book b",
        "SELECT DISTINCT b.*, a.name FROM book b LEFT OUTER JOIN author a ON b.author_id = a.id",
        "SELECT DISTINCT b.id FROM book b JOIN author a ON (b.author_id = a.id AND a.name = ?)",
        "SELECT DISTINCT b.title FROM book b WHERE b.id = ?",
        "SELECT DISTINCT a.name FROM author a WHERE (a.code = ? AND a.id > ?)",
        "SELECT DISTINCT a.id, b.id FROM author a INNER JOIN book b ON a.id = b.author_id",
        "SELECT DISTINCT b.id FROM author a INNER JOIN book b ON (a.id = b.author_id)",
        "SELECT DISTINCT a.id, p.motto FROM author a INNER JOIN profile p ON p.author_id = a.id",
        (
            "SELECT DISTINCT b.id FROM book b LEFT JOIN author a ON b.author_id = a.id"
            " LEFT JOIN profile p ON a.id = p.author_id"
        ),
        "SELECT DISTINCT m.room, m.place FROM mark m",
        "SELECT DISTINCT m.place FROM mark m WHERE m.room = ?",
        "SELECT DISTINCT b.id, title FROM book b, author a WHERE a.id = b.author_id",
        "SELECT DISTINCT author_id, isbn FROM book",
        "SELECT DISTINCT b.id, UPPER(b.title) AS t FROM book b",
    ],
)
def test_rows_differ(statement):
    """A key of each table is shown, or equal to what is."""
    assert differ(statement)


def test_function_that_gives_several_rows_repeats_keys():
    """Only PostgreSQL has them in a select list."""
    statement = "SELECT DISTINCT b.id, unnest(b.tags) FROM book b"
    assert not differ(statement, "postgresql")
    assert differ("SELECT DISTINCT b.id, COALESCE(b.title, ?) FROM book b", "postgresql")


# -- by chance ------------------------------------------------------------------------------------


def fill(connection, chance):
    """Make the tables, with many equal values and NULLs where they may be."""
    for table in TABLES:
        columns = [
            f"{column.name} INTEGER{'' if column.nullable else ' NOT NULL'}"
            for column in table.columns
        ]
        keys = [f"UNIQUE ({', '.join(index.names)})" for index in table.indexes]
        connection.execute(f"CREATE TABLE {table.name} ({', '.join([*columns, *keys])})")
        for _ in range(12):
            values = [
                None if column.nullable and chance.random() < 0.4 else chance.randint(1, 6)
                for column in table.columns
            ]
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT OR IGNORE INTO {table.name} VALUES ({marks})", values)


def a_select(chance):
    """Return a SELECT DISTINCT of one to three tables, joined and filtered by equalities."""
    tables = [chance.choice(TABLES) for _ in range(chance.randint(1, 3))]

    def column(most):
        number = chance.randrange(most)
        return f"t{number}.{chance.choice(tables[number].columns).name}"

    def equality(number):
        other = chance.choice([column(number + 1), str(chance.randint(1, 6)), column(number + 1)])
        return f"{column(number + 1)} {chance.choice(['=', '=', '=', '>'])} {other}"

    text = f"{tables[0].name} t0"
    for number in range(1, len(tables)):
        conditions = [equality(number) for _ in range(chance.randint(1, 3))]
        kind = chance.choice(["INNER JOIN", "LEFT JOIN", "LEFT OUTER JOIN", "JOIN"])
        words = chance.choice([" AND ", " AND ", " OR "]).join(conditions)
        text += f" {kind} {tables[number].name} t{number} ON ({words})"
    if chance.random() < 0.4:
        words = [equality(len(tables) - 1) for _ in range(chance.randint(1, 2))]
        text += f" WHERE {chance.choice([' AND ', ' OR ']).join(words)}"
    shown = [column(len(tables)) for _ in range(chance.randint(1, 4))]
    return f"SELECT DISTINCT {', '.join(shown)} FROM {text}"


def test_rows_of_random_statements_differ_where_it_says_so():
    """Without the DISTINCT there is no row twice, whatever is joined to what."""
    chance = random.Random(20261121)
    proven = 0
    for _ in range(15):
        with closing(sqlite3.connect(":memory:")) as connection:
            fill(connection, chance)
            for _ in range(100):
                statement = a_select(chance)
                if not differ(statement):
                    continue
                rows = connection.execute(statement.replace(" DISTINCT", "")).fetchall()
                assert len(rows) == len(set(rows)), statement
                proven += len(rows) > 1
    assert proven > 100
