"""QS101: relations loaded once per row, and what only looks like them."""

from __future__ import annotations

import pytest

from tests.builders import (
    a_frame,
    a_load,
    a_node,
    a_query,
    a_session,
    a_trace,
    an_origin,
    some,
)
from tests.detectors.judging import check_clean, check_found, said

BOOKS = 'SELECT * FROM "library_book"'
PUBLISHER = 'SELECT * FROM "library_publisher" WHERE "id" = %s'
TO_MANY = {"attribute": "genres", "relation": "many_to_many"}


def books(rows=6, **facts):
    """Return the statement that loads the books."""
    return a_query(
        BOOKS,
        operation="iterate",
        model="library.Book",
        rows=rows,
        origin=20,
        parameters=(),
        **facts,
    )


def loads(count, start=0, *, origin=None, operation="lazy", parameters=None, **load):
    """Return the loads of a relation of so many books, by default their publisher."""
    return [
        a_query(
            PUBLISHER,
            operation=operation,
            model="library.Publisher",
            parameters=(n,) if parameters is None else parameters,
            origin=origin,
            load=a_load(**{"parent": n, "parent_query": 0, **load}),
        )
        for n in range(start, start + count)
    ]


# -- innocent -----------------------------------------------------------------------------------


def test_eager_loaded_rows_are_clean():
    """One join, or one batch a relation, is what the advice leads to."""
    genres = a_load(**TO_MANY, parent=None, parents=6, parent_query=0, batched=True)
    check_clean(a_trace(books(), a_query(operation="prefetch", load=genres)))


def test_detail_page_with_lazy_reads_is_clean():
    """One object with a few lazy reads is no loop."""
    names = ("publisher", "editor", "sequel_of")
    detail = [loads(1, attribute=name, parameters=(name,))[0] for name in names]
    check_clean(a_trace(books(1), *detail, mode="tests"))


@pytest.mark.parametrize(("mode", "least"), [("tests", 2), ("development", 3), ("production", 5)])
def test_rows_below_threshold_are_clean(mode, least):
    """Each mode has its own number of rows from which on a loop is worth a word."""
    check_clean(a_trace(books(), *loads(least - 1), mode=mode))
    check_found(a_trace(books(), *loads(least), mode=mode), "QS101", least)


def test_helper_called_from_three_lines_is_clean():
    """Three calls are three places, and no loop."""
    helper = a_frame(7, function="helper")
    calls = [loads(1, n, origin=an_origin(helper, 41 + n))[0] for n in range(3)]
    check_clean(a_trace(books(), *calls, mode="tests"))


def test_helper_called_three_times_on_one_line_is_clean():
    """The columns tell the calls apart."""
    helper = a_frame(7, function="helper")
    calls = [loads(1, n, origin=an_origin(helper, a_frame(41, column=10 * n)))[0] for n in range(3)]
    check_clean(a_trace(books(), *calls, mode="tests"))


def test_form_with_three_choice_fields_is_clean():
    """Three tags of one template with the same frames are three places."""
    tags = [an_origin(a_node(3, source=f"form.{name}"), 41) for name in ("a", "b", "c")]
    queries = [loads(1, n, origin=tag)[0] for n, tag in enumerate(tags)]
    check_clean(a_trace(books(), *queries, mode="tests"))


def test_batches_in_chunks_are_clean():
    """Select-in loads 500 rows at a time; ``iterator()`` prefetches chunk by chunk."""
    sizes = (500, 500, 1)
    chunks = [
        a_query(
            operation="select_in",
            parameters=(n,),
            load=a_load(**TO_MANY, parent=None, parents=size, parent_query=0, batched=True),
        )
        for n, size in enumerate(sizes)
    ]
    check_clean(a_trace(books(1001), *chunks, mode="tests"))


def walked(steps, recorded=True):
    """Return a Trace of one row, and of so many steps from each row to the next."""
    walk = [
        a_query(
            operation="lazy",
            model="library.Category",
            parameters=(n,),
            load=a_load(
                "parent", owner="library.Category", parent=n, parent_query=n if recorded else None
            ),
        )
        for n in range(steps)
    ]
    return a_trace(a_query(operation="get", model="library.Category"), *walk, mode="tests")


@pytest.mark.parametrize("steps", [2, 5, 9])
def test_walk_to_ancestors_is_clean(steps):
    """Each row is known only after the one before; no batch could serve them."""
    check_clean(walked(steps))


def test_same_row_asked_again_is_no_n_plus_one():
    """One parent is one row, however often it is asked: a duplicate."""
    queries = some(
        4, PUBLISHER, operation="iterate", load=a_load("books", relation="reverse", parent=1)
    )
    check_found(a_trace(books(), *queries, mode="tests"), "QS201", 4)


def test_generic_keys_to_content_types_are_clean():
    """The look-up of a content type stands in for no row of the user's."""
    text = 'SELECT * FROM "django_content_type" WHERE "id" = %s'
    load = {"owner": "library.Tag", "attribute": "target", "relation": "generic"}
    queries = [
        a_query(text, operation="lazy", parameters=(n,), load=a_load(parent=n, **load))
        for n in range(6)
    ]
    check_clean(a_trace(*queries, mode="tests"))


def test_library_code_with_scattered_parents_is_clean():
    """Without a line of the user's, rows must have lain side by side to be a loop."""
    queries = [
        query for n in range(3)
        for query in (books(1, number=n), loads(1, n, parent_query=2 * n, origin=an_origin())[0])
    ]  # fmt: skip
    nowhere = [q._replace(origin=an_origin()._replace(steps=())) for q in queries]
    check_clean(a_trace(*nowhere[:4], mode="tests"), duplicates_min_statements=9)


def test_data_migration_is_clean():
    """A migration runs once."""
    origin = an_origin(a_frame(9, file="/srv/app/library/migrations/0002_fill.py"))
    check_clean(a_trace(books(), *loads(6, origin=origin), mode="tests"))


# -- guilty -------------------------------------------------------------------------------------


def test_foreign_key_per_row_is_found():
    """The plain case: count, cost, the line where it ran, the line to mend."""
    finding = check_found(a_trace(books(), *loads(6)), "QS101", 6)
    assert finding.message == (
        "library.Book.publisher is loaded once per row: 6 statements for 6 rows."
    )
    assert (finding.severity, finding.confidence) == ("warning", "high")
    assert finding.origin.first.line == 41
    assert finding.mend.at.line == 20
    assert finding.mend.write == '.select_related("publisher")'
    assert finding.queries == (1, 2, 3, 4, 5, 6)
    assert finding.subject == "library.Book.publisher"
    cost = finding.cost
    assert (cost.statements, cost.avoidable, cost.rows) == (6, 6, 6)
    assert cost.duration_ns == 6_000_000


def test_to_many_relation_keeps_one_batch():
    """A prefetch sends one statement, so one is not saved."""
    finding = check_found(a_trace(books(), *loads(6, operation="iterate", **TO_MANY)), "QS101", 6)
    assert finding.mend.write == '.prefetch_related("genres")'
    assert finding.cost.avoidable == 5


def test_rows_that_share_one_value_are_still_rows():
    """All books of one publisher send equal statements: an N+1, not duplicates."""
    check_found(a_trace(books(), *loads(6, parameters=(1,))), "QS101", 6)


def test_objects_of_one_joined_row_are_still_rows():
    """A join makes an object an item; each loads its relation by itself."""
    layouts = [
        query._replace(load=query.load._replace(parent=n % 2))
        for n, query in enumerate(loads(6, parameters=(1,)))
    ]
    check_found(a_trace(books(), *layouts, mode="production"), "QS101", 6)


def test_ten_statements_are_critical():
    """From ten on, or from what the user set."""
    trace = a_trace(books(10), *loads(10))
    assert check_found(trace, "QS101", 10).severity == "critical"
    assert check_found(trace, "QS101", 10, critical_min_count=11).severity == "warning"


def test_loop_in_template_alone_is_found():
    """No application frame asks; the tag is the origin, the view's queryset the mend."""
    origin = an_origin(a_node(3), a_node(2, source="for book in books"), 41)
    finding = check_found(a_trace(books(), *loads(6, origin=origin)), "QS101", 6)
    assert finding.origin.first.source == "book.publisher.name"
    assert finding.mend.at.line == 20


def test_loop_in_library_code_alone_is_found():
    """A serializer of a generic view: no line of the user's, but rows side by side."""
    nowhere = an_origin()._replace(steps=())
    queries = [q._replace(origin=nowhere) for q in (books(), *loads(6))]
    finding = check_found(a_trace(*queries, sessions=[a_session(framework="django")]), "QS101", 6)
    assert finding.mend.at is None


@pytest.mark.parametrize(
    ("view", "named"),
    [
        ("library.api.BookViewSet", "get_queryset() of library.api.BookViewSet"),
        (
            "django.contrib.admin.options.changelist_view",
            "list_select_related or get_queryset() of the admin class",
        ),
        ("", "get_queryset() of the view"),
    ],
)
def test_view_is_named_where_no_line_is_known(view, named):
    """The route's view is where a generic view's queryset is to be looked for."""
    nowhere = an_origin()._replace(steps=())
    queries = [q._replace(origin=nowhere, session=0) for q in (books(), *loads(6))]
    facts = {"attributes": {"view": view}, "sessions": [a_session(framework="django")]}
    finding = check_found(a_trace(*queries, **facts), "QS101", 6)
    assert named in finding.mend.how
    finding = check_found(a_trace(books(), *loads(6), **facts), "QS101", 6)
    assert "get_queryset" not in finding.mend.how


def test_rows_joined_to_a_managers_rows_have_the_whole_path():
    """The lines of a basket with their products: what the products load goes through the line."""
    lines = a_query(
        'SELECT * FROM "library_review" INNER JOIN "library_book" ON '
        '("library_review"."book_id" = "library_book"."id")',
        operation="iterate",
        model="library.Review",
        rows=6,
        origin=20,
        load=a_load("reviews", relation="reverse", owner="library.Author", parent=9),
    )
    finding = check_found(a_trace(lines, *loads(6)), "QS101", 6)
    assert finding.mend.write == '.select_related("book__publisher")'
    assert "queryset of Review" in finding.mend.how


def test_one_line_that_selects_twice_is_one_finding():
    """Middleware and view run the same line: its queryset is mended once."""
    made = a_frame(12, file="/srv/app/library/managers.py")
    first = books(created=made)
    second = first._replace(origin=an_origin(30), parameters_key="of another user")
    view = loads(4, start=4, parent_query=5, origin=an_origin(42))
    finding = check_found(a_trace(first, *loads(4), second, *view), "QS101", 8)
    assert finding.mend.at == made


@pytest.mark.parametrize(("turns", "inside"), [(6, True), (5, False)])
def test_loop_around_is_named_where_it_turns_with_the_inner_one(turns, inside):
    """Loads in less than half of the turns of another loop have little to do with it."""
    outer = {"attribute": "books", "relation": "reverse", "owner": "library.Author"}
    around = [
        a_query(BOOKS, operation="iterate", model="library.Book", load=a_load(**outer, parent=n))
        for n in range(12)
    ]
    inner = [query for n in range(turns) for query in loads(1, start=n, parent_query=n)]
    found = {item.subject: item for item in said(a_trace(*around, *inner), "QS101")}
    assert ("inside" in found["library.Book.publisher"].message) is inside


def test_one_line_that_selects_in_two_loops_is_one_finding():
    """A helper that gets one row, and loads its relations, in the loops of two callers."""
    made = a_frame(12, file="/srv/app/library/managers.py", function="find")
    queries = []
    for caller in (50, 60):
        for n in range(caller, caller + 3):
            row = books(1, created=made)._replace(
                origin=an_origin(made, caller), parameters_key=str(n)
            )
            at = an_origin(a_frame(30, function="read"), caller)
            queries += [row, *loads(1, start=n, parent_query=len(queries), origin=at)]
    (finding,) = said(a_trace(*queries), "QS101")
    assert finding.count == 6


def test_queryset_made_elsewhere_is_the_mend():
    """In full recording the line that made the queryset is known."""
    made = a_frame(12, file="/srv/app/library/managers.py")
    finding = check_found(a_trace(books(created=made), *loads(6)), "QS101")
    assert finding.mend.at == made


def test_batch_of_one_row_per_row_is_found():
    """A prefetch or select-in that runs once per row looks like a batch, and is none."""
    by_row = [
        a_query(
            operation="prefetch",
            parameters=(n,),
            load=a_load(**TO_MANY, parent=n, parent_query=0, batched=True),
        )
        for n in range(6)
    ]
    finding = check_found(a_trace(books(), *by_row), "QS101", 6)
    assert "batches of one row" in finding.message


def test_select_in_of_one_row_without_identity_is_found():
    """SQLAlchemy's select-in does not say which row it was for; its parameters do."""
    by_row = [
        a_query(
            operation="select_in",
            parameters=(n,),
            load=a_load("tags", owner="Book", relation="many_to_many", parent=None, batched=True),
        )
        for n in range(6)
    ]
    check_found(a_trace(*by_row), "QS101", 6)


def test_filtered_relation_wants_a_prefetch_of_its_own():
    """A manager's filter cannot use a plain prefetch."""
    queries = loads(6, operation="iterate", attribute="reviews", relation="reverse", narrowed=True)
    finding = check_found(a_trace(books(), *queries), "QS101", 6)
    assert finding.mend.write.startswith('.prefetch_related(Prefetch("reviews", queryset=')


def test_second_hop_names_the_outer_model():
    """Reviews joined their books; the books' publishers belong into the same path."""
    reviews = a_query(
        'SELECT * FROM "library_review" INNER JOIN "library_book" ON '
        '("library_review"."book_id" = "library_book"."id")',
        operation="iterate",
        model="library.Review",
        rows=6,
        origin=20,
    )
    finding = check_found(a_trace(reviews, *loads(6)), "QS101")
    assert finding.mend.write == '.select_related("book__publisher")'
    assert "Review" in finding.mend.how


def test_second_hop_over_unclear_joins_names_the_class():
    """Two joins of one table: which of them brought the rows, the statement does not tell."""
    reviews = a_query(
        'SELECT * FROM "library_review" INNER JOIN "library_book" ON '
        '("library_review"."book_id" = "library_book"."id") INNER JOIN "library_book" T4 ON '
        '("library_review"."other_id" = T4."id")',
        operation="iterate",
        model="library.Review",
        rows=6,
    )
    finding = check_found(a_trace(reviews, *loads(6)), "QS101")
    assert finding.mend.write == '.select_related("publisher")'
    assert "in front" in finding.mend.how


def test_nested_loops_are_one_tree_with_the_product():
    """The inner finding names the product and the whole path, the outer lists the inner."""
    authors = a_query('SELECT * FROM "library_author"', model="library.Author", rows=3, origin=20)
    outer = [
        a_query(
            BOOKS,
            operation="iterate",
            parameters=(n,),
            model="library.Book",
            rows=4,
            origin=30,
            load=a_load("books", owner="library.Author", relation="reverse", parent=n,
                        parent_query=0),
        )
        for n in range(3)
    ]  # fmt: skip
    inner = [loads(1, n, parent_query=1 + n // 4)[0] for n in range(12)]
    findings = said(a_trace(authors, *outer, *inner))
    assert [(f.code, f.count) for f in findings] == [("QS101", 12), ("QS101", 3)]
    inside, around = findings
    assert "inside library.Author.books (3 x 4)" in inside.message
    assert inside.evidence["product"] == "3 x 4"
    assert inside.mend.write == '.prefetch_related("books__publisher")'
    assert inside.mend.at.line == 20
    assert around.evidence["around"] == "library.Book.publisher, 12 statements"


def test_two_branches_of_one_loop_are_one_finding():
    """Two lines that load one relation of the same rows have one mend."""
    queries = [*loads(4, origin=an_origin(41)), *loads(3, 4, origin=an_origin(43))]
    finding = check_found(a_trace(books(7), *queries), "QS101", 7)
    assert finding.origin.first.line == 41
    assert "views.py:43" in finding.evidence["also at"]


def test_tree_is_found_with_its_root():
    """A walk down loads the children of each node; the root's queryset is the mend."""
    root = a_query(operation="get", model="library.Category", origin=20)
    down = {"relation": "reverse", "attribute": "children", "owner": "library.Category"}
    queries = [
        a_query(
            operation="iterate", parameters=(n,), rows=2, model="library.Category",
            load=a_load(parent=n, parent_query=of, **down),
        )
        for n, of in enumerate((0, 1, 1, 2, 2, 3))
    ]  # fmt: skip
    finding = check_found(a_trace(root, *queries), "QS101", 6)
    assert finding.mend.at.line == 20
    assert "recursive" in finding.mend.how


def test_rows_from_a_cache_leave_the_place_open():
    """No statement of the Trace loaded the rows: the finding says so."""
    finding = check_found(a_trace(*loads(6, parent_query=None)), "QS101", 6)
    assert finding.mend.at is None
    assert "not known" in finding.mend.how


def test_ambiguous_parents_lower_the_confidence():
    """Light recording: two statements may have loaded the rows."""
    trace = a_trace(books(), books()._replace(origin=an_origin(21)), *loads(6, parent_query=None))
    finding = next(f for f in said(trace) if f.code == "QS101")
    assert finding.confidence == "medium"
    assert "2 statements may have" in finding.evidence["parent rows"]


@pytest.mark.parametrize(
    ("relation", "write"),
    [
        ("forward", "joinedload(Book.publisher)"),
        ("reverse_one_to_one", "joinedload(Book.publisher)"),
        ("reverse", "selectinload(Book.publisher)"),
        ("many_to_many", "selectinload(Book.publisher)"),
    ],
)
def test_sqlalchemy_advice_uses_its_words(relation, write):
    """To one row a join, to many rows a select-in."""
    parents = a_query(BOOKS, operation="iterate", model="Book", session=0, origin=20)
    queries = [query._replace(session=0) for query in loads(6, owner="Book", relation=relation)]
    finding = check_found(a_trace(parents, *queries, sessions=[a_session()]), "QS101", 6)
    assert finding.mend.write == write


def test_sqlalchemy_path_chains_the_options():
    """The way leads over the load that brought the rows."""
    authors = a_query('SELECT * FROM "author"', operation="iterate", model="Author", origin=20)
    batch = a_query(
        operation="select_in",
        model="Book",
        load=a_load("books", owner="Author", relation="reverse", parent=None, parents=3,
                    parent_query=0, batched=True),
    )  # fmt: skip
    queries = [q._replace(model="Publisher") for q in loads(6, owner="Book", parent_query=1)]
    finding = check_found(a_trace(authors, batch, *queries), "QS101")
    assert finding.mend.write == "selectinload(Author.books).joinedload(Book.publisher)"
    assert finding.mend.at.line == 20


def test_explicit_select_per_row_is_asked_once_for_all():
    """A dynamic or write-only relationship has no loader; one IN serves all rows."""
    queries = loads(6, owner="Author", attribute="letters", relation="reverse", operation="iterate")
    queries = [query._replace(model="Letter") for query in queries]
    finding = check_found(a_trace(*queries), "QS101")
    assert finding.mend.write == "select(Letter).where(Letter.key.in_(keys))"


def test_fingerprint_is_stable_when_lines_and_rows_move():
    """Baselines hold on to code, function and relation alone."""
    one = check_found(a_trace(books(), *loads(6)), "QS101")
    other = check_found(a_trace(books(), *loads(9, 3, origin=an_origin(48))), "QS101")
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize("recorded", [True, False])
def test_long_walk_is_an_info(recorded):
    """One recursive query would do; that it has to be walked, nobody knows."""
    (finding,) = said(walked(10, recorded), "QS101")
    assert (finding.severity, finding.confidence, finding.count) == ("info", "low", 10)
    assert "library.Category.parent is walked from row to row" in finding.message
    assert finding.mend.write == "WITH RECURSIVE ..."
