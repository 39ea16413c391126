"""Threads and pools: their work belongs to who started it, and nothing else changes."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import traceback
import weakref
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest

from queryscope.stdlib import install, uninstall
from queryscope.trace.facts import ConnectionInfo, clock
from queryscope.trace.freeze import freeze
from queryscope.trace.scope import ACTIVE, active, recording
from queryscope.trace.stage import StageBlock
from tests.recording import opened

INFO = ConnectionInfo("default", "sqlite")
MINE = contextvars.ContextVar("mine", default="unset")
TIMEOUT_S = 10


def ask(text="SELECT 1", parameters=None):
    """Send one statement, as a hook does; return the Recorder that was asked to take it."""
    scope = active()
    if scope is None:
        return None
    start = clock()
    frame = sys._getframe(1)
    scope.recorder.add_query(start, start + 1, text, parameters, 0, INFO, scope.stage, None, frame)
    return scope.recorder


def texts(recorder):
    """Return the texts of the statements kept, sorted."""
    return sorted(raw[3] for raw in recorder.queries)


@pytest.fixture
def pool():
    """One worker, born outside every Trace."""
    with ThreadPoolExecutor(1) as made:
        made.submit(int).result(TIMEOUT_S)
        yield made


def in_thread(work, **options):
    """Run work in a thread of its own, to its end."""
    thread = threading.Thread(target=work, **options)
    thread.start()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()


# -- what is carried ---------------------------------------------------------------------------


def test_thread_records_into_the_trace_that_started_it():
    """A statement sent by a thread stands in the Trace, with the thread that sent it."""
    with opened() as recorder:
        in_thread(ask)
    assert len(recorder.queries) == 1
    assert recorder.queries[0][10] != threading.get_ident()


def test_thread_started_by_a_thread_records_too():
    """The place is handed on from thread to thread."""
    with opened() as recorder:
        in_thread(lambda: in_thread(ask))
    assert len(recorder.queries) == 1


def test_timer_records_into_the_trace_that_set_it():
    """A Timer is a thread that waits."""
    with opened() as recorder:
        timer = threading.Timer(0.01, ask)
        timer.start()
        timer.join(TIMEOUT_S)
    assert len(recorder.queries) == 1


def test_executor_records_into_the_trace_that_submits(pool):
    """Both ``submit`` and ``map``."""
    with opened() as recorder:
        pool.submit(ask, "SELECT 'submit'").result(TIMEOUT_S)
        list(pool.map(ask, ["SELECT 'map 1'", "SELECT 'map 2'"], timeout=TIMEOUT_S))
    assert texts(recorder) == ["SELECT 'map 1'", "SELECT 'map 2'", "SELECT 'submit'"]


def test_loop_executor_records_into_the_trace_that_awaits(pool):
    """``loop.run_in_executor`` with a pool, with the loop's own, and ``asyncio.to_thread``."""

    async def work():
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(pool, ask, "SELECT 'pool'")
        await loop.run_in_executor(None, ask, "SELECT 'default'")
        await asyncio.to_thread(ask, "SELECT 'to_thread'")

    with opened() as recorder:
        asyncio.run(work())
    assert texts(recorder) == ["SELECT 'default'", "SELECT 'pool'", "SELECT 'to_thread'"]


CALLS = {
    "apply": lambda pool: pool.apply(ask, ("SELECT 1",)),
    "apply_async": lambda pool: pool.apply_async(func=ask, args=("SELECT 1",)).get(TIMEOUT_S),
    "map": lambda pool: pool.map(ask, ["SELECT 1"]),
    "map_async": lambda pool: pool.map_async(ask, ["SELECT 1"]).get(TIMEOUT_S),
    "starmap": lambda pool: pool.starmap(ask, [("SELECT 1",)]),
    "starmap_async": lambda pool: pool.starmap_async(ask, [("SELECT 1",)]).get(TIMEOUT_S),
    "imap": lambda pool: list(pool.imap(ask, ["SELECT 1"])),
    "imap_unordered": lambda pool: list(pool.imap_unordered(ask, ["SELECT 1"])),
}


@pytest.mark.parametrize("name", CALLS)
def test_thread_pool_records_into_the_trace_that_calls(name):
    """Every method of ``multiprocessing.pool.ThreadPool`` that takes a function."""
    with ThreadPool(2) as pool, opened() as recorder:
        CALLS[name](pool)
    assert texts(recorder) == ["SELECT 1"]


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_lazy_items_are_made_in_the_trace(name):
    """The pool reads the iterable of ``imap`` in a thread of its own."""

    def items():
        ask("SELECT 'item'")
        yield 1

    with ThreadPool(1) as pool, opened() as recorder:
        assert list(getattr(pool, name)(str, iterable=items())) == ["1"]
        assert list(getattr(pool, name)(str, items(), 2)) == ["1"]
    assert texts(recorder) == ["SELECT 'item'"] * 2


def test_stage_is_carried_with_the_place():
    """A statement of a thread counts to the stage that started the thread."""
    with opened() as recorder, StageBlock("report", "named"):
        in_thread(ask)
    trace = freeze(recorder)
    assert trace.stages[trace.queries[0].stage].name == "report"


def test_chain_ends_with_the_submitted_function(pool):
    """The origin is the submitted function's line, not the pool's and not the caller's."""

    def submitted():
        ask()

    with opened() as recorder:
        pool.submit(submitted).result(TIMEOUT_S)
        in_thread(submitted)
    for query in freeze(recorder).queries:
        assert [step.function.rpartition(".")[2] for step in query.origin.steps] == ["submitted"]


# -- what is not carried -----------------------------------------------------------------------


def test_worker_born_in_a_trace_serves_others_later():
    """The worker's thread does not keep the Trace it was born in, while that is still open."""
    with ThreadPoolExecutor(1) as pool, ThreadPool(1) as other:
        with opened("first") as first:
            assert pool.submit(ask, "SELECT 'first'").result(TIMEOUT_S) is first
            with_none = contextvars.Context()
            assert with_none.run(lambda: pool.submit(recording).result(TIMEOUT_S)) is None
            assert with_none.run(lambda: other.apply(recording)) is None
        with opened("second") as second:
            assert pool.submit(ask, "SELECT 'second'").result(TIMEOUT_S) is second
            assert other.apply(ask, ("SELECT 'second'",)) is second
    assert texts(first) == ["SELECT 'first'"]
    assert texts(second) == ["SELECT 'second'"] * 2


def test_thread_pool_born_in_a_trace_serves_others_later():
    """Neither the workers nor the threads that feed them keep the Trace."""
    with opened():
        pool = ThreadPool(1)
    with pool:
        assert pool.apply(active) is None
        assert list(pool.imap(lambda _: active(), (active() for _ in range(1)))) == [None]


def test_own_context_variables_stay_where_they_were(pool):
    """A copied context would show the user's variables in threads, and lose what tasks set."""
    seen = []
    MINE.set("request")
    with opened(), ThreadPool(1) as other:
        in_thread(lambda: seen.append(MINE.get()))
        seen.append(pool.submit(MINE.get).result(TIMEOUT_S))
        seen.append(other.apply(MINE.get))
        pool.submit(MINE.set, "worker").result(TIMEOUT_S)
        kept = pool.submit(MINE.get).result(TIMEOUT_S)
    assert seen == ["unset"] * 3
    assert kept == "worker"
    assert MINE.get() == "request"


def test_without_a_recorder_nothing_stands_between(pool):
    """The pool calls the user's function itself, and a thread is given nothing."""
    caller = pool.submit(lambda: sys._getframe(1).f_code.co_qualname).result(TIMEOUT_S)
    assert caller == "_WorkItem.run"
    seen = []
    in_thread(lambda: seen.append(dict(vars(threading.current_thread()))))
    assert not [name for name in seen[0] if "queryscope" in name]


def test_work_started_after_the_end_is_not_carried(pool):
    """A context that still has a closed Recorder starts nothing for it."""
    with opened() as recorder:
        late = contextvars.copy_context()
    assert late.run(lambda: pool.submit(active).result(TIMEOUT_S)) is None
    seen = []
    late.run(in_thread, lambda: seen.append(active()))
    assert seen == [None]
    assert recorder.orphans == 0


# -- after the end -----------------------------------------------------------------------------


class Payload:
    """Something that a Trace would keep alive."""


def outlive(carrier, payload, stage=False):
    """Start work in a Trace that goes on after it; return what lets it go on, and the Recorder."""
    go = threading.Event()
    ready = threading.Event()

    def work():
        ask(parameters=(payload,))
        if stage:
            with StageBlock("long", "named"):
                ready.set()
                go.wait(TIMEOUT_S)
        ready.set()
        go.wait(TIMEOUT_S)
        ask("SELECT 'late'")

    with opened() as recorder:
        carrier(work)
        assert ready.wait(TIMEOUT_S)
    return go, recorder


def as_thread(work):
    """Run work in a thread."""
    threading.Thread(target=work, daemon=True).start()


@pytest.mark.parametrize("carrier", ["thread", "executor", "stage"])
def test_work_that_outlives_its_request_is_an_orphan(pool, carrier):
    """Its late statements are counted in the Trace, and not kept."""
    carry = pool.submit if carrier == "executor" else as_thread
    before = set(threading.enumerate())
    go, recorder = outlive(carry, Payload(), carrier == "stage")
    go.set()
    pool.submit(int).result(TIMEOUT_S)
    for thread in set(threading.enumerate()) - before:
        thread.join(TIMEOUT_S)
    trace = freeze(recorder)
    assert len(trace.queries) == 1
    assert trace.orphans == 1


@pytest.mark.parametrize("carrier", ["thread", "executor", "stage"])
def test_work_that_outlives_its_request_keeps_no_memory(pool, carrier):
    """Once the Trace is written, nothing of it is alive, although the work goes on."""
    carry = pool.submit if carrier == "executor" else as_thread

    def start():
        box = [Payload()]  # which the work empties, so that it does not hold the payload itself
        gone = weakref.ref(box[0])
        ready, go = threading.Event(), threading.Event()

        def work():
            ask(parameters=(box.pop(),))
            if carrier == "stage":
                with StageBlock("long", "named"):
                    ready.set()
                    go.wait(TIMEOUT_S)
            ready.set()
            go.wait(TIMEOUT_S)

        with opened() as recorder:
            carry(work)
            assert ready.wait(TIMEOUT_S)
        assert recorder.queries[0][4] == (gone(),)
        return go, gone

    go, gone = start()
    gc.collect()
    try:
        assert gone() is None
    finally:
        go.set()


def test_work_that_outlives_an_inner_trace_goes_on_in_the_outer_one():
    """A request under a budget: what its threads do later still happens in the block."""
    with opened("block") as outer:
        with opened("inner"):
            inner_stage = StageBlock("view", "view")
            inner_stage.__enter__()
            go, done = threading.Event(), threading.Event()
            threading.Thread(
                target=lambda: (go.wait(TIMEOUT_S), ask("SELECT 'late'"), done.set())
            ).start()
            inner_stage.__exit__()
        go.set()
        assert done.wait(TIMEOUT_S)
    assert texts(outer) == ["SELECT 'late'"]
    assert outer.queries[0][11] == -1


def test_finished_work_leaves_nothing_behind(pool):
    """A Recorder that runs for hours does not collect the places it has handed out."""
    with opened() as recorder:
        for _ in range(50):
            in_thread(ask)
            pool.submit(ask).result(TIMEOUT_S)
        pool.submit(int).result(TIMEOUT_S)
        gc.collect()
        assert len(recorder.carried) <= 2  # the Recorder's own, and the last task's


# -- nothing else changes ----------------------------------------------------------------------


class Named(threading.Thread):
    """A thread with methods of its own."""

    def __init__(self):
        super().__init__(name="importer", daemon=True)
        self.steps = []

    def start(self):
        """Note it, and start."""
        self.steps.append("start")
        super().start()

    def run(self):
        """Note what a thread can see of itself."""
        self.steps.append(("run", repr(self), threading.current_thread() is self))
        self.steps.append(recording())


def test_subclass_of_thread_behaves_as_before():
    """Own ``start`` and ``run`` are called; name, repr and daemon flag are the thread's."""
    with opened() as recorder:
        thread = Named()
        thread.start()
        thread.join(TIMEOUT_S)
        assert "run" not in vars(thread)
        assert not [name for name in vars(thread) if "queryscope" in name]
    assert thread.daemon
    assert thread.name == "importer"
    start, (run, text, current), seen = thread.steps
    assert (start, run, current) == ("start", "run", True)
    assert text.startswith("<Named(importer, started daemon ")
    assert seen is recorder


def test_error_in_a_thread_is_reported_as_before():
    """The hook for uncaught errors gets the same error, and no frame of ours is printed."""
    told = []

    def fails():
        raise LookupError("lost")

    original, threading.excepthook = threading.excepthook, told.append
    try:
        with opened():
            thread = threading.Thread(target=fails)
            thread.start()
            thread.join(TIMEOUT_S)
    finally:
        threading.excepthook = original
    (report,) = told
    assert str(report.exc_value) == "lost"
    assert report.thread is thread
    files = [frame.filename for frame in traceback.extract_tb(report.exc_traceback)]
    assert not [file for file in files if "queryscope/stdlib" in file]


def test_thread_started_twice_is_refused_as_before():
    """The error is Python's, and the thread keeps nothing of the second start."""
    with opened():
        thread = threading.Thread(target=int)
        thread.start()
        with pytest.raises(RuntimeError, match="threads can only be started once"):
            thread.start()
        thread.join(TIMEOUT_S)
        assert not [name for name in vars(thread) if "queryscope" in name]


def test_results_and_errors_of_a_pool_pass_as_they_are(pool):
    """What a task returns and raises arrives itself, also an error of the call."""
    value, error = object(), LookupError("lost")

    def fails():
        raise error

    with opened():
        assert pool.submit(lambda: value).result(TIMEOUT_S) is value
        assert pool.submit(fails).exception(TIMEOUT_S) is error
        with pytest.raises(TypeError, match=r"takes no arguments|takes 0 positional"):
            pool.submit(fails, 1).result(TIMEOUT_S)
        with ThreadPool(1) as other, pytest.raises(LookupError) as caught:
            other.apply(fails)
    assert caught.value is error


def test_error_of_a_wrong_call_reads_as_before(pool):
    """Leaving out the function is told in Python's own words."""
    with pytest.raises(TypeError) as bare:
        pool.submit()
    uninstall()
    with pytest.raises(TypeError) as original:
        pool.submit()
    assert str(bare.value) == str(original.value)
    with ThreadPool(1) as other:
        with pytest.raises(TypeError) as unhooked:
            other.map()
        install()
        with opened(), pytest.raises(TypeError) as hooked:
            other.map()
    assert str(hooked.value) == str(unhooked.value)


def test_function_that_a_pool_holds_looks_like_the_users():
    """A pool that logs what it runs logs the user's function."""
    held = []

    class Logging(ThreadPoolExecutor):
        def _adjust_thread_count(self):
            item = self._work_queue.get()
            held.append((item.fn.__name__, repr(item.fn)))
            self._work_queue.put(item)
            super()._adjust_thread_count()

    with opened(), Logging(1) as pool:
        pool.submit(ask).result(TIMEOUT_S)
    assert held == [("ask", repr(ask))]


def test_keyword_arguments_reach_the_function(pool):
    """Also those called like parameters of ours."""

    def work(**given):
        return given

    with opened(), ThreadPool(1) as other:
        given = {"fn": 1, "self": 2, "function": 3, "scope": 4, "args": 5}
        assert pool.submit(work, **given).result(TIMEOUT_S) == given
        assert other.apply(work, (), given) == given


# -- taking it out -----------------------------------------------------------------------------


def everything():
    """Return what the hooks may have touched."""
    return {
        owner: dict(vars(owner)) for owner in (threading.Thread, ThreadPoolExecutor, ThreadPool)
    }


def test_uninstall_restores_every_patched_object():
    """Every attribute is the one from before, and none is added."""
    uninstall()
    before = everything()
    install()
    during = everything()
    assert during != before
    install()
    assert everything() == during
    uninstall()
    assert everything() == before


def test_uninstall_keeps_what_others_wrapped_around_ours():
    """Who patched after us is not taken out with us."""
    ours = threading.Thread.start

    def theirs(self):
        ours(self)

    threading.Thread.start = theirs
    try:
        uninstall()
        assert threading.Thread.start is theirs
        in_thread(int)
    finally:
        threading.Thread.start = ours.__wrapped__


def test_wrapped_functions_say_what_they_stand_for():
    """Names and signatures are those of the originals."""
    assert threading.Thread.start.__qualname__ == "Thread.start"
    assert ThreadPoolExecutor.submit.__module__ == "concurrent.futures.thread"
    assert ThreadPool.map.__name__ == "map"


# -- many at a time ----------------------------------------------------------------------------


def test_requests_in_many_threads_share_a_pool_without_mixing(pool):
    """Each of 200 requests finds its own statements, whichever worker served it."""
    requests = 200
    with ThreadPoolExecutor(8) as shared, ThreadPoolExecutor(20) as clients:

        def request(number):
            with opened(f"request {number}") as recorder:
                tasks = [shared.submit(ask, f"SELECT {number}") for _ in range(5)]
                thread = threading.Thread(target=ask, args=(f"SELECT {number}",))
                thread.start()
                for task in tasks:
                    task.result(TIMEOUT_S)
                thread.join(TIMEOUT_S)
            return recorder

        recorders = list(clients.map(request, range(requests), timeout=60))
    for number, recorder in enumerate(recorders):
        assert texts(recorder) == [f"SELECT {number}"] * 6
        assert recorder.orphans == 0


def calls_of(function, *args):
    """Return how many calls, of Python and of C, one call of a function makes."""
    calls = []
    sys.setprofile(lambda _, event, __: calls.append(event) if "call" in event else None)
    try:
        function(*args)
    finally:
        sys.setprofile(None)
    return len(calls) - 1  # sys.setprofile itself


def test_idle_hooks_cost_two_calls():
    """Without a Recorder: the call of ours, and one look at the context variable."""

    class Idle(ThreadPoolExecutor):
        """Takes work and does none."""

        def _adjust_thread_count(self):
            pass

    assert ACTIVE.get() is None
    hooked = ThreadPoolExecutor.submit
    pool = Idle(1)
    assert calls_of(hooked, pool, int) == calls_of(hooked.__wrapped__, pool, int) + 2
