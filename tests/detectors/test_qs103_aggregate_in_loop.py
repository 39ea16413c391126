"""QS103: aggregates row by row, and what only looks like them."""

from __future__ import annotations

import pytest

from tests.builders import a_load, a_query, a_session, a_trace, some
from tests.detectors.judging import check_clean, check_found

COUNT = 'SELECT COUNT(*) FROM "library_review" WHERE "book_id" = %s'
EXISTS = 'SELECT 1 AS "a" FROM "library_review" WHERE "book_id" = %s LIMIT 1'


def books(**facts):
    """Return the statement that loads the books."""
    facts = {"model": "library.Book", **facts}
    return a_query('SELECT * FROM "library_book"', operation="iterate", rows=6, origin=20, **facts)


def counts(count, statement=COUNT, operation="count", **facts):
    """Return an aggregate of the reviews of so many books."""
    return [
        a_query(
            statement,
            operation=operation,
            model="library.Review",
            parameters=(n,),
            load=a_load("reviews", relation="reverse", parent=n, parent_query=0, narrowed=True),
            **facts,
        )
        for n in range(count)
    ]


def prefetch(parents=6):
    """Return the batch of the books' reviews."""
    load = a_load(
        "reviews", relation="reverse", parent=None, parents=parents, parent_query=0, batched=True
    )
    return a_query('SELECT * FROM "library_review"', operation="prefetch", load=load)


# -- innocent -----------------------------------------------------------------------------------


def test_one_group_by_is_clean():
    """One statement for all rows is what the advice leads to."""
    text = 'SELECT "book_id", COUNT(*) FROM "library_review" GROUP BY "book_id"'
    check_clean(a_trace(books(), a_query(text, operation="values")))


def test_count_of_one_object_is_clean():
    """A detail page may count."""
    check_clean(a_trace(books(), *counts(1), mode="tests"))


def test_count_and_page_are_clean():
    """A listing counts once and fetches a page."""
    page = a_query('SELECT * FROM "library_book" LIMIT 10', operation="iterate")
    count = a_query('SELECT COUNT(*) FROM "library_book"', operation="count", parameters=())
    check_clean(a_trace(count, page, mode="tests"))


def test_search_for_free_name_is_clean(places):
    """``while exists(name)``: the next question depends on the answer."""
    queries = some(
        6, EXISTS, operation="exists", parameters=lambda n: (n,), origin=places.at("in_condition")
    )
    check_clean(a_trace(*queries))


def test_counts_on_several_lines_are_clean():
    """A dashboard counts several things, each on a line of its own."""
    tables = ("book", "author", "review", "loan", "genre")
    queries = [
        a_query(f'SELECT COUNT(*) FROM "{name}"', operation="count", origin=40 + n, parameters=())
        for n, name in enumerate(tables)
    ]
    check_clean(a_trace(*queries, mode="tests"))


def of_reader(n, origin):
    """Return the COUNT of a reader's reviews of one book."""
    load = a_load("reviews", relation="reverse", owner="library.Reader", parent=0, narrowed=True)
    return a_query(COUNT, operation="count", parameters=(0, n), load=load, origin=origin)


def test_counts_of_one_row_on_several_lines_are_clean():
    """A profile counts what its user did, one kind after the other."""
    check_clean(a_trace(*(of_reader(n, 40 + n) for n in range(4)), mode="tests"))


# -- guilty -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "operation", "asked", "write"),
    [
        (COUNT, "count", "COUNT", '.annotate(reviews_count=Count("reviews"))'),
        (EXISTS, "exists", "EXISTS", ".annotate(has_reviews=Exists(...))"),
        (
            COUNT.replace("COUNT(*)", 'SUM("stars")'),
            "aggregate",
            "SUM",
            '.annotate(reviews_sum=Sum("reviews__..."))',
        ),
    ],
)
def test_aggregate_of_relation_per_row_is_found(statement, operation, asked, write):
    """The relation is counted row by row; the rows' queryset can bring the numbers along."""
    finding = check_found(a_trace(books(), *counts(6, statement, operation)), "QS103", 6)
    assert finding.message == (
        f"{asked} of library.Book.reviews is asked once per row: 6 statements for 6 rows."
    )
    assert finding.confidence == "high"
    assert finding.mend.write == write
    assert finding.mend.at.line == 20
    assert finding.cost.avoidable == 6


def test_count_of_prefetched_relation_says_that_it_was_there():
    """The prefetched rows would have answered."""
    finding = check_found(a_trace(books(), prefetch(), *counts(6)), "QS103", 6)
    assert "the prefetched rows would have answered" in finding.message
    assert finding.mend.write == "len(.reviews.all())"
    assert finding.mend.at.line == 41


def test_prefetch_of_other_rows_does_not_answer():
    """A batch for fewer rows is not the one that would have answered."""
    finding = check_found(a_trace(books(), prefetch(2), *counts(6)), "QS103", 6)
    assert "prefetched" not in finding.message


@pytest.mark.parametrize("operation", ["count", "values", "raw", "core", "cursor"])
def test_aggregate_in_loop_without_relation_is_found(places, operation):
    """A SELECT of nothing but an aggregate, whoever sends it."""
    queries = some(
        6, COUNT, operation=operation, parameters=lambda n: (n,), origin=places.loop, model=""
    )
    finding = check_found(a_trace(*queries), "QS103", 6)
    assert finding.confidence == "medium"
    assert "COUNT of library_review is asked again and again" in finding.message
    assert finding.mend.write == "GROUP BY"
    assert finding.cost.avoidable == 5


def test_sqlalchemy_advice_groups():
    """SQLAlchemy's advice is a select with a GROUP BY."""
    queries = [q._replace(session=0, model="Review") for q in counts(6)]
    trace = a_trace(books(session=0), *queries, sessions=[a_session()])
    write = check_found(trace, "QS103", 6).mend.write
    assert write == "select(Review.<key>, func.count(...)).group_by(Review.<key>)"


def test_same_aggregate_in_loop_is_invariant(places):
    """Equal parameters on every turn are another code's business."""
    queries = some(4, COUNT, operation="count", origin=places.loop)
    check_found(a_trace(*queries), "QS202", 4)


def test_counts_of_one_row_by_keys_of_a_loop_are_found(places):
    """``reader.reviews.filter(book=book).count()`` for each book: keys differ, not rows."""
    finding = check_found(a_trace(*(of_reader(n, places.loop) for n in range(6))), "QS103", 6)
    assert "in the loop at" in finding.message
