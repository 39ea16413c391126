"""QS511: autoflush in each turn of a loop, and the flushes that are right."""

from __future__ import annotations

import pytest

from tests.builders import a_query, a_session, a_trace
from tests.detectors.judging import said

INSERT = "INSERT INTO book (title, author_id) VALUES (?, ?)"
SELECT = "SELECT author.id, author.name FROM author WHERE author.name = ?"


def flush(statement=INSERT, **facts):
    """Return a statement that the session sent by itself."""
    return a_query(statement, operation="autoflush", session=0, **facts)


def ask(statement=SELECT, **facts):
    """Return the query that made it do so."""
    return a_query(statement, operation="iterate", session=0, **facts)


def found(*queries, **chosen):
    """Return what QS511 says about the statements of a session."""
    return said(a_trace(*queries, sessions=[a_session()]), "QS511", **chosen)


# -- innocent --------------------------------------------------------------------------------


def test_one_flush_of_many_is_clean():
    """Thirty rows that one query made the session write."""
    assert found(*(flush() for _ in range(30)), ask()) == []


def test_queries_without_a_flush_are_clean():
    """Nothing had changed."""
    assert found(*(ask() for _ in range(30))) == []


@pytest.mark.parametrize("operation", ["flush", "bulk_create", "core"])
def test_flush_that_was_asked_for_is_clean(operation):
    """Who calls flush() means it; QS107 speaks of it."""
    queries = [
        query
        for _ in range(9)
        for query in (a_query(INSERT, operation=operation, session=0), ask())
    ]
    assert found(*queries) == []


def test_savepoint_in_each_turn_is_clean():
    """A bad row must not take the others with it."""
    turn = [a_query("SAVEPOINT s1", session=0), flush(), ask(), a_query("RELEASE s1", session=0)]
    assert found(*(turn * 9)) == []


def test_several_places_are_clean():
    """Nine lines of a long function, each once."""
    queries = [query for n in range(9) for query in (flush(origin=n), ask(origin=n))]
    assert found(*queries) == []


def test_flush_without_a_session_is_clean():
    """A statement whose session is not known says nothing of it."""
    queries = [flush()._replace(session=None) for _ in range(9)]
    assert found(*queries) == []


# -- dirty -----------------------------------------------------------------------------------


def test_flush_in_each_turn_is_found():
    """One finding with the number of turns, and of the statements that one flush would spare."""
    (finding,) = found(*(query for _ in range(6) for query in (flush(), flush(), ask())))
    assert (finding.count, finding.cost.statements, finding.cost.avoidable) == (6, 12, 10)
    assert finding.confidence == "high"
    assert finding.subject == "autoflush book"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO `book` (`title`) VALUES (%s)",
        'INSERT INTO "book" ("title") VALUES (%(title)s) RETURNING "book"."id"',
        "UPDATE book SET title=? WHERE book.id = ?",
    ],
)
def test_each_databases_writes_are_found(statement):
    """Inserts and updates, whatever the quoting."""
    (finding,) = found(*(query for _ in range(5) for query in (flush(statement), ask())))
    assert finding.evidence["tables"] == "book"


def test_query_that_reads_what_was_written_is_less_certain():
    """It may look for what an earlier turn added."""
    (finding,) = found(
        *(query for _ in range(5) for query in (flush(), ask("SELECT id FROM book")))
    )
    assert finding.confidence == "medium"
    assert "dictionary" in finding.mend.how


def test_two_loops_are_two_findings():
    """One after the other, of one session; too few turns of a third are none."""
    queries = [
        query
        for line, turns in ((1, 5), (2, 7), (3, 4))
        for _ in range(turns)
        for query in (flush(origin=line), ask(origin=line))
    ]
    assert sorted(item.count for item in found(*queries)) == [5, 7]
    assert len(found(*queries, flush_storm_min_flushes=4)) == 3
