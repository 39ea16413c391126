"""Freezing: positions resolved, values digested, facts paired up by index, times from the start."""

from __future__ import annotations

import linecache
import sys
from decimal import Decimal
from enum import StrEnum
from types import SimpleNamespace
from uuid import UUID

import pytest

from queryscope.trace import codes
from queryscope.trace.codes import NODE
from queryscope.trace.events import NOWHERE, Load, TemplateNode
from queryscope.trace.facts import ConnectionInfo, OpenCheckout, OpenSession, OpenTransaction, clock
from queryscope.trace.flat import WIDTH
from queryscope.trace.freeze import freeze
from queryscope.trace.parameters import parameters_key
from queryscope.trace.recorder import Recorder

MS = 1_000_000


@pytest.fixture
def recorder():
    """An open Recorder, closed after the test if the test did not."""
    found = Recorder("request", "GET /books/")
    found.open()
    yield found
    found.close()


def add(
    recorder, info, *, parameters=None, start_ns=None, took_ns=MS, stage=-1, statement="SELECT 1"
):
    """Append one statement as a hook does, from the caller's frame."""
    start = recorder.start_ns + start_ns if start_ns is not None else clock()
    return recorder.add_query(
        start, start + took_ns, statement, parameters, 0, info, stage, None, sys._getframe(1)
    )


def an_info():
    """Return a connection of its own."""
    return ConnectionInfo("default", "sqlite")


def test_times_count_from_the_start(recorder):
    """Facts carry nanoseconds from the Trace's start; the Trace carries the Unix time."""
    add(recorder, an_info(), start_ns=3 * MS, took_ns=2 * MS)
    recorder.close()
    trace = freeze(recorder)
    assert (trace.queries[0].start_ns, trace.queries[0].duration_ns) == (3 * MS, 2 * MS)
    assert trace.duration_ns == recorder.end_ns - recorder.start_ns
    assert trace.started_at_ns == recorder.started_at_ns


def test_origin_names_file_line_and_function(recorder):
    """The first step is the expression that asked."""
    line = sys._getframe().f_lineno + 1
    add(recorder, an_info())
    recorder.close()
    frame = freeze(recorder).queries[0].origin.first
    assert (frame.file, frame.line, frame.function) == (
        __file__,
        line,
        "test_origin_names_file_line_and_function",
    )
    assert frame.module == __name__
    source = linecache.getline(frame.file, frame.line)
    assert source[frame.column : frame.end_column] == "add(recorder, an_info())"


def test_statement_without_user_frames_has_no_origin(recorder):
    """A statement that no user line asked for is nowhere, not somewhere wrong."""
    recorder.add_query(clock(), clock(), "SELECT 1", None, 0, an_info(), -1, None, None)
    recorder.close()
    assert freeze(recorder).queries[0].origin == NOWHERE


def test_template_node_is_an_origin(recorder):
    """The tag's own text, its line and its template stand in the origin."""

    class Node:
        token = SimpleNamespace(lineno=7, contents="book.publisher.name")
        origin = SimpleNamespace(name="/srv/templates/books.html", template_name="books.html")

        def render(self):
            add(recorder, an_info())

    codes.register(Node.render, NODE)
    try:
        Node().render()
    finally:
        codes.unregister([Node.render])
    recorder.close()
    assert freeze(recorder).queries[0].origin.node == TemplateNode(
        "books.html", "/srv/templates/books.html", 7, "book.publisher.name", "django"
    )


# -- values ----------------------------------------------------------------------------------


class Colour(StrEnum):
    RED = "red"


class Safe(str):
    """A string that a template engine marked."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, "a"), [1, "a"]),
        ({"a": 1}, {"a": 1}),
        ((Decimal("1.50"),), (Decimal("1.50"),)),
        ((UUID(int=1),), (UUID(int=1),)),
        ((Colour.RED,), ("red",)),
        ((Safe("red"),), ("red",)),
        (((1, 2), [3]), ([1, 2], (3,))),
        ((float("nan"),), (float("nan"),)),
    ],
)
def test_equal_values_have_equal_keys(one, other):
    """Whatever is sent as the same value has the same digest."""
    assert parameters_key(one) == parameters_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1,), ("1",)),
        ((1,), (True,)),
        ((1,), (1.0,)),
        ((None,), ("None",)),
        (("a", "b"), ("a', 'b",)),
        (("1,2",), ("1", "2")),
        (((1,), 2), (1, (2,))),
        ((b"a",), ("a",)),
        (("\ud800",), ("\ud801",)),
        ((object(),), (object(),)),
    ],
)
def test_different_values_have_different_keys(one, other):
    """Type and structure are part of a value; what we do not know equals itself only."""
    assert parameters_key(one) != parameters_key(other)


@pytest.mark.parametrize("nothing", [None, (), {}, []])
def test_no_parameters_have_no_key(nothing):
    """A statement without parameters has an empty key."""
    assert parameters_key(nothing) == ""


def test_key_depends_on_the_projects_key():
    """Digests of two projects cannot be compared, nor values be guessed from them."""
    assert parameters_key((1,), b"one") != parameters_key((1,), b"two")


def test_unknown_class_is_not_asked_for_its_text(recorder):
    """The ``__repr__`` and ``__str__`` of a parameter are the user's code and are not run."""

    class Rude:
        def __repr__(self):
            raise AssertionError

        __str__ = __repr__

    recorder.keep_values = True
    add(recorder, an_info(), parameters=(Rude(),))
    recorder.close()
    query = freeze(recorder).queries[0]
    assert query.parameters == (f"<{Rude.__qualname__}>",)
    assert query.parameters_key


class Small(int):
    """A number as psycopg wants it, and no more than its value."""

    def __index__(self):
        raise AssertionError("the user's code, and not ours to run")

    __repr__ = __int__ = __str__ = __index__


class Ratio(float):
    __float__ = __repr__ = __str__ = Small.__index__


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("parameters", "kept"),
    [
        ((1, ["a", object]), (1, ("a", "<type>"))),
        ({"name": 1}, (("name", 1),)),
        ((Small(7), Ratio(0.5), [Colour.RED]), (7, 0.5, ("red",))),
        (None, None),
    ],
)
def test_values_are_kept_only_where_wanted(recorder, parameters, kept):
    """Without ``keep_values`` only the digest is left; with it, plain values."""
    add(recorder, an_info(), parameters=parameters)
    recorder.close()
    assert freeze(recorder).queries[0].parameters is None
    recorder.keep_values = True
    assert repr(freeze(recorder).queries[0].parameters) == repr(kept)


# -- pairing ---------------------------------------------------------------------------------


def test_statement_points_to_its_session_checkout_and_transaction(recorder):
    """Indices lead from a statement to the facts it belongs to."""
    info = an_info()
    now = clock()
    info.session = OpenSession("sqlalchemy", now, 1)
    info.session.databases["default"] = None
    info.checkout = OpenCheckout("default", 9, now, 1)
    info.checkout.got_ns = now
    info.checkout.session = info.session
    info.transaction = OpenTransaction(info, now, 0, 1)
    recorder.add_session(OpenSession("sqlalchemy", now, 1), 0)
    recorder.add_session(info.session, 0)
    recorder.add_checkout(info.checkout, 0)
    recorder.add_transaction(info.transaction)
    add(recorder, info)
    recorder.close()
    trace = freeze(recorder)
    query = trace.queries[0]
    assert (query.session, query.checkout, query.transaction) == (1, 0, 0)
    assert trace.checkouts[0].session == 1
    assert trace.sessions[1].databases == ("default",)
    assert trace.transactions[0].ended_ns is None


def test_fact_of_an_outer_trace_is_not_pointed_to(recorder):
    """A nested Trace that uses the outer one's session has no index for it."""
    info = an_info()
    info.session = OpenSession("sqlalchemy", clock(), 1)
    recorder.add_session(info.session, 0)
    inner = Recorder("block", "inner")
    inner.open()
    add(inner, info)
    inner.close()
    recorder.close()
    child = freeze(recorder).children[0]
    assert child.queries[0].session is None
    assert child.sessions == ()


def test_busy_time_is_the_time_of_its_statements(recorder):
    """A checkout's busy time sums the statements sent on it."""
    info = an_info()
    info.checkout = OpenCheckout("default", 9, clock(), 1)
    recorder.add_checkout(info.checkout, 0)
    for _ in range(3):
        add(recorder, info, took_ns=2 * MS)
    recorder.close()
    assert freeze(recorder).checkouts[0].busy_ns == 6 * MS


def test_connection_that_came_back_after_the_end_was_not_returned(recorder):
    """What garbage collection brings back later was still out when the Trace ended."""
    checkout = OpenCheckout("default", 9, clock(), 1)
    recorder.add_checkout(checkout, 0)
    recorder.close()
    checkout.returned_ns = recorder.end_ns + MS
    assert freeze(recorder).checkouts[0].returned_ns is None
    checkout.returned_ns = recorder.end_ns
    assert freeze(recorder).checkouts[0].returned_ns is not None


def test_label_gives_operation_model_and_load(recorder):
    """Parents are numbered within the Trace; the parent's statement is named by its number."""

    class Publisher:
        _meta = SimpleNamespace(label="library.Publisher")

    first = add(recorder, an_info())
    labels = [
        (("lazy", Publisher, "forward", "library.Book", "publisher", False, False, 0), p, 1, first)
        for p in (987_654, 123_456, 987_654)
    ]

    class Source:
        final = False

        def read(self, frame):
            return labels.pop(0)

    def lazy():
        add(recorder, an_info())

    codes.register(lazy, Source())
    codes.register(add, Source())
    codes.unregister([add])
    try:
        for _ in range(3):
            lazy()
    finally:
        codes.unregister([lazy])
    recorder.close()
    queries = freeze(recorder).queries[1:]
    assert {(query.operation, query.model) for query in queries} == {("lazy", "library.Publisher")}
    assert [query.load.parent for query in queries] == [0, 1, 0]
    assert queries[0].load == Load(
        "forward", "library.Book", "publisher", 0, 1, 0, narrowed=False, batched=False
    )


def test_stage_times_add_up(recorder):
    """Own time is wall time less statements, waiting and inner stages."""
    outer = recorder.begin_stage("view", "view", -1)
    inner = recorder.begin_stage("rows", "named", outer)
    add(recorder, an_info(), start_ns=MS, took_ns=2 * MS, stage=inner)
    stages = recorder.stages
    stages[outer].start_ns = recorder.start_ns
    stages[outer].end_ns = recorder.start_ns + 10 * MS
    stages[inner].start_ns = recorder.start_ns + MS
    stages[inner].end_ns = recorder.start_ns + 6 * MS
    waiting = OpenCheckout("default", 9, recorder.start_ns + 4 * MS, stages[inner].thread)
    waiting.waited_ns = MS
    recorder.add_checkout(waiting, 0)
    recorder.close()
    view, rows = freeze(recorder).stages
    assert (view.queries, view.database_ns, view.own_ns) == (0, 0, 5 * MS)
    assert (rows.queries, rows.database_ns, rows.pool_wait_ns, rows.own_ns) == (
        1, 2 * MS, MS, 2 * MS,
    )  # fmt: skip


def test_stage_that_was_never_ended_ends_with_the_trace(recorder):
    """An open stage lasts until the end."""
    recorder.begin_stage("view", "view", -1)
    recorder.close()
    stage = freeze(recorder).stages[0]
    assert stage.start_ns + stage.duration_ns == recorder.end_ns - recorder.start_ns


def test_nested_recorders_become_children(recorder):
    """The tree of Recorders is the tree of Traces; budgets walk it with ``subtree``."""
    inner = Recorder("block", "inner")
    inner.open()
    add(inner, an_info())
    inner.close()
    add(recorder, an_info())
    recorder.close()
    trace = freeze(recorder)
    assert [item.name for item in trace.subtree()] == ["GET /books/", "inner"]
    assert [item.statements for item in trace.subtree()] == [1, 1]


def test_freezing_twice_gives_equal_traces(recorder):
    """Freezing changes nothing in the Recorder."""
    add(recorder, an_info(), parameters=(1,))
    recorder.close()
    assert freeze(recorder, b"key") == freeze(recorder, b"key")


def test_statements_leave_out_what_budgets_do_not_count(recorder):
    """Transaction, savepoint and catalogue statements are kept and not counted."""
    recorder.max_values = 4 * WIDTH
    for statement in ("BEGIN", "SAVEPOINT a", "PRAGMA foreign_keys", "SELECT 1", "SELECT 2"):
        add(recorder, an_info(), statement=statement, took_ns=MS)
    recorder.close()
    trace = freeze(recorder)
    assert len(trace.queries) == 4
    assert trace.statements == 2
    assert trace.database_ns == 5 * MS


def test_parameters_that_cannot_be_written_out_have_a_key():
    """Integers too long for decimal and a list that holds itself do not lose their Trace."""
    endless: list[object] = []
    endless.append(endless)
    huge = 10**5000
    assert parameters_key((huge,)) == parameters_key((huge,))
    assert parameters_key((huge,)) != parameters_key((huge + 1,))
    assert parameters_key((endless,))
