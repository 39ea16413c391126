"""Subqueries written as joins: the same rows on every database, or none at all."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from queryscope.plans.catalogue import schema_of
from queryscope.plans.joined import joined
from queryscope.plans.schema import Column, Schema, Table
from tests.plans.empty import VENDORS, empty

TABLES = (
    "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(9) NOT NULL, born INTEGER)",
    "CREATE TABLE book (id INTEGER PRIMARY KEY, author_id INTEGER, price INTEGER, year INTEGER)",
    "INSERT INTO author VALUES (1, 'a', 1900), (2, 'b', NULL), (3, 'c', 1950), (4, 'd', 1950)",
    "INSERT INTO book VALUES (1, 1, 5, 1900), (2, 1, 7, 1950), (3, 3, 9, 1950), (4, NULL, 9, 1900)",
)
SCHEMA = Schema(
    "sqlite",
    (
        Table(name="author", columns=tuple(Column(n, "int", True) for n in ("id", "name", "born"))),
        Table(
            name="book",
            columns=tuple(Column(n, "int", True) for n in ("id", "author_id", "price", "year")),
        ),
    ),
)
SAME = {
    "in": "SELECT a.id FROM author a WHERE a.id IN (SELECT b.author_id FROM book b) ORDER BY a.id",
    "in with more": (
        "SELECT a.id, a.name FROM author a WHERE a.born > 1800 AND (a.id IN (SELECT U0.author_id AS"
        " col1 FROM book U0 WHERE U0.price > 5)) ORDER BY a.id DESC LIMIT 5"
    ),
    "in on what is not unique": (
        "SELECT a.id FROM author a WHERE a.born IN (SELECT year FROM book WHERE price = 9)"
        " ORDER BY 1"
    ),
    "in of a distinct": (
        "SELECT count(*) FROM author WHERE id IN (SELECT DISTINCT author_id FROM book)"
    ),
    "exists": (
        "SELECT a.id FROM author a WHERE EXISTS(SELECT 1 AS a FROM book U0 WHERE"
        " (U0.author_id = (a.id) AND U0.price > 5) LIMIT 1) ORDER BY a.id"
    ),
    "exists by two columns": (
        "SELECT a.id FROM author a WHERE a.id > 0 AND EXISTS (SELECT * FROM book WHERE"
        " book.author_id = a.id AND book.year = a.born)"
    ),
    "count": (
        "SELECT a.id, (SELECT COUNT(*) FROM book b WHERE b.author_id = a.id) AS n FROM author a"
        " ORDER BY a.id"
    ),
    "count of a group": (
        "SELECT a.id, (SELECT COUNT(U0.id) AS c FROM book U0 WHERE U0.author_id = (a.id)"
        " GROUP BY U0.author_id) AS n FROM author a ORDER BY n, a.id"
    ),
    "sum within an expression": (
        "SELECT a.id, COALESCE((SELECT SUM(b.price) FROM book b WHERE a.id = b.author_id AND"
        " b.price > 5), 0) + 1 AS n FROM author a LEFT JOIN book c ON c.id = a.id ORDER BY a.id"
    ),
    "bare columns": (
        "SELECT name, (SELECT MAX(price) FROM book WHERE author_id = author.id) AS dear FROM author"
        " ORDER BY name"
    ),
}
OTHERWISE = (
    "SELECT a.id FROM author a",
    "SELECT a.id FROM author a WHERE a.id NOT IN (SELECT b.author_id FROM book b)",
    "SELECT a.id FROM author a WHERE NOT (a.id IN (SELECT b.author_id FROM book b))",
    "SELECT a.id FROM author a WHERE NOT EXISTS (SELECT 1 FROM book b WHERE b.author_id = a.id)",
    "SELECT a.id FROM author a WHERE a.id IN (SELECT b.author_id FROM book b) OR a.born = 1",
    "SELECT a.id FROM author a WHERE a.id IN (SELECT b.author_id FROM book b LIMIT 3)",
    "SELECT a.id FROM author a WHERE a.id IN (SELECT b.author_id FROM book b WHERE b.year = born)",
    "SELECT a.id FROM author a WHERE a.id IN (SELECT b.id FROM book b WHERE b.year > a.born)",
    "SELECT a.id FROM author a WHERE EXISTS (SELECT 1 FROM book b)",
    "SELECT a.id FROM author a WHERE EXISTS (SELECT 1 FROM book b WHERE b.year > a.born)",
    "SELECT a.id FROM author a WHERE EXISTS (SELECT COUNT(*) FROM book b WHERE b.author_id = a.id)",
    "SELECT * FROM author a WHERE a.id IN (SELECT b.author_id FROM book b)",
    "SELECT a.id FROM author a, book c WHERE a.id IN (SELECT b.author_id FROM book b)",
    "SELECT a.id FROM author a WHERE a.id IN (SELECT b.author_id FROM book b) FOR UPDATE",
    "SELECT a.id FROM author a WHERE a.id IN (SELECT b.author_id FROM unknown b)",
    "SELECT a.id, (SELECT b.price FROM book b WHERE b.id = a.id) FROM author a",
    "SELECT a.id, (SELECT MAX(b.price) FROM book b) FROM author a",
    "SELECT a.id, (SELECT b.price FROM book b WHERE b.author_id = a.id LIMIT 1) FROM author a",
    "SELECT a.born, (SELECT COUNT(*) FROM book b WHERE b.year = a.born) FROM author a GROUP BY 1",
    (
        "SELECT a.id, (SELECT COUNT(*) FROM book b WHERE b.author_id = a.id GROUP BY b.year)"
        " FROM author a"
    ),
    "SELECT a.id FROM author a WHERE a.id IN (SELECT DISTINCT ON (b.year) b.id FROM book b)",
    "SELECT a.id FROM author a WHERE a.id IN (SELECT b.id FROM book b UNION SELECT 1)",
    (
        "SELECT a.id FROM author a WHERE a.id IN (SELECT b.id FROM book b WHERE b.id IN"
        " (SELECT c.id FROM book c))"
    ),
    "DELETE FROM author WHERE id IN (SELECT author_id FROM book)",
)


@pytest.mark.parametrize("vendor", VENDORS)
def test_join_gives_the_same_rows(vendor):
    """Also where keys are NULL, and where nothing matches."""
    with empty(vendor) as place:
        place.run(*TABLES)
        schema = schema_of(place.connection, vendor)
        cursor = place.connection.cursor()
        for name, statement in SAME.items():
            found = joined(statement, vendor, schema)
            assert found is not None, name
            rows = []
            for text in (statement, found.statement):
                cursor.execute(text)
                rows.append([tuple(row) for row in cursor.fetchall()])
            assert rows[0] == rows[1] != [], (name, found.statement)
        cursor.close()


@pytest.mark.parametrize("statement", OTHERWISE)
def test_subquery_that_a_join_may_not_stand_for_stays(statement):
    """What is negated, one of several conditions, cut, or asks more of the rows around it."""
    assert joined(statement, "sqlite", SCHEMA) is None


def test_join_says_what_it_stands_for():
    """And in which order its values come."""
    found = joined(
        "SELECT a.id, ? FROM author a WHERE a.born > ? AND a.id IN"
        " (SELECT b.author_id FROM book b WHERE b.price > ? AND b.year = ?) AND a.name = ?",
        "sqlite",
        SCHEMA,
    )
    assert (found.form, found.correlated, found.table, found.alias) == ("in", False, "book", "b")
    assert (found.outer, found.alone) == ("author", False)
    assert found.order == (0, 2, 3, 1, 4)


@pytest.mark.parametrize(
    ("statement", "alone"),
    [
        (SAME["count"], True),
        (SAME["in"], True),
        (SAME["in with more"], False),
        (SAME["sum within an expression"], False),
    ],
)
def test_subquery_is_alone_where_every_row_asks_it(statement, alone):
    """No other condition leaves rows out before it."""
    assert joined(statement, "sqlite", SCHEMA).alone is alone


# -- by chance ------------------------------------------------------------------------------------


def a_condition(chance, inner):
    """Return the condition of a subquery: some links to the rows around it, some of its own."""
    columns = ("id", "author_id", "price", "year")
    parts = [
        chance.choice([
            f"{inner}.{chance.choice(columns)} = a.{chance.choice(['id', 'born'])}",
            f"(a.{chance.choice(['id', 'born'])}) = {inner}.{chance.choice(columns)}",
            f"{inner}.{chance.choice(columns)} > {chance.randint(0, 6)}",
            f"({inner}.price = {chance.randint(1, 6)} OR {inner}.year = {chance.randint(1, 6)})",
            f"{inner}.{chance.choice(columns)} > a.id",
        ])
        for _ in range(chance.randint(1, 3))
    ]  # fmt: skip
    return " AND ".join(parts)


def a_select(chance):
    """Return a SELECT with a subquery in one of its forms."""
    inner = chance.choice(["b", "U0"])
    rows = f"FROM book {inner} WHERE {a_condition(chance, inner)}"
    column = f"{inner}.{chance.choice(['id', 'author_id', 'price', 'year'])}"
    form = chance.choice(["in", "exists", "value"])
    joins = chance.choice(["", " LEFT JOIN book c ON c.author_id = a.id"])
    if form == "value":
        aggregate = chance.choice(
            ["COUNT(*)", f"COUNT({column})", f"SUM({column})", f"MAX({column})"]
        )
        group = chance.choice(["", f" GROUP BY {column}"])
        return f"SELECT a.id, (SELECT {aggregate} {rows}{group}) AS n FROM author a{joins}"
    asked = f"a.{chance.choice(['id', 'born'])} IN (SELECT {column} {rows})"
    if form == "exists":
        asked = f"EXISTS (SELECT 1 {rows})"
    more = chance.choice(["", " AND a.born > 2", " OR a.born > 4"])
    return f"SELECT a.id, a.born FROM author a{joins} WHERE {asked}{more}"


def test_joins_of_random_statements_give_the_same_rows():
    """Keys are NULL, equal and missing; what cannot be joined is left alone."""
    chance = random.Random(20261121)
    compared = 0
    for _ in range(10):
        with closing(sqlite3.connect(":memory:")) as connection:
            for statement in TABLES[:2]:
                connection.execute(statement)
            for number in range(8):
                born = chance.choice([None, *range(1, 7)])
                connection.execute("INSERT INTO author VALUES (?, 'x', ?)", (number, born))
                for _ in range(2):
                    values = [chance.choice([None, *range(7)]) for _ in range(3)]
                    connection.execute(
                        "INSERT INTO book (author_id, price, year) VALUES (?, ?, ?)", values
                    )
            for _ in range(120):
                statement = a_select(chance)
                found = joined(statement, "sqlite", SCHEMA)
                if found is None:
                    continue
                before, after = (
                    sorted(connection.execute(text).fetchall(), key=repr)
                    for text in (statement, found.statement)
                )
                assert before == after, (statement, found.statement)
                compared += bool(before)
    assert compared > 100
