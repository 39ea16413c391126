"""Real requests on a real QueuePool, which come at random and are recorded."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import create_engine

import queryscope.sqlalchemy as adapter
from queryscope.prophet.simulation import WARM_UP, waits_of
from queryscope.prophet.visits import histories
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Engine

    from queryscope.prophet.queueing import Waits
    from queryscope.prophet.visits import PoolHistory

THREADS = 200
"""Requests under way at a time; more would wait for a thread, and that is counted as late."""
LONG_SHARE = 0.2
"""Requests of the first workload that hold their connection for long."""


class Workload(NamedTuple):
    """What a request does: a name, the pool's size, and the times it holds its connections for."""

    name: str
    size: int
    times_s: Callable[[random.Random], Sequence[float]]


class Run(NamedTuple):
    """One run under load: what was recorded, and how much too late a request came, at most."""

    history: PoolHistory
    late_s: float

    @property
    def waits(self) -> Waits:
        """What the requests waited in the pool, the first ones left out."""
        waited = self.history.waited_ns
        return waits_of([wait / 1e9 for wait in waited[int(len(waited) * WARM_UP) :]])


def one_session(chance: random.Random) -> Sequence[float]:
    """Return how long a request holds its one connection: mostly short, one in five long."""
    if chance.random() < LONG_SHARE:
        return (chance.uniform(0.2, 0.3),)
    return (chance.uniform(0.03, 0.08),)


def nested_sessions(chance: random.Random) -> Sequence[float]:
    """Return how long a request holds one connection, a second beside it in one of three, alone."""
    if chance.random() < 1 / 3:
        return chance.uniform(0.03, 0.05), chance.uniform(0.03, 0.1), 0.02
    return (chance.uniform(0.03, 0.1),)


def engine_for(url: str, size: int) -> Engine:
    """Return an engine whose pool is full of open connections."""
    engine = create_engine(url, pool_size=size, max_overflow=0, pool_timeout=60)
    warm = [engine.connect() for _ in range(size)]
    for connection in warm:
        connection.close()
    return engine


def request(engine: Engine, times_s: Sequence[float]) -> None:
    """Do what one request does; it sleeps instead of asking, which needs no processor."""
    with engine.connect():
        time.sleep(times_s[0])
        if len(times_s) > 1:
            with engine.connect():
                time.sleep(times_s[1])
            time.sleep(times_s[2])


def loaded(engine: Engine, workload: Workload, rate: float, arrivals: int, seed: int) -> Run:
    """Let requests come at random, each in a thread and a Trace of its own."""
    chance = random.Random(seed)
    recorders: list[Recorder] = []
    late = 0.0

    def come(times_s: Sequence[float], due: float) -> None:
        nonlocal late
        late = max(late, time.perf_counter() - due)
        recorder = Recorder("request", "GET /")
        recorder.open()
        try:
            request(engine, times_s)
        finally:
            recorder.close()
            recorders.append(recorder)

    adapter.install()
    try:
        with ThreadPoolExecutor(THREADS) as threads:
            due = time.perf_counter() + 0.1
            done = []
            for _ in range(arrivals):
                due += chance.expovariate(rate)
                times_s = workload.times_s(chance)
                pause = due - time.perf_counter()
                if pause > 0:
                    time.sleep(pause)
                done.append(threads.submit(come, times_s, due))
            for item in done:
                item.result()
    finally:
        adapter.uninstall()
    recorders.sort(key=lambda recorder: recorder.start_ns)
    (history,) = histories(map(freeze, recorders))
    return Run(history, late)
