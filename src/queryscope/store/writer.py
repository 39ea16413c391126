"""The bounded queue of finished Traces and its one thread, off the request's path."""

from __future__ import annotations

import atexit
import heapq
import sys
import threading
import time
from contextvars import Context
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakMethod

from queryscope.store import fork
from queryscope.trace import guard

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")

BATCH = 50
"""Items handled at once at most."""
AGE_S = 0.25
"""Seconds that an item waits at most for others to share its batch."""
PACE_S = 0.1
"""Seconds from one batch to the next where items do not wait for company."""
EXIT_S = 3.0
"""Seconds given to what is waiting when the interpreter exits."""


class Writer(Generic[Item]):
    """Hands items to a function in batches, on a daemon thread of its own.

    The thread starts with the first ``put``, again after a fork and again when it died. In a
    child process what the parent had waiting is forgotten: the parent handles it.

    Attributes:
        dropped: Items left out because the queue was full or the writer closed.
        failed: Items whose batch the function raised for.
    """

    def __init__(
        self,
        handle: Callable[[list[Item]], None],
        *,
        limit: int,
        value: Callable[[Item], int],
        batch: int = BATCH,
        age_s: float = AGE_S,
        pace_s: float = 0.0,
    ) -> None:
        """Prepare; no thread is started.

        Args:
            handle: Called with each batch, the oldest item first, never twice at a time.
            limit: Items that may wait; of more the least valuable are dropped.
            value: What an item is worth, read once, when it comes.
            batch: Items handled at once at most, >= 1.
            age_s: Seconds after which an item is handled, however few wait with it.
            pace_s: Seconds that lie between two batches at least, unless a batch is full.
        """
        self.dropped = 0
        self.failed = 0
        self._handle = handle
        self._limit = limit
        self._value = value
        self._batch = batch
        self._age_s = age_s
        self._pace_s = pace_s
        self._closed = False
        self._at_exit = False
        self._start_empty()
        fork.watch(self)

    def _start_empty(self) -> None:
        # Reentrant: the garbage collector may close a stream, which ends a Trace, while put()
        # holds the lock in this very thread. Entered by itself, never by the Condition's own
        # `with`: that is a function of Python's, and what a signal handler raises in it comes
        # after the lock is taken and before anybody would give it back.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._waiting: dict[int, tuple[float, Item]] = {}
        self._cheapest: list[tuple[int, int]] = []  # (value, number), also of items gone by now
        self._last = 0
        self._wanted = 0  # numbers up to here are handled without waiting for more
        self._in_hand: tuple[int, ...] = ()
        self._not_before = 0.0  # on time.monotonic()
        self._thread: threading.Thread | None = None

    def _renew_locks(self) -> None:
        """Make the locks anew where threads are greenlets by now: gunicorn forks, then patches.

        To a native lock all greenlets are one thread: the writer's waiting would release what
        another one holds.
        """
        if type(threading.RLock()) is not type(self._lock) and not self._waiting:
            self._start_empty()

    def after_fork(self) -> None:
        """Start afresh in a child process: the thread and what waits are the parent's."""
        self._start_empty()
        self.dropped = self.failed = 0
        # Of multiprocessing's registry the child has a new one.
        self._at_exit = False

    # -- the request's side -------------------------------------------------------------------

    def put(self, item: Item) -> None:
        """Let an item wait for its batch; never blocks on the handling of others, never raises."""
        try:
            worth = self._value(item)
        except Exception as error:  # noqa: BLE001 - a value that cannot be told is none
            guard.caught(error, "writer.value")
            worth = 0
        if self._thread is None:
            self._renew_locks()
        with self._lock:
            if self._closed:
                self.dropped += 1
                return
            self._last += 1
            self._waiting[self._last] = (time.monotonic(), item)
            heapq.heappush(self._cheapest, (worth, self._last))
            if len(self._waiting) > self._limit:
                self._drop_cheapest()
            if self._thread is None:
                self._start()
            elif len(self._waiting) in (1, self._batch):
                self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Have everything handled that was put before; False when time ran out.

        Called from the function that handles, it returns False at once.
        """
        thread = self._thread
        if thread is not None and threading.get_ident() == thread.ident:
            return False
        deadline = time.monotonic() + timeout_s
        with self._lock:
            wanted = self._last
            if not self._has_until(wanted):
                # Not woken for nothing: a thread that wants to run takes milliseconds from one
                # that gives the interpreter's lock up for each statement.
                return True
            self._wanted = max(self._wanted, wanted)
            self._changed.notify_all()
            while self._has_until(wanted):
                if self._thread is None:
                    self._start()
                left = deadline - time.monotonic()
                if left <= 0 or self._thread is None:
                    return False
                self._changed.wait(left)
        return True

    def close(self, timeout_s: float) -> bool:
        """Handle what waits and stop the thread; False when time ran out.

        What is put from now on is dropped; what was not handled in time is dropped, too.
        """
        with self._lock:
            self._closed = True
        done = self.flush(timeout_s)
        with self._lock:
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._cheapest.clear()
            self._changed.notify_all()
        return done

    def _has_until(self, number: int) -> bool:
        """Tell whether an item of this number or a lower one is waiting or being handled."""
        first = next(iter(self._waiting), number + 1)
        return first <= number or any(item <= number for item in self._in_hand)

    def _drop_cheapest(self) -> None:
        """Drop the least valuable item, the oldest of equals."""
        while self._cheapest:
            _, number = heapq.heappop(self._cheapest)
            if self._waiting.pop(number, None) is not None:
                self.dropped += 1
                return

    def _start(self) -> None:
        """Start the thread; where none can be started, items wait for the next attempt."""
        # An empty context: the thread must not record into the Trace that happened to start it.
        thread = threading.Thread(
            target=Context().run, args=(self._work,), name="queryscope-writer", daemon=True
        )
        self._thread = thread
        try:
            thread.start()
        except BaseException as error:
            # A signal handler may raise while we wait for the thread, which runs all the same.
            if not thread.is_alive():
                self._thread = None
            if not isinstance(error, RuntimeError):
                raise
            guard.caught(error, "writer.start")
            if self._thread is None:
                return
        if not self._at_exit:
            self._at_exit = True
            _call_at_exit(WeakMethod(self._exit))

    def _exit(self) -> None:
        self.close(EXIT_S)

    # -- the thread's side --------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._handle_all()
        finally:
            with self._lock:
                self._thread = None
                self._changed.notify_all()

    def _handle_all(self) -> None:
        while (batch := self._next()) is not None:
            failed = len(batch)
            try:
                self._handle(batch)
                failed = 0
            except Exception as error:  # noqa: BLE001 - the next batch may be handled all the same
                guard.count(error, "writer.handle")
            finally:
                del batch
                with self._lock:
                    self.failed += failed
                    self._in_hand = ()
                    self._not_before = time.monotonic() + self._pace_s
                    self._changed.notify_all()

    def _next(self) -> list[Item] | None:
        """Wait for a batch that is full, old enough or wanted; None when there will be none."""
        changed = self._changed
        with self._lock:
            while True:
                if not self._waiting:
                    if self._closed:
                        return None
                    changed.wait()
                    continue
                first, (since, _) = next(iter(self._waiting.items()))
                left = max(since + self._age_s, self._not_before) - time.monotonic()
                if len(self._waiting) >= self._batch or first <= self._wanted or left <= 0:
                    break
                changed.wait(left)
            self._in_hand = tuple(self._waiting)[: self._batch]
            batch = [self._waiting.pop(number)[1] for number in self._in_hand]
            if len(self._cheapest) > 2 * len(self._waiting) + self._batch:
                self._cheapest = [pair for pair in self._cheapest if pair[1] in self._waiting]
                heapq.heapify(self._cheapest)
            return batch


def _call_at_exit(method: WeakMethod[Callable[[], None]]) -> None:
    """Call a method when this process exits, unless its object is gone by then."""

    def call() -> None:
        bound = method()
        if bound is not None:
            bound()

    atexit.register(call)
    # A process that multiprocessing forked ends without atexit; it runs its own finalizers.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, call, exitpriority=10)
