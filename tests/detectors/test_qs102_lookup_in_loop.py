"""QS102: look-ups one key at a time in a loop, and what only looks like them."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_load, a_node, a_session, a_trace, an_origin, some
from tests.detectors.judging import check_clean, check_found

BY_KEY = 'SELECT * FROM "library_book" WHERE "library_book"."id" = %s'


def lookups(count, origin, statement=BY_KEY, operation="get", **facts):
    """Return look-ups of so many different keys from one place."""
    facts = {"parameters": lambda n: (n,), "model": "library.Book", **facts}
    return some(count, statement, origin=origin, operation=operation, **facts)


# -- innocent -----------------------------------------------------------------------------------


def test_batch_of_keys_is_clean(places):
    """One IN list is what the advice leads to."""
    batch = lookups(1, places.line, BY_KEY.replace("= %s", "IN (%s, %s, %s)"), "in_bulk")
    check_clean(a_trace(*batch))


def test_keys_below_threshold_are_clean(places):
    """Two keys in development are no loop worth a word."""
    check_clean(a_trace(*lookups(2, places.loop)))


def test_chunks_of_in_list_are_clean(places):
    """Chunks ask for many keys at once, and the last chunk may be short."""
    chunks = lookups(
        4,
        places.loop,
        lambda n: f'SELECT * FROM "library_book" WHERE "id" IN ({", ".join(["%s"] * (50 - n))})',
        "iterate",
    )
    check_clean(a_trace(*chunks))


def test_pages_by_offset_are_clean(places):
    """Pages differ in nothing but their offset."""
    pages = lookups(
        6,
        places.loop,
        lambda n: f'SELECT * FROM "library_book" ORDER BY "id" LIMIT 100 OFFSET {100 * n}',
        "iterate",
        rows=100,
        parameters=(),
    )
    check_clean(a_trace(*pages))


def test_pages_by_key_are_clean(places):
    """Keyset pages go on from the last key."""
    text = 'SELECT * FROM "library_book" WHERE "tenant_id" = %s AND "id" > %s LIMIT 100'
    check_clean(a_trace(*lookups(6, places.loop, text, "iterate", rows=100)))


def test_settings_from_three_lines_are_clean():
    """Three rows from three lines are three questions."""
    helper = a_frame(7, function="setting")
    queries = [
        query._replace(origin=an_origin(helper, 41 + n)) for n, query in enumerate(lookups(3, None))
    ]
    check_clean(a_trace(*queries, mode="tests"))


def test_rows_locked_one_by_one_are_clean(places):
    """Locks are taken in order, on purpose."""
    check_clean(a_trace(*lookups(6, places.loop, BY_KEY + " FOR UPDATE")))


def test_next_free_name_is_clean(places):
    """``while taken(name)``: the next key is known only after the answer."""
    check_clean(a_trace(*lookups(6, places.at("in_condition"), operation="first")))


def test_walk_by_calling_itself_is_clean():
    """A function that goes from row to row by recursion has no keys to collect."""
    calls = [a_frame(6, function="up")]
    queries = [
        query._replace(origin=an_origin(a_frame(5, function="up"), *calls * n, 41))
        for n, query in enumerate(lookups(8, None))
    ]
    check_clean(a_trace(*queries))


def test_values_of_one_row_on_several_lines_are_clean():
    """A page asks for its user's books of three kinds, on three lines."""
    load = a_load("books", relation="reverse", owner="library.Reader", parent=0, narrowed=True)
    queries = [
        query._replace(origin=an_origin(41 + n), load=load)
        for n, query in enumerate(lookups(3, None, operation="iterate"))
    ]
    check_clean(a_trace(*queries, mode="tests"))


def test_few_keys_from_callbacks_are_clean():
    """A form's validators look a few rows up: no loop in the source, few keys."""
    check_clean(a_trace(*lookups(4, an_origin(41)), mode="tests"))


def test_library_code_alone_is_clean():
    """Without any place of the user's there is no site, so no loop to speak of."""
    check_clean(a_trace(*lookups(9, an_origin()._replace(steps=()))))


def test_one_table_for_three_purposes_is_clean(places):
    """Statements of different shape are different questions."""
    columns = ("id", "title", "isbn")
    queries = [
        lookups(1, places.loop, f'SELECT * FROM "library_book" WHERE "{name}" = %s')[0]
        for name in columns
    ]
    check_clean(a_trace(*queries, mode="tests"))


def test_data_migration_is_clean():
    """A migration runs once."""
    origin = an_origin(a_frame(9, file="/srv/app/library/migrations/0002_fill.py"))
    check_clean(a_trace(*lookups(9, origin)))


# -- guilty -------------------------------------------------------------------------------------


def test_get_in_loop_is_found(places):
    """The plain case: keys, the loop in the source, the batch in front of it."""
    finding = check_found(a_trace(*lookups(6, places.loop)), "QS102", 6)
    assert finding.message == (
        "Book is looked up 6 times with 6 different keys in the loop at "
        f"{places.source.path.parent.name}/views.py:2."
    )
    assert (finding.severity, finding.confidence) == ("warning", "medium")
    assert places.source.text_at(finding.mend.at) == "keys"
    assert finding.mend.write == "Book.objects.in_bulk(keys)"
    assert finding.cost.avoidable == 5


@pytest.mark.parametrize(
    ("operation", "statement"),
    [
        ("first", BY_KEY + ' ORDER BY "id" LIMIT 1'),
        ("iterate", 'SELECT * FROM "library_book" WHERE "id" IN (%s)'),
        ("values", 'SELECT "title" FROM "library_book" WHERE "isbn" = %s'),
        ("raw", "SELECT * FROM library_book WHERE id = %s"),
        ("core", "SELECT * FROM library_book WHERE id = ?"),
        ("cursor", "SELECT * FROM library_book WHERE a = %s AND b = %s"),
        ("", "SELECT * FROM library_book WHERE id = $1"),
        ("get_or_create", BY_KEY),
        ("iterate", "SELECT * FROM book WHERE id = ? LIMIT ? OFFSET ?"),
    ],
)
def test_lookup_by_whatever_means_is_found(places, operation, statement):
    """ORM, raw SQL, Core and the driver are judged alike."""
    check_found(a_trace(*lookups(6, places.loop, statement, operation)), "QS102", 6)


def test_literals_in_the_text_are_keys(places):
    """Values written into the statement are parameters all the same."""
    queries = lookups(
        6, places.loop, lambda n: f"SELECT * FROM book WHERE id = {n}", "cursor", parameters=()
    )
    check_found(a_trace(*queries), "QS102", 6)


def test_fixed_list_beside_the_key_is_found(places):
    """``status IN ('a', 'b') AND book_id = 7`` asks for one book."""
    text = 'SELECT * FROM "library_loan" WHERE "status" IN (%s, %s) AND "book_id" = %s'
    check_found(a_trace(*lookups(6, places.loop, text, "iterate")), "QS102", 6)


def test_lookup_in_helper_called_in_loop_is_found(places):
    """The loop is the caller's."""
    origin = places.at("in_loop", a_frame(7, file="/srv/app/helpers.py", function="helper"))
    finding = check_found(a_trace(*lookups(6, origin)), "QS102", 6)
    assert finding.origin.first.function == "helper"
    assert places.source.text_at(finding.mend.at) == "keys"


def test_map_over_keys_is_found(places):
    """``map(helper, keys)`` is a loop without a loop statement."""
    frame = places.source.frame("list(map(helper, keys))")
    origin = an_origin(a_frame(7, file="/srv/app/helpers.py", function="helper"), frame)
    assert check_found(a_trace(*lookups(6, origin)), "QS102", 6).confidence == "medium"


def test_loop_over_literal_is_said_to_be_constant(places):
    """Three names in the source do not grow with the data."""
    finding = check_found(a_trace(*lookups(3, places.at("in_short_loop"))), "QS102", 3)
    assert "of constant length" in finding.message


def test_lookup_in_template_loop_is_found():
    """A template tag that looks a row up in a ``for``."""
    origin = an_origin(a_node(3, source="price_of book"), a_node(2, source="for book in books"))
    check_found(a_trace(*lookups(6, origin)), "QS102", 6)


def test_few_different_keys_in_long_loop_are_one_finding(places):
    """Statuses looked up by key for each row repeat: the look-up explains the duplicates."""
    check_found(a_trace(*lookups(12, places.loop, parameters=lambda n: (n % 4,))), "QS102", 12)


def test_keys_of_one_session_each_are_found(places):
    """A session an item does not hide the loop."""
    queries = [q._replace(session=n) for n, q in enumerate(lookups(4, places.loop, model="Book"))]
    finding = check_found(a_trace(*queries, sessions=[a_session() for _ in range(4)]), "QS102", 4)
    assert finding.mend.write == "select(Book).where(Book.key.in_(keys))"


def test_loop_that_nobody_can_see_is_only_suspected():
    """Without source the chain alone repeats: an info, from five keys on."""
    finding = check_found(a_trace(*lookups(5, an_origin(41))), "QS102", 5)
    assert (finding.severity, finding.confidence) == ("info", "low")
    assert check_found(a_trace(*lookups(9, an_origin(41))), "QS102").severity == "info"


def test_loop_of_a_library_over_many_rows_is_found():
    """A serializer or resolver is called for each row: ten keys are not the fields of a form."""
    finding = check_found(a_trace(*lookups(10, an_origin(41))), "QS102", 10)
    assert (finding.severity, finding.confidence) == ("critical", "medium")
    queries = lookups(12, an_origin(41))
    assert check_found(a_trace(*queries), "QS102", critical_min_count=13).severity == "info"


def test_same_loop_of_one_helper_is_one_finding(places):
    """Middleware and view call the helper with the loop: one loop to mend."""
    loop = places.loop.steps
    callers = [an_origin(*loop, a_frame(n, function="caller")) for n in (70, 80)]
    queries = [query for origin in callers for query in lookups(4, origin)]
    finding = check_found(a_trace(*queries), "QS102", 8)
    assert finding.evidence["also at"]


def test_relation_of_one_row_by_keys_of_a_loop_is_found(places):
    """``reader.books.filter(genre=genre)`` for each genre looks up by genre."""
    load = a_load("books", relation="reverse", owner="library.Reader", parent=0, narrowed=True)
    queries = lookups(6, places.loop, operation="iterate", load=load)
    assert "6 different keys" in check_found(a_trace(*queries), "QS102", 6).message


def test_cached_values_that_ask_each_other_are_found():
    """A serializer asks each row for a value that is made of another: one depth, many keys."""
    cached = a_frame(5, function="cached")
    origin = an_origin(
        a_frame(9, function="votes"), cached, a_frame(14, function="total"), cached, 41
    )
    check_found(a_trace(*lookups(12, origin)), "QS102", 12)
