"""QS105: a prefetched relation asked from the database again, and what only looks like it."""

from __future__ import annotations

import pytest

from tests.builders import a_load, a_query, a_session, a_trace
from tests.detectors.judging import check_clean, check_found

REVIEWS = 'SELECT * FROM "library_review" WHERE "book_id" = %s'


def books(**facts):
    """Return the statement that loads the books."""
    facts = {"model": "library.Book", **facts}
    return a_query('SELECT * FROM "library_book"', operation="iterate", rows=6, origin=20, **facts)


def prefetch(parents=6, attribute="reviews", parent_query=0, owner="library.Book"):
    """Return the batch of a relation of so many books."""
    load = a_load(
        attribute, owner=owner, relation="reverse", parent=None, parents=parents,
        parent_query=parent_query, batched=True,
    )  # fmt: skip
    return a_query('SELECT * FROM "library_review"', operation="prefetch", load=load)


def asked(count, operation="iterate", statement=REVIEWS, owner="library.Book", **facts):
    """Return the reviews of so many books, filtered."""
    return [
        a_query(
            statement,
            operation=operation,
            model="library.Review",
            parameters=(n,),
            load=a_load(
                "reviews", owner=owner, relation="reverse", parent=n, parent_query=0, narrowed=True
            ),
            **facts,
        )
        for n in range(count)
    ]


# -- innocent -----------------------------------------------------------------------------------


def test_prefetched_relation_that_is_only_read_is_clean():
    """``all()`` on a prefetched relation sends nothing."""
    check_clean(a_trace(books(), prefetch()))


def test_one_filtered_relation_of_a_detail_page_is_clean():
    """A page of one book may prefetch and filter."""
    check_clean(a_trace(books(), prefetch(1), *asked(1), mode="tests"))


def test_nested_prefetch_and_to_attr_are_clean():
    """Batches of batches, and a batch beside the relation, are batches."""
    nested = prefetch(30, "reviewer", 1, "library.Review")
    check_clean(
        a_trace(books(), prefetch(), nested, prefetch(), mode="tests"), duplicates_min_statements=9
    )


# -- guilty -------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["iterate", "first", "last", "values"])
def test_filter_on_prefetched_relation_is_found(operation):
    """Each chained method makes a new queryset that does not look at the prefetched rows."""
    finding = check_found(a_trace(books(), prefetch(), *asked(6, operation)), "QS105", 6)
    assert finding.message == (
        "library.Book.reviews was prefetched and is queried again once per row: "
        "6 statements for 6 rows."
    )
    assert finding.evidence["prefetched by"] == "statement 1"
    assert finding.mend.at.line == 20
    assert finding.mend.write.startswith('Prefetch("reviews", queryset=Review.objects.filter(')
    assert finding.cost.avoidable == 6


def test_iterator_on_prefetched_relation_is_found():
    """``iterator()`` ignores what was prefetched, unfiltered as it is."""
    queries = [q._replace(load=q.load._replace(narrowed=False)) for q in asked(6)]
    check_found(a_trace(books(), prefetch(), *queries), "QS105", 6)


def test_chunks_that_were_prefetched_are_found():
    """An iterator prefetches chunk by chunk, between the statements of the loop."""
    first, second = asked(6)[:3], asked(6)[3:]
    check_found(a_trace(books(), prefetch(3), *first, prefetch(3), *second), "QS105", 6,
                duplicates_min_statements=9)  # fmt: skip


def test_sqlalchemy_subquery_load_without_number_of_rows_is_found():
    """A subquery load does not know how many rows it serves."""
    batch = prefetch(0, owner="Book")._replace(operation="subquery", session=0)
    queries = [q._replace(session=0) for q in asked(6, owner="Book")]
    trace = a_trace(books(session=0, model="Book"), batch, *queries, sessions=[a_session()])
    assert check_found(trace, "QS105", 6).mend.write == "selectinload(Book.reviews.and_(...))"


def test_relation_that_was_not_prefetched_is_n_plus_one():
    """Without a batch it is the plain N+1."""
    check_found(a_trace(books(), *asked(6)), "QS101", 6)


def test_other_relation_prefetched_is_n_plus_one():
    """A batch of another relation was not defeated."""
    check_found(a_trace(books(), prefetch(6, "genres"), *asked(6)), "QS101", 6)
