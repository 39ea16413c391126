"""QS112: relations loaded along, read and unread, in one Trace and in all of a run."""

from __future__ import annotations

import pytest

from queryscope.detectors.qs112_unused_eager_load import unused_in_all
from tests.builders import a_frame, a_load, a_query, a_read, a_trace
from tests.detectors.judging import said

BOOKS = "SELECT * FROM library_book INNER JOIN library_publisher ON (1 = 1)"
REVIEWS = "SELECT * FROM library_review WHERE book_id IN (1, 2, 3)"


def books(**facts):
    """Return the statement that loads the books."""
    return a_query(BOOKS, rows=20, model="library.Book", created=a_frame(30), **facts)


def publisher(**facts):
    """Return what was read of the publishers that a join brought along: nothing."""
    facts = {"read": (), **facts}
    return a_read(model="library.Publisher", path="publisher", columns=("id", "name"), **facts)


def joined(*reads, **facts):
    """Return a Trace of books joined with their publishers."""
    return a_trace(books(), reads=reads, **facts)


def batched(*reads, parent_query=0, rows=60, **facts):
    """Return a Trace of books whose reviews were prefetched."""
    load = a_load(
        "reviews", relation="reverse", parent=None, parents=20, parent_query=parent_query,
        batched=True,
    )  # fmt: skip
    batch = a_query(REVIEWS, rows=rows, operation="prefetch", model="library.Review", load=load)
    return a_trace(books(), batch, reads=reads, **facts)


def reviews(**facts):
    """Return what was read of the reviews: nothing."""
    return a_read(1, **{"model": "library.Review", "rows": 60, "read": (), **facts})


@pytest.mark.parametrize(
    "trace",
    [
        joined(a_read(), publisher(read=("name",))),
        joined(a_read(read=("title", "publisher")), publisher()),
        joined(
            a_read(),
            publisher(),
            a_read(model="library.City", path="publisher.city", read=("name",)),
        ),
        joined(a_read(), publisher(known=False)),
        joined(a_read(known=False), publisher()),
        joined(a_read(read=()), publisher()),
        joined(a_read(), publisher(), error="ValueError: x"),
        joined(a_read(), publisher(), attributes={"status": "404"}),
        joined(a_read(alive=True), publisher(alive=True), kind="block"),
        joined(a_read(), publisher(), recording="light"),
        joined(a_read()),
        joined(),
    ],
    ids=[
        "column read", "relation read", "walked through", "rows went out whole",
        "parents went out whole", "parents unread", "failed", "not found", "still there", "light",
        "nothing joined", "not tracked",
    ],
)  # fmt: skip
def test_join_that_may_be_read_is_clean(trace):
    """Read, or not certain: nothing is said."""
    assert said(trace, "QS112") == []


@pytest.mark.parametrize(
    "trace",
    [
        batched(a_read(), reviews(read=("text",))),
        batched(a_read(read=("title", "reviews")), reviews()),
        batched(a_read(), rows=0),
        batched(a_read(), reviews(), parent_query=None),
        batched(a_read(), reviews(known=False)),
        batched(a_read(read=()), reviews()),
        batched(reviews()),
        batched(a_read(read=("title", "reviews"))),
    ],
    ids=[
        "column read", "relation read", "no rows", "unknown parents", "rows went out whole",
        "parents unread", "parents not tracked", "batch not tracked",
    ],
)  # fmt: skip
def test_batch_that_may_be_read_is_clean(trace):
    """Read, or not certain: nothing is said."""
    assert said(trace, "QS112") == []


def test_unread_join_is_an_info():
    """One Trace alone is no proof that no path reads it."""
    (finding,) = said(joined(a_read(), publisher()), "QS112")
    assert finding.severity == "info"
    assert finding.subject == "library.Book.publisher"
    assert finding.mend.write == '.select_related("publisher")'
    assert finding.mend.at.line == 30
    assert finding.cost.avoidable == 0
    assert "20 rows" in finding.message


def test_unread_batch_costs_its_statement():
    """The prefetch would not be sent at all."""
    (finding,) = said(batched(a_read(), reviews()), "QS112")
    assert finding.subject == "library.Book.reviews"
    assert finding.mend.write == '.prefetch_related("reviews")'
    assert finding.queries == (1,)
    assert finding.cost.avoidable == 1
    assert finding.cost.rows == 60


def test_outermost_of_nested_unread_joins_is_named():
    """Without it the inner one goes, too."""
    city = a_read(model="library.City", path="publisher.city", read=())
    (finding,) = said(joined(a_read(), publisher(), city), "QS112")
    assert finding.subject == "library.Book.publisher"


def test_inner_join_behind_one_that_is_read_is_named():
    """The publisher is shown, its city is not."""
    city = a_read(model="library.City", path="publisher.city", read=())
    (finding,) = said(joined(a_read(), publisher(read=("name",)), city), "QS112")
    assert finding.subject == "library.Publisher.city"
    assert finding.mend.write == '.select_related("publisher__city")'


def test_line_that_is_read_in_one_of_its_runs_is_clean():
    """The first page shows no publisher, the second does."""
    trace = a_trace(
        books(),
        books(),
        reads=(
            a_read(),
            publisher(),
            a_read(1),
            publisher(query=1, read=("name",)),
        ),
    )
    assert said(trace, "QS112") == []


def test_alive_rows_of_a_request_are_judged():
    """A test client keeps the context; nobody reads on after the response."""
    trace = joined(a_read(alive=True), publisher(alive=True))
    assert len(said(trace, "QS112")) == 1


def test_relation_that_one_trace_reads_is_used_in_the_run():
    """Two tests show titles, the third the publisher."""
    unread = joined(a_read(), publisher())
    read = joined(a_read(), publisher(read=("name",)))
    assert unused_in_all([unread, unread, read]) == []


def test_relation_that_is_uncertain_in_one_trace_is_not_judged():
    """A pickle may have read it."""
    unread = joined(a_read(), publisher())
    unknown = batched(a_read(known=False), reviews())
    assert unused_in_all([batched(a_read(), reviews()), unknown]) == []
    assert len(unused_in_all([unread, unknown])) == 1


def test_relation_that_no_trace_reads_is_a_warning():
    """Over the whole run it is certain enough; nested Traces count."""
    unread = joined(a_read(), publisher())
    outer = a_trace(children=(unread,))
    (finding,) = unused_in_all([unread, outer])
    assert finding.severity == "warning"
    assert finding.evidence["traces"] == 2
    assert "in none of the 2 Traces" in finding.message
