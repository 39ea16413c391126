"""Statements that come a known way: nothing is walked again, and nothing wrong is remembered."""

from __future__ import annotations

import _thread
import queue
import sys

import pytest

from queryscope.trace import codes
from queryscope.trace.codes import BOUNDARY
from queryscope.trace.facts import ConnectionInfo, clock
from queryscope.trace.recorder import Recorder

INFO = ConnectionInfo("default", "sqlite")


def hook(recorder, statement="SELECT 1"):
    """Append one statement as a hook does that says how far above it the walk starts."""
    recorder.add_query(clock(), clock(), statement, None, 0, INFO, -1, None, 1)


class Source:
    """A label source that counts how often it is asked, and reads ``row`` from the frame."""

    final = False

    def __init__(self, parents=0):
        self.asked = 0
        self.parents = parents

    def read(self, frame):
        """Return the label that the frame's own ``row`` tells."""
        self.asked += 1
        static = ("get", frame.f_locals["row"][0], "", "", "", False, False, 0)
        return static, (frame.f_locals["row"] if self.parents else None), self.parents, None


class FollowedSource(Source):
    """As ``Source``, with a reader of its own for statements that come the same way."""

    def follow(self, label, *, full):
        """Return what gives the first label again, with the row of each."""
        return lambda frame: (label[0], frame.f_locals["row"], 1, None)


@pytest.fixture
def known():
    """``known(function, kind)`` registers code for the length of the test."""
    functions = []

    def register(function, kind):
        functions.append(function)
        codes.register(function, kind)

    yield register
    codes.unregister(functions)


def labels(recorder):
    """Return the labels of the statements."""
    return [raw[13] for raw in recorder.queries]


def sites(recorder):
    """Return the chains' indices of the statements."""
    return [raw[12] for raw in recorder.queries]


@pytest.mark.parametrize(("full", "asked"), [(False, 1), (True, 3)], ids=["light", "full"])
def test_label_without_a_row_is_read_once_in_light_recording(known, full, asked):
    """In full recording it also says where the statement was made, so each is read."""
    recorder, source = Recorder("request", "loop", full=full), Source()

    def get(row):
        hook(recorder)

    known(get, source)
    for _ in range(3):
        get("a")
    assert source.asked == asked
    assert [label[0][1] for label in labels(recorder)] == ["a"] * 3


def test_label_with_a_row_is_read_each_time(known):
    """The rows that a loop asks for are told apart."""
    recorder, source = Recorder("request", "loop"), Source(parents=1)

    def get(row):
        hook(recorder)

    known(get, source)
    for row in ("a", "b"):
        get(row)
    assert [label[1] for label in labels(recorder)] == ["a", "b"]


def test_source_may_read_the_next_labels_in_its_own_way(known):
    """``read`` is asked for the first label, what ``follow`` gave for the others."""
    recorder, source = Recorder("request", "loop"), FollowedSource()

    def get(row):
        hook(recorder)

    known(get, source)
    for row in ("a", "b", "c"):
        get(row)
    assert source.asked == 1
    assert [label[0][1] for label in labels(recorder)] == ["a"] * 3
    assert [label[1] for label in labels(recorder)] == [None, "b", "c"]


def test_label_that_could_not_be_read_is_tried_again(known):
    """Each statement whose label is unknown is counted."""
    recorder = Recorder("request", "loop")

    def get(rows):  # has no ``row``
        hook(recorder)

    known(get, Source())
    for _ in range(3):
        get(())
    assert recorder.label_failures == 3


def test_same_text_from_another_line_is_another_site(known):
    """Two lines that send one statement in turn are told apart each time."""
    recorder = Recorder("request", "turns")
    for _ in range(2):
        hook(recorder)
        hook(recorder)
    first, second, *again = sites(recorder)
    assert first != second
    assert again == [first, second]


def test_same_line_reached_from_elsewhere_is_another_site(known):
    """A helper called from two lines has two chains."""
    recorder = Recorder("request", "helper")

    def helper():
        hook(recorder)

    for _ in range(2):
        helper()
        helper()
    first, second, *again = sites(recorder)
    assert first != second
    assert again == [first, second]


def test_comprehension_is_followed_outside_of_it_too(known):
    """Who called the function around it is looked at each time, how deep comprehensions nest."""
    recorder = Recorder("request", "two lines, one comprehension")

    def hooks(count):
        return [{hook(recorder) for _ in range(1)} for _ in range(count)]

    def view():
        hooks(2)
        hooks(1)
        return [hook(recorder) for _ in range(1)], [hook(recorder) for _ in range(1)]

    def serve():
        view()

    known(serve, BOUNDARY)
    serve()
    first, same, later, one, other = sites(recorder)
    assert first == same
    assert len({first, later, one, other}) == 4


def test_longer_way_to_the_boundary_is_another_site(known):
    """The frames up to the boundary stand as before, but one more lies between: not the same."""
    recorder = Recorder("request", "recursion")

    def boundary(depth):
        descend(depth)

    def descend(depth):
        if depth:
            descend(depth - 1)
        else:
            hook(recorder)

    known(boundary, BOUNDARY)
    for depth in (2, 3, 2):
        boundary(depth)
    first, second, third = sites(recorder)
    assert first == third != second


def test_other_library_frame_at_the_known_depth_is_read_anew(known):
    """The label's frame must be the same function: else its locals mean something else."""
    recorder = Recorder("request", "other")
    get_source, first_source = Source(parents=1), Source(parents=1)

    def get(row):
        hook(recorder)

    def first(row):
        hook(recorder)

    known(get, get_source)
    known(first, first_source)
    for function in (get, first):
        function("a")
    assert (get_source.asked, first_source.asked) == (1, 1)


def test_statements_that_differ_have_ways_of_their_own(known):
    """Two statements that a loop sends in turn are both followed."""
    recorder, source = Recorder("request", "turns"), Source()

    def get(row, statement):
        hook(recorder, statement)

    known(get, source)
    for _ in range(3):
        for statement in ("SELECT 1", "SELECT 2"):
            get("a", statement)
    assert source.asked == 2
    assert len(set(sites(recorder))) == 1


def test_stack_that_is_too_short_is_walked(known):
    """A way learnt deep in the stack of a thread is not found in a short one; nothing raises."""
    recorder = Recorder("request", "depth")
    ended = queue.SimpleQueue()

    def deep(left):
        if left:
            return deep(left - 1)
        try:
            hook(recorder)
        finally:
            ended.put(sys.exc_info()[0])
        return None

    def boundary(left):
        deep(left)

    known(boundary, BOUNDARY)
    for function, depth in ((boundary, 60), (deep, 3)):
        # The threading module would put frames of its own at the foot of the stack.
        _thread.start_new_thread(function, (depth,))
        assert ended.get(timeout=10) is None
    first, second = sites(recorder)
    assert first != second
