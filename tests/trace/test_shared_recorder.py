"""One Recorder shared by many threads: nothing is lost, nothing doubled, no index means two."""

from __future__ import annotations

import dis
import sys
import threading
import time
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest

from queryscope.trace import freeze as freezing
from queryscope.trace import recorder as recording
from queryscope.trace import walk
from queryscope.trace.facts import ConnectionInfo, OpenSession, clock
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import MAX_CHILDREN, Recorder

THREADS = 8
TIMES = 400
FILES = {recording.__file__, walk.__file__, freezing.__file__}
INFO = ConnectionInfo("default", "sqlite")
SOURCE = "def sender_{name}(send):\n    send('SELECT {name}')\n"


# Where CPython may let another thread run: after a call, and where a loop jumps back. Left to
# chance, a thread stops in the few calls that matter once in thousands of runs.
_TURNS = frozenset({"CALL", "CALL_KW", "CALL_FUNCTION_EX", "JUMP_BACKWARD"})


@cache
def _turns(code):
    """Return the offsets of the instructions that follow a place where threads take turns."""
    instructions = list(dis.get_instructions(code))
    return {
        later.offset
        for earlier, later in pairwise(instructions)
        if earlier.opname in _TURNS or earlier.opcode in dis.hasjrel
    }


def _give_way(frame, event, _):
    """Trace one frame, letting other threads run wherever they may."""
    frame.f_trace_opcodes = True
    if event == "opcode" and frame.f_lasti in _turns(frame.f_code):
        time.sleep(0)
    return _give_way


def _only_ours(frame, event, argument):
    return _give_way(frame, event, argument) if frame.f_code.co_filename in FILES else None


@pytest.fixture(params=["turns", "chance"])
def threads(request):
    """Run threads so that they take turns wherever they may, or as often as Python does."""
    if request.param == "turns":
        threading.settrace(_only_ours)
        yield TIMES // 10
        threading.settrace(None)
    else:
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield TIMES
        sys.setswitchinterval(before)


def at_once(work):
    """Run ``work(number)`` in all threads, started together; raise what one of them raised."""
    barrier = threading.Barrier(THREADS)
    errors = []

    def run(number):
        try:
            barrier.wait(10)
            work(number)
        except BaseException as error:  # noqa: BLE001 - told to the test below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def a_recorder(**settings):
    """Return an open Recorder that no context points at."""
    recorder = Recorder("request", "shared", **settings)
    recorder.open()
    recorder.leave()
    return recorder


def sender(name):
    """Return a function with code of its own, so with a chain of its own, and its text."""
    names = {"__name__": __name__, "__file__": __file__}
    exec(compile(SOURCE.format(name=name), __file__, "exec"), names)
    return names[f"sender_{name}"]


def add(recorder, text, took=1):
    """Append one statement as a hook does, from the caller's frame."""
    start = clock()
    recorder.add_query(start, start + took, text, None, 0, INFO, -1, None, 1)


def test_every_statement_is_kept_once_with_its_own_chain(threads):
    """Thousands of statements, half of them with new chains: each origin names its function."""
    recorder = a_recorder()
    own = {
        number: [sender(f"{number}_{count}") for count in range(threads // 2)]
        for number in range(THREADS)
    }
    shared = [sender(f"shared_{count}") for count in range(threads // 2)]

    def work(number):
        for mine, everybodys in zip(own[number], shared, strict=True):
            mine(lambda text: add(recorder, text))
            everybodys(lambda text: add(recorder, text))

    at_once(work)
    recorder.close()
    trace = freeze(recorder)
    assert len(trace.queries) == THREADS * threads
    assert len({raw[0] for raw in recorder.queries}) == THREADS * threads
    for query in trace.queries:
        name = query.statement.removeprefix("SELECT ")
        assert f"sender_{name}" in [step.function for step in query.origin.steps]
    counts = Counter(query.statement for query in trace.queries)
    assert set(counts.values()) == {1, THREADS}
    assert len(set(recorder.chains.values())) == len(recorder.chains)


def test_counts_over_the_cap_are_exact(threads):
    """Statements, their time and statement tails that are only counted are all counted."""
    recorder = a_recorder(max_queries=THREADS)
    at_once(lambda _: [add(recorder, "SELECT 1", took=3) for _ in range(threads)])
    kept = len(recorder.queries)
    assert THREADS <= kept <= 2 * THREADS  # a thread that has looked before the last is let in
    over = THREADS * threads - kept
    assert recorder.dropped == {"queries": over, "query_ns": 3 * over}


def test_late_facts_are_counted_exactly(threads):
    """Orphans of many threads are all counted, and none is kept."""
    recorder = a_recorder()
    recorder.close()

    def work(number):
        for _ in range(threads):
            add(recorder, "SELECT 1")
            recorder.add_session(OpenSession("django", clock(), number), -1)

    at_once(work)
    assert recorder.orphans == 2 * THREADS * threads
    assert recorder.queries == []


def test_every_stage_has_an_index_of_its_own(threads):
    """The index that a thread gets is that of the stage that it began."""
    recorder = a_recorder()
    begun = []

    def work(number):
        for count in range(threads // 2):
            index = recorder.begin_stage(f"{number}.{count}", "named", -1)
            begun.append((index, f"{number}.{count}"))
            recorder.end_stage(index)

    at_once(work)
    assert len({index for index, _ in begun}) == len(begun) == len(recorder.stages)
    assert all(recorder.stages[index].name == name for index, name in begun)
    assert all(stage.end_ns is not None for stage in recorder.stages)


def test_new_chains_get_indices_of_their_own(threads):
    """Thousands of chains that are new, half of them brought by two threads at a time."""
    recorder = a_recorder()

    def work(number):
        for count in range(10 * threads):
            recorder.number((number // (1 + count % 2), count))

    at_once(work)
    numbers = list(recorder.chains.values())
    assert len(numbers) == THREADS * 5 * threads + THREADS // 2 * 5 * threads
    assert len(set(numbers)) == len(numbers)


def test_children_are_hung_once(threads):
    """A Recorder that many threads close together is one child."""
    outer = a_recorder()
    inner = []
    for _ in range(MAX_CHILDREN):
        one = Recorder("block", "inner")
        one.outer = outer
        outer.opened[id(one)] = one
        inner.append(one)
    at_once(lambda _: [one.close() for one in inner])
    assert sorted(map(id, outer.children)) == sorted(map(id, inner))


def test_nested_recorders_of_threads_are_children_of_the_shared_one(threads):
    """Each thread's own Traces hang under the one they were opened in."""
    outer = Recorder("request", "outer")
    outer.open()
    opened = MAX_CHILDREN // THREADS // 2

    def work(_):
        scope = outer.carry(-1)
        for _ in range(opened):
            inner = Recorder("block", "inner")
            inner.outer = outer
            outer.opened[id(inner)] = inner
            inner.close()
        del scope

    at_once(work)
    outer.close()
    assert len(outer.children) == THREADS * opened
    assert outer.opened == {}
    assert outer.carried == {}


def test_freezing_while_late_threads_go_on_raises_nothing(threads):
    """The writer freezes while threads that outlive the request still bring facts.

    They had looked whether the Recorder is closed, and were interrupted before they added.
    """
    recorder = a_recorder()
    for count in range(20):
        sender(f"early_{count}")(lambda text: add(recorder, text))
    recorder.begin_stage("view", "view", -1)
    recorder.close()
    (early, *_), (stage, *_) = recorder.queries, recorder.stages
    traces = []

    def work(number):
        for count in range(threads // 4):
            if not number:
                traces.append(freeze(recorder))
                continue
            late = (
                *early[:11],
                len(recorder.stages),
                recorder.number((number, count)),
                *early[13:],
            )
            recorder.stages.append(stage)
            recorder.statements.extend(late)
            recorder.dropped[f"{number} {count}"] = 1

    at_once(work)
    assert len(traces) == threads // 4
    for trace in traces:
        assert len(trace.queries) >= 20
        assert all(query.stage < len(trace.stages) for query in trace.queries)


def test_places_handed_out_and_taken_back_leave_nothing(threads):
    """Thousands of places of many threads, while the Recorder closes: all are let go."""
    recorder = a_recorder()
    kept = []

    def work(number):
        for count in range(threads):
            place = recorder.carry(-1)
            if not count % 10:
                kept.append(place)
            if number == 0 and count == threads // 2:
                recorder.close()

    at_once(work)
    assert recorder.carried == {}
    assert all(place.recorder is not recorder for place in kept)
    assert all(place.recorder.closed for place in kept)
