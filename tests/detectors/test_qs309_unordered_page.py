"""QS309: pages without an order, and what needs none."""

from __future__ import annotations

import pytest

from tests.builders import a_query, a_session, a_trace
from tests.detectors.judging import said

BOOKS = 'SELECT "book"."id", "book"."title" FROM "book" WHERE "book"."genre_id" = %s'


def judged(*queries, **facts):
    """Return what is said of pages."""
    return said(a_trace(*queries, **facts), "QS309")


def page(statement, rows=10, **facts):
    """Return a page of ten."""
    return a_query(statement, rows=rows, **facts)


# -- innocent -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [
        "",
        ' ORDER BY "book"."id" ASC LIMIT 10',
        ' ORDER BY "book"."title" DESC, "book"."id" DESC LIMIT 10 OFFSET 10',
        ' ORDER BY "book"."author_id" LIMIT 10 OFFSET 10',
        ' ORDER BY "book"."created_at" DESC NULLS LAST LIMIT 10 OFFSET 10',
        " ORDER BY 1 LIMIT 10 OFFSET 10",
        " ORDER BY RANDOM() LIMIT 10",
        ' ORDER BY LOWER("book"."title") LIMIT 10 OFFSET 10',
        ' ORDER BY "book"."title" LIMIT 10',
        " FOR UPDATE SKIP LOCKED LIMIT 10",
        " LIMIT 10 FOR UPDATE SKIP LOCKED",
    ],
)
def test_settled_order_is_clean(end):
    """Each row has its place, or no LIMIT cuts them."""
    assert judged(page(BOOKS + end)) == []


@pytest.mark.parametrize("operation", ["get", "first", "exists", "count"])
def test_verb_for_one_row_is_clean(operation):
    """``get()`` asks for 21 rows to see that there is one."""
    assert judged(page(BOOKS + " LIMIT 21", rows=2, operation=operation)) == []


def test_one_row_is_clean():
    """``LIMIT 1`` takes any, and a page of one row has an order."""
    assert judged(page(BOOKS + " LIMIT 1", rows=1)) == []
    assert judged(page(BOOKS + " LIMIT ?", rows=1, parameters=(5, 1))) == []
    assert judged(page(BOOKS + " LIMIT 10", rows=1)) == []


def test_row_by_its_key_is_clean():
    """There is one at most; what is joined to it may be several."""
    assert judged(page('SELECT * FROM "book" WHERE "book"."id" = %s LIMIT 10')) == []


def test_aggregates_and_groups_are_clean():
    """One row for all, or one a group."""
    assert judged(page('SELECT COUNT(*) FROM (SELECT 1 FROM "book" LIMIT 10) AS x')) == []
    grouped = 'SELECT "genre_id", COUNT(*) FROM "book" GROUP BY "genre_id" LIMIT 10'
    assert judged(page(grouped)) == []


def test_batch_of_work_is_clean():
    """Any thousand of the expired rows will do."""
    delete = a_query('DELETE FROM "book" WHERE "id" IN (%s, %s)', parameters=(1, 2))
    assert judged(page(BOOKS + " LIMIT 10"), delete) == []


@pytest.mark.parametrize("kind", ["script", "task"])
def test_script_is_clean(kind):
    """Nobody looks at its pages."""
    assert judged(page(BOOKS + " LIMIT 10"), kind=kind) == []


def test_limit_of_a_condition_is_clean():
    """It is not the LIMIT of the rows that came."""
    inner = 'SELECT * FROM "book" WHERE "id" IN (SELECT "book_id" FROM "sale" LIMIT 10)'
    assert judged(page(inner)) == []


def test_order_in_a_compound_is_clean():
    """A statement that cannot be told apart has an order somewhere."""
    both = f"{BOOKS} UNION {BOOKS} ORDER BY 1 LIMIT 10"
    assert judged(page(both, parameters=(1, 2))) == []


# -- found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "parameters", "vendor"),
    [
        (BOOKS + " LIMIT 10", (1,), "sqlite"),
        ("SELECT `id` FROM `book` WHERE `genre` = %s LIMIT 10", (1,), "mysql"),
        ("SELECT id FROM book WHERE genre = $1 LIMIT $2::INTEGER", (1, 10), "postgresql"),
        ("SELECT id FROM book WHERE genre = ? LIMIT ? OFFSET ?", (1, 10, 0), "sqlite"),
        (
            "SELECT a.id FROM (SELECT o.id AS id FROM o LIMIT ?) AS a LEFT JOIN b ON a.id = b.o_id",
            (10,),
            "sqlite",
        ),
    ],
)
def test_page_in_no_order_is_found(statement, parameters, vendor):
    """As each ORM and driver writes it."""
    (finding,) = judged(page(statement, parameters=parameters, vendor=vendor))
    assert (finding.severity, finding.mend.write) == ("warning", '.order_by("pk")')


def test_incomplete_page_is_an_info():
    """Nothing was cut off as yet."""
    (finding,) = judged(page(BOOKS + " LIMIT 10", rows=3))
    assert finding.severity == "info"


def test_later_page_by_what_may_be_equal_is_an_info():
    """Two books of one title may stand on both pages."""
    (finding,) = judged(page(BOOKS + ' ORDER BY "book"."title" LIMIT 10 OFFSET 10'))
    assert (finding.severity, finding.confidence) == ("info", "low")
    assert finding.evidence["order"] == "book.title"


def test_compound_without_order_is_said_not_to_be_parsed():
    """Nothing is lost, and the evidence says what it is."""
    (finding,) = judged(page(f"{BOOKS} UNION {BOOKS} LIMIT 10", parameters=(1, 2)))
    assert (finding.severity, finding.evidence["clauses"]) == ("info", "not parsed")


def test_pages_of_one_line_are_one_finding():
    """With the words of SQLAlchemy where it is that."""
    pages = [
        page(f"{BOOKS} LIMIT 10 OFFSET {n}0", session=0, model="Book", operation="core")
        for n in range(12)
    ]
    (finding,) = judged(*pages, sessions=[a_session()])
    assert (finding.count, finding.severity) == (12, "warning")
    assert finding.mend.write == ".order_by(Book.id)"
