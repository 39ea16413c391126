"""QS313: values in the text, and texts that rightly have some."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_query, a_trace, an_origin
from tests.detectors.judging import said


def judged(*statements, **facts):
    """Return what is said of statements without parameters."""
    queries = [a_query(text, parameters=(), operation="cursor", **facts) for text in statements]
    return said(a_trace(*queries), "QS313")


# -- innocent -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM book WHERE id = 5",
        "SELECT 1 AS a FROM book WHERE id = %s LIMIT 1",
        "SELECT * FROM book WHERE state = 'open'",
    ],
)
def test_one_text_is_clean(statement):
    """However often it is sent: it may be a constant."""
    assert judged(statement, statement, statement) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM book WHERE id > %s ORDER BY id LIMIT 10 OFFSET {0}0",
        "SELECT * FROM book LIMIT {0}",
        "SELECT {0} AS a FROM book WHERE id = %s",
        "SELECT * FROM book WHERE at > now() - INTERVAL '{0} days'",
        "SELECT CAST(price AS DECIMAL({0}, 2)) FROM book",
        "SELECT SUBSTR(title, {0}) FROM book WHERE id = %s",
        "SELECT data -> 'key{0}' FROM book",
        "SAVEPOINT s_{0}_x1",
        "CREATE TABLE t{0} (id integer DEFAULT {0})",
        'SELECT * FROM book WHERE "id{0}" = %s',
        "SELECT * FROM book{0}",
        "SET statement_timeout = {0}",
    ],
)
def test_what_is_no_value_of_a_column_is_clean(statement):
    """Pages, constants, intervals, types, arguments, names."""
    assert judged(*(statement.format(n) for n in range(1, 9))) == []


def test_few_words_to_choose_from_are_clean():
    """The states of an order are constants of the program."""
    texts = [f"SELECT * FROM book WHERE state = '{s}'" for s in ("open", "paid", "sent")]
    assert judged(*texts) == []


def test_few_numbers_and_booleans_are_clean():
    """Priorities, flags and NULL."""
    texts = [f"SELECT * FROM book WHERE priority = {n}" for n in (1, 2, 3)]
    texts += [f"SELECT * FROM book WHERE sold = {flag}" for flag in ("TRUE", "FALSE", "NULL")]
    assert judged(*texts) == []


def test_lists_of_parameters_are_clean():
    """Their lengths differ, and no value stands in them."""
    texts = [f"SELECT * FROM book WHERE id IN ({', '.join(['%s'] * n)})" for n in range(1, 9)]
    assert judged(*texts) == []


def test_two_lines_with_a_constant_each_are_clean():
    """Each has its own text, and that is all it ever sends."""
    one = a_query("SELECT * FROM plan WHERE id = 1", parameters=(), origin=41)
    two = a_query("SELECT * FROM plan WHERE id = 2", parameters=(), origin=52)
    assert said(a_trace(one, two), "QS313") == []


def test_migration_is_clean():
    """It runs once."""
    frame = a_frame(file="/srv/app/library/migrations/0002_fill.py")
    texts = [f"UPDATE book SET a = 1 WHERE id = {n}" for n in range(9)]
    assert judged(*texts, origin=an_origin(frame)) == []


# -- found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "vendor"),
    [
        ("SELECT total FROM book WHERE id = {0}", "sqlite"),
        ('SELECT total FROM "book" WHERE "book"."author_id" IN ({0}, 7{0})', "postgresql"),
        ("SELECT total FROM `book` WHERE `email` = '{0}@example.org'", "mysql"),
        ("SELECT total FROM book WHERE title LIKE 'Book {0}%%'", "postgresql"),
        ("SELECT total FROM book WHERE id NOT IN (-{0})", "sqlite"),
        ("UPDATE book SET sold = %s WHERE id = {0}", "sqlite"),
        ("DELETE FROM book WHERE uuid = 'a{0}b'", "postgresql"),
        ("INSERT INTO book (title, n) VALUES ('Book {0}', 1)", "sqlite"),
    ],
)
def test_values_that_differ_are_found(statement, vendor):
    """Two texts are enough where the values are keys or free text."""
    (finding,) = judged(*(statement.format(n) for n in (3, 4)), vendor=vendor)
    assert (finding.severity, finding.confidence, finding.count) == ("warning", "high", 2)
    assert finding.evidence["texts"] == 2


def test_many_numbers_are_found():
    """A column of which five values are asked for has more."""
    (finding,) = judged(*(f"SELECT * FROM book WHERE year = {n}" for n in range(1990, 1995)))
    assert finding.evidence["columns"] == "year"


def test_values_are_not_shown():
    """A finding goes to places where the data must not go."""
    (finding,) = judged(*(f"SELECT * FROM book WHERE email = 'secret{n}'" for n in range(3)))
    assert "secret" not in repr(finding)


def test_statement_too_long_is_left_alone():
    """And costs nothing."""
    texts = [f"SELECT * FROM book WHERE id = {n} OR x = '{'y' * 20_000}'" for n in range(3)]
    assert judged(*texts) == []
