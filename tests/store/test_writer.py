"""The writer: batches off the caller's thread, bounded, fork-safe, never in the caller's way."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from queryscope.store.writer import Writer
from queryscope.trace import guard

LONG_S = 60.0
"""An age that no test waits for: what is handled was handled for another reason."""


class Sink:
    """Takes batches; ``gate`` holds them up while it is closed."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self, batch: list[int]) -> None:
        """Take a batch."""
        self.entered.set()
        self.gate.wait(10)
        self.threads.add(threading.get_ident())
        self.batches.append(batch)

    @property
    def items(self) -> list[int]:
        """All items, in the order in which they came."""
        return [item for batch in self.batches for item in batch]


@pytest.fixture
def sink() -> Sink:
    """Return a function that remembers its batches."""
    return Sink()


@pytest.fixture
def make(sink: Sink) -> Iterator[Callable[..., Writer[int]]]:
    """Return a maker of writers into the sink, closed after the test."""
    made: list[Writer[int]] = []

    def make(handle=sink, *, limit=100, value=lambda item: item, age_s=LONG_S, **more):
        made.append(Writer(handle, limit=limit, value=value, age_s=age_s, **more))
        return made[-1]

    guard.clear()
    yield make
    sink.gate.set()
    for writer in made:
        writer.close(5)
    guard.clear()


def wait_for(condition: Callable[[], bool]) -> bool:
    """Wait until something is so, five seconds at most."""
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def test_nothing_starts_before_first_item(make):
    """A writer alone has no thread."""
    before = threading.active_count()
    writer = make()
    assert writer.flush(0)
    assert threading.active_count() == before


def test_items_come_in_order(make, sink):
    """Everything put is handled once, in order, on one other thread."""
    writer = make(limit=200)
    for n in range(130):
        writer.put(n)
    assert writer.flush(5)
    assert sink.items == list(range(130))
    assert len(sink.threads) == 1
    assert threading.get_ident() not in sink.threads


def test_full_batch_goes_at_once(make, sink):
    """A batch that is full does not wait for its age."""
    writer = make(batch=5)
    for n in range(5):
        writer.put(n)
    assert wait_for(lambda: sink.batches == [[0, 1, 2, 3, 4]])


def test_old_item_goes_alone(make, sink):
    """An item is handled after its age however few wait with it."""
    writer = make(age_s=0.05)
    start = time.monotonic()
    writer.put(1)
    assert wait_for(lambda: sink.batches == [[1]])
    assert time.monotonic() - start >= 0.05


def test_burst_shares_a_batch(make, sink):
    """The first item goes at once, those right behind it together."""
    writer = make(age_s=0, pace_s=LONG_S)
    writer.put(1)
    assert wait_for(lambda: sink.batches == [[1]])
    writer.put(2)
    writer.put(3)
    assert writer.flush(5)
    assert sink.batches == [[1], [2, 3]]


def test_batches_are_not_larger(make, sink):
    """What piled up is handled in several batches."""
    writer = make(batch=4)
    sink.gate.clear()
    for n in range(11):
        writer.put(n)
    sink.gate.set()
    assert writer.flush(5)
    assert sink.items == list(range(11))
    assert max(map(len, sink.batches)) <= 4


def test_full_queue_drops_cheapest(make, sink):
    """Of more items than may wait the least valuable are dropped and counted."""
    writer = make(limit=3, batch=1)
    sink.gate.clear()
    writer.put(50)
    assert sink.entered.wait(5)  # one is being handled: it waits no more
    for worth in (5, 9, 1, 7, 8, 2):
        writer.put(worth)
    sink.gate.set()
    assert writer.flush(5)
    assert sink.items == [50, 9, 7, 8]
    assert writer.dropped == 3


def test_equally_cheap_drops_oldest(make, sink):
    """Among items of one value the newest stay."""
    writer = make(limit=2, batch=1, value=lambda _: 0)
    sink.gate.clear()
    writer.put(0)
    assert sink.entered.wait(5)
    for n in range(1, 6):
        writer.put(n)
    sink.gate.set()
    assert writer.flush(5)
    assert sink.items == [0, 4, 5]


def test_long_run_keeps_no_rest(make, sink):
    """What is remembered for dropping does not grow with the items handled."""
    writer = make(limit=50, batch=10)
    for n in range(2_000):
        writer.put(n)
        if n % 40 == 0:
            assert writer.flush(5)
    assert writer.flush(5)
    assert len(sink.items) == 2_000
    assert len(writer._cheapest) <= 10


def test_slow_handling_does_not_hold_up(make, sink):
    """put() returns while a batch is stuck."""
    writer = make(batch=1)
    sink.gate.clear()
    writer.put(1)
    assert sink.entered.wait(5)
    start = time.monotonic()
    for n in range(50):
        writer.put(n)
    assert time.monotonic() - start < 1
    assert not writer.flush(0.05)


def test_flush_waits_for_batch_in_hand(make, sink):
    """flush() returns when the batch under way is handled, too."""
    writer = make(batch=1)
    sink.gate.clear()
    writer.put(1)
    assert sink.entered.wait(5)
    threading.Timer(0.1, sink.gate.set).start()
    assert writer.flush(5)
    assert sink.items == [1]


def test_failing_batch_is_counted(make):
    """A function that raises costs its batch, counted and named, and not the next one."""
    taken = []

    def handle(batch):
        if 13 in batch:
            raise OSError("disk on fire")
        taken.extend(batch)

    writer = make(handle, batch=1)
    for n in (1, 13, 2):
        writer.put(n)
    assert writer.flush(5)
    assert taken == [1, 2]
    assert writer.failed == 1
    assert ("writer.handle", "OSError: disk on fire", 1) in guard.failures()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_dead_thread_is_replaced(make):
    """What ends the thread itself, such as a SystemExit, does not end the writer."""
    taken = []
    go = threading.Event()

    def handle(batch):
        if 13 in batch:
            go.wait(5)
            raise SystemExit
        taken.extend(batch)

    writer = make(handle, batch=1)
    writer.put(13)
    thread = writer._thread
    go.set()
    assert writer.flush(5)
    thread.join(5)
    writer.put(2)
    assert writer.flush(5)
    assert (taken, writer.failed) == ([2], 1)


def test_value_that_raises_counts_as_none(make, sink):
    """put() does not raise what reading the value raised."""

    def value(item):
        raise KeyError(item)

    writer = make(value=value)
    writer.put(1)
    assert writer.flush(5)
    assert sink.items == [1]
    assert guard.failures()[0].place == "writer.value"


def test_thread_that_cannot_start_loses_nothing(make, sink, monkeypatch):
    """Where no thread can be started, items wait until one can."""

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    writer = make()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        writer.put(1)
        assert not writer.flush(0.05)
    writer.put(2)
    assert writer.flush(5)
    assert sink.items == [1, 2]
    assert guard.failures()[0].place == "writer.start"


def test_closed_writer_drops(make, sink):
    """close() handles what waits, stops the thread, and later items are counted as dropped."""
    writer = make()
    writer.put(1)
    assert writer.close(5)
    assert sink.items == [1]
    writer.put(2)
    assert writer.close(5)
    assert writer.dropped == 1
    assert wait_for(lambda: writer._thread is None)


def test_stuck_close_ends_in_time(make, sink):
    """close() gives up after its time; what waits then is dropped and counted."""
    writer = make(batch=1)
    sink.gate.clear()
    writer.put(1)
    assert sink.entered.wait(5)
    writer.put(2)
    start = time.monotonic()
    assert not writer.close(0.1)
    assert time.monotonic() - start < 2
    assert writer.dropped == 1


def test_flush_inside_handling_does_not_hang(make):
    """A function that flushes its own writer is not stuck in itself."""
    answers = []
    writer = make(lambda _: answers.append(writer.flush(30)))
    writer.put(1)
    assert writer.flush(5)
    assert answers == [False]


def test_put_inside_put_does_not_hang(make, sink):
    """A Trace that ends while put() runs, as by garbage collection, waits its turn."""
    writer = make()
    with writer._changed:
        writer.put(1)
    assert writer.flush(5)
    assert sink.items == [1]


def test_many_threads_lose_nothing(make, sink):
    """Items put by many threads at once are all handled, each once."""
    writer = make(limit=10_000, batch=7)

    def put(first):
        for n in range(200):
            writer.put(first + n)

    threads = [threading.Thread(target=put, args=(n * 1_000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.flush(10)
    assert sorted(sink.items) == sorted(n * 1_000 + k for n in range(8) for k in range(200))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_child_starts_its_own_thread(make, sink):
    """After a fork the child's items go through a thread of the child, the parent's do not."""
    writer = make()
    sink.gate.clear()
    writer.put(1)
    writer._changed.acquire()  # as if another thread were inside put() at that moment
    child = os.fork()
    if child == 0:
        sink.gate.set()
        writer.put(2)
        done = writer.flush(5) and sink.items == [2] and writer.dropped == 0
        os._exit(0 if done else 1)
    writer._changed.release()
    sink.gate.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert writer.flush(5)
    assert sink.items == [1]


def run(source: str, *, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program with a writer into its standard output, and return what it printed."""
    start = """
        import os, sys, time
        from queryscope.store.writer import Writer
        def handle(batch):
            print(*batch, flush=True)
        writer = Writer(handle, limit=999, value=int, batch=9, age_s=60)
    """
    program = before + textwrap.dedent(start) + textwrap.dedent(source)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_exit_handles_what_waits():
    """Items put just before the interpreter exits are handled."""
    assert run("writer.put(1); writer.put(2)").stdout == "1 2\n"


def test_exit_of_multiprocessing_child_handles_what_waits():
    """A process that multiprocessing forked ends without atexit, and loses nothing either."""
    done = run("""
        import multiprocessing
        writer.put(1)
        child = multiprocessing.get_context("fork").Process(target=writer.put, args=(2,))
        child.start()
        child.join()
    """)
    assert sorted(done.stdout.split()) == ["1", "2"], done.stderr


def test_exit_is_not_held_up():
    """A function that hangs holds up the exit for a bounded time."""
    start = time.monotonic()
    done = run("""
        from queryscope.store import writer as module
        module.EXIT_S = 0.2
        stuck = Writer(lambda _: time.sleep(60), limit=9, value=int, age_s=0)
        stuck.put(1)
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - start < 20


def test_gevent_workers_are_served():
    """With everything patched by gevent, items of many greenlets are handled."""
    pytest.importorskip("gevent")
    source = """
        import gevent
        def work(n):
            for k in range(20):
                writer.put(n * 100 + k)
                gevent.sleep(0)
        gevent.joinall([gevent.spawn(work, n) for n in range(10)])
        print("flushed", writer.flush(10))
    """
    done = run(source, before="from gevent import monkey; monkey.patch_all()")
    words = done.stdout.split()
    assert words[-2:] == ["flushed", "True"], done.stderr
    assert len(set(words[:-2])) == 200
