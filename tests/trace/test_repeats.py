"""Repetition is grouped once: by place, by question, by parent, with writes between."""

from __future__ import annotations

import cProfile

import pytest

from queryscope.trace.events import Origin
from queryscope.trace.repeats import Repeats
from queryscope.trace.site import fold, turned_at
from tests.builders import (
    MS,
    a_frame,
    a_load,
    a_node,
    a_query,
    a_trace,
    a_transaction,
    an_origin,
    some,
)
from tests.detectors.judging import Source

SELECT = 'SELECT * FROM "library_book" WHERE "id" = %s'
UPDATE = 'UPDATE "library_book" SET "title" = %s'
BOOKS = 'SELECT * FROM "library_book"'


def repeats(*queries, **facts):
    """Group the statements of a Trace."""
    return Repeats.of(a_trace(*queries, **facts))


def runs(*queries, **facts):
    """Return the sizes of the runs of equal statements."""
    return [len(found.queries) for found in repeats(*queries, **facts).duplicates]


def publisher(n, **facts):
    """Return the load of the publisher of book ``n``."""
    return a_query(
        operation="lazy",
        model="library.Publisher",
        parameters=(n,),
        load=a_load(parent=n, **facts),
    )


# -- places -------------------------------------------------------------------------------------


def test_one_place_asked_again_is_one_repeat():
    """Turns of one loop have one chain."""
    (found,) = repeats(*some(4, SELECT, parameters=lambda n: (n,))).sites
    assert len(found.queries) == 4
    assert found.questions == 4


def test_places_with_different_chains_stay_apart():
    """Three calls of a helper, from three lines or from three columns, are three places."""
    helper = a_frame(7, function="helper")
    lines = [a_query(SELECT, origin=an_origin(helper, line)) for line in (41, 42, 43)]
    columns = [
        a_query(SELECT, origin=an_origin(helper, a_frame(50, column=column))) for column in (4, 20)
    ]
    assert repeats(*lines, *columns).sites == ()


def test_template_tags_with_equal_frames_stay_apart():
    """Two tags of one template have identical frames; the node tells them apart."""
    tags = [an_origin(a_node(3, source=f"form.{name}"), 41) for name in "ab"]
    assert repeats(*(a_query(SELECT, origin=tag) for tag in tags)).sites == ()


def test_statements_of_different_shape_stay_apart():
    """One line that sends a count and a page has two repeats."""
    page = some(2, BOOKS)
    count = some(2, 'SELECT COUNT(*) FROM "library_book"')
    assert len(repeats(*page, *count).sites) == 2


def test_databases_stay_apart():
    """The same statement on two aliases is not one repeat."""
    queries = [a_query(SELECT, database=name) for name in ("default", "second")]
    assert repeats(*queries).sites == ()


def test_statements_of_one_relation_are_one_repeat_whatever_their_table():
    """A generic relation leads to several tables."""
    load = {"relation": "generic", "attribute": "target", "owner": "library.Tag"}
    queries = [
        a_query(f'SELECT * FROM "{table}"', operation="lazy", load=a_load(parent=n, **load))
        for n, table in enumerate(("library_book", "library_author"))
    ]
    (found,) = repeats(*queries).sites
    assert found.parents == 2


def test_parents_are_counted_once_each():
    """Parents are told apart by the row, not by the parameters."""
    queries = [publisher(n)._replace(parameters_key="same") for n in (1, 2, 2)]
    (found,) = repeats(*queries).sites
    assert (found.parents, found.questions) == (2, 1)


def test_failed_statements_are_left_out():
    """A statement that raised is asked again for a reason."""
    assert repeats(*some(3, SELECT, error="OperationalError: locked")).sites == ()


def test_content_type_lookups_are_left_out():
    """Django caches these rows for the life of the process."""
    assert repeats(*some(3, 'SELECT * FROM "django_content_type" WHERE "id" = %s')).sites == ()


@pytest.mark.parametrize("text", ["SAVEPOINT s1", "BEGIN", "PRAGMA foreign_keys"])
def test_control_statements_are_left_out(text):
    """Budgets do not count them, and neither do repeats."""
    assert repeats(*some(3, text)).sites == ()


def test_savepoint_before_each_write_isolates():
    """A savepoint a row is error isolation."""
    row = [
        a_query("SAVEPOINT x"),
        a_query(UPDATE, operation="save"),
        a_query("RELEASE SAVEPOINT x"),
    ]
    (isolated,) = repeats(*row * 5).sites
    (once,) = repeats(a_query("SAVEPOINT x"), *some(5, UPDATE, operation="save")).sites
    assert isolated.isolated
    assert not once.isolated


@pytest.mark.parametrize(
    "between",
    [
        "SET search_path TO tenant_2, public",
        "SET LOCAL search_path = 'tenant_2'",
        "SET SCHEMA 'tenant_2'",
        "SET ROLE tenant_2",
        "SET SESSION AUTHORIZATION tenant_2",
        "SET app.tenant = '2'",
        "RESET search_path",
        "USE tenant_2",
        "SELECT set_config('app.tenant', %s, true)",
    ],
)
def test_question_to_another_tenant_is_another(between):
    """The same words mean other tables, or show other rows."""
    assert runs(a_query(BOOKS), a_query(between), a_query(BOOKS)) == []


@pytest.mark.parametrize(
    "between", ["SET statement_timeout = 5", "SET NAMES utf8mb4", "SET SESSION sql_mode = 'x'"]
)
def test_set_up_of_a_connection_changes_no_answer(between):
    """The same rows come."""
    assert runs(a_query(BOOKS), a_query(between), a_query(BOOKS)) == [2]


# -- recursion ----------------------------------------------------------------------------------


def walk(depth, inner=5):
    """Return the chain of a function that called itself ``depth`` times."""
    calls = [a_frame(6, function="walk")] * depth
    return Origin((a_frame(inner, function="walk"), *calls, a_frame(41)))


def test_recursion_is_one_place_at_every_depth():
    """A walk through a tree is one place."""
    sites = {fold(walk(depth)) for depth in range(1, 5)}
    assert len(sites) == 1
    assert next(iter(sites))[1]
    assert fold(walk(0))[0] == fold(walk(3))[0]


def test_walk_is_recursive_and_cached_values_that_ask_each_other_are_not():
    """A walk comes from many depths; from one depth the same code is two values' own."""
    one, another = a_frame(9, function="total"), a_frame(14, function="votes")
    cached = a_frame(5, function="cached")
    origin = Origin((one, cached, another, cached, a_frame(41)))
    walks = [a_query(SELECT, parameters=(n,), origin=walk(n)) for n in range(4)]
    values = some(4, SELECT, parameters=lambda n: (n,), origin=origin)
    walked, valued = repeats(*walks, *values).sites
    assert fold(origin)[1]
    assert walked.recursive
    assert not valued.recursive


def test_recursion_through_comprehension_is_one_place():
    """A comprehension is a function of its own up to Python 3.11."""
    inside = a_frame(6, function="walk.<locals>.<listcomp>", column=12)
    deep = Origin((a_frame(5, function="walk"), inside, a_frame(6, function="walk"), a_frame(41)))
    assert fold(deep) == (fold(walk(0))[0], True)


def test_recursion_through_other_function_is_one_place():
    """Functions that call each other in turn are folded, too."""
    even, odd, top = a_frame(5, function="even"), a_frame(6, function="odd"), a_frame(41)
    assert fold(Origin((even, odd, even, odd, even, odd, top)))[0] == (even, odd, top)


def test_calls_through_one_decorator_stay_apart():
    """A wrapper that is active twice is no reason to forget the lines between."""
    wrapper = a_frame(3, function="timed.<locals>.wrapper")
    sites = {
        fold(Origin((a_frame(9, function="helper"), wrapper, a_frame(line), wrapper)))[0]
        for line in (41, 42)
    }
    assert len(sites) == 2


def test_comprehension_alone_is_no_recursion():
    """The frame of a comprehension and the one around it are one function, called once."""
    inside = a_frame(41, function="book_list.<locals>.<listcomp>", column=12)
    assert fold(Origin((inside, a_frame(41)))) == ((inside,), False)


def test_lambdas_called_from_two_lines_stay_apart():
    """A lambda is a helper, although it is written inside the function."""
    inner = a_frame(7, function="book_list.<locals>.<lambda>")
    assert fold(Origin((inner, a_frame(41))))[0] != fold(Origin((inner, a_frame(42))))[0]


# -- duplicates ---------------------------------------------------------------------------------


def test_equal_statements_are_duplicates_from_any_line():
    """The place does not matter, the question does."""
    (found,) = repeats(*(a_query(SELECT, origin=line) for line in (41, 42, 42))).duplicates
    assert [len(queries) for queries in found.sites.values()] == [1, 2]


def test_different_parameters_are_no_duplicates():
    """Neither are different literals in the text."""
    assert runs(*some(3, SELECT, parameters=lambda n: (n,))) == []
    assert runs(*some(3, lambda n: f"SELECT * FROM book WHERE id = {n}", parameters=())) == []


def test_write_to_table_between_separates():
    """What was read before a write may have changed."""
    assert runs(a_query(SELECT), a_query(UPDATE), a_query(SELECT)) == []
    assert runs(a_query(SELECT), a_query(SELECT), a_query(UPDATE), *some(3, SELECT)) == [2, 3]


def test_write_to_other_table_between_does_not_separate():
    """Only the tables that are read matter."""
    assert runs(a_query(SELECT), a_query('UPDATE "library_genre" SET "name" = %s')) == []
    assert runs(a_query(SELECT), a_query('DELETE FROM "library_genre"'), a_query(SELECT)) == [2]


def test_write_of_unknown_tables_separates():
    """A procedure may have written anything."""
    assert runs(a_query(SELECT), a_query("CALL rebuild(%s)"), a_query(SELECT)) == []


@pytest.mark.parametrize("text", ["ROLLBACK", "ROLLBACK TO SAVEPOINT x"])
def test_rollback_between_separates(text):
    """What was read before a rollback may be undone."""
    assert runs(a_query(SELECT), a_query(text), a_query(SELECT)) == []


def test_rollback_of_writes_separates():
    """Drivers roll back without sending a text; the transaction says so."""
    ended = a_transaction(ended_ns=4 * MS, outcome="rollback")
    write = a_query('UPDATE "other" SET "x" = %s', start_ns=MS, transaction=0)
    queries = [write, a_query(SELECT, start_ns=2 * MS), a_query(SELECT, start_ns=5 * MS)]
    assert runs(*queries, transactions=[ended]) == []
    assert runs(*queries, transactions=[ended._replace(outcome="commit")]) == [2]


def test_rollback_of_reads_does_not_separate():
    """A session that only read is rolled back at its end, and took nothing back."""
    ended = a_transaction(ended_ns=3 * MS, outcome="rollback")
    queries = [a_query(SELECT, start_ns=MS, transaction=0), a_query(SELECT, start_ns=5 * MS)]
    assert runs(*queries, transactions=[ended]) == [2]


def test_error_between_separates():
    """After an error the next attempt is a retry."""
    failed = a_query('SELECT * FROM "other"', error="OperationalError: deadlock")
    assert runs(a_query(SELECT), failed, a_query(SELECT)) == []


def test_write_of_nested_trace_separates():
    """A test that counts before and after a request asks twice for a reason."""
    inner = a_trace(a_query(UPDATE), started_at_ns=10 * MS, duration_ns=MS)
    reads = a_trace(a_query(SELECT), started_at_ns=10 * MS, duration_ns=MS)
    before, after = a_query(SELECT, start_ns=MS), a_query(SELECT, start_ns=20 * MS)
    assert runs(before, after, children=(inner,), started_at_ns=0) == []
    assert runs(before, after, children=(reads,), started_at_ns=0) == [2]


def test_selects_without_table_are_no_duplicates():
    """``SELECT 1`` and sequences are asked for their effect."""
    assert runs(*some(3, "SELECT 1")) == []
    assert runs(*some(3, "SELECT nextval('book_seq')")) == []


def test_lazy_loads_of_different_parents_are_no_duplicates():
    """Rows with one foreign key value are rows; their loads are judged by the parents."""
    queries = [publisher(n)._replace(parameters_key="same") for n in range(3)]
    assert runs(*queries) == []
    assert runs(*(publisher(1), publisher(1))) == [2]


# -- loops --------------------------------------------------------------------------------------


def turns(*between, ask=None):
    """Return where control was between four statements, with others sent before each."""
    ask = ask or an_origin(a_frame(5, function="helper"), 41)
    queries = []
    for n in range(4):
        queries += [a_query(origin=origin, parameters=()) for origin in between]
        queries.append(a_query(origin=ask, parameters=(n,)))
    trace = a_trace(*queries)
    site = next(item for item in Repeats.of(trace).sites if item.questions == 4)
    return turned_at(site.queries, trace.queries)


def test_control_stayed_where_nothing_else_was_sent():
    """Statements one after the other tell nothing: any loop may have turned."""
    assert turns() == (0, None)


def test_control_was_in_function_of_statement_in_between():
    """Another line of the helper, of its caller, or of another function that the caller calls."""
    helper = a_frame(3, function="helper")
    assert turns(an_origin(helper, 41)) == (0, helper)
    assert turns(an_origin(40)) == (1, a_frame(40))
    assert turns(an_origin(helper, 41), an_origin(40)) == (1, a_frame(40))
    other = an_origin(a_frame(9, function="other"), 41)
    assert turns(other) == (1, None)


def test_statement_of_unrelated_chain_tells_nothing():
    """Another task has no step in common."""
    assert turns(an_origin(a_frame(9, function="other"))) == (0, None)


def test_tag_beside_is_not_left():
    """Light recording keeps one tag of a chain: the loop around it is in its file."""
    ask = an_origin(a_frame(5, function="helper"), a_node(3), 41)
    assert turns(an_origin(a_node(4), 41), ask=ask) == (1, None)


def test_generator_is_suspended_and_not_left(tmp_path):
    """Between two rows of a generator its caller's body runs, and its own loop goes on."""
    text = "def rows(keys):\n    for key in keys:\n        yield ask(key)\n"
    lazy = Source(tmp_path, text).frame("ask(key)", "rows")
    assert turns(an_origin(42), ask=an_origin(lazy, 41)) == (0, None)
    eager = Source(tmp_path, text.replace("yield", "return"), "eager.py").frame("ask(key)", "rows")
    assert turns(an_origin(42), ask=an_origin(eager, 41)) == (1, a_frame(42))


# -- parents ------------------------------------------------------------------------------------


def books(rows=6, **facts):
    """Return the statement that loads the books."""
    return a_query(BOOKS, operation="iterate", model="library.Book", rows=rows, origin=20, **facts)


def test_recorded_parent_is_taken():
    """What the recorder saw needs no guess."""
    found = repeats(books(), *(publisher(n, parent_query=0) for n in range(6)))
    parent = found.parent(found.sites[0])
    assert (parent.query.number, parent.known_by, parent.is_sure) == (0, "recorded", True)


def test_parent_is_inferred_by_class_and_rows():
    """Light recording: the latest earlier statement of the class with enough rows."""
    found = repeats(books(), books(rows=1, parameters=(9,)), *(publisher(n) for n in range(6)))
    parent = found.parent(found.sites[-1])
    assert (parent.query.number, parent.known_by, parent.candidates) == (0, "class", 1)


def test_two_candidates_for_parent_are_both_counted():
    """Where two statements may have loaded the rows, the latest is taken, unsurely."""
    first, second = books(), books(parameters=())._replace(origin=an_origin(21))
    found = repeats(first, second, *(publisher(n) for n in range(6)))
    parent = found.parent(found.sites[0])
    assert (parent.query.number, parent.candidates, parent.is_sure) == (1, 2, False)


def test_parent_is_inferred_by_table_of_join():
    """Rows that came along with a join are of another class than the statement's."""
    joined = a_query(
        'SELECT * FROM "library_review" INNER JOIN "library_book" ON '
        '("library_review"."book_id" = "library_book"."id")',
        model="library.Review",
        rows=6,
        origin=20,
    )
    found = repeats(joined, *(publisher(n) for n in range(6)))
    parent = found.parent(found.sites[0])
    assert (parent.query.number, parent.known_by, parent.is_sure) == (0, "table", False)


def test_parent_of_rows_from_elsewhere_is_unknown():
    """Rows from a cache were loaded by no statement of the Trace."""
    found = repeats(books(rows=2), *(publisher(n) for n in range(6)))
    assert found.parent(found.sites[0]) is None


@pytest.mark.parametrize("operation", ["aggregate", "count", "exists", "values"])
def test_statement_without_objects_is_no_parent(operation):
    """A count of books for each publisher returns rows of no book."""
    counts = [
        a_query(operation=operation, model="library.Book", parameters=(n,), origin=30)
        for n in range(6)
    ]
    found = repeats(books(), *counts, *(publisher(n) for n in range(6)))
    parent = found.parent(found.sites[-1])
    assert (parent.query.number, parent.candidates) == (0, 1)


def test_later_statement_is_no_parent():
    """Rows are loaded before their relations."""
    found = repeats(*(publisher(n) for n in range(6)), books())
    assert found.parent(found.sites[0]) is None


def test_parent_number_beyond_the_trace_is_unknown():
    """A cut Trace may not have the statement that a number names."""
    found = repeats(*(publisher(n, parent_query=99) for n in range(3)))
    assert found.parent(found.sites[0]) is None


def test_loop_in_loop_has_outer_and_inner():
    """The rows of the inner loop were loaded by statements of the outer one."""
    outer = {"owner": "library.Author", "attribute": "books", "relation": "reverse"}
    authors = a_query('SELECT * FROM "library_author"', model="library.Author", origin=20)
    loads = [
        a_query(
            BOOKS, operation="iterate", load=a_load(parent=n, parent_query=0, **outer), origin=30
        )
        for n in range(2)
    ]
    inner = [publisher(n, parent_query=1 + n // 3) for n in range(6)]
    found = repeats(authors, *loads, *inner)
    around, inside = found.sites
    assert found.outer(inside) is around
    assert found.outer(around) is None
    assert list(found.inner(around)) == [inside]
    path, root = found.hops(inside.queries[0])
    assert [load.attribute for load in path] == ["books", "publisher"]
    assert root.number == 0


def test_path_ends_at_single_manager_query():
    """A queryset of one parent's rows is where its own relations can be joined."""
    reviews = {"owner": "library.Book", "attribute": "reviews", "relation": "reverse"}
    book = a_query(BOOKS, operation="get", model="library.Book")
    load = a_load(parent=0, parent_query=0, **reviews)
    manager = a_query('SELECT * FROM "library_review"', operation="iterate", load=load, origin=30)
    critics = [publisher(n, owner="library.Review", parent_query=1) for n in range(3)]
    found = repeats(book, manager, *critics)
    path, root = found.hops(found.sites[0].queries[0])
    assert [load.attribute for load in path] == ["publisher"]
    assert root.number == 1


def up(n, parent_query, **facts):
    """Return the load of a category's parent."""
    load = a_load("parent", owner="library.Category", parent=n, parent_query=parent_query, **facts)
    return a_query(operation="lazy", model="library.Category", load=load, parameters=(n,))


def test_walk_up_is_a_chain():
    """Each row came from the statement before: there is nothing side by side."""
    start = a_query(BOOKS, operation="get", model="library.Category", origin=20)
    found = repeats(start, *(up(n, n) for n in range(4)))
    assert found.is_chain(found.sites[0])
    assert not found.is_chain(repeats(start, *(up(n, 0) for n in range(4))).sites[0])


def of_reader(n, statement=BOOKS, parent=0, *, narrowed=True):
    """Return one of the statements that ask for a reader's books by another value."""
    load = a_load("books", relation="reverse", owner="library.Reader", parent=parent)
    narrow = load._replace(narrowed=narrowed)
    return a_query(statement, operation="iterate", parameters=(parent, n), load=narrow)


@pytest.mark.parametrize(
    "queries",
    [
        [of_reader(n, parent=n) for n in range(3)],
        [of_reader(0) for _ in range(3)],
        [of_reader(n, narrowed=False) for n in range(3)],
        [of_reader(n, f"{BOOKS} WHERE {'a' * (n + 1)} = %s") for n in range(3)],
        [of_reader(n, parent=None) for n in range(3)],
    ],
)
def test_relation_of_rows_stays_a_relation(queries):
    """Other rows, the same value, the whole relation, other filters or rows not known."""
    (found,) = repeats(*queries).sites
    assert found.relation == "library.Reader.books"


def test_relation_of_one_row_by_other_values_is_a_look_up():
    """What differs from one statement to the next are keys, not rows."""
    (found,) = repeats(*map(of_reader, range(3))).sites
    assert found.load is None
    assert found.questions == 3


def test_rows_of_many_single_statements_do_not_lie_side_by_side():
    """Light recording: each row may be of a statement of its own, with lists beside them."""
    book = {"model": "library.Book"}
    one_by_one = some(9, SELECT, operation="get", origin=20, parameters=lambda n: (n,), **book)
    lists = [a_query(BOOKS, operation="iterate", rows=9, origin=n, **book) for n in (21, 22)]
    found = repeats(*one_by_one, *lists, *map(publisher, range(9)))
    assert found.rows_side_by_side(found.sites[-1]) == 1


def test_rows_of_few_statements_lie_side_by_side():
    """Light recording: of ten rows from two lists, one list has loaded five."""
    books = {"operation": "iterate", "model": "library.Book", "rows": 20}
    lists = [a_query(BOOKS, origin=n, **books) for n in (21, 22)]
    found = repeats(*lists, *map(publisher, range(10)))
    assert found.rows_side_by_side(found.sites[-1]) == 5


def test_walk_up_without_recorded_parents_is_a_chain():
    """Light recording: no statement has all the rows, and each load returned one."""
    start = a_query(BOOKS, operation="get", model="library.Category", origin=20)
    found = repeats(start, *(up(n, None) for n in range(4)))
    assert found.is_chain(found.sites[0])


def test_tree_with_branches_is_no_chain():
    """Siblings were loaded side by side, by the walk itself."""
    down = {"relation": "reverse", "attribute": "children", "owner": "library.Category"}
    root = a_query(BOOKS, operation="get", model="library.Category", origin=20)
    parents = (0, 1, 1, 2, 2)
    queries = [
        a_query(operation="iterate", load=a_load(parent=n, parent_query=of, **down))
        for n, of in enumerate(parents)
    ]
    found = repeats(root, *queries)
    assert not found.is_chain(found.sites[0])
    assert found.is_tree(found.sites[0])
    assert found.parent(found.sites[0]).query.number == 0


def test_objects_of_one_row_are_counted_as_objects():
    """A join gives each item a layout object of its own, also where the rows are two."""
    queries = [publisher(n % 2, parent_query=0) for n in range(6)]
    found = repeats(books(), *queries)
    assert found.sites[0].parents == 2
    assert found.instances(found.sites[0]) == 6


def test_manager_asked_twice_for_one_row_is_one_object():
    """A manager asks anew each time, so its statements do not count objects."""
    load = a_load("reviews", relation="reverse", parent=0, parent_query=0)
    found = repeats(books(), *some(4, operation="iterate", load=load))
    assert found.instances(found.sites[0]) == 1


# -- batches ------------------------------------------------------------------------------------


def batch(parents, parent_query=0, **facts):
    """Return the prefetch of the reviews of so many books."""
    load = a_load(
        "reviews", relation="reverse", parent=None, parents=parents, parent_query=parent_query,
        batched=True,
    )  # fmt: skip
    return a_query('SELECT * FROM "library_review"', operation="prefetch", load=load, **facts)


def asked(n, parent_query=0):
    """Return the filtered reviews of book ``n``."""
    load = a_load("reviews", relation="reverse", parent=n, parent_query=parent_query, narrowed=True)
    return a_query(operation="iterate", load=load, parameters=(n,))


def test_batch_for_the_same_rows_is_found():
    """The batch came from the same parents, before."""
    found = repeats(books(), batch(6), *(asked(n) for n in range(6)))
    assert found.prefetched(found.sites[0]).number == 1


@pytest.mark.parametrize(
    "queries",
    [
        [books(), *(asked(n) for n in range(6)), batch(6)],
        [books(), batch(2), *(asked(n) for n in range(6))],
        [books(), books(parameters=()), batch(6, 1), *(asked(n) for n in range(6))],
    ],
    ids=["later", "for fewer rows", "for rows of another statement"],
)
def test_batch_for_other_rows_is_not_meant(queries):
    """A batch that came later, or for other rows, was not defeated."""
    found = repeats(*queries)
    site = next(repeat for repeat in found.sites if repeat.narrowed)
    assert found.prefetched(site) is None


def test_batch_for_rows_selected_before_the_last_is_not_meant():
    """Light recording: a batch follows the statement whose rows it is for, at once."""
    later = books(parameters=(2,))._replace(origin=an_origin(21))
    asks = [asked(n, None) for n in range(6)]
    found = repeats(books(), batch(6, None), later, *asks)
    assert found.prefetched(next(item for item in found.sites if item.narrowed)) is None
    found = repeats(later, books(), batch(6, None), *asks)
    assert found.prefetched(next(item for item in found.sites if item.narrowed)).number == 2


def test_batches_in_chunks_add_up():
    """An iterator prefetches chunk by chunk while the loop runs."""
    queries = [books(), batch(3), asked(0), asked(1), asked(2), batch(3), asked(3), asked(4)]
    found = repeats(*queries)
    site = next(repeat for repeat in found.sites if repeat.narrowed)
    assert found.prefetched(site).number == 1


# -- cost ---------------------------------------------------------------------------------------


def many(count):
    """Return a Trace of so many statements at forty places, fifteen frames deep."""
    origins = [an_origin(*range(n, n + 15)) for n in range(40)]
    return a_trace(
        *(
            a_query(
                f'SELECT * FROM "t{n % 40}" WHERE "id" = %s',
                parameters=(n,),
                origin=origins[n % 40],
                operation="lazy",
                load=a_load(parent=n, parent_query=0),
            )
            for n in range(count)
        )
    )


def test_grouping_is_linear():
    """Ten times the statements make ten times the calls, and not many for each."""
    small, large = many(1_000), many(10_000)
    Repeats.of(small)

    def calls(trace):
        profile = cProfile.Profile()
        profile.runcall(Repeats.of, trace)
        return sum(entry.callcount for entry in profile.getstats())

    few, lots = calls(small), calls(large)
    assert few < 60 * 1_000
    assert lots < 11 * few
