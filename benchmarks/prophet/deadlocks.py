"""Sixty points (T, C, S): T requests at once, each with C connections of a pool of S.

What the prophet says, from one recorded request, beside what real threads on a real QueuePool do.
"""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

from sqlalchemy import create_engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

import queryscope.sqlalchemy as adapter
from queryscope.prophet.forecast import Options, can_deadlock, forecast
from queryscope.prophet.visits import histories
from queryscope.trace.freeze import freeze
from queryscope.trace.pool import deadlock_from
from queryscope.trace.recorder import Recorder

POOL_TIMEOUT_S = 1.0
GIVE_UP_S = 60.0
POINTS = 60


class Point(NamedTuple):
    """T requests that each hold C connections of a pool of S."""

    requests: int
    held: int
    capacity: int


def grid() -> list[Point]:
    """Return sixty points: below, at and above the bound for each C and S, and C = 1."""
    points: list[Point] = []
    for held in (2, 3, 4, 5):
        for capacity in range(held, held + 8):
            bound = deadlock_from(capacity, held) or 0
            points += [
                Point(requests, held, capacity) for requests in (bound - 1, bound) if requests > 0
            ]
    points += [Point(9, 1, capacity) for capacity in range(1, POINTS - len(points) + 1)]
    return points[:POINTS]


def foretold(points: list[Point]) -> dict[Point, bool]:
    """Return what the prophet says of each point, from one request recorded on such a pool."""
    adapter.install()
    try:
        return {point: _foretold(point) for point in points}
    finally:
        adapter.uninstall()


def _foretold(point: Point) -> bool:
    size = (point.capacity + 1) // 2
    engine = create_engine(
        "sqlite://",
        creator=_connect,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=point.capacity - size,
    )
    recorder = Recorder("request", "GET /")
    recorder.open()
    try:
        with ExitStack() as held:
            for _ in range(point.held):
                held.enter_context(engine.connect())
    finally:
        recorder.close()
        engine.dispose()
    (history,) = histories([freeze(recorder)])
    found = forecast(history, Options(arrivals=1))
    return found is not None and can_deadlock(point.requests, found.most_held, found.capacity)


def happened(points: list[Point]) -> dict[Point, bool]:
    """Return at which points somebody gave up, all points run at the same time."""
    with ThreadPoolExecutor(len(points)) as runs:
        return {
            point: gave_up > 0
            for point, gave_up in zip(points, runs.map(_time_outs, points), strict=True)
        }


def _time_outs(point: Point) -> int:
    """Return how many requests gave up, on the order of events that is worst.

    They take connections in turn, each up to all but its last one, until the pool is empty; when
    all of them have what they get, they ask for the rest.
    """
    size = (point.capacity + 1) // 2
    pool = QueuePool(
        _connect, pool_size=size, max_overflow=point.capacity - size, timeout=POOL_TIMEOUT_S
    )
    started = threading.Barrier(point.requests)
    left = point.capacity
    firsts = []
    for _ in range(point.requests):
        firsts.append(min(point.held - 1, left))
        left -= firsts[-1]

    def request(first: int) -> int:
        held = []
        try:
            held += [pool.connect() for _ in range(first)]
            started.wait(GIVE_UP_S)
            while len(held) < point.held:
                held.append(pool.connect())
        except PoolTimeoutError:
            return 1
        else:
            return 0
        finally:
            for connection in held:
                connection.close()

    try:
        with ThreadPoolExecutor(point.requests) as threads:
            return sum(threads.map(request, firsts))
    finally:
        pool.dispose()


def _connect() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False)
