"""Recorders: facts go to the innermost once, everything is bounded and counted."""

from __future__ import annotations

import contextvars
import sys
import threading

import pytest

from queryscope.trace import codes
from queryscope.trace import recorder as module
from queryscope.trace.codes import BOUNDARY, NODE, NODE_STEP
from queryscope.trace.facts import ConnectionInfo, OpenCheckout, OpenSession, OpenTransaction, clock
from queryscope.trace.recorder import Recorder
from queryscope.trace.scope import ACTIVE, recording
from queryscope.trace.text import describe

INFO = ConnectionInfo("default", "sqlite")


@pytest.fixture(autouse=True)
def nothing_active():
    """Each test starts and must end without a Recorder."""
    assert recording() is None
    yield
    assert recording() is None


@pytest.fixture
def registered():
    """``codes.register`` whose registrations end with the test."""
    functions = []

    def register(function, kind):
        functions.append(function)
        codes.register(function, kind)

    yield register
    codes.unregister(functions)


def add(recorder, statement="SELECT 1", parameters=None, *, many=0, error=None, took=5):
    """Append one statement as a hook does, from the caller's frame."""
    start = clock()
    return recorder.add_query(
        start, start + took, statement, parameters, many, INFO, -1, error, sys._getframe(1)
    )


def texts(recorder):
    """Return the texts of the statements kept."""
    return [raw[3] for raw in recorder.queries]


class Read:
    """A label source that answers with the same label for every frame."""

    def __init__(self, operation, *, final=False, error=None, unknown=False):
        self.final = final
        self.error = error
        self.unknown = unknown
        self.label = ((operation, "", "", "", "", False, False, 0), None, 0, None)

    def read(self, frame):
        """Answer, or fail, as told."""
        if self.error is not None:
            raise self.error
        return None if self.unknown else self.label


# -- nesting ---------------------------------------------------------------------------------


def test_facts_go_to_the_innermost_once():
    """A nested Recorder takes the facts while it is open, and hangs under the outer one."""
    outer, inner = Recorder("request", "outer"), Recorder("block", "inner")
    outer.open()
    add(recording(), "SELECT 'outer'")
    inner.open()
    add(recording(), "SELECT 'inner'")
    inner.close()
    add(recording(), "SELECT 'after'")
    outer.close()
    assert texts(outer) == ["SELECT 'outer'", "SELECT 'after'"]
    assert texts(inner) == ["SELECT 'inner'"]
    assert outer.children == [inner]


def test_closing_twice_changes_nothing():
    """The second close neither moves the end nor adds a second child."""
    outer, inner = Recorder("request", "outer"), Recorder("block", "inner")
    outer.open()
    inner.open()
    inner.close()
    end_ns = inner.end_ns
    inner.close(ValueError("late"))
    outer.close()
    assert inner.end_ns == end_ns
    assert inner.error is None
    assert outer.children == [inner]


def test_outer_ends_what_nobody_ended():
    """An inner Recorder that was left open ends with its outer one and keeps its facts."""
    outer, inner = Recorder("test", "outer"), Recorder("request", "stream")
    outer.open()
    inner.open()
    add(inner)
    inner.leave()
    assert recording() is outer
    outer.close()
    assert inner.closed
    assert outer.children == [inner]
    assert len(inner.queries) == 1


def test_closed_recorder_counts_late_facts_and_keeps_none():
    """A thread that outlives its request adds orphans, not facts."""
    recorder = Recorder("request", "short")
    recorder.open()
    go = threading.Event()
    late = threading.Thread(target=lambda: (go.wait(5), add(recorder)))
    late.start()
    recorder.close()
    go.set()
    late.join()
    recorder.add_session(OpenSession("sqlalchemy", clock(), 1), 0)
    recorder.add_checkout(OpenCheckout("pool", 1, clock(), 1), 0)
    recorder.add_transaction(OpenTransaction(INFO, clock(), 0, 1))
    assert recorder.begin_stage("late", "named", -1) == -1
    assert recorder.orphans == 5
    assert (recorder.queries, recorder.sessions, recorder.checkouts) == ([], [], [])


def test_context_that_kept_a_closed_recorder_sees_the_outer_one():
    """A worker born inside a request keeps its context; a closed Recorder counts as none."""
    outer, inner = Recorder("task", "outer"), Recorder("request", "inner")
    outer.open()
    inner.open()
    kept = contextvars.copy_context()
    inner.close()
    assert kept.run(recording) is outer
    outer.close()
    assert kept.run(recording) is None


def test_recorder_closed_in_another_context_ends_quietly():
    """A generator closed elsewhere ends its Trace without touching that context."""
    recorder = Recorder("request", "stream")
    contextvars.copy_context().run(recorder.open)
    recorder.close()
    assert recorder.closed
    assert ACTIVE.get() is None


def test_error_that_left_the_unit_is_kept():
    """Class and text of the exception stand in the Recorder."""
    recorder = Recorder("request", "fails")
    recorder.open()
    recorder.close(LookupError("no such book"))
    assert recorder.error == "LookupError: no such book"


def test_describe_runs_no_code_of_the_error():
    """Only plain first arguments are read: ``__str__`` may query, or raise."""

    class Rude(Exception):  # noqa: N818 - a name, not an error of ours
        def __str__(self):
            raise AssertionError

    assert describe(Rude("plain")) == f"{__name__}.{Rude.__qualname__}: plain"
    assert describe(Rude(Rude())) == f"{__name__}.{Rude.__qualname__}"
    assert len(describe(ValueError("x" * 10_000))) < 600


def test_describe_takes_the_text_behind_a_number():
    """MariaDB's drivers raise (number, text)."""
    assert describe(RuntimeError(1054, "Unknown column")) == "RuntimeError: Unknown column"
    assert describe(RuntimeError(1054)) == "RuntimeError"


# -- caps ------------------------------------------------------------------------------------


def test_statements_over_the_cap_are_counted_with_their_time():
    """The cap keeps the first statements; the rest leave their number and time."""
    recorder = Recorder("request", "many", max_queries=2)
    recorder.open()
    uids = [add(recorder, took=10) for _ in range(5)]
    recorder.close()
    assert len(recorder.queries) == 2
    assert uids[2:] == [0, 0, 0]
    assert recorder.dropped == {"queries": 3, "query_ns": 30}


def test_equal_statements_are_kept_once():
    """Texts are interned, those that had to be cut, too."""
    recorder = Recorder("request", "long", max_statement_chars=10)
    recorder.open()
    for _ in range(3):
        add(recorder, f"SELECT {1}")
        add(recorder, "SELECT " + "x" * 50)
    recorder.close()
    assert len({id(text) for text in texts(recorder)}) == 2
    assert texts(recorder)[1] == "SELECT xxx"
    assert recorder.statement_chars == 18
    assert recorder.dropped == {"statement_tails": 3}


def test_text_of_all_statements_together_is_bounded(monkeypatch):
    """Once enough text is kept, later distinct statements are cut short and counted."""
    monkeypatch.setattr(module, "MAX_STATEMENT_TOTAL_CHARS", 100)
    monkeypatch.setattr(module, "CUT_STATEMENT_CHARS", 20)
    recorder = Recorder("request", "distinct")
    recorder.open()
    for number in range(10):
        add(recorder, f"SELECT {number} " + "x" * 50)
    recorder.close()
    assert [len(text) for text in texts(recorder)] == [59, 59] + [20] * 8
    assert recorder.dropped == {"statement_tails": 8}


def test_sessions_checkouts_transactions_and_stages_are_bounded(monkeypatch):
    """Each list of facts stops at the cap and counts what it did not take."""
    monkeypatch.setattr(module, "MAX_SESSIONS", 2)
    recorder = Recorder("request", "many")
    recorder.open()
    for _ in range(3):
        recorder.add_session(OpenSession("sqlalchemy", clock(), 1), 0)
        recorder.add_checkout(OpenCheckout("pool", 1, clock(), 1), 0)
        recorder.add_transaction(OpenTransaction(INFO, clock(), 0, 1))
    assert [recorder.begin_stage("s", "named", -1) for _ in range(3)] == [0, 1, -1]
    recorder.end_stage(-1)
    recorder.close()
    assert recorder.dropped == dict.fromkeys(("sessions", "checkouts", "transactions", "stages"), 1)


def test_children_over_the_cap_are_counted(monkeypatch):
    """Nested Traces over the cap are dropped and counted."""
    monkeypatch.setattr(module, "MAX_CHILDREN", 1)
    outer = Recorder("test", "outer")
    outer.open()
    for _ in range(3):
        inner = Recorder("request", "inner")
        inner.open()
        inner.close()
    outer.close()
    assert len(outer.children) == 1
    assert outer.dropped == {"children": 2}


# -- statements ------------------------------------------------------------------------------


def test_parameters_are_kept_as_they_were_sent():
    """Lists and dicts that the caller goes on changing do not change what was recorded."""
    recorder = Recorder("request", "values")
    recorder.open()
    items, names = [1], {"a": 1}
    add(recorder, parameters=items)
    add(recorder, parameters=names)
    add(recorder, parameters=[items], many=1)
    items.append(2)
    names["a"] = 2
    recorder.close()
    assert [raw[4] for raw in recorder.queries] == [(1,), {"a": 1}, None]


@pytest.mark.parametrize("statement", [b"SELECT 1", ["no", "hash"]])
def test_statement_that_is_no_string_is_recorded_by_its_class(statement):
    """Drivers take bytes and composed objects, also such without a hash."""
    recorder = Recorder("request", "odd")
    recorder.open()
    add(recorder, statement)
    add(recorder, statement)
    recorder.close()
    assert texts(recorder) == [f"<{type(statement).__name__}>"] * 2


def test_failing_statement_keeps_its_error():
    """The driver's error stands beside the statement that raised it."""
    recorder = Recorder("request", "fails")
    recorder.open()
    add(recorder, error=ValueError("no such table: book"))
    recorder.close()
    assert recorder.queries[0][-1] == "ValueError: no such table: book"


# -- the walk --------------------------------------------------------------------------------


def frames_of(recorder, site):
    """Return the function names of one chain, the innermost first."""
    chain = next(chain for chain, index in recorder.chains.items() if index == site)
    names = []
    for key, instruction in zip(chain[::2], chain[1::2], strict=True):
        step = recorder.table.resolve(key, instruction)
        names.append(step.function.rpartition(".")[2])
    return names


def test_chain_has_user_frames_from_inside_out(registered):
    """The chain starts at the line that asked and ends at our own boundary."""
    recorder = Recorder("request", "walk")

    def boundary():
        return view()

    def view():
        return helper()

    def helper():
        return recorder.walk(sys._getframe())[0]

    registered(boundary, BOUNDARY)
    assert frames_of(recorder, boundary()) == ["helper", "view"]


def test_same_line_reached_again_is_the_same_chain():
    """One site in a loop has one chain, two calls on one line have two."""
    recorder = Recorder("request", "walk")

    def ask():
        return recorder.walk(sys._getframe())[0]

    looped = {ask() for _ in range(3)}
    pair = {ask(), ask()}
    assert len(looped) == 1
    assert len(pair) == 2
    assert not looped & pair


def test_walk_stops_at_the_cap():
    """Deep recursion is walked no further than ``max_frames``."""
    recorder = Recorder("request", "deep", max_frames=7)

    def descend(left):
        return descend(left - 1) if left else recorder.walk(sys._getframe())[0]

    assert frames_of(recorder, descend(50)) == ["descend"] * 7


def test_outermost_known_frame_before_the_user_gives_the_label(registered):
    """What the user called is the label, not what the ORM called for it in turn."""
    recorder = Recorder("request", "label")

    def user():
        return get()

    def get():
        return fetch()

    def fetch():
        return recorder.walk(sys._getframe())

    registered(get, Read("get"))
    registered(fetch, Read("iterate"))
    site, label = user()
    assert label[0][0] == "get"
    assert frames_of(recorder, site)[0] == "user"


def test_final_label_is_not_overruled(registered):
    """A prefetch inside an evaluation stays a prefetch."""
    recorder = Recorder("request", "label")

    def get():
        return prefetch()

    def prefetch():
        return recorder.walk(sys._getframe())

    registered(get, Read("iterate"))
    registered(prefetch, Read("prefetch", final=True))
    assert get()[1][0][0] == "prefetch"


def test_known_frame_outside_the_user_gives_no_label(registered):
    """An ORM call that ran the user's code did not ask for the user's statement."""
    recorder = Recorder("request", "label")

    def outer():
        return user()

    def user():
        return recorder.walk(sys._getframe())

    registered(outer, Read("iterate"))
    assert outer()[1] is None
    assert recorder.label_failures == 0


@pytest.mark.parametrize(
    "source",
    [Read("get", unknown=True), Read("get", error=KeyError("self"))],
    ids=["no answer", "raises"],
)
def test_frame_of_unknown_shape_is_counted(registered, source):
    """A known function whose locals changed gives an empty label and a count."""
    recorder = Recorder("request", "label")

    def get():
        return recorder.walk(sys._getframe())

    registered(get, source)
    assert get()[1][0][0] == ""
    assert recorder.label_failures == 1


@pytest.mark.parametrize(("full", "nodes"), [(False, 1), (True, 2)], ids=["light", "full"])
def test_template_nodes_are_part_of_the_chain(registered, full, nodes):
    """Light recording reads the innermost node, full recording all of them."""
    recorder = Recorder("request", "template", full=full)

    class Node:
        def __init__(self, inner=None):
            self.inner = inner

        def render(self):
            return self.inner.render() if self.inner else recorder.walk(sys._getframe())[0]

    registered(Node.render, NODE)
    page = Node(Node())
    site = page.render()
    chain = list(recorder.chains)[site]
    assert [chain[n] for n in range(0, len(chain), 2) if chain[n + 1] == NODE_STEP] == [
        id(page.inner),
        id(page),
    ][:nodes]
    assert page.inner in recorder.nodes.values()


def test_two_tags_on_one_path_are_two_sites(registered):
    """Two tags of a template have equal frames: the node tells them apart."""
    recorder = Recorder("request", "template")

    class Node:
        def render(self):
            return recorder.walk(sys._getframe())[0]

    registered(Node.render, NODE)
    tags = [Node(), Node()]
    assert len({tag.render() for tag in tags}) == 2


def test_inner_one_that_nobody_left_does_not_bring_its_context_back():
    """A view left its block open, and its stream ends later: the thread is in neither of them."""
    outer, inner = Recorder("request", "outer"), Recorder("block", "inner")
    before = ACTIVE.get()
    outer.open()
    inner.open()
    ACTIVE.set(before)  # the middleware goes on as it came
    outer.leave()
    ACTIVE.set(before)
    outer.close()
    assert ACTIVE.get() is before
    assert outer.children == [inner]
    assert inner.closed
